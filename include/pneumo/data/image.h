/* Decoding radiographs and resizing them. */
#ifndef PNEUMO_DATA_IMAGE_H
#define PNEUMO_DATA_IMAGE_H

#include "pneumo/base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Limits of what is read: the longest side in pixels, and the size of a file in bytes. */
enum { PD_IMAGE_SIDE_MAX = 16384, PD_IMAGE_FILE_MAX = 256 << 20 };

/* Bytes of pd_image.patient (the digits of 128 bits), of its modality, and of its identity. */
enum { PD_IMAGE_PATIENT = 33, PD_IMAGE_MODALITY = 17, PD_IMAGE_IDENTITY = 512 };

typedef enum pd_projection {
    PD_PROJECTION_UNKNOWN,
    PD_PROJECTION_FRONTAL, /* postero-anterior or antero-posterior */
    PD_PROJECTION_LATERAL, /* from a side, or oblique */
    PD_PROJECTIONS
} pd_projection;

typedef struct pd_image {
    int height, width;
    uint8_t *pixels; /* grey, [height][width]; released with pd_image_free */
    /* What follows only DICOM files state; it is zero otherwise. */
    /* The same for all files that name the same patient (PatientID and its issuer): hexadecimal
     * digits of a hash. "": the file names none. IDs can be guessed, and with them their hashes, so
     * a hash serves to compare within one run and is neither stored nor shown. */
    char patient[PD_IMAGE_PATIENT];
    pd_projection projection;
    bool is_other;                    /* the file names a modality other than radiography */
    char modality[PD_IMAGE_MODALITY]; /* such as "DX" */
    /* Words that identify the patient (name, ID, birth date, accession number), in lower case,
     * letters and digits only, each terminated by 0; an empty word ends the list. Neither stored
     * nor shown. */
    char identity[PD_IMAGE_IDENTITY];
} pd_image;

/* Reads an image file of any known format (src/data/image_format.h) as grey (Rec. 601 luma for
 * colour). The error says what is wrong but does not name the file; the caller adds the name if
 * needed (pd_error_prefix). A truncated JPEG is an error. */
pd_status pd_image_read(pd_image *out, const char *path);

/* Fails for what cannot be read as a file is, such as a pipe: opening one blocks until another
 * process writes. The error does not name the path. */
pd_status pd_image_check_path(const char *path);

/* The same as pd_image_read from memory. */
pd_status pd_image_decode(pd_image *out, const unsigned char *bytes, size_t size);

/* Fails unless an image of this size is within the limits. Decoders call it after reading the
 * header, so that a forged header does not make them allocate memory. */
pd_status pd_image_check_size(int height, int width);

void pd_image_free(pd_image *image);

/* Whether a path contains a word of image->identity, in any case and with any separators between
 * its letters and digits. */
bool pd_image_identity_in(const pd_image *image, const char *path);

/* Stores at *out (free()) what a file is called whose path contains the identity of its patient:
 * "NORMAL/image-000012.dcm", by the name of its label and a number. */
pd_status pd_image_make_alias(char **out, const char *label, int64_t number);

/* Resizes to out [height][width] with a filter to which every source pixel contributes. The aspect
 * is not kept, so that a model cannot learn from size or aspect. */
pd_status pd_image_resize(uint8_t *out, int height, int width, const pd_image *image);

/* Encodes as JPEG in memory, quality 1 to 100; *bytes is released with free(). */
pd_status pd_image_encode_jpeg(unsigned char **bytes, size_t *size, const pd_image *image,
                               int quality);

/* Writes a JPEG file, quality 1 to 100. */
pd_status pd_image_write_jpeg(const char *path, const pd_image *image, int quality);

#endif
