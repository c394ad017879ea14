/* Writing the packed images from the part files into the data set. */
#ifndef PNEUMO_DATA_DATASET_WRITER_H
#define PNEUMO_DATA_DATASET_WRITER_H

#include "pixels.h"

/* Writes the data set of info->count samples, whose images are those of the drafts in the same
 * order, to `output`, and sets mean, deviation and digest of `info`. */
pd_status pd_dataset_writer_run(pd_dataset_info *info, const char *output, const pd_sample *samples,
                                const pd_draft *drafts, const pd_pixels *pixels);

#endif
