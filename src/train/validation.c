#include "pneumo/train/validation.h"

#include <math.h>
#include <stdio.h>

pd_decision_rule pd_decision_rule_of(const pd_job *job, const char *where)
{
    pd_decision_rule rule = job->decision;
    rule.copies = 1;
    rule.where = where;
    return rule;
}

/* Each round holds every image once. */
static pd_status check_scores(pd_validation_scores *scores)
{
    pd_status status =
        pd_scores_check(scores->clean, scores->clean_count, scores->ids, scores->count);
    if (status == PD_OK && scores->changed_count != (size_t)scores->rounds * scores->count)
        status = pd_fail("%zu scores for %d rounds of %zu changed images", scores->changed_count,
                         scores->rounds, scores->count);
    for (int i = 0; i < scores->rounds && status == PD_OK; i++)
        status = pd_scores_check(scores->changed + (size_t)i * scores->count, scores->count,
                                 scores->ids, scores->count);
    return status;
}

static pd_status measure(const pd_validation_scores *scores, pd_validation *out)
{
    pd_status status = PD_OK;
    pd_metrics metrics, half;
    pd_figure changed = {(double)NAN, (double)NAN, (double)NAN};
    double loss = 0;
    PD_TRY(pd_metrics_compute(&metrics, scores->clean, scores->count, out->decision.threshold));
    if (scores->rounds > 0)
        PD_TRY(pd_auc(&changed, scores->changed, scores->changed_count));
    for (size_t i = 0; i < scores->count; i++) /* in the order of ids */
        loss += scores->clean[i].loss;
    out->loss = loss / (double)scores->count;
    out->auc = metrics.auc.value;
    out->stress_auc = changed.value;
    out->accuracy = metrics.accuracy.value;
    out->balanced_accuracy = metrics.balanced_accuracy.value;
    out->sensitivity = metrics.sensitivity.value;
    out->specificity = metrics.specificity.value;
    /* A chosen threshold can hide a model that has one answer: 0.5 shows it. */
    PD_TRY(pd_metrics_compute(&half, scores->clean, scores->count, 0.5));
    const char *remark = pd_metrics_one_class(&half);
    snprintf(out->remark, sizeof out->remark, "%s", remark == NULL ? "" : remark);
cleanup:
    return status;
}

pd_status pd_validation_compute(const pd_job *job, pd_validation_scores *scores, pd_validation *out)
{
    pd_status status = PD_OK;
    pd_decision *decision = &out->decision;
    bool changed = job->threshold_on == PD_THRESHOLD_ON_STRESS;
    pd_decision_rule rule = pd_decision_rule_of(
        job, changed ? "changed images of the validation fold" : "the validation fold");
    rule.copies = changed ? scores->rounds : 1;
    PD_TRY(check_scores(scores));
    PD_TRY(pd_decision_make(decision, NULL, &rule, changed ? scores->changed : scores->clean,
                            changed ? scores->changed_count : scores->count));
    snprintf(decision->fold, sizeof decision->fold, changed ? "val changed" : "val");
    pd_scores_decide(scores->clean, scores->count, decision->temperature, decision->views);
    pd_scores_decide(scores->changed, scores->changed_count, decision->temperature,
                     decision->views);
    PD_TRY(measure(scores, out));
cleanup:
    if (status != PD_OK)
        pd_error_prefix(status, "validation fold");
    return status;
}
