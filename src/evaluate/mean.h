/* The mean of several networks: the mean of their calibrated log-odds, each of which is the logit
 * averaged over the network's own views and divided by its own temperature. The scores of a single
 * network are left as they are. */
#ifndef PNEUMO_EVALUATE_MEAN_H
#define PNEUMO_EVALUATE_MEAN_H

#include "pneumo/train/scorer.h"

/* One of the networks, and how it scores a fold. */
typedef struct pd_member {
    pd_scorer_options options; /* job, fold, skip, threads and hold are the same for all
                                  members. Folds may differ between members' data sets: the mean of
                                  an image is then over the members that have it in the fold */
    pd_network *network;       /* planned for options.chunk samples */
    double temperature;        /* of the mean logit of options.views views */
} pd_member;

/* Replaces logit and view 0 of scores[count] by the calibrated log-odds of the mean of `views`
 * views; the other views become NAN. */
void pd_scores_calibrate(pd_score *scores, size_t count, double temperature, int views);

/* The mean of one image's calibrated scores by `count` members. `predicted` is the class of most
 * members, the lowest of several; the loss is NAN. */
pd_score pd_score_mean(const pd_score *const *scores, int count);

/* The mean of lists of calibrated scores, lists[i][counts[i]], none of which has an image twice:
 * (*out)[*count] (free()), ascending by id, each over the lists that contain the image. */
pd_status pd_scores_mean(pd_score **out, size_t *count, pd_score *const *lists,
                         const size_t *counts, int list_count);

typedef struct pd_mean_scorer pd_mean_scorer;

/* Prepares this rank's slices. The members are copied; what they point to is borrowed. Not
 * collective. */
pd_status pd_mean_scorer_create(pd_mean_scorer **out, pd_comm *comm, const pd_member *members,
                                int count);
void pd_mean_scorer_destroy(pd_mean_scorer **scorer);

/* The ids that are scored, ascending; owned by the scorer. */
const int64_t *pd_mean_scorer_ids(const pd_mean_scorer *scorer, size_t *count);

/* As pd_scorer_run. For several members, logit and views[0] are the mean, and there is only that
 * view. Collective. */
pd_status pd_mean_scorer_run(pd_mean_scorer *scorer, const pd_scoring *scoring, pd_score **scores,
                             size_t *count);

#endif
