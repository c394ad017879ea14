/* Reading DICOM files with DCMTK and OpenJPEG: the one C interface to them. Built only where both
 * libraries are installed (PNEUMO_DICOM). */
#ifndef PNEUMO_DATA_DICOM_READER_H
#define PNEUMO_DATA_DICOM_READER_H

#include "pneumo/base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A look-up table (PS3.3 C.11.1 and C.11.2): input `first` + i becomes values[i]; inputs outside
 * take the first or last value. */
typedef struct pd_dicom_lut {
    int count; /* 0: there is none */
    int first;
    int bits;         /* of a value, 8 to 16 */
    uint16_t *values; /* [count] */
} pd_dicom_lut;

typedef enum pd_dicom_function {
    PD_DICOM_NO_WINDOW,
    PD_DICOM_LINEAR,
    PD_DICOM_LINEAR_EXACT,
    PD_DICOM_SIGMOID
} pd_dicom_function;

/* Bytes of a text of the header that are kept, of a person's name, and of a modality: DICOM's
 * limits and a 0. */
enum { PD_DICOM_TEXT = 65, PD_DICOM_NAME = 3 * 64 + 3, PD_DICOM_CODE = 17 };

/* What the file says about its image, and the image. */
typedef struct pd_dicom {
    int height, width;
    int stored_bits; /* of a sample, 1 to 16; its value is in the low bits */
    bool is_signed;
    bool inverted;        /* MONOCHROME1: the lowest value is white */
    double slope, offset; /* modality values are stored values * slope + offset */
    pd_dicom_lut modality_lut, voi_lut;
    pd_dicom_function window;
    double centre, span; /* of the window, in modality values */
    bool has_padding;
    int padding_low, padding_high; /* stored values that are not part of the image */
    uint16_t *samples;             /* [height][width] */

    char modality[PD_DICOM_CODE], view[PD_DICOM_CODE], view_code[PD_DICOM_CODE];
    char row_direction[PD_DICOM_CODE]; /* first part of Patient Orientation, such as "L" */
    /* Identity: these never leave the process. */
    char patient_id[PD_DICOM_TEXT], issuer[PD_DICOM_TEXT], patient_name[PD_DICOM_NAME],
        birth_date[PD_DICOM_CODE], accession[PD_DICOM_CODE];
} pd_dicom;

/* Reads the header and the samples of a file in memory. Fails on what is damaged or not one grey
 * image of 8 to 16 bits within the limits of pd_image_check_size; memory for pixels is allocated
 * only after that check. Thread-safe. *out is released with pd_dicom_free, also after a failure. */
pd_status pd_dicom_read(pd_dicom *out, const unsigned char *bytes, size_t size);

void pd_dicom_free(pd_dicom *dicom);

#endif
