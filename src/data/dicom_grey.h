/* From the stored values of a DICOM image to the greys that a viewer shows. */
#ifndef PNEUMO_DATA_DICOM_GREY_H
#define PNEUMO_DATA_DICOM_GREY_H

#include "dicom_reader.h"
#include "pneumo/data/image.h"

/* Without a window or VOI look-up table, this share of the pixels at each end of the modality
 * values becomes black or white. Images of at most 8 bits keep their whole range instead. */
#define PD_DICOM_TAIL 0.005

/* Writes the greys of dicom->samples to out[height][width]: modality look-up table or rescaling,
 * then the first VOI look-up table, else the first window, else the percentile window; then
 * MONOCHROME1 is inverted (PS3.3 C.7.6.3.1.2, C.11.1, C.11.2). Fails when memory runs out. */
pd_status pd_dicom_grey(uint8_t *out, const pd_dicom *dicom);

#endif
