#include "pneumo/data/shape.h"

#include "pneumo/base/memory.h"
#include "shape_auc.h"

#include <math.h>
#include <stdlib.h>

/* The normal distribution's 97.5 % quantile. */
static const double z95 = 1.959963984540054;

double pd_shape_value(pd_shape_measure measure, const pd_sample *sample)
{
    double height = sample->height, width = sample->width;
    return measure == PD_SHAPE_ASPECT ? width / height : width * height;
}

static double find_median(const pd_measured *sorted, int64_t count, pd_label label, int64_t members)
{
    double low = NAN, high = NAN;
    int64_t rank = 0;
    for (int64_t i = 0; i < count; i++) {
        if (sorted[i].label != label)
            continue;
        if (rank == (members - 1) / 2)
            low = sorted[i].value;
        if (rank == members / 2)
            high = sorted[i].value;
        rank++;
    }
    return (low + high) / 2;
}

/* Newcombe's interval contains the areas within z standard errors of the estimate, with the
 * standard error of Hanley and McNeil for each area. Its lower limit is above the area `least` if
 * and only if the estimate is more than z standard errors of `least` above `least`. */
static bool is_above(double auc, double least, double m, double n)
{
    double variance = least * (1 - least) / (m * n) *
                      (1 + ((m + n) / 2 - 1) * ((1 - least) / (2 - least) + least / (1 + least)));
    return auc - least > z95 * sqrt(variance);
}

static pd_shape_separation separate(pd_measured *items, int64_t count, const int64_t *counts)
{
    pd_shape_separation out;
    double auc = pd_shape_auc(items, (size_t)count); /* sorts them */
    out.higher = auc > 0.5 ? PD_PNEUMONIA : PD_NORMAL;
    out.auc = auc > 0.5 ? auc : 1 - auc;
    for (int label = 0; label < PD_LABELS; label++)
        out.medians[label] = find_median(items, count, (pd_label)label, counts[label]);
    out.is_shortcut =
        is_above(out.auc, PD_SHAPE_AUC, (double)counts[PD_NORMAL], (double)counts[PD_PNEUMONIA]);
    return out;
}

pd_status pd_shapes_compare(pd_shapes *out, const pd_sample *samples, int64_t count)
{
    pd_status status = PD_OK;
    pd_measured *items = NULL;
    int64_t counts[PD_LABELS] = {0};

    *out = (pd_shapes){.known = true, .same = true};
    for (int64_t i = 0; i < count; i++) {
        counts[samples[i].label]++;
        out->known = out->known && samples[i].height > 0 && samples[i].width > 0;
        out->same = out->same && samples[i].height == samples[0].height &&
                    samples[i].width == samples[0].width;
    }
    out->known = out->known && counts[PD_NORMAL] > 0 && counts[PD_PNEUMONIA] > 0;
    if (!out->known)
        goto cleanup;
    out->height = samples[0].height;
    out->width = samples[0].width;
    if (out->same)
        goto cleanup;
    PD_TRY(pd_alloc(&items, (size_t)count, sizeof *items));
    for (int measure = 0; measure < PD_SHAPE_MEASURES; measure++) {
        for (int64_t i = 0; i < count; i++)
            items[i] = (pd_measured){pd_shape_value((pd_shape_measure)measure, &samples[i]), 1,
                                     samples[i].label};
        out->separations[measure] = separate(items, count, counts);
    }

cleanup:
    free(items);
    return status;
}
