#include "pneumo/metrics/patients.h"

#include "pneumo/base/memory.h"
#include "pneumo/base/number.h"
#include "pneumo/base/random.h"
#include "ranking.h"

#include <math.h>
#include <omp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static int compare_patients(const void *a, const void *b)
{
    int32_t left = ((const pd_score *)a)->patient, right = ((const pd_score *)b)->patient;
    return (left > right) - (left < right);
}

/* By truth and id within a patient, so that a rounded sum does not depend on the order of the
 * scores. */
static int compare_images(const void *a, const void *b)
{
    const pd_score *left = a, *right = b;
    int order = compare_patients(a, b);
    if (order == 0)
        order = left->positive - right->positive;
    return order != 0 ? order : (left->id > right->id) - (left->id < right->id);
}

/* pd_patients_merge; with `by_truth`, a patient with images of both classes counts as two. */
static pd_status merge(pd_score **out, size_t *out_count, const pd_score *scores, size_t count,
                       bool by_truth)
{
    pd_status status = PD_OK;
    pd_score *sorted = NULL;
    size_t positives;
    *out = NULL;
    *out_count = 0;
    PD_TRY(pd_ranking_check(&positives, scores, count));
    PD_TRY(pd_alloc(&sorted, count, sizeof *sorted));
    PD_TRY(pd_alloc(out, count, sizeof **out));
    if (count > 0) {
        memcpy(sorted, scores, count * sizeof *sorted);
        qsort(sorted, count, sizeof *sorted, compare_images);
    }
    for (size_t start = 0, end = 0; start < count; start = end) {
        pd_score first = sorted[start];
        int32_t positive = 0;
        double sum = 0;
        for (; end < count && sorted[end].patient == first.patient &&
               (!by_truth || sorted[end].positive == first.positive);
             end++) {
            sum += sorted[end].probability;
            positive |= sorted[end].positive;
        }
        (*out)[(*out_count)++] = (pd_score){.id = first.patient,
                                            .logit = NAN,
                                            .probability = sum / (double)(end - start),
                                            .positive = positive,
                                            .truth = -1,
                                            .predicted = -1,
                                            .patient = first.patient,
                                            .loss = NAN};
        for (int i = 0; i < PD_VIEWS_MAX; i++)
            (*out)[*out_count - 1].views[i] = (double)NAN;
    }
cleanup:
    free(sorted);
    return status;
}

pd_status pd_patients_merge(pd_score **out, size_t *out_count, const pd_score *scores, size_t count)
{
    return merge(out, out_count, scores, count, false);
}

/* The properties of an image that a replicate uses. */
typedef struct item {
    uint32_t patient; /* index among the patients */
    bool positive, called;
    bool ends_run; /* the last one of equal scores */
} item;

/* Stores at *out (free()) the items in ascending order of probability. */
static pd_status items_create(item **out, const pd_score *patients, size_t patient_count,
                              const pd_score *scores, size_t count, double threshold)
{
    pd_status status = PD_OK;
    pd_score *sorted = NULL;
    size_t positives;
    *out = NULL;
    PD_TRY(pd_ranking_sort(&sorted, &positives, scores, count));
    PD_TRY(pd_alloc(out, count, sizeof **out));
    for (size_t i = 0; i < count; i++) {
        const pd_score *patient =
            bsearch(&sorted[i], patients, patient_count, sizeof *patients, compare_patients);
        (*out)[i] = (item){
            .patient = (uint32_t)(patient - patients),
            .positive = sorted[i].positive,
            .called = sorted[i].probability >= threshold,
            .ends_run = i + 1 == count || sorted[i + 1].probability != sorted[i].probability,
        };
    }
cleanup:
    free(sorted);
    return status;
}

/* The values (not the intervals) of the figures when the images of patient p count times[p] times.
 * The area is counted in integers, as in pd_ranking_placements. */
static void replicate_compute(pd_metrics *out, const item *items, size_t count,
                              const uint32_t *times)
{
    int64_t cells[2][2] = {0};             /* [positive][called] */
    int64_t before[2] = {0}, run[2] = {0}; /* [positive] */
    int64_t wins_twice = 0;
    for (size_t i = 0; i < count; i++) {
        int64_t weight = times[items[i].patient];
        cells[items[i].positive][items[i].called] += weight;
        run[items[i].positive] += weight;
        if (items[i].ends_run) {
            wins_twice += run[1] * (2 * before[0] + run[0]);
            before[0] += run[0];
            before[1] += run[1];
            run[0] = run[1] = 0;
        }
    }
    pd_metrics_from_confusion(out, (pd_confusion){.true_positive = cells[1][1],
                                                  .false_negative = cells[1][0],
                                                  .true_negative = cells[0][0],
                                                  .false_positive = cells[0][1]});
    out->auc.value = (double)wins_twice / (2 * (double)before[1] * (double)before[0]);
}

/* By linear interpolation between the two nearest of sorted[count]. */
static double percentile(const double *sorted, size_t count, double share)
{
    double place = share * (double)(count - 1);
    size_t below = (size_t)place;
    size_t above = below + 1 < count ? below + 1 : below;
    return sorted[below] + (place - (double)below) * (sorted[above] - sorted[below]);
}

/* Sets the interval of a figure from its values in all replicates, which are sorted in place. */
static void interval_set(pd_figure *figure, double *values, int replicates, pd_figure fallback)
{
    size_t defined = 0;
    for (int r = 0; r < replicates; r++)
        if (!isnan(values[r]))
            values[defined++] = values[r];
    figure->low = figure->high = NAN;
    if (defined == 0)
        return;
    qsort(values, defined, sizeof *values, pd_compare_doubles);
    double low = percentile(values, defined, 0.025), high = percentile(values, defined, 0.975);
    if (low < high) {
        figure->low = low;
        figure->high = high;
    } else if (!isnan(fallback.value)) {
        figure->low = fmin(figure->value, fallback.low);
        figure->high = fmax(figure->value, fallback.high);
    }
}

pd_status pd_bootstrap_patients(pd_metrics *metrics, const pd_score *scores, size_t count,
                                int replicates, uint64_t seed)
{
    pd_status status = PD_OK;
    pd_score *patients = NULL, *units = NULL;
    item *items = NULL;
    uint32_t *times = NULL; /* [thread][patient] */
    double *values = NULL;  /* [figure][replicate] */
    size_t patient_count, unit_count;
    pd_metrics of_units;
    if (replicates < 1)
        return pd_fail("%d bootstrap replicates: at least 1 is needed", replicates);
    PD_TRY(pd_patients_merge(&patients, &patient_count, scores, count));
    PD_TRY(merge(&units, &unit_count, scores, count, true));
    PD_TRY(pd_metrics_compute(&of_units, units, unit_count, metrics->threshold));
    PD_TRY(items_create(&items, patients, patient_count, scores, count, metrics->threshold));
    PD_TRY(pd_alloc(&times, (size_t)omp_get_max_threads() * patient_count, sizeof *times));
    PD_TRY(pd_alloc(&values, (size_t)PD_FIGURES * (size_t)replicates, sizeof *values));

#pragma omp parallel for schedule(static)
    for (int r = 0; r < replicates; r++) {
        uint32_t *mine = times + (size_t)omp_get_thread_num() * patient_count;
        memset(mine, 0, patient_count * sizeof *mine);
        pd_random random = pd_random_stream(seed, PD_PURPOSE_BOOTSTRAP, 0, (uint64_t)r);
        for (size_t draw = 0; draw < patient_count; draw++)
            mine[pd_random_below(&random, (uint32_t)patient_count)]++;
        pd_metrics replicate;
        replicate_compute(&replicate, items, count, mine);
        for (int f = 0; f < PD_FIGURES; f++)
            values[(size_t)f * (size_t)replicates + (size_t)r] =
                pd_metrics_figure(&replicate, f).value;
    }

    for (int f = 0; f < PD_FIGURES; f++)
        interval_set(pd_metrics_figure_at(metrics, f), values + (size_t)f * (size_t)replicates,
                     replicates, pd_metrics_figure(&of_units, f));
cleanup:
    free(values);
    free(times);
    free(items);
    free(units);
    free(patients);
    return status;
}
