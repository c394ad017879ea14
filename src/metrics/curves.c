#include "pneumo/metrics/curves.h"

#include "pneumo/base/memory.h"
#include "ranking.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

/* How many samples of either class have a score of at least `threshold`. */
typedef struct level {
    double threshold;
    int64_t positives, negatives;
} level;

/* Stores at *out (free()) a level per distinct score, from an infinite threshold down; the last one
 * holds all samples. */
static pd_status levels_find(level **out, size_t *out_count, const pd_score *scores, size_t count)
{
    pd_status status = PD_OK;
    pd_score *sorted = NULL;
    size_t positives;
    *out = NULL;
    *out_count = 0;
    PD_TRY(pd_ranking_sort(&sorted, &positives, scores, count));
    if (positives == 0 || positives == count) {
        status = pd_fail("cannot draw a curve: all %zu samples are %s; both classes are needed",
                         count, positives == 0 ? "normal" : "pneumonia");
        goto cleanup;
    }
    PD_TRY(pd_alloc(out, count + 1, sizeof **out));

    level at = {.threshold = INFINITY};
    for (size_t i = count; i > 0; i--) {
        if (sorted[i - 1].probability != at.threshold)
            (*out)[(*out_count)++] = at;
        at.threshold = sorted[i - 1].probability;
        *(sorted[i - 1].positive ? &at.positives : &at.negatives) += 1;
    }
    (*out)[(*out_count)++] = at;
cleanup:
    free(sorted);
    return status;
}

/* In integers, without rounding. */
static bool on_a_line(const level *a, const level *b, const level *c)
{
    return (b->positives - a->positives) * (c->negatives - b->negatives) ==
           (c->positives - b->positives) * (b->negatives - a->negatives);
}

pd_status pd_curve_roc(pd_curve *out, const pd_score *scores, size_t count)
{
    pd_status status = PD_OK;
    level *levels = NULL;
    size_t level_count, kept = 0;
    *out = (pd_curve){0};
    PD_TRY(levels_find(&levels, &level_count, scores, count));

    level all = levels[level_count - 1];
    for (size_t i = 0; i < level_count; i++) {
        if (kept > 1 && on_a_line(&levels[kept - 2], &levels[kept - 1], &levels[i]))
            kept--;
        levels[kept++] = levels[i];
    }
    PD_TRY(pd_alloc(&out->points, kept, sizeof *out->points));
    out->count = kept;
    for (size_t i = 0; i < kept; i++)
        out->points[i] = (pd_curve_point){(double)levels[i].negatives / (double)all.negatives,
                                          (double)levels[i].positives / (double)all.positives,
                                          levels[i].threshold};
cleanup:
    free(levels);
    return status;
}

static bool horizontal_or_vertical(const pd_curve_point *a, const pd_curve_point *b,
                                   const pd_curve_point *c)
{
    return (a->x == b->x && b->x == c->x) || (a->y == b->y && b->y == c->y);
}

pd_status pd_curve_precision_recall(pd_curve *out, const pd_score *scores, size_t count)
{
    pd_status status = PD_OK;
    level *levels = NULL;
    size_t level_count, kept = 0;
    *out = (pd_curve){0};
    PD_TRY(levels_find(&levels, &level_count, scores, count));
    PD_TRY(pd_alloc(&out->points, level_count, sizeof *out->points));

    pd_curve_point *points = out->points;
    double positives = (double)levels[level_count - 1].positives;
    for (size_t i = 0; i < level_count; i++) {
        double hits = (double)levels[i].positives, called = hits + (double)levels[i].negatives;
        pd_curve_point point = {hits / positives, called > 0 ? hits / called : 1,
                                levels[i].threshold};
        if (kept > 1 && horizontal_or_vertical(&points[kept - 2], &points[kept - 1], &point))
            kept--;
        points[kept++] = point;
    }
    out->count = kept;
cleanup:
    free(levels);
    return status;
}

double pd_curve_average_precision(const pd_curve *precision_recall)
{
    const pd_curve_point *points = precision_recall->points;
    double sum = 0;
    for (size_t i = 1; i < precision_recall->count; i++)
        sum += (points[i].x - points[i - 1].x) * points[i].y;
    return sum;
}
