/* What pd_pack says of a data set besides its result. */
#ifndef PNEUMO_DATA_REMARKS_H
#define PNEUMO_DATA_REMARKS_H

#include "draft.h"
#include "pneumo/data/folds.h"
#include "pneumo/data/shape.h"

/* Fails if the user's pattern (NULL: none) matches nothing; warns of images whose patient is
 * unknown, among `count` images. The examples of the tally are among `samples`, of `folder`. */
pd_status pd_remarks_on_patients(const pd_sample *samples, int64_t count, const char *folder,
                                 const char *pattern, const pd_patient_tally *tally);

/* Says what DICOM files state that changes which images are used. `remedy` ends the line on lateral
 * views. */
void pd_remarks_on_drafts(const pd_draft_counts *counts, const char *remedy);

/* Says that images are packed under another name. */
void pd_remarks_on_names(int64_t named);

/* Counts the patients in two folds, and warns of them. The patient of `unknown` images is unknown.
 */
pd_status pd_remarks_on_leaks(int64_t *leaks, const pd_sample *samples, int64_t count,
                              int64_t unknown);

/* Says which folds have no images, where it is decided. */
void pd_remarks_on_empty_folds(const pd_dataset_info *info);

/* Warns if a model could learn the shape or size of the images instead of the disease. */
void pd_remarks_on_shapes(const pd_shapes *shapes);

#endif
