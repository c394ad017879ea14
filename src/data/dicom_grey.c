#include "dicom_grey.h"

#include "pneumo/base/memory.h"

#include <math.h>
#include <stdlib.h>

/* All values that a sample can have, by its bits. */
typedef struct pd_grey_table {
    int count;      /* 2 to the stored bits */
    double *values; /* [count]: modality values */
    uint8_t *greys; /* [count] */
} pd_grey_table;

static double look_up(const pd_dicom_lut *lut, double input)
{
    double at = floor(input - lut->first + 0.5);
    return lut->values[at <= 0 ? 0 : at >= lut->count - 1 ? lut->count - 1 : (int)at];
}

static int stored_value(const pd_dicom *dicom, int bits)
{
    return dicom->is_signed && bits >> (dicom->stored_bits - 1) ? bits - (1 << dicom->stored_bits)
                                                                : bits;
}

static void set_values(pd_grey_table *table, const pd_dicom *dicom)
{
    for (int i = 0; i < table->count; i++) {
        double stored = stored_value(dicom, i);
        table->values[i] = dicom->modality_lut.count > 0 ? look_up(&dicom->modality_lut, stored)
                                                         : stored * dicom->slope + dicom->offset;
    }
}

typedef struct pd_value_count {
    double value;
    int64_t count;
} pd_value_count;

static int by_value(const void *left, const void *right)
{
    double a = ((const pd_value_count *)left)->value, b = ((const pd_value_count *)right)->value;
    return (a > b) - (a < b);
}

/* The value below or at which `share` of the pixels lie; counts are sorted by value. */
static double percentile(const pd_value_count *counts, int count, double share, int64_t pixels)
{
    int64_t wanted = (int64_t)ceil(share * (double)pixels), seen = 0;
    for (int i = 0; i < count; i++) {
        seen += counts[i].count;
        if (counts[i].count > 0 && seen >= wanted)
            return counts[i].value;
    }
    return 0;
}

static bool is_padding(const pd_dicom *dicom, int bits)
{
    int stored = stored_value(dicom, bits);
    return dicom->has_padding && stored >= dicom->padding_low && stored <= dicom->padding_high;
}

/* The range of the values in the image, without its tails and without padding. */
static pd_status find_range(double *low, double *high, const pd_grey_table *table,
                            const pd_dicom *dicom)
{
    pd_value_count *counts;
    int64_t pixels = 0;
    pd_status status = pd_alloc(&counts, (size_t)table->count, sizeof *counts);
    if (status != PD_OK)
        return status;
    for (size_t i = 0; i < (size_t)dicom->height * (size_t)dicom->width; i++)
        counts[dicom->samples[i]].count++;
    for (int i = 0; i < table->count; i++) {
        counts[i].value = table->values[i];
        if (is_padding(dicom, i))
            counts[i].count = 0;
        pixels += counts[i].count;
    }
    qsort(counts, (size_t)table->count, sizeof *counts, by_value);
    *low = percentile(counts, table->count, PD_DICOM_TAIL, pixels);
    *high = percentile(counts, table->count, 1 - PD_DICOM_TAIL, pixels);
    free(counts);
    return PD_OK;
}

/* The range of the values that the stored bits can have. */
static void full_range(double *low, double *high, const pd_grey_table *table)
{
    *low = *high = table->values[0];
    for (int i = 1; i < table->count; i++) {
        *low = fmin(*low, table->values[i]);
        *high = fmax(*high, table->values[i]);
    }
}

/* The share of white at a value, 0 to 1 or beyond. */
static double through_window(const pd_dicom *dicom, double value)
{
    switch (dicom->window) {
    case PD_DICOM_LINEAR: /* a width of 1 is a threshold */
        if (dicom->span == 1)
            return value > dicom->centre - 0.5;
        return (value - (dicom->centre - 0.5)) / (dicom->span - 1) + 0.5;
    case PD_DICOM_LINEAR_EXACT:
        return (value - dicom->centre) / dicom->span + 0.5;
    case PD_DICOM_SIGMOID:
        return 1 / (1 + exp(-4 * (value - dicom->centre) / dicom->span));
    default:
        return 0;
    }
}

static uint8_t grey_of(double white, bool inverted)
{
    double grey = floor(255 * fmin(1, fmax(0, white)) + 0.5);
    return (uint8_t)(inverted ? 255 - grey : grey);
}

static pd_status set_greys(pd_grey_table *table, const pd_dicom *dicom)
{
    double low = 0, high = 0, white_value = ldexp(1, dicom->voi_lut.bits) - 1;
    bool has_voi = dicom->voi_lut.count > 0, has_window = dicom->window != PD_DICOM_NO_WINDOW;
    if (!has_voi && !has_window && dicom->stored_bits <= 8)
        full_range(&low, &high, table);
    else if (!has_voi && !has_window) {
        pd_status status = find_range(&low, &high, table, dicom);
        if (status != PD_OK)
            return status;
    }
    for (int i = 0; i < table->count; i++) {
        double value = table->values[i];
        double white = has_voi      ? look_up(&dicom->voi_lut, value) / white_value
                       : has_window ? through_window(dicom, value)
                       : high > low ? (value - low) / (high - low)
                                    : value > low;
        table->greys[i] = grey_of(white, dicom->inverted);
    }
    return PD_OK;
}

pd_status pd_dicom_grey(uint8_t *out, const pd_dicom *dicom)
{
    pd_status status;
    pd_grey_table table = {.count = 1 << dicom->stored_bits};

    PD_TRY(pd_alloc(&table.values, (size_t)table.count, sizeof *table.values));
    PD_TRY(pd_alloc(&table.greys, (size_t)table.count, sizeof *table.greys));
    set_values(&table, dicom);
    PD_TRY(set_greys(&table, dicom));
    for (size_t i = 0; i < (size_t)dicom->height * (size_t)dicom->width; i++)
        out[i] = table.greys[dicom->samples[i]];

cleanup:
    free(table.values);
    free(table.greys);
    return status;
}
