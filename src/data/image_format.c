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
