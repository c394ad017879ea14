#include "pneumo/data/profile.h"

#include "pneumo/base/memory.h"
#include "pneumo/data/image.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GRID = PD_PROFILE_GRID };

/* ---- traits ---- */

/* The standard deviation of `count` integers from their exact sums. */
static double deviation_of(int64_t sum, int64_t squares, int64_t count)
{
    double mean = (double)sum / (double)count;
    return sqrt(fmax((double)squares / (double)count - mean * mean, 0));
}

static void measure_grey(pd_traits *out, const uint8_t *packed, int64_t count)
{
    int64_t sum = 0, squares = 0, black = 0;
    for (int64_t i = 0; i < count; i++) {
        int64_t grey = packed[i];
        sum += grey;
        squares += grey * grey;
        black += grey < PD_BLACK_BELOW;
    }
    out->values[PD_TRAIT_MEAN] = (double)sum / (double)count;
    out->values[PD_TRAIT_DEVIATION] = deviation_of(sum, squares, count);
    out->values[PD_TRAIT_BLACK] = (double)black / (double)count;
}

static double laplacian_deviation(const uint8_t *packed, int height, int width)
{
    int64_t sum = 0, squares = 0, count = (int64_t)(height - 2) * (width - 2);
    if (height < 3 || width < 3)
        return 0;
    for (int y = 1; y < height - 1; y++) {
        const uint8_t *row = packed + (size_t)y * (size_t)width;
        for (int x = 1; x < width - 1; x++) {
            int64_t value = 4 * row[x] - row[x - 1] - row[x + 1] - row[x - width] - row[x + width];
            sum += value;
            squares += value * value;
        }
    }
    return deviation_of(sum, squares, count);
}

/* The pixels of a cell along one axis; at least one, even if the image is smaller than the grid. */
static void cell_span(int cell, int side, int *begin, int *end)
{
    *begin = cell * side / GRID;
    *end = (cell + 1) * side / GRID;
    if (*end == *begin)
        *end = *begin + 1;
}

static void shrink(uint8_t *thumbnail, const uint8_t *packed, int height, int width)
{
    for (int i = 0; i < PD_PROFILE_CELLS; i++) {
        int top, bottom, left, right;
        int64_t sum = 0;
        cell_span(i / GRID, height, &top, &bottom);
        cell_span(i % GRID, width, &left, &right);
        for (int y = top; y < bottom; y++)
            for (int x = left; x < right; x++)
                sum += packed[(size_t)y * (size_t)width + (size_t)x];
        int64_t count = (int64_t)(bottom - top) * (right - left);
        thumbnail[i] = (uint8_t)((2 * sum + count) / (2 * count));
    }
}

void pd_traits_measure(pd_traits *out, const uint8_t *packed, int height, int width,
                       int original_height, int original_width)
{
    bool known = original_height > 0 && original_width > 0;
    *out = (pd_traits){.height = original_height, .width = original_width};
    out->values[PD_TRAIT_SIDE] =
        known ? fmin((double)original_height, (double)original_width) : (double)NAN;
    out->values[PD_TRAIT_RATIO] = known ? (double)original_width / original_height : (double)NAN;
    measure_grey(out, packed, (int64_t)height * width);
    double deviation = out->values[PD_TRAIT_DEVIATION];
    out->values[PD_TRAIT_SHARPNESS] =
        deviation > 0 ? laplacian_deviation(packed, height, width) / deviation : 0;
    out->values[PD_TRAIT_LIKENESS] = (double)NAN;
    shrink(out->thumbnail, packed, height, width);
}

/* ---- likeness ---- */

static const double zooms[] = {0.7, 0.85, 1, 1 / 0.85, 1 / 0.7};
enum { ZOOMS = sizeof zooms / sizeof *zooms };

/* Maps the centre of a cell to the zoomed axis: at the fraction *part between the cells *low and
 * *low + 1. False if it is outside of the grid. */
static bool zoom_cell(int cell, double zoom, int *low, double *part)
{
    double at = (cell + 0.5 - GRID / 2.0) * zoom + GRID / 2.0 - 0.5;
    if (at < -0.5 || at > GRID - 0.5)
        return false;
    at = fmin(fmax(at, 0), GRID - 1);
    *low = at < GRID - 1 ? (int)at : GRID - 2;
    *part = at - *low;
    return true;
}

typedef struct sums {
    double count, x, y, xx, yy, xy;
} sums;

static void add_pair(sums *s, double x, double y)
{
    s->count++;
    s->x += x;
    s->y += y;
    s->xx += x * x;
    s->yy += y * y;
    s->xy += x * y;
}

static double correlation(const sums *s)
{
    double xx = s->xx - s->x * s->x / s->count, yy = s->yy - s->y * s->y / s->count;
    /* Grey values are at most 255, so smaller sums are rounding errors. */
    if (xx < 1e-6 || yy < 1e-6)
        return 0;
    return fmin(fmax((s->xy - s->x * s->y / s->count) / sqrt(xx * yy), -1), 1);
}

/* The correlation of the thumbnail, or its mirror image, with the zoomed mean image. */
static double correlate(const uint8_t *thumbnail, const float *mean, double down, double across,
                        bool mirrored)
{
    sums s = {0};
    for (int y = 0; y < GRID; y++) {
        int top, left;
        double below, right;
        if (!zoom_cell(y, down, &top, &below))
            continue;
        for (int x = 0; x < GRID; x++) {
            if (!zoom_cell(x, across, &left, &right))
                continue;
            const float *at = mean + (ptrdiff_t)top * GRID + left;
            double upper = (1 - right) * (double)at[0] + right * (double)at[1];
            double lower = (1 - right) * (double)at[GRID] + right * (double)at[GRID + 1];
            add_pair(&s, thumbnail[y * GRID + (mirrored ? GRID - 1 - x : x)],
                     (1 - below) * upper + below * lower);
        }
    }
    return correlation(&s);
}

void pd_traits_compare(pd_traits *traits, const float *mean)
{
    double best = -1;
    for (int i = 0; i < 2 * ZOOMS * ZOOMS; i++)
        best = fmax(best, correlate(traits->thumbnail, mean, zooms[i / 2 % ZOOMS],
                                    zooms[i / 2 / ZOOMS], i % 2 == 1));
    traits->values[PD_TRAIT_LIKENESS] = best;
}

/* ---- the profile ---- */

static int by_value(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

/* The quantile of sorted[count]. */
static double quantile(const double *sorted, size_t count, double share)
{
    double place = share * (double)(count - 1);
    size_t below = (size_t)place;
    if (below + 1 >= count)
        return sorted[count - 1];
    return sorted[below] + (place - (double)below) * (sorted[below + 1] - sorted[below]);
}

/* Sets low and high of one trait; `column` [count] is scratch. */
static void measure_range(pd_trait_range *out, const double (*values)[PD_TRAITS], size_t count,
                          pd_trait trait, double *column)
{
    bool known = true;
    for (size_t i = 0; i < count; i++) {
        column[i] = values[i][trait];
        known = known && !isnan(column[i]);
    }
    out->low = out->high = (double)NAN;
    if (!known)
        return;
    qsort(column, count, sizeof *column, by_value);
    out->low = quantile(column, count, 0.0005);
    out->high = quantile(column, count, 0.9995);
}

static void limit(pd_trait_range *range, double least, double most)
{
    range->least = least;
    range->most = most;
}

/* Unknown ranges are NAN: comparisons with it are false, and fmin ignores it. */
static void set_limits(pd_trait_range *ranges, int side_packed)
{
    pd_trait_range *ratio = &ranges[PD_TRAIT_RATIO], *black = &ranges[PD_TRAIT_BLACK],
                   *deviation = &ranges[PD_TRAIT_DEVIATION], *mean = &ranges[PD_TRAIT_MEAN],
                   *sharpness = &ranges[PD_TRAIT_SHARPNESS], *likeness = &ranges[PD_TRAIT_LIKENESS];
    limit(&ranges[PD_TRAIT_SIDE],
          fmin(fmin(PD_PROFILE_SIDE, side_packed), ranges[PD_TRAIT_SIDE].low), PD_IMAGE_SIDE_MAX);
    if (ratio->low < ratio->high)
        limit(ratio, ratio->low / 1.25, ratio->high * 1.25);
    else
        limit(ratio, 1.0 / 3, 3);
    limit(black, 0, (black->high + 1) / 2);
    limit(deviation, deviation->low / 2, (deviation->high + 127.5) / 2);
    limit(mean, mean->low / 2, (mean->high + 255) / 2);
    limit(sharpness, sharpness->low / 3, sharpness->high * 3);
    limit(likeness, fmax(likeness->low - fabs(likeness->low) / 5, -1), 1);
}

pd_status pd_profile_build(pd_profile *profile, const double (*values)[PD_TRAITS], size_t count,
                           int side_packed)
{
    pd_status status = PD_OK;
    double *column = NULL;
    PD_TRY(pd_alloc(&column, count, sizeof *column));
    profile->images = (int64_t)count;
    for (int trait = 0; trait < PD_TRAITS; trait++)
        measure_range(&profile->ranges[trait], values, count, (pd_trait)trait, column);
    set_limits(profile->ranges, side_packed);
cleanup:
    free(column);
    return status;
}

pd_trait pd_profile_check(const pd_profile *profile, const pd_traits *traits)
{
    int trait = 0;
    while (trait < PD_TRAITS && !(traits->values[trait] < profile->ranges[trait].least) &&
           !(traits->values[trait] > profile->ranges[trait].most))
        trait++;
    return (pd_trait)trait;
}

/* ---- reasons ---- */

enum { NUMBER = 24, VALUES = 128 }; /* bytes */

/* Deviation of grey values of an image of one grey value, but for compression. */
static const double blank_below = 2;

/* Writes three significant digits, and large numbers without an exponent. */
static const char *number(char text[NUMBER], double value)
{
    snprintf(text, NUMBER, fabs(value) < 1000 ? "%.3g" : "%.0f", value);
    return text;
}

/* Writes "100, training 0 to 30", or the limits if the training range is unknown. `scale` 100:
 * percent. */
static void write_values(char text[VALUES], const pd_trait_range *range, double value, double scale)
{
    char own[NUMBER], low[NUMBER], high[NUMBER];
    bool known = range->low < range->high;
    snprintf(text, VALUES, "%s%s, %s %s to %s%s", number(own, scale * value), scale > 1 ? " %" : "",
             known ? "training" : "limits",
             number(low, scale * (known ? range->low : range->least)),
             number(high, scale * (known ? range->high : range->most)), scale > 1 ? " %" : "");
}

void pd_profile_reason(char text[PD_REASON_SIZE], const pd_profile *profile,
                       const pd_traits *traits, pd_trait trait)
{
    static const char *const formats[PD_TRAITS] = {
        [PD_TRAIT_BLACK] = "almost black (share of black pixels %s)",
        [PD_TRAIT_DEVIATION] = "unlike the training images (deviation of grey values %s)",
        [PD_TRAIT_MEAN] = "unlike the training images (mean grey value %s)",
        [PD_TRAIT_SHARPNESS] = "unlike the training images (sharpness %s)",
        [PD_TRAIT_LIKENESS] = "unlike the training images (correlation with their mean %s)"};
    const pd_trait_range *range = &profile->ranges[trait];
    double value = traits->values[trait];
    char values[VALUES];
    write_values(values, range, value, trait == PD_TRAIT_BLACK ? 100 : 1);
    if (trait == PD_TRAIT_SIDE)
        snprintf(text, PD_REASON_SIZE,
                 "image is %d x %d: its shorter side has fewer than %g pixels", traits->width,
                 traits->height, range->least);
    else if (trait == PD_TRAIT_RATIO)
        snprintf(text, PD_REASON_SIZE,
                 "image is %d x %d: unlike the training images (width/height %s)", traits->width,
                 traits->height, values);
    else if (trait == PD_TRAIT_DEVIATION && value < fmin(blank_below, range->least))
        snprintf(text, PD_REASON_SIZE, "almost blank (deviation of grey values %s)", values);
    else if (trait == PD_TRAIT_DEVIATION && value < range->least)
        snprintf(text, PD_REASON_SIZE,
                 "little contrast at the packed size (deviation of grey values %s)", values);
    else
        snprintf(text, PD_REASON_SIZE, formats[trait], values);
}
