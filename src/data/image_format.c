#include "image_format.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define ROW(name) &pd_image_format_##name,
static const pd_image_format *const formats[] = {PD_IMAGE_FORMATS(ROW)};
#undef ROW

enum { FORMATS = sizeof formats / sizeof *formats };

const pd_image_format *pd_image_format_of_bytes(const unsigned char *bytes, size_t size)
{
    for (int i = 0; i < FORMATS; i++)
        if (formats[i]->recognises(bytes, size))
            return formats[i];
    return NULL;
}

/* Other kinds of files that people have, by bytes at a place, and what to do with them. */
typedef struct pd_other_format {
    const char *name;
    size_t at, size;
    const char *signature, *advice;
} pd_other_format;

#define CONVERT(extension) "convert it, for example with 'magick in." extension " out.png'"
static const pd_other_format others[] = {
    {"WebP", 8, 4, "WEBP", CONVERT("webp")},
    {"TIFF", 0, 4, "II*\0", CONVERT("tif")},
    {"TIFF", 0, 4, "MM\0*", CONVERT("tif")},
    {"TIFF", 0, 4, "II+\0", CONVERT("tif")},
    {"GIF", 0, 4, "GIF8", CONVERT("gif")},
    {"BMP", 0, 2, "BM", CONVERT("bmp")},
    {"JPEG 2000", 0, 12, "\0\0\0\x0cjP  \r\n\x87\n", CONVERT("jp2")},
    {"JPEG 2000", 0, 4, "\xff\x4f\xff\x51", CONVERT("j2k")},
    {"JPEG XL", 0, 12, "\0\0\0\x0cJXL \r\n\x87\n", CONVERT("jxl")},
    {"JPEG XL", 0, 2, "\xff\x0a", CONVERT("jxl")},
    {"AVIF", 4, 8, "ftypavif", CONVERT("avif")},
    {"HEIC", 4, 7, "ftyphei", CONVERT("heic")},
    {"HEIC", 4, 8, "ftypmif1", CONVERT("heic")},
    {"PDF", 0, 5, "%PDF-", "take the images out, for example with 'pdfimages -png in.pdf out'"},
    {"NIfTI", 344, 4, "n+1\0", "write its images as PNG"},
    {"ZIP", 0, 4, "PK\3\4", "unpack it"},
    {"gzip", 0, 2, "\x1f\x8b", "unpack it"},
    {"HDF5", 0, 8, "\x89HDF\r\n\x1a\n", "give image files"},
};

pd_status pd_image_format_refuse(const unsigned char *bytes, size_t size)
{
    char names[PD_IMAGE_FORMAT_TEXT];
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        const pd_other_format *other = &others[i];
        if (size >= other->at + other->size &&
            memcmp(bytes + other->at, other->signature, other->size) == 0)
            return pd_fail("%s is not supported; %s", other->name, other->advice);
    }
    return pd_fail("not a %s image, whatever its extension", pd_image_format_names(names));
}

const pd_image_format *pd_image_format_of_path(const char *path)
{
    const char *slash = strrchr(path, '/'), *dot = strrchr(slash != NULL ? slash : path, '.');
    for (int i = 0; dot != NULL && i < FORMATS; i++)
        for (int j = 0; j < PD_IMAGE_EXTENSIONS_MAX && formats[i]->extensions[j] != NULL; j++)
            if (strcasecmp(dot, formats[i]->extensions[j]) == 0)
                return formats[i];
    return NULL;
}

/* Writes "a, b or c". */
static const char *join(char *text, const char *const *words, int count)
{
    size_t used = 0;
    for (int i = 0; i < count; i++) {
        const char *separator = i == 0 ? "" : i == count - 1 ? " or " : ", ";
        int length =
            snprintf(text + used, PD_IMAGE_FORMAT_TEXT - used, "%s%s", separator, words[i]);
        used += (size_t)length;
        if (used >= PD_IMAGE_FORMAT_TEXT)
            break;
    }
    return text;
}

const char *pd_image_format_names(char *text)
{
    const char *names[FORMATS];
    for (int i = 0; i < FORMATS; i++)
        names[i] = formats[i]->name;
    return join(text, names, FORMATS);
}

const char *pd_image_format_extensions(char *text)
{
    const char *extensions[FORMATS * PD_IMAGE_EXTENSIONS_MAX];
    int count = 0;
    for (int i = 0; i < FORMATS; i++)
        for (int j = 0; j < PD_IMAGE_EXTENSIONS_MAX && formats[i]->extensions[j] != NULL; j++)
            extensions[count++] = formats[i]->extensions[j];
    return join(text, extensions, count);
}
