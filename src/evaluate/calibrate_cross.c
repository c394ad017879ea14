#include "calibrate_cross.h"

#include "draw.h"
#include "pneumo/base/memory.h"

#include <math.h>
#include <stdlib.h>

/* Adds to *counts the calls of one part, with a decision made on the other parts. */
static pd_status judge_part(pd_confusion *counts, const pd_decision_rule *rule,
                            const pd_score *scores, const int *part, size_t count, int number)
{
    pd_status status = PD_OK;
    pd_score *rest = NULL;
    pd_decision decision;
    size_t used = 0;
    PD_TRY(pd_alloc(&rest, count, sizeof *rest));
    for (size_t i = 0; i < count; i++)
        if (part[i] != number)
            rest[used++] = scores[i];
    PD_TRY(pd_decision_make(&decision, NULL, rule, rest, used));
    for (size_t i = 0; i < count; i++) {
        if (part[i] != number)
            continue;
        pd_score score = scores[i];
        pd_scores_decide(&score, 1, decision.temperature, decision.views);
        pd_confusion_add(counts, &score, 1, decision.threshold);
    }
cleanup:
    free(rest);
    return status;
}

pd_status pd_calibrate_cross(pd_metrics *held_out, int *parts, const pd_decision_rule *rule,
                             const pd_score *scores, size_t count, uint64_t seed)
{
    pd_status status = PD_OK;
    pd_confusion counts = {0};
    int *part = NULL;
    PD_TRY(pd_alloc(&part, count, sizeof *part));
    PD_TRY(pd_draw_parts(part, parts, scores, count, PD_CALIBRATE_PARTS, seed));
    for (int i = 0; i<*parts && * parts> 1; i++)
        PD_TRY(judge_part(&counts, rule, scores, part, count, i));
    held_out->threshold = (double)NAN;
    pd_metrics_from_confusion(held_out, counts);
cleanup:
    free(part);
    return status;
}
