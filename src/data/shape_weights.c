#include "pneumo/data/shape_weights.h"

#include "pneumo/base/memory.h"
#include "pneumo/data/lanes.h"
#include "shape_auc.h"

#include <math.h>
#include <stdlib.h>

enum { ASPECT_BINS = 5, AREA_BINS = 4, BINS = ASPECT_BINS * AREA_BINS };

static const int measure_bins[PD_SHAPE_MEASURES] = {
    [PD_SHAPE_ASPECT] = ASPECT_BINS, [PD_SHAPE_AREA] = AREA_BINS};

/* A sample, sorted by one measure. */
typedef struct ranked {
    double value;
    size_t index; /* of the caller's arrays */
} ranked;

static int compare_places(const void *a, const void *b)
{
    const ranked *left = a, *right = b;
    if (left->value != right->value)
        return left->value < right->value ? -1 : 1;
    return (left->index > right->index) - (left->index < right->index);
}

static void sort_by(ranked *places, pd_shape_measure measure, const pd_sample *samples,
                    const int64_t *ids, size_t count)
{
    for (size_t i = 0; i < count; i++)
        places[i] = (ranked){pd_shape_value(measure, &samples[ids[i]]), i};
    qsort(places, count, sizeof *places, compare_places);
}

/* bins[i] = bins[i] * measure_bins + the bin of sample i, by the middle of its rank among the
 * classes' mean distribution, in which every class has the same mass. Equal values share a bin. */
static void add_bins(int *bins, const ranked *places, const double *mass, const int32_t *classes,
                     size_t count, int bin_count)
{
    double before = 0;
    for (size_t start = 0, end = 0; start < count; start = end) {
        double run = 0;
        for (; end < count && places[end].value == places[start].value; end++)
            run += mass[classes[places[end].index]];
        int bin = (int)((before + run / 2) * bin_count);
        for (size_t i = start; i < end; i++)
            bins[places[i].index] =
                bins[places[i].index] * bin_count + (bin < bin_count ? bin : bin_count - 1);
        before += run;
    }
}

/* How well a measure separates normal from pneumonia, from 0.5 to 1. weights == NULL: all are 1. */
static double separation(pd_measured *items, pd_shape_measure measure, const double *weights,
                         const pd_sample *samples, const int64_t *ids, size_t count)
{
    for (size_t i = 0; i < count; i++)
        items[i] = (pd_measured){pd_shape_value(measure, &samples[ids[i]]),
                                 weights == NULL ? 1 : weights[i], samples[ids[i]].label};
    double auc = pd_shape_auc(items, count);
    return fmax(auc, 1 - auc);
}

static void weigh(double *weights, const int *bins, const double *mass, const int32_t *classes,
                  size_t count, int class_count)
{
    double shares[PD_CLASSES_MAX][BINS] = {{0}}, means[BINS] = {0}, sums[PD_CLASSES_MAX] = {0};
    for (size_t i = 0; i < count; i++) /* mass is per class and sums to 1 over all classes */
        shares[classes[i]][bins[i]] += mass[classes[i]] * class_count;
    for (int bin = 0; bin < BINS; bin++)
        for (int label = 0; label < class_count; label++)
            means[bin] += shares[label][bin] / class_count;
    for (size_t i = 0; i < count; i++) {
        double ratio = means[bins[i]] / shares[classes[i]][bins[i]];
        weights[i] = fmin(fmax(ratio, PD_SHAPE_WEIGHT_LEAST), PD_SHAPE_WEIGHT_MOST);
        sums[classes[i]] += weights[i];
    }
    for (size_t i = 0; i < count; i++) /* a class has 1 / (mass * class_count) samples */
        weights[i] /= sums[classes[i]] * mass[classes[i]] * class_count;
}

static bool shapes_differ(const pd_sample *samples, const int64_t *ids, size_t count)
{
    bool differ = false;
    for (size_t i = 0; i < count; i++) {
        const pd_sample *sample = &samples[ids[i]], *first = &samples[ids[0]];
        if (sample->height == 0 || sample->width == 0)
            return false;
        differ = differ || sample->height != first->height || sample->width != first->width;
    }
    return differ;
}

pd_status pd_shape_weights_set(double *weights, pd_shape_balance *balance, const pd_sample *samples,
                               const int64_t *ids, const int32_t *classes, size_t count,
                               int class_count)
{
    pd_status status = PD_OK;
    ranked *places = NULL;
    pd_measured *items = NULL;
    int *bins = NULL;
    double mass[PD_CLASSES_MAX] = {0}; /* of one sample of each class */
    balance->applies = shapes_differ(samples, ids, count);
    if (!balance->applies)
        goto cleanup;
    PD_TRY(pd_alloc(&places, count, sizeof *places));
    PD_TRY(pd_alloc(&items, count, sizeof *items));
    PD_TRY(pd_alloc(&bins, count, sizeof *bins));
    for (size_t i = 0; i < count; i++)
        mass[classes[i]]++;
    for (int label = 0; label < class_count; label++)
        mass[label] = 1 / (mass[label] * class_count);
    for (int measure = 0; measure < PD_SHAPE_MEASURES; measure++) {
        sort_by(places, (pd_shape_measure)measure, samples, ids, count);
        add_bins(bins, places, mass, classes, count, measure_bins[measure]);
    }
    weigh(weights, bins, mass, classes, count, class_count);
    for (int measure = 0; measure < PD_SHAPE_MEASURES; measure++) {
        pd_shape_measure at = (pd_shape_measure)measure;
        balance->before[measure] = separation(items, at, NULL, samples, ids, count);
        balance->after[measure] = separation(items, at, weights, samples, ids, count);
    }
cleanup:
    free(places);
    free(items);
    free(bins);
    return status;
}
