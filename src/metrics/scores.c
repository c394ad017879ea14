#include "pneumo/metrics/scores.h"

#include "pneumo/nn/loss.h"

#include <math.h>

int pd_views_count(pd_views views)
{
    return views == PD_VIEWS_PLAIN ? 1 : views == PD_VIEWS_MIRROR ? 2 : PD_VIEWS_MAX;
}

pd_views pd_views_of(int count)
{
    return count == 1 ? PD_VIEWS_PLAIN : count == 2 ? PD_VIEWS_MIRROR : PD_VIEWS_ZOOM;
}

bool pd_score_is_finite(const pd_score *score)
{
    bool infinite = isinf(score->logit);
    for (int view = 0; view < PD_VIEWS_MAX; view++)
        infinite = infinite || isinf(score->views[view]);
    return isfinite(score->probability) && !infinite;
}

double pd_score_logit(const pd_score *score, int views)
{
    double sum = score->logit;
    for (int i = 1; i < views; i++)
        sum += score->views[i];
    return sum / views;
}

void pd_scores_decide(pd_score *scores, size_t count, double temperature, int views)
{
    for (size_t i = 0; i < count; i++)
        scores[i].probability =
            pd_loss_probability(pd_score_logit(&scores[i], views) / temperature);
}

int pd_score_compare_ids(const void *a, const void *b)
{
    int64_t left = ((const pd_score *)a)->id, right = ((const pd_score *)b)->id;
    return (left > right) - (left < right);
}
