#include "pneumo/data/folds.h"

#include "pneumo/base/log.h"
#include "pneumo/base/memory.h"
#include "pneumo/base/random.h"

#include <stdlib.h>
#include <string.h>

/* Limits of the exact search: the images still to be found, and the patients looked through. */
enum { EXACT_NEED = 512, EXACT_PATIENTS = 4096 };

typedef struct pd_patient {
    int32_t images;   /* that may be dealt */
    pd_label label;   /* of the first image */
    pd_cause cause;   /* of the first image */
    bool both_labels; /* has images of the other class too */
} pd_patient;

/* Fills table[patients] from the samples, of `only` fold or of all (PD_FOLDS). */
static pd_status count_patients(pd_patient **table, const pd_sample *samples, int64_t count,
                                int32_t patients, pd_fold only)
{
    pd_status status = pd_alloc(table, (size_t)patients, sizeof **table);
    for (int64_t i = 0; i < count && status == PD_OK; i++) {
        const pd_sample *sample = &samples[i];
        pd_patient *p = &(*table)[sample->patient];
        if (only != PD_FOLDS && sample->fold != only)
            continue;
        if (p->images == 0) {
            p->label = sample->label;
            p->cause = sample->cause;
        }
        p->both_labels = p->both_labels || p->label != sample->label;
        p->images++;
    }
    return status;
}

/* Takes patients from pool[size], in its order, until their images are `need` or as near to it as
 * sizes allow: weight[patient] images each, chosen[patient] is set. Returns the images taken.
 *
 * The first ones are taken as they come. For the last EXACT_NEED images a table says which sums
 * can be reached from each place in the pool on (subset sum), and a patient is taken if the wanted
 * sum can still be reached with it. */
static pd_status take_patients(int64_t *taken, const int64_t *pool, size_t size,
                               const int32_t *weight, int64_t need, bool *chosen)
{
    pd_status status = PD_OK;
    bool *reach = NULL; /* [rest + 1][width]: whether the patients from here on can sum to this */
    size_t at = 0;

    *taken = 0;
    for (; at < size && need - *taken > EXACT_NEED; at++) {
        if (weight[pool[at]] <= need - *taken) {
            chosen[pool[at]] = true;
            *taken += weight[pool[at]];
        }
    }
    const int64_t left = need - *taken, width = 2 * left + 1;
    const size_t rest = size - at < EXACT_PATIENTS ? size - at : EXACT_PATIENTS;
    if (left <= 0 || left > EXACT_NEED)
        return PD_OK;

    PD_TRY(pd_alloc(&reach, (rest + 1) * (size_t)width, sizeof *reach));
    reach[rest * (size_t)width] = true;
    for (size_t i = rest; i-- > 0;) {
        bool *here = reach + i * (size_t)width;
        const bool *next = here + width;
        int32_t w = weight[pool[at + i]];
        for (int64_t sum = 0; sum < width; sum++)
            here[sum] = next[sum] || (sum >= w && next[sum - w]);
    }
    int64_t goal = left;
    for (int64_t off = 0; !reach[goal]; off++)
        goal = reach[left - off] ? left - off : left + off;
    *taken += goal;
    for (size_t i = 0; i < rest; i++) {
        int32_t w = weight[pool[at + i]];
        if (goal >= w && reach[(i + 1) * (size_t)width + (size_t)(goal - w)]) {
            chosen[pool[at + i]] = true;
            goal -= w;
        }
    }

cleanup:
    free(reach);
    return status;
}

/* Chooses patients of one class that hold `need` of its images, each cause with its share of the
 * class. What one cause cannot give exactly, the next more frequent one makes up for. weight[] is 0
 * for patients that are not to be had. */
static pd_status choose_class(int64_t *total, const pd_patient *table, const int32_t *weight,
                              int32_t patients, pd_label label, int64_t need, pd_random *random,
                              bool *chosen)
{
    pd_status status;
    int64_t *pool = NULL;
    int64_t of_cause[PD_CAUSES] = {0}, of_class = 0, due = 0;
    bool done[PD_CAUSES] = {false};

    PD_TRY(pd_alloc(&pool, (size_t)patients, sizeof *pool));
    for (int32_t p = 0; p < patients; p++) {
        if (table[p].label == label) {
            of_cause[table[p].cause] += weight[p];
            of_class += weight[p];
        }
    }
    *total = 0;
    for (int round = 0; round < PD_CAUSES; round++) {
        int rarest = -1;
        for (int cause = 0; cause < PD_CAUSES; cause++)
            if (!done[cause] && (rarest < 0 || of_cause[cause] < of_cause[rarest]))
                rarest = cause;
        done[rarest] = true;
        if (of_cause[rarest] == 0)
            continue;
        /* `due` runs up to exactly `need` with the last cause. */
        due += of_cause[rarest];
        int64_t wanted = (2 * need * due + of_class) / (2 * of_class) - *total;
        int64_t taken;
        size_t size = 0;
        for (int32_t p = 0; p < patients; p++)
            if (table[p].label == label && (int)table[p].cause == rarest && weight[p] > 0)
                pool[size++] = p;
        pd_random_shuffle(random, pool, size);
        PD_TRY(take_patients(&taken, pool, size, weight, wanted, chosen));
        *total += taken;
    }

cleanup:
    free(pool);
    return status;
}

/* round(total * percent / 100 / parts) */
static int64_t share_of(int64_t total, int percent, int parts)
{
    return (2 * total * percent + 100 * parts) / (200 * parts);
}

static pd_status check_class(const int64_t need[PD_FOLDS], int64_t dealable, int64_t mixed,
                             pd_label label, const pd_pack_options *options)
{
    int64_t wanted = need[PD_VAL] + need[PD_TEST];
    bool balanced = options->shares == PD_SHARES_BALANCED;
    for (int fold = PD_VAL; fold <= PD_TEST; fold++)
        if (options->ratio[fold] > 0 && need[fold] == 0)
            return pd_fail("%d percent of the images leave no %s image for the fold %s: %s is too "
                           "small to be split",
                           options->ratio[fold], pd_label_names[label], pd_fold_names[fold],
                           options->folder);
    if (dealable + mixed > wanted && dealable >= wanted)
        return PD_OK;
    return pd_fail("%s holds too few %s images for folds of %d/%d/%d, %s: val and test need %lld "
                   "and train at least one more, but there are %lld; ask for smaller shares%s",
                   options->folder, pd_label_names[label], options->ratio[PD_TRAIN],
                   options->ratio[PD_VAL], options->ratio[PD_TEST],
                   balanced ? "balanced" : "stratified", (long long)wanted, (long long)dealable,
                   balanced ? " or for --shares stratified" : "");
}

static pd_status split(pd_sample *samples, int64_t count, int32_t patients,
                       const pd_pack_options *options)
{
    pd_status status;
    pd_patient *table = NULL;
    int32_t *weight = NULL;
    bool *chosen = NULL;
    int64_t of_label[PD_LABELS] = {0}, dealable[PD_LABELS] = {0};

    PD_TRY(count_patients(&table, samples, count, patients, PD_FOLDS));
    PD_TRY(pd_alloc(&weight, (size_t)patients, sizeof *weight));
    PD_TRY(pd_alloc(&chosen, (size_t)patients, sizeof *chosen));
    for (int64_t i = 0; i < count; i++) {
        of_label[samples[i].label]++;
        samples[i].fold = PD_TRAIN;
    }
    for (int32_t p = 0; p < patients; p++) {
        weight[p] = table[p].both_labels ? 0 : table[p].images;
        dealable[table[p].label] += weight[p];
    }

    for (int label = 0; label < PD_LABELS; label++) {
        int64_t need[PD_FOLDS] = {0};
        pd_random random = pd_random_stream(options->seed, PD_PURPOSE_FOLDS, 0, (uint64_t)label);
        for (int fold = PD_VAL; fold <= PD_TEST; fold++)
            need[fold] = options->shares == PD_SHARES_BALANCED
                             ? share_of(count, options->ratio[fold], PD_LABELS)
                             : share_of(of_label[label], options->ratio[fold], 1);
        PD_TRY(check_class(need, dealable[label], of_label[label] - dealable[label],
                           (pd_label)label, options));
        for (int fold = PD_VAL; fold <= PD_TEST; fold++) {
            int64_t total;
            memset(chosen, 0, (size_t)patients * sizeof *chosen);
            PD_TRY(choose_class(&total, table, weight, patients, (pd_label)label, need[fold],
                                &random, chosen));
            if (total != need[fold])
                pd_log_warn(
                    "the fold %s has %lld %s images where %lld were wanted: patients are not "
                    "divided",
                    pd_fold_names[fold], (long long)total, pd_label_names[label],
                    (long long)need[fold]);
            for (int64_t i = 0; i < count; i++)
                if (chosen[samples[i].patient])
                    samples[i].fold = (pd_fold)fold;
            for (int32_t p = 0; p < patients; p++)
                weight[p] = chosen[p] ? 0 : weight[p];
        }
    }

    int64_t have[PD_FOLDS][PD_LABELS] = {{0}};
    for (int64_t i = 0; i < count; i++)
        have[samples[i].fold][samples[i].label]++;
    for (int fold = 0; fold < PD_FOLDS; fold++)
        for (int label = 0; label < PD_LABELS; label++)
            if (options->ratio[fold] > 0 && have[fold][label] == 0) {
                status = pd_fail("%s has too few %s patients: none is left for the fold %s",
                                 options->folder, pd_label_names[label], pd_fold_names[fold]);
                goto cleanup;
            }

cleanup:
    free(table);
    free(weight);
    free(chosen);
    return status;
}

static pd_status move_to_val(pd_sample *samples, int64_t count, int32_t patients,
                             const pd_pack_options *options)
{
    pd_status status;
    pd_patient *table = NULL;
    int32_t *weight = NULL;
    bool *chosen = NULL;

    PD_TRY(count_patients(&table, samples, count, patients, PD_TRAIN));
    PD_TRY(pd_alloc(&weight, (size_t)patients, sizeof *weight));
    PD_TRY(pd_alloc(&chosen, (size_t)patients, sizeof *chosen));
    for (int label = 0; label < PD_LABELS; label++) {
        pd_random random = pd_random_stream(options->seed, PD_PURPOSE_FOLDS, 1, (uint64_t)label);
        int64_t available = 0, taken;
        for (int32_t p = 0; p < patients; p++) {
            weight[p] =
                table[p].images > 0 && !table[p].both_labels; /* patients count, not images */
            available += weight[p] && (int)table[p].label == label;
        }
        int64_t need = share_of(available, options->val_from_train, 1);
        if (need == available) {
            status = pd_fail("%d percent of the train fold's %lld %s patients cannot be moved to "
                             "val: none would be left, or there are none",
                             options->val_from_train, (long long)available, pd_label_names[label]);
            goto cleanup;
        }
        PD_TRY(
            choose_class(&taken, table, weight, patients, (pd_label)label, need, &random, chosen));
    }
    for (int64_t i = 0; i < count; i++)
        if (chosen[samples[i].patient] && samples[i].fold == PD_TRAIN)
            samples[i].fold = PD_VAL;

cleanup:
    free(table);
    free(weight);
    free(chosen);
    return status;
}

pd_status pd_folds_assign(pd_sample *samples, int64_t count, int32_t patients,
                          const pd_pack_options *options)
{
    if (options->policy == PD_FOLDS_SPLIT)
        return split(samples, count, patients, options);
    return options->val_from_train > 0 ? move_to_val(samples, count, patients, options) : PD_OK;
}

static int by_value(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

pd_status pd_folds_leaks(int64_t *out, int32_t *example, const pd_sample *samples, int64_t count)
{
    pd_status status = PD_OK;
    int64_t *pairs = NULL; /* patient and fold of each sample, as one number */
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
