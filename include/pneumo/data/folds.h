/* Assigning patients to the folds train, val and test. */
#ifndef PNEUMO_DATA_FOLDS_H
#define PNEUMO_DATA_FOLDS_H

#include "pneumo/io/dataset.h"

#include <stddef.h>

typedef enum pd_fold_policy { PD_FOLDS_SPLIT = 0, PD_FOLDS_KEEP = 1 } pd_fold_policy;
typedef enum pd_fold_shares {
    PD_SHARES_BALANCED = 0,
    PD_SHARES_STRATIFIED = 1,
    PD_SHARES = 2
} pd_fold_shares;

extern const char *const pd_fold_shares_names[PD_SHARES + 1]; /* balanced, stratified, NULL */

typedef struct pd_fold_options {
    pd_fold_policy policy;
    int ratio[PD_FOLDS]; /* policy split: percent; they add up to 100, and train's is at least 1 */
    pd_fold_shares shares;
    int val_from_train; /* policy keep: percent of the train fold's patients moved to val, 0 to 99
                         */
    uint64_t seed;
} pd_fold_options;

#define PD_FOLDS_DEFAULTS                                                                          \
    {                                                                                              \
        .policy = PD_FOLDS_SPLIT, .ratio = {70, 15, 15}, .shares = PD_SHARES_BALANCED, .seed = 1   \
    }

/* Fails if a member is outside of its range, or if val_from_train is used without policy keep. */
pd_status pd_folds_check(const pd_fold_options *options);

/* Sets samples[count].fold; a pure function of the samples and the options. samples[].patient is in
 * [0, patients).
 *
 * Policy split keeps patients whole. With balanced shares, val and test each hold ratio percent of
 * all images, half of them of each class; with stratified shares, ratio percent of each class. The
 * numbers are exact if the sizes of the patients allow it for the last 512 images of each class and
 * cause, up to which patients are drawn, and near otherwise. Within a class each cause has its own
 * share in val and test. Train gets the rest, and also every patient with images of both classes,
 * which would unbalance the other folds. A class with too few images is an error that says how many
 * are needed.
 *
 * Policy keep leaves the folds as they are, except that val_from_train percent of the train fold's
 * patients of each class (and cause) move to val with all of their images. */
pd_status pd_folds_assign(pd_sample *samples, int64_t count, int32_t patients,
                          const pd_fold_options *options);

/* Assigns the folds of a set that samples[old, count) are appended to. Patients with images among
 * the first `old` samples keep the fold of these, which their new images must have already; other
 * patients are assigned so that val and test come as near to the shares of policy split as the old
 * folds and the new patients allow; train gets the rest. A pure function of the samples and the
 * options. */
pd_status pd_folds_extend(pd_sample *samples, int64_t count, int32_t patients, int64_t old,
                          const pd_fold_options *options);

/* Counts the patients with images in more than one fold (0 after policy split). *example is the
 * lowest numbered of them, -1 if there are none. Patient numbers start at 0 and may have gaps. */
pd_status pd_folds_leaks(int64_t *out, int32_t *example, const pd_sample *samples, int64_t count);

/* Counts the patients with images in each fold. */
pd_status pd_folds_patients(int64_t out[PD_FOLDS], const pd_sample *samples, int64_t count);

/* Writes how the folds were made, such as "by patient, 70/15/15, balanced", to text[size]. `groups`
 * is what the groups are called (pd_patients_noun), `leaks` comes from pd_folds_leaks. */
void pd_folds_describe(char *text, size_t size, const pd_fold_options *options, const char *groups,
                       int64_t leaks);

#endif
