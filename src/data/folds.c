#include "pneumo/data/folds.h"

#include "pneumo/base/log.h"
#include "pneumo/base/memory.h"
#include "pneumo/base/random.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Limits of the exact search: the images still needed, and the patients considered. */
enum { EXACT_NEED = 512, EXACT_PATIENTS = 4096 };

const char *const pd_fold_shares_names[PD_SHARES + 1] = {"balanced", "stratified"};

typedef struct pd_patient {
    int32_t images;   /* in the folds that patients are taken from */
    pd_label label;   /* of the first image */
    pd_cause cause;   /* of the first image */
    bool both_labels; /* has images of the other class too */
} pd_patient;

/* The samples, and the state of assigning their patients. */
typedef struct pd_deal {
    pd_sample *samples; /* [count] */
    int64_t count;
    int32_t patient_count;
    pd_patient *patients; /* [patient_count] */
    int32_t *weight;      /* [patient_count]: what a patient adds to the fold; 0: not available */
    bool *chosen;         /* [patient_count] */
} pd_deal;

pd_fold_options pd_folds_defaults(void)
{
    return (pd_fold_options){
        .policy = PD_FOLDS_SPLIT, .ratio = {70, 15, 15}, .shares = PD_SHARES_BALANCED, .seed = 1};
}

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

/* Fills deal->patients from the samples of fold `only`, or of all folds (PD_FOLDS). */
static void list_patients(pd_deal *deal, pd_fold only)
{
    for (int64_t i = 0; i < deal->count; i++) {
        const pd_sample *sample = &deal->samples[i];
        pd_patient *p = &deal->patients[sample->patient];
        if (only != PD_FOLDS && sample->fold != only)
            continue;
        if (p->images == 0) {
            p->label = sample->label;
            p->cause = sample->cause;
        }
        p->both_labels = p->both_labels || p->label != sample->label;
        p->images++;
    }
}

static pd_status create_deal(pd_deal *out, pd_sample *samples, int64_t count, int32_t patients,
                             pd_fold only)
{
    pd_status status = PD_OK;
    *out = (pd_deal){.samples = samples, .count = count, .patient_count = patients};
    PD_TRY(pd_alloc(&out->patients, (size_t)patients, sizeof *out->patients));
    PD_TRY(pd_alloc(&out->weight, (size_t)patients, sizeof *out->weight));
    PD_TRY(pd_alloc(&out->chosen, (size_t)patients, sizeof *out->chosen));
    list_patients(out, only);
cleanup:
    return status;
}

static void free_deal(pd_deal *deal)
{
    free(deal->patients);
    free(deal->weight);
    free(deal->chosen);
}

/* Fills reach[rest + 1][width]: whether the patients pool[i] to pool[rest - 1] have a subset whose
 * weights add up to each sum below `width` (subset sum). */
static void find_sums(bool *reach, const pd_deal *deal, const int64_t *pool, size_t rest,
                      size_t width)
{
    reach[rest * width] = true;
    for (size_t i = rest; i-- > 0;) {
        bool *here = reach + i * width;
        const bool *next = here + width;
        size_t weight = (size_t)deal->weight[pool[i]];
        for (size_t sum = 0; sum < width; sum++)
            here[sum] = next[sum] || (sum >= weight && next[sum - weight]);
    }
}

/* Takes patients from pool[rest] whose weights add up to `left`, or to the nearest possible sum. */
static pd_status take_exactly(int64_t *taken, pd_deal *deal, const int64_t *pool, size_t rest,
                              int64_t left)
{
    const size_t width = 2 * (size_t)left + 1;
    bool *reach;
    pd_status status = pd_alloc(&reach, (rest + 1) * width, sizeof *reach);
    if (status != PD_OK)
        return status;
    find_sums(reach, deal, pool, rest, width);
    int64_t goal = left;
    for (int64_t off = 0; !reach[goal]; off++)
        goal = reach[left - off] ? left - off : left + off;
    *taken += goal;
    for (size_t i = 0; i < rest; i++) {
        int32_t weight = deal->weight[pool[i]];
        if (goal >= weight && reach[(i + 1) * width + (size_t)(goal - weight)]) {
            deal->chosen[pool[i]] = true;
            goal -= weight;
        }
    }
    free(reach);
    return PD_OK;
}

/* Chooses patients from pool[size], in its order, until their weights add up to `need`, or as near
 * to it as possible. *taken is the sum. The last EXACT_NEED images are searched for exactly. */
static pd_status take_patients(int64_t *taken, pd_deal *deal, const int64_t *pool, size_t size,
                               int64_t need)
{
    size_t at = 0;
    *taken = 0;
    for (; at < size && need - *taken > EXACT_NEED; at++) {
        if (deal->weight[pool[at]] <= need - *taken) {
            deal->chosen[pool[at]] = true;
            *taken += deal->weight[pool[at]];
        }
    }
    const int64_t left = need - *taken;
    const size_t rest = size - at < EXACT_PATIENTS ? size - at : EXACT_PATIENTS;
    if (left <= 0 || left > EXACT_NEED)
        return PD_OK;
    return take_exactly(taken, deal, pool + at, rest, left);
}

/* Lists the available patients of a class and cause in pool; returns their number. */
static size_t list_pool(int64_t *pool, const pd_deal *deal, pd_label label, pd_cause cause)
{
    size_t size = 0;
    for (int32_t p = 0; p < deal->patient_count; p++)
        if (deal->patients[p].label == label && deal->patients[p].cause == cause &&
            deal->weight[p] > 0)
            pool[size++] = p;
    return size;
}

static int rarest_cause(const int64_t of_cause[PD_CAUSES], const bool done[PD_CAUSES])
{
    int rarest = -1;
    for (int cause = 0; cause < PD_CAUSES; cause++)
        if (!done[cause] && (rarest < 0 || of_cause[cause] < of_cause[rarest]))
            rarest = cause;
    return rarest;
}

/* Chooses patients of one class whose weights add up to `need`, each cause in proportion to its
 * share of the class; *total is the sum. The causes are taken in order of frequency, rarest first:
 * what one cannot supply exactly is left to the next. */
static pd_status choose_class(int64_t *total, pd_deal *deal, pd_label label, int64_t need,
                              pd_random *random)
{
    pd_status status;
    int64_t *pool = NULL;
    int64_t of_cause[PD_CAUSES] = {0}, of_class = 0, due = 0;
    bool done[PD_CAUSES] = {false};

    PD_TRY(pd_alloc(&pool, (size_t)deal->patient_count, sizeof *pool));
    for (int32_t p = 0; p < deal->patient_count; p++) {
        if (deal->patients[p].label == label) {
            of_cause[deal->patients[p].cause] += deal->weight[p];
            of_class += deal->weight[p];
        }
    }
    *total = 0;
    for (int round = 0; round < PD_CAUSES; round++) {
        int cause = rarest_cause(of_cause, done);
        done[cause] = true;
        if (of_cause[cause] == 0)
            continue;
        /* `due` reaches of_class with the last cause, so that the sum is exactly `need`. */
        due += of_cause[cause];
        int64_t wanted = (2 * need * due + of_class) / (2 * of_class) - *total;
        int64_t taken;
        size_t size = list_pool(pool, deal, label, (pd_cause)cause);
        pd_random_shuffle(random, pool, size);
        PD_TRY(take_patients(&taken, deal, pool, size, wanted));
        *total += taken;
    }

cleanup:
    free(pool);
    return status;
}

/* round(total * percent / 100 / parts) */
static int64_t percent_of(int64_t total, int percent, int parts)
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
static pd_status fill_fold(pd_deal *deal, pd_label label, pd_fold fold, int64_t need,
                           pd_random *random)
{
    int64_t total;
    memset(deal->chosen, 0, (size_t)deal->patient_count * sizeof *deal->chosen);
    pd_status status = choose_class(&total, deal, label, need, random);
    if (status != PD_OK)
        return status;
    if (total != need)
        pd_log_warn("the fold %s has %lld instead of %lld %s images, since patients are kept whole",
                    pd_fold_names[fold], (long long)total, (long long)need, pd_label_names[label]);
    for (int64_t i = 0; i < deal->count; i++)
        if (deal->chosen[deal->samples[i].patient])
            deal->samples[i].fold = fold;
    for (int32_t p = 0; p < deal->patient_count; p++)
        if (deal->chosen[p])
            deal->weight[p] = 0;
    return PD_OK;
}

static pd_status split_class(pd_deal *deal, pd_label label, pd_supply *supply,
                             const pd_fold_options *options)
{
    pd_random random = pd_random_stream(options->seed, PD_PURPOSE_FOLDS, 0, (uint64_t)label);
    for (int fold = PD_VAL; fold <= PD_TEST; fold++)
        supply->need[fold] = options->shares == PD_SHARES_BALANCED
                                 ? percent_of(deal->count, options->ratio[fold], PD_LABELS)
                                 : percent_of(supply->images, options->ratio[fold], 1);
    pd_status status = check_supply(supply, label, options);
    for (int fold = PD_VAL; fold <= PD_TEST && status == PD_OK; fold++)
        status = fill_fold(deal, label, (pd_fold)fold, supply->need[fold], &random);
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
    pd_deal deal;
    pd_supply supplies[PD_LABELS] = {0};

    PD_TRY(create_deal(&deal, samples, count, patients, PD_FOLDS));
    for (int64_t i = 0; i < count; i++) {
        supplies[samples[i].label].images++;
        samples[i].fold = PD_TRAIN;
    }
    for (int32_t p = 0; p < patients; p++) {
        deal.weight[p] = deal.patients[p].both_labels ? 0 : deal.patients[p].images;
        supplies[deal.patients[p].label].available += deal.weight[p];
    }
    for (int label = 0; label < PD_LABELS; label++)
        PD_TRY(split_class(&deal, (pd_label)label, &supplies[label], options));
    PD_TRY(check_folds(samples, count, options));

cleanup:
    free_deal(&deal);
    return status;
}

/* --- Policy keep --- */

/* Chooses val_from_train percent of the train fold's patients of one class. */
static pd_status choose_moving(pd_deal *deal, pd_label label, const pd_fold_options *options)
{
    pd_random random = pd_random_stream(options->seed, PD_PURPOSE_FOLDS, 1, (uint64_t)label);
    int64_t available = 0, taken;
    for (int32_t p = 0; p < deal->patient_count; p++) {
        const pd_patient *patient = &deal->patients[p];
        /* A weight of 1 counts patients instead of images. */
        deal->weight[p] = patient->images > 0 && !patient->both_labels;
        available += deal->weight[p] && patient->label == label;
    }
    int64_t need = percent_of(available, options->val_from_train, 1);
    if (need == available)
        return pd_fail("%d percent of the train fold's %lld %s patients cannot be moved to val: "
                       "none would be left",
                       options->val_from_train, (long long)available, pd_label_names[label]);
    return choose_class(&taken, deal, label, need, &random);
}

static pd_status move_to_val(pd_sample *samples, int64_t count, int32_t patients,
                             const pd_fold_options *options)
{
    pd_status status;
    pd_deal deal;

    PD_TRY(create_deal(&deal, samples, count, patients, PD_TRAIN));
    for (int label = 0; label < PD_LABELS; label++)
        PD_TRY(choose_moving(&deal, (pd_label)label, options));
    for (int64_t i = 0; i < count; i++)
        if (deal.chosen[samples[i].patient] && samples[i].fold == PD_TRAIN)
            samples[i].fold = PD_VAL;

cleanup:
    free_deal(&deal);
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

pd_status pd_folds_leaks(int64_t *out, int32_t *example, const pd_sample *samples, int64_t count)
{
    pd_status status = PD_OK;
    int64_t *pairs = NULL; /* patient * PD_FOLDS + fold, per sample */
    *out = 0;
    *example = -1;
    PD_TRY(pd_alloc(&pairs, (size_t)count, sizeof *pairs));
    for (int64_t i = 0; i < count; i++)
        pairs[i] = (int64_t)samples[i].patient * PD_FOLDS + (int64_t)samples[i].fold;
    qsort(pairs, (size_t)count, sizeof *pairs, by_value);
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

void pd_folds_describe(char *text, size_t size, const pd_fold_options *options, int64_t leaks)
{
    if (options->policy == PD_FOLDS_SPLIT) {
        snprintf(text, size, "by patient, %d/%d/%d, %s", options->ratio[PD_TRAIN],
                 options->ratio[PD_VAL], options->ratio[PD_TEST],
                 pd_fold_shares_names[options->shares]);
        return;
    }
    char moved[48] = "", shared[48] = "";
    if (options->val_from_train > 0)
        snprintf(moved, sizeof moved, ", %d%% of train moved to val", options->val_from_train);
    if (leaks > 0)
        snprintf(shared, sizeof shared, ", %lld patients in two folds", (long long)leaks);
    snprintf(text, size, "kept%s%s", moved, shared);
}
