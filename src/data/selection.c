#include "selection.h"

#include "pneumo/base/memory.h"

#include <stdlib.h>

/* Limits of the exact search: the images still needed, and the patients considered. */
enum { EXACT_NEED = 512, EXACT_PATIENTS = 4096 };

/* Fills selection->patients from the samples of fold `only`, or of all folds (PD_FOLDS). */
static void list_patients(pd_selection *selection, pd_fold only)
{
    for (int64_t i = 0; i < selection->count; i++) {
        const pd_sample *sample = &selection->samples[i];
        pd_patient *p = &selection->patients[sample->patient];
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

pd_status pd_selection_create(pd_selection *out, pd_sample *samples, int64_t count,
                              int32_t patients, pd_fold only)
{
    pd_status status = PD_OK;
    *out = (pd_selection){.samples = samples, .count = count, .patient_count = patients};
    PD_TRY(pd_alloc(&out->patients, (size_t)patients, sizeof *out->patients));
    PD_TRY(pd_alloc(&out->weight, (size_t)patients, sizeof *out->weight));
    PD_TRY(pd_alloc(&out->chosen, (size_t)patients, sizeof *out->chosen));
    list_patients(out, only);
cleanup:
    return status;
}

void pd_selection_free(pd_selection *selection)
{
    free(selection->patients);
    free(selection->weight);
    free(selection->chosen);
}

/* Fills reach[rest + 1][width]: whether the patients pool[i] to pool[rest - 1] have a subset whose
 * weights add up to each sum below `width` (subset sum). */
static void find_sums(bool *reach, const pd_selection *selection, const int64_t *pool, size_t rest,
                      size_t width)
{
    reach[rest * width] = true;
    for (size_t i = rest; i-- > 0;) {
        bool *here = reach + i * width;
        const bool *next = here + width;
        size_t weight = (size_t)selection->weight[pool[i]];
        for (size_t sum = 0; sum < width; sum++)
            here[sum] = next[sum] || (sum >= weight && next[sum - weight]);
    }
}

/* Takes patients from pool[rest] whose weights add up to `left`, or to the nearest possible sum. */
static pd_status take_exactly(int64_t *taken, pd_selection *selection, const int64_t *pool,
                              size_t rest, int64_t left)
{
    const size_t width = 2 * (size_t)left + 1;
    bool *reach;
    pd_status status = pd_alloc(&reach, (rest + 1) * width, sizeof *reach);
    if (status != PD_OK)
        return status;
    find_sums(reach, selection, pool, rest, width);
    int64_t goal = left;
    for (int64_t off = 0; !reach[goal]; off++)
        goal = reach[left - off] ? left - off : left + off;
    *taken += goal;
    for (size_t i = 0; i < rest; i++) {
        int32_t weight = selection->weight[pool[i]];
        if (goal >= weight && reach[(i + 1) * width + (size_t)(goal - weight)]) {
            selection->chosen[pool[i]] = true;
            goal -= weight;
        }
    }
    free(reach);
    return PD_OK;
}

/* Chooses patients from pool[size], in its order, until their weights add up to `need`, or as near
 * to it as possible. *taken is the sum. The last EXACT_NEED images are searched for exactly. */
static pd_status take_patients(int64_t *taken, pd_selection *selection, const int64_t *pool,
                               size_t size, int64_t need)
{
    size_t at = 0;
    *taken = 0;
    for (; at < size && need - *taken > EXACT_NEED; at++) {
        if (selection->weight[pool[at]] <= need - *taken) {
            selection->chosen[pool[at]] = true;
            *taken += selection->weight[pool[at]];
        }
    }
    const int64_t left = need - *taken;
    const size_t rest = size - at < EXACT_PATIENTS ? size - at : EXACT_PATIENTS;
    if (left <= 0 || left > EXACT_NEED)
        return PD_OK;
    return take_exactly(taken, selection, pool + at, rest, left);
}

/* Lists the available patients of a class and cause in pool; returns their number. */
static size_t list_pool(int64_t *pool, const pd_selection *selection, pd_label label,
                        pd_cause cause)
{
    size_t size = 0;
    for (int32_t p = 0; p < selection->patient_count; p++)
        if (selection->patients[p].label == label && selection->patients[p].cause == cause &&
            selection->weight[p] > 0)
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

/* The causes are taken in order of frequency, rarest first: what one cannot supply exactly is left
 * to the next. */
pd_status pd_selection_choose(int64_t *total, pd_selection *selection, pd_label label, int64_t need,
                              pd_random *random)
{
    pd_status status;
    int64_t *pool = NULL;
    int64_t of_cause[PD_CAUSES] = {0}, of_class = 0, due = 0;
    bool done[PD_CAUSES] = {false};

    PD_TRY(pd_alloc(&pool, (size_t)selection->patient_count, sizeof *pool));
    for (int32_t p = 0; p < selection->patient_count; p++) {
        if (selection->patients[p].label == label) {
            of_cause[selection->patients[p].cause] += selection->weight[p];
            of_class += selection->weight[p];
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
        size_t size = list_pool(pool, selection, label, (pd_cause)cause);
        pd_random_shuffle(random, pool, size);
        PD_TRY(take_patients(&taken, selection, pool, size, wanted));
        *total += taken;
    }

cleanup:
    free(pool);
    return status;
}
