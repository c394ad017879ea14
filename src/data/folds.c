#include "pneumo/data/folds.h"

#include "pneumo/base/log.h"
#include "pneumo/base/memory.h"
#include "selection.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const pd_fold_shares_names[PD_SHARES + 1] = {"balanced", "stratified"};

pd_status pd_folds_check(const pd_fold_options *options)
{
    const int *ratio = options->ratio;
    if (options->policy == PD_FOLDS_SPLIT &&
        (ratio[PD_TRAIN] < 1 || ratio[PD_VAL] < 0 || ratio[PD_TEST] < 0 ||
         ratio[PD_TRAIN] + ratio[PD_VAL] + ratio[PD_TEST] != 100))
        return pd_fail("invalid folds %d/%d/%d: give percentages that add up to 100, the first "
                       "above 0",
                       ratio[PD_TRAIN], ratio[PD_VAL], ratio[PD_TEST]);
    if (options->val_from_train < 0 || options->val_from_train > 99)
        return pd_fail("cannot move %d percent of the train fold to val; choose 0 to 99",
                       options->val_from_train);
    if (options->policy == PD_FOLDS_SPLIT && options->val_from_train > 0)
        return pd_fail("patients move from train to val only if the folder's own folds are kept; "
                       "add --folds keep");
    return PD_OK;
}

/* round(total * percent / 100 / parts) */
static int64_t percent_of(int64_t total, int percent, int64_t parts)
{
    return (2 * total * percent + 100 * parts) / (200 * parts);
}

/* --- Policy split --- */

/* The images that val and test need of each class, and what there is. */
typedef struct pd_supply {
    int64_t need[PD_FOLDS];
    int64_t images;    /* of this class */
    int64_t available; /* of patients with this class alone */
} pd_supply;

static pd_status check_supply(const pd_supply *supply, pd_label label,
                              const pd_fold_options *options)
{
    int64_t wanted = supply->need[PD_VAL] + supply->need[PD_TEST];
    for (int fold = PD_VAL; fold <= PD_TEST; fold++)
        if (options->ratio[fold] > 0 && supply->need[fold] == 0)
            return pd_fail(
                "the data set is too small to be split: %d percent of the images leave no %s "
                "image for the fold %s",
                options->ratio[fold], pd_label_names[label], pd_fold_names[fold]);
    if (supply->images > wanted && supply->available >= wanted)
        return PD_OK;
    return pd_fail("too few %s images for folds of %d/%d/%d, %s: val and test need %lld and train "
                   "at least one more, but there are %lld; ask for smaller shares%s",
                   pd_label_names[label], options->ratio[PD_TRAIN], options->ratio[PD_VAL],
                   options->ratio[PD_TEST], pd_fold_shares_names[options->shares],
                   (long long)wanted, (long long)supply->available,
                   options->shares == PD_SHARES_BALANCED ? " or for --shares stratified" : "");
}

/* Moves `need` images of a class to `fold`; their patients are no longer available. */
static pd_status fill_fold(pd_selection *selection, pd_label label, pd_fold fold, int64_t need,
                           pd_random *random)
{
    int64_t total;
    memset(selection->chosen, 0, (size_t)selection->patient_count * sizeof *selection->chosen);
    pd_status status = pd_selection_choose(&total, selection, label, need, random);
    if (status != PD_OK)
        return status;
    if (total != need)
        pd_log_warn("the fold %s has %lld instead of %lld %s images, since patients are kept whole",
                    pd_fold_names[fold], (long long)total, (long long)need, pd_label_names[label]);
    for (int64_t i = 0; i < selection->count; i++)
        if (selection->chosen[selection->samples[i].patient])
            selection->samples[i].fold = fold;
    for (int32_t p = 0; p < selection->patient_count; p++)
        if (selection->chosen[p])
            selection->weight[p] = 0;
    return PD_OK;
}

static pd_status split_class(pd_selection *selection, pd_label label, pd_supply *supply,
                             const pd_fold_options *options)
{
    pd_random random = pd_random_stream(options->seed, PD_PURPOSE_FOLDS, 0, (uint64_t)label);
    for (int fold = PD_VAL; fold <= PD_TEST; fold++)
        supply->need[fold] = options->shares == PD_SHARES_BALANCED
                                 ? percent_of(selection->count, options->ratio[fold], PD_LABELS)
                                 : percent_of(supply->images, options->ratio[fold], 1);
    pd_status status = check_supply(supply, label, options);
    for (int fold = PD_VAL; fold <= PD_TEST && status == PD_OK; fold++)
        status = fill_fold(selection, label, (pd_fold)fold, supply->need[fold], &random);
    return status;
}

static pd_status check_folds(const pd_sample *samples, int64_t count,
                             const pd_fold_options *options)
{
    int64_t counts[PD_FOLDS][PD_LABELS];
    pd_samples_count(counts, samples, count);
    for (int fold = 0; fold < PD_FOLDS; fold++)
        for (int label = 0; label < PD_LABELS; label++)
            if (options->ratio[fold] > 0 && counts[fold][label] == 0)
                return pd_fail("too few %s patients: none is left for the fold %s",
                               pd_label_names[label], pd_fold_names[fold]);
    return PD_OK;
}

static pd_status split(pd_sample *samples, int64_t count, int32_t patients,
                       const pd_fold_options *options)
{
    pd_status status;
    pd_selection selection;
    pd_supply supplies[PD_LABELS] = {0};

    PD_TRY(pd_selection_create(&selection, samples, count, patients, PD_FOLDS));
    for (int64_t i = 0; i < count; i++) {
        supplies[samples[i].label].images++;
        samples[i].fold = PD_TRAIN;
    }
    for (int32_t p = 0; p < patients; p++) {
        selection.weight[p] = selection.patients[p].both_labels ? 0 : selection.patients[p].images;
        supplies[selection.patients[p].label].available += selection.weight[p];
    }
    for (int label = 0; label < PD_LABELS; label++)
        PD_TRY(split_class(&selection, (pd_label)label, &supplies[label], options));
    PD_TRY(check_folds(samples, count, options));

cleanup:
    pd_selection_free(&selection);
    return status;
}

/* --- Appending --- */

/* Frees the patients without old images to be chosen, and puts their images into train. */
static pd_status free_new(pd_selection *selection, int64_t old)
{
    bool *settled; /* [patient_count] */
    pd_status status = pd_alloc(&settled, (size_t)selection->patient_count, sizeof *settled);
    if (status != PD_OK)
        return status;
    for (int64_t i = 0; i < old; i++)
        settled[selection->samples[i].patient] = true;
    for (int64_t i = old; i < selection->count; i++)
        if (!settled[selection->samples[i].patient])
            selection->samples[i].fold = PD_TRAIN;
    for (int32_t p = 0; p < selection->patient_count; p++) {
        const pd_patient *patient = &selection->patients[p];
        selection->weight[p] = settled[p] || patient->both_labels ? 0 : patient->images;
    }
    free(settled);
    return PD_OK;
}

static int64_t sum_available(const pd_selection *selection, pd_label label)
{
    int64_t sum = 0;
    for (int32_t p = 0; p < selection->patient_count; p++)
        sum += selection->patients[p].label == label ? selection->weight[p] : 0;
    return sum;
}

static pd_status extend_class(pd_selection *selection, pd_label label,
                              const pd_fold_options *options)
{
    int64_t counts[PD_FOLDS][PD_LABELS], images = 0;
    pd_random random = pd_random_stream(options->seed, PD_PURPOSE_FOLDS, 2, (uint64_t)label);
    pd_samples_count(counts, selection->samples, selection->count);
    for (int fold = 0; fold < PD_FOLDS; fold++)
        images += counts[fold][label];
    for (int fold = PD_VAL; fold <= PD_TEST; fold++) {
        int64_t due = options->shares == PD_SHARES_BALANCED
                          ? percent_of(selection->count, options->ratio[fold], PD_LABELS)
                          : percent_of(images, options->ratio[fold], 1);
        int64_t need = due - counts[fold][label], available = sum_available(selection, label);
        need = need < available ? need : available;
        pd_status status =
            need > 0 ? fill_fold(selection, label, (pd_fold)fold, need, &random) : PD_OK;
        if (status != PD_OK)
            return status;
    }
    return PD_OK;
}

pd_status pd_folds_extend(pd_sample *samples, int64_t count, int32_t patients, int64_t old,
                          const pd_fold_options *options)
{
    pd_status status;
    pd_selection selection;

    PD_TRY(pd_selection_create(&selection, samples, count, patients, PD_FOLDS));
    PD_TRY(free_new(&selection, old));
    for (int label = 0; label < PD_LABELS; label++)
        PD_TRY(extend_class(&selection, (pd_label)label, options));

cleanup:
    pd_selection_free(&selection);
    return status;
}

/* --- Policy keep --- */

/* Chooses val_from_train percent of the train fold's patients of one class. */
static pd_status choose_moving(pd_selection *selection, pd_label label,
                               const pd_fold_options *options)
{
    pd_random random = pd_random_stream(options->seed, PD_PURPOSE_FOLDS, 1, (uint64_t)label);
    int64_t available = 0, taken;
    for (int32_t p = 0; p < selection->patient_count; p++) {
        const pd_patient *patient = &selection->patients[p];
        /* A weight of 1 counts patients instead of images. */
        selection->weight[p] = patient->images > 0 && !patient->both_labels;
        available += selection->weight[p] && patient->label == label;
    }
    int64_t need = percent_of(available, options->val_from_train, 1);
    if (need == available)
        return pd_fail("%d percent of the train fold's %lld %s patients cannot be moved to val: "
                       "none would be left",
                       options->val_from_train, (long long)available, pd_label_names[label]);
    return pd_selection_choose(&taken, selection, label, need, &random);
}

static pd_status move_to_val(pd_sample *samples, int64_t count, int32_t patients,
                             const pd_fold_options *options)
{
    pd_status status;
    pd_selection selection;

    PD_TRY(pd_selection_create(&selection, samples, count, patients, PD_TRAIN));
    for (int label = 0; label < PD_LABELS; label++)
        PD_TRY(choose_moving(&selection, (pd_label)label, options));
    for (int64_t i = 0; i < count; i++)
        if (selection.chosen[samples[i].patient] && samples[i].fold == PD_TRAIN)
            samples[i].fold = PD_VAL;

cleanup:
    pd_selection_free(&selection);
    return status;
}

pd_status pd_folds_assign(pd_sample *samples, int64_t count, int32_t patients,
                          const pd_fold_options *options)
{
    if (options->policy == PD_FOLDS_SPLIT)
        return split(samples, count, patients, options);
    return options->val_from_train > 0 ? move_to_val(samples, count, patients, options) : PD_OK;
}

/* --- Leaks --- */

static int by_value(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

/* Stores at *out (free()) patient * PD_FOLDS + fold of each sample, ascending. */
static pd_status pair_up(int64_t **out, const pd_sample *samples, int64_t count)
{
    pd_status status = pd_alloc(out, (size_t)count, sizeof **out);
    if (status != PD_OK)
        return status;
    for (int64_t i = 0; i < count; i++)
        (*out)[i] = (int64_t)samples[i].patient * PD_FOLDS + (int64_t)samples[i].fold;
    qsort(*out, (size_t)count, sizeof **out, by_value);
    return PD_OK;
}

pd_status pd_folds_patients(int64_t out[PD_FOLDS], const pd_sample *samples, int64_t count)
{
    int64_t *pairs = NULL;
    pd_status status = pair_up(&pairs, samples, count);
    memset(out, 0, PD_FOLDS * sizeof *out);
    for (int64_t i = 0; i < count && status == PD_OK; i++)
        if (i == 0 || pairs[i] != pairs[i - 1])
            out[pairs[i] % PD_FOLDS]++;
    free(pairs);
    return status;
}

pd_status pd_folds_leaks(int64_t *out, int32_t *example, const pd_sample *samples, int64_t count)
{
    pd_status status = PD_OK;
    int64_t *pairs = NULL;
    *out = 0;
    *example = -1;
    PD_TRY(pair_up(&pairs, samples, count));
    int64_t last = -1; /* the patient counted last */
    for (int64_t i = 1; i < count; i++) {
        int64_t patient = pairs[i] / PD_FOLDS;
        if (pairs[i] == pairs[i - 1] || patient != pairs[i - 1] / PD_FOLDS || patient == last)
            continue;
        *example = *out == 0 ? (int32_t)patient : *example;
        last = patient;
        ++*out;
    }

cleanup:
    free(pairs);
    return status;
}

void pd_folds_describe(char *text, size_t size, const pd_fold_options *options, const char *groups,
                       int64_t leaks)
{
    if (options->policy == PD_FOLDS_SPLIT) {
        int singular = (int)strlen(groups) - 1;
        snprintf(text, size, "by %.*s, %d/%d/%d, %s", singular, groups, options->ratio[PD_TRAIN],
                 options->ratio[PD_VAL], options->ratio[PD_TEST],
                 pd_fold_shares_names[options->shares]);
        return;
    }
    char moved[48] = "", shared[48] = "";
    if (options->val_from_train > 0)
        snprintf(moved, sizeof moved, ", %d%% of train moved to val", options->val_from_train);
    if (leaks > 0)
        snprintf(shared, sizeof shared, ", %lld %s in two folds", (long long)leaks, groups);
    snprintf(text, size, "kept%s%s", moved, shared);
}
