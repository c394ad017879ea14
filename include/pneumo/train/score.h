/* Scoring a fold: every sample once, dealt over the ranks, gathered on rank 0. */
#ifndef PNEUMO_TRAIN_SCORE_H
#define PNEUMO_TRAIN_SCORE_H

#include "pneumo/comm/comm.h"
#include "pneumo/data/view.h"
#include "pneumo/io/dataset.h"
#include "pneumo/nn/network.h"
#include "pneumo/train/job.h"

/* One scored sample. */
typedef struct pd_score {
    int64_t id;         /* sample id in the data set */
    double logit;       /* log-odds of pneumonia as the network gives them */
    double mirrored;    /* the same of the image with left and right exchanged; NAN if not asked */
    double probability; /* of pneumonia; see pd_scores_decide */
    int32_t positive;   /* 1: truly pneumonia */
    int32_t truth;      /* the class: 0 normal, 1 pneumonia; task = cause: 0 normal, 1 bacteria,
                           2 virus */
    int32_t predicted;  /* the likeliest class */
    int32_t patient;    /* group id in the data set */
    double loss;        /* cross-entropy of this sample, without smoothing and weights */
} pd_score;

/* From logits to probabilities: the logit, or its mean with the mirrored one, divided by
 * `temperature` (1: as the network says). */
void pd_scores_decide(pd_score *scores, size_t count, double temperature, bool flip);

typedef struct pd_scorer pd_scorer;

/* The parts of scoring that need no data set: runs x [count][size][size][channels] through
 * `network`, planned for at least that many samples, and, if `mirrored`, its mirror image, and sets
 * logit, mirrored and predicted of scores[count]. logits [count][outputs] (or NULL) gets a copy of
 * the network's outputs. x is mirrored afterwards. */
pd_status pd_scores_infer(pd_score *scores, pd_network *network, const pd_input *input, float *x,
                          int count, bool mirrored, int threads, float *logits);

/* Prepares this rank's share of fold `fold`. With `hold` its images are read into memory, for
 * several runs; else each run streams them. With `mirrored`, each image's mirror image is scored as
 * well. Samples go through the network in chunks of `chunk` whose composition depends only on the
 * fold, so that a score does not depend on the number of ranks. All arguments are borrowed until
 * pd_scorer_destroy. Not collective. */
pd_status pd_scorer_create(pd_scorer **out, pd_comm *comm, const pd_job *job, const pd_input *input,
                           const pd_dataset *dataset, pd_fold fold, int chunk, bool mirrored,
                           bool hold);
void pd_scorer_destroy(pd_scorer **scorer);

/* The ids of the whole fold, ascending; owned by the scorer. */
const int64_t *pd_scorer_ids(const pd_scorer *scorer, size_t *count);

/* Scores the fold with `network`, planned for at least `chunk` samples; probabilities are those of
 * the logits as they are (pd_scores_decide with temperature 1). On rank 0 *scores (free())
 * holds every score in rank order; NULL on others. Shows progress under `label` unless it is NULL.
 * Collective. */
pd_status pd_scorer_run(pd_scorer *scorer, pd_network *network, int threads, const char *label,
                        pd_score **scores, size_t *count);

#endif
