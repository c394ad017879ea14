/* The figures of a fold from its scores. */
#ifndef PNEUMO_EVALUATE_RESULTS_FOLD_H
#define PNEUMO_EVALUATE_RESULTS_FOLD_H

#include "pneumo/evaluate/results.h"
#include "pneumo/metrics/decision.h"

/* What the figures depend on besides the scores. All borrowed. */
typedef struct pd_fold_basis {
    const pd_decision *decision;
    const int64_t *ids; /* [id_count], ascending: the images that must have a score */
    size_t id_count;
    const pd_sample *samples; /* of the data set, by id */
    uint64_t seed;            /* of the bootstrap */
    bool has_causes;          /* classes are NORMAL, BACTERIA, VIRUS */
} pd_fold_basis;

/* Computes the figures of out->scores[out->score_count], which are sorted by id and get the
 * probabilities of the decision. Does not set out->outside, out->stress and out->left_out. Fails if
 * a score is missing, repeated or not finite. */
pd_status pd_results_fold_compute(pd_results_fold *out, const pd_fold_basis *basis);

#endif
