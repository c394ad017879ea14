/* The image file formats that can be read: their names, extensions, signatures and decoders. */
#ifndef PNEUMO_DATA_IMAGE_FORMAT_H
#define PNEUMO_DATA_IMAGE_FORMAT_H

#include "pneumo/base/status.h"

#include <stdbool.h>
#include <stddef.h>

struct pd_image;

enum { PD_IMAGE_EXTENSIONS_MAX = 4, PD_IMAGE_FORMAT_TEXT = 256 };

typedef struct pd_image_format {
    const char *name;                                /* "JPEG" */
    const char *extensions[PD_IMAGE_EXTENSIONS_MAX]; /* lower case, with the dot; NULL: no more */
    bool (*recognises)(const unsigned char *bytes, size_t size); /* by the first bytes */
    /* Decodes to 8-bit grey (pd_image_decode). Called only on bytes that are recognised. The error
     * says what is wrong with the bytes, without naming the file. */
    pd_status (*decode)(struct pd_image *out, const unsigned char *bytes, size_t size);
} pd_image_format;

/* The table, in the order in which formats are tried. A new format is its name here and a file that
 * defines pd_image_format_<name>. */
#define PD_IMAGE_FORMATS(FORMAT) FORMAT(jpeg) FORMAT(png) FORMAT(dicom)

#define PD_IMAGE_FORMAT_DECLARE(name) extern const pd_image_format pd_image_format_##name;
PD_IMAGE_FORMATS(PD_IMAGE_FORMAT_DECLARE)
#undef PD_IMAGE_FORMAT_DECLARE

/* The format of a file with this content; NULL if there is none. */
const pd_image_format *pd_image_format_of_bytes(const unsigned char *bytes, size_t size);

/* Fails with what a file of none of the formats is instead, as far as its bytes tell, and what to
 * do. */
pd_status pd_image_format_refuse(const unsigned char *bytes, size_t size);

/* The format that the extension of a path stands for, in either case; NULL if there is none. */
const pd_image_format *pd_image_format_of_path(const char *path);

/* Writes "JPEG, PNG or DICOM" to text[PD_IMAGE_FORMAT_TEXT]; returns text. */
const char *pd_image_format_names(char *text);

/* Writes ".jpeg, .jpg, ... or .dicom" to text[PD_IMAGE_FORMAT_TEXT]; returns text. */
const char *pd_image_format_extensions(char *text);

#endif
