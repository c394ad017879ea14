/* Dealing patients to the folds train, val and test. */
#ifndef PNEUMO_DATA_FOLDS_H
#define PNEUMO_DATA_FOLDS_H

#include "pneumo/data/pack.h"

/* Sets samples[count].fold by options->policy; a pure function of the samples and the options.
 * samples[].patient is in [0, patients).
 *
 * Policy split: whole patients only. With balanced shares val and test hold ratio percent of all
 * images, half of them of each class; with stratified shares ratio percent of each class. The
 * numbers are met exactly wherever patients' sizes allow it, and each cause has its own share of
 * its class in val and test. Train gets the rest, and all patients with images of both classes,
 * who would unbalance the others. A class with too few images is an error that says how many are
 * needed.
 *
 * Policy keep: folds stay as they are, but val_from_train percent of the train fold's patients of
 * each class (and cause) move to val with their images. */
pd_status pd_folds_assign(pd_sample *samples, int64_t count, int32_t patients,
                          const pd_pack_options *options);

/* How many patients have images in more than one fold (0 after policy split). *example is the first
 * of them, -1 if there are none. Patients are numbered from 0, not necessarily without gaps. */
pd_status pd_folds_leaks(int64_t *out, int32_t *example, const pd_sample *samples, int64_t count);

#endif
