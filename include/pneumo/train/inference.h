/* Inference: the views of packed images through a network. */
#ifndef PNEUMO_TRAIN_INFERENCE_H
#define PNEUMO_TRAIN_INFERENCE_H

#include "pneumo/data/view.h"
#include "pneumo/metrics/scores.h"
#include "pneumo/nn/network.h"
#include "pneumo/train/task.h"

/* Set by the caller, but for the buffers. */
typedef struct pd_inference {
    pd_network *network; /* planned for at least the samples of a call; borrowed */
    const pd_task *task; /* of the network */
    pd_input input;
    int views; /* of each image, 1 to PD_VIEWS_MAX */
    int threads;
    pd_crew *crew;  /* of `threads` threads, which do the work; borrowed; NULL: OpenMP's do */
    float *x;       /* [samples][size][size][channels] */
    float *logits;  /* [samples][outputs], of the plain view */
    float *scratch; /* [threads][pd_view_scratch] */
} pd_inference;

/* Allocates x, logits and scratch for calls of at most `samples` images. `task`, `input` and
 * `threads` must be set. Release with pd_inference_free, also after a failure. */
pd_status pd_inference_prepare(pd_inference *inference, int samples);
void pd_inference_free(pd_inference *inference);

/* Runs the views of packed images pixels[count] through the network; sets logit, views and
 * predicted of scores[count]. */
pd_status pd_inference_run(pd_inference *inference, const uint8_t *const *pixels, int count,
                           pd_score *scores);

#endif
