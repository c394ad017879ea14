/* Scoring a fold: every sample once, distributed over the ranks, gathered on rank 0. */
#ifndef PNEUMO_TRAIN_SCORER_H
#define PNEUMO_TRAIN_SCORER_H

#include "pneumo/comm/comm.h"
#include "pneumo/data/change.h"
#include "pneumo/data/view.h"
#include "pneumo/io/dataset.h"
#include "pneumo/metrics/scores.h"
#include "pneumo/nn/network.h"
#include "pneumo/train/job.h"

typedef struct pd_scorer pd_scorer;

typedef struct pd_scorer_options {
    const pd_job *job;
    pd_input input;
    const pd_dataset *dataset;
    pd_fold fold;
    const uint8_t *skip; /* by sample id: 1 for images that are not scored; NULL: none; borrowed */
    int chunk; /* samples per forward pass. Chunks depend only on the fold, so that a score does not
                  depend on the number of ranks */
    int views; /* of each image, 1 to PD_VIEWS_MAX */
    int threads;
    bool hold; /* hold the images in memory for several runs; else each run streams them */
} pd_scorer_options;

/* Prepares this rank's slice of a fold. `comm`, the job and the data set are borrowed until
 * pd_scorer_destroy. Not collective. */
pd_status pd_scorer_create(pd_scorer **out, pd_comm *comm, const pd_scorer_options *options);
void pd_scorer_destroy(pd_scorer **scorer);

/* The ids that are scored, ascending; owned by the scorer. */
const int64_t *pd_scorer_ids(const pd_scorer *scorer, size_t *count);

/* The acquisition change under which images are scored. */
typedef struct pd_scoring {
    const char *label; /* of the progress line; NULL: none */
    int change;        /* number in pd_changes, PD_CHANGE_NONE or PD_CHANGE_DEALT */
    int round;         /* PD_CHANGE_DEALT: the image at place i of the ids has change
                          (i + round * PD_CHANGE_STRIDE) mod PD_CHANGES */
    bool stops;        /* once this process has been asked to stop, with PD_STOPPED on all ranks */
} pd_scoring;

/* The stride and PD_CHANGES are coprime, so PD_CHANGES rounds apply every change to every image
 * once, and two consecutive rounds apply changes of different families. */
enum { PD_CHANGE_NONE = -1, PD_CHANGE_DEALT = -2, PD_CHANGE_STRIDE = 7 };

/* Scores the images with `network`, planned for at least `chunk` samples; probabilities are those
 * of the plain views' logits (pd_scores_decide with temperature 1). On rank 0 *scores
 * (free()) holds every score in rank order; NULL on others. Collective. */
pd_status pd_scorer_run(pd_scorer *scorer, pd_network *network, const pd_scoring *scoring,
                        pd_score **scores, size_t *count);

#endif
