/* The mean of several networks' answers: of each network the logit, averaged over its own views and
 * divided by its own temperature (its calibrated log odds), and of these the mean. One network by
 * itself answers as it is. */
#ifndef PNEUMO_EVALUATE_MEAN_H
#define PNEUMO_EVALUATE_MEAN_H

#include "pneumo/train/scorer.h"

/* One of the networks, and how it scores a fold. */
typedef struct pd_member {
    pd_scorer_options options; /* job, fold, most, threads and hold are alike in all members. The
                                  data set may have other folds in each: then an image's mean is
                                  over the members that have it in the fold */
    pd_network *network;       /* planned for options.chunk samples */
    double temperature;        /* of the mean logit of options.views views */
} pd_member;

/* Puts the calibrated log odds of the mean of `views` views in the place of scores[count]'s logit
 * and view 0; the other views become NAN. */
void pd_scores_calibrate(pd_score *scores, size_t count, double temperature, int views);

/* The mean of one image's calibrated scores by `count` members. `predicted` is what most members
 * say, and of several such classes the lowest; the loss is NAN. */
pd_score pd_score_mean(const pd_score *const *scores, int count);

/* The mean of lists of calibrated scores, lists[i][counts[i]], none of which has an image twice:
 * (*out)[*count] (free()), ascending by id, each over the lists that have the image. */
pd_status pd_scores_mean(pd_score **out, size_t *count, pd_score *const *lists,
                         const size_t *counts, int list_count);

typedef struct pd_mean_scorer pd_mean_scorer;

/* Prepares this rank's shares. The members are copied; what they point to is borrowed. Not
 * collective. */
pd_status pd_mean_scorer_create(pd_mean_scorer **out, pd_comm *comm, const pd_member *members,
                                int count);
void pd_mean_scorer_destroy(pd_mean_scorer **scorer);

/* The ids that are scored, ascending; owned by the scorer. */
const int64_t *pd_mean_scorer_ids(const pd_mean_scorer *scorer, size_t *count);

/* As pd_scorer_run. Of several members, logit and views[0] are the mean, and one view is all there
 * is. Collective. */
pd_status pd_mean_scorer_run(pd_mean_scorer *scorer, const pd_scoring *scoring, pd_score **scores,
                             size_t *count);

#endif
