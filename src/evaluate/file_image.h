/* One image file on its way to a classifier. */
#ifndef PNEUMO_EVALUATE_FILE_IMAGE_H
#define PNEUMO_EVALUATE_FILE_IMAGE_H

#include "pneumo/data/profile.h"
#include "pneumo/evaluate/classifier.h"

/* Decodes the file, NULL for standard input, to packed[pd_classifier_packed_size]. `reason` says
 * why the image is unlike the training images; it is "" if the image is not, or if the checkpoint
 * has no profile. Thread-safe. */
pd_status pd_file_image_read(const pd_classifier *classifier, const char *path, uint8_t *packed,
                             char reason[PD_REASON_SIZE]);

#endif
