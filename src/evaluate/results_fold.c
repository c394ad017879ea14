#include "results_fold.h"

#include "pneumo/metrics/patients.h"

#include <stdlib.h>

/* The figures at one threshold, and the same with bootstrap intervals over patients. */
static pd_status judge_at(double threshold, const pd_score *scores, size_t count, uint64_t seed,
                          pd_metrics *plain, pd_metrics *bootstrap)
{
    pd_status status = pd_metrics_compute(plain, scores, count, threshold);
    if (status != PD_OK)
        return status;
    *bootstrap = *plain;
    return pd_bootstrap_patients(bootstrap, scores, count, PD_BOOTSTRAP_REPLICATES, seed);
}

/* Correct decisions by cause, and how many images `predict` would refer to a person. */
static void count_causes(pd_results_fold *out, const pd_fold_basis *basis)
{
    const pd_decision *decision = basis->decision;
    int64_t images[PD_CAUSES] = {0}, right[PD_CAUSES] = {0}, referred = 0, decided_right = 0;
    for (size_t i = 0; i < out->score_count; i++) {
        const pd_score *score = &out->scores[i];
        pd_cause cause = basis->samples[score->id].cause;
        bool is_right = (score->probability >= decision->threshold) == score->positive;
        bool in_doubt =
            score->probability >= decision->refer_low && score->probability <= decision->refer_high;
        images[cause]++;
        right[cause] += is_right;
        referred += in_doubt;
        decided_right += is_right && !in_doubt;
    }
    for (int cause = 0; cause < PD_CAUSES; cause++)
        out->by_cause[cause] = pd_wilson(right[cause], images[cause]);
    out->referred = pd_wilson(referred, (int64_t)out->score_count);
    out->decided = pd_wilson(decided_right, (int64_t)out->score_count - referred);
}

pd_status pd_results_fold_compute(pd_results_fold *out, const pd_fold_basis *basis)
{
    pd_status status = PD_OK;
    size_t patient_count;
    pd_score *patients = NULL, *scores = out->scores;
    const pd_decision *decision = basis->decision;
    PD_TRY(pd_scores_check(scores, out->score_count, basis->ids, basis->id_count));
    size_t count = out->score_count;
    pd_scores_decide(scores, count, 1, decision->views);
    PD_TRY(pd_calibration_compute(&out->uncalibrated, scores, count));
    pd_scores_decide(scores, count, decision->temperature, decision->views);
    PD_TRY(pd_calibration_compute(&out->calibration, scores, count));
    PD_TRY(judge_at(decision->threshold, scores, count, basis->seed, &out->chosen,
                    &out->chosen_bootstrap));
    PD_TRY(judge_at(0.5, scores, count, basis->seed, &out->half, &out->half_bootstrap));
    PD_TRY(pd_patients_merge(&patients, &patient_count, scores, count));
    PD_TRY(pd_metrics_compute(&out->patients, patients, patient_count, decision->threshold));
    count_causes(out, basis);
    PD_TRY(pd_shape_judge(&out->shape, scores, count, decision->threshold, basis->samples));
    out->present = true;
    out->has_causes = basis->has_causes;
    for (size_t i = 0; i < count && out->has_causes; i++)
        out->causes[scores[i].truth][scores[i].predicted]++;
cleanup:
    free(patients);
    return status;
}
