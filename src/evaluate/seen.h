/* Finding the patients of a data set whose images were used for calibration: their images must not
 * evaluate it. */
#ifndef PNEUMO_EVALUATE_SEEN_H
#define PNEUMO_EVALUATE_SEEN_H

#include "pneumo/comm/comm.h"
#include "pneumo/io/checkpoint.h"
#include "pneumo/io/dataset.h"

#include <stdbool.h>

/* Whether images of this data set can be recognised: images of another size have other hashes. */
bool pd_seen_comparable(const pd_site *site, const pd_dataset *dataset);

/* Stores at *seen [count of the data set] (free()) a 1 for every sample of a patient with an image
 * among site->images, in whichever fold, and 0 for the others. Reads all images; the ranks share
 * the work. Collective; all ranks return the same status. */
pd_status pd_seen_find(uint8_t **seen, pd_comm *comm, const pd_site *site,
                       const pd_dataset *dataset);

#endif
