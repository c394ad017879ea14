/* Judging the validation fold: the decision chosen on its scores, and its figures. */
#ifndef PNEUMO_TRAIN_VALIDATION_H
#define PNEUMO_TRAIN_VALIDATION_H

#include "pneumo/metrics/decision.h"
#include "pneumo/metrics/metrics.h"
#include "pneumo/train/job.h"

/* The decision rule of a job, with one score per image. `where` names the images in the text. */
pd_decision_rule pd_decision_rule_of(const pd_job *job, const char *where);

/* The figures of the validation fold and its decision; computed on rank 0 and broadcast. */
typedef struct pd_validation {
    pd_decision decision;
    double loss, auc, accuracy, balanced_accuracy, sensitivity, specificity; /* at its threshold */
    double stress_auc; /* of the changed images; NAN without them */
    char remark[128];  /* a warning, such as "predicts NORMAL for every image: recall 0"; or "" */
} pd_validation;

/* The scores of the validation fold, complete, on rank 0. */
typedef struct pd_validation_scores {
    const int64_t *ids; /* [count], ascending */
    size_t count;
    pd_score *clean; /* [clean_count], which should be `count` */
    size_t clean_count;
    pd_score *changed; /* [changed_count]: rounds times `count` scores of the images under dealt
                          acquisition changes, round by round; NULL if the job does not use
                          them */
    size_t changed_count;
    int rounds;
} pd_validation_scores;

/* Chooses views, temperature, threshold and band on the validation scores and computes their
 * figures. Scores may be reordered, within their round, and get the probabilities that the decision
 * gives them. */
pd_status pd_validation_compute(const pd_job *job, pd_validation_scores *scores,
                                pd_validation *out);

#endif
