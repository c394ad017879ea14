/* A trained network with its decision, ready for images of any size. */
#ifndef PNEUMO_EVALUATE_CLASSIFIER_H
#define PNEUMO_EVALUATE_CLASSIFIER_H

#include "pneumo/data/image.h"
#include "pneumo/data/view.h"
#include "pneumo/io/checkpoint.h"
#include "pneumo/nn/network.h"
#include "pneumo/train/job.h"
#include "pneumo/train/score.h"

typedef struct pd_classifier pd_classifier;

/* Loads a checkpoint, which must have a decision, and plans its network for `chunk` images at a
 * time (0: the samples of a lane of the job's batch) and `threads` threads. Needs no data set. The
 * caller owns *out. */
pd_status pd_classifier_load(pd_classifier **out, const char *checkpoint, int chunk, int threads);
void pd_classifier_destroy(pd_classifier **classifier);

/* All owned by the classifier. */
pd_checkpoint *pd_classifier_checkpoint(const pd_classifier *classifier);
const pd_job *pd_classifier_job(const pd_classifier *classifier);
const pd_input *pd_classifier_input(const pd_classifier *classifier);
pd_network *pd_classifier_network(pd_classifier *classifier);

/* Bytes of a packed image: height * width of pd_classifier_input. */
size_t pd_classifier_packed_size(const pd_classifier *classifier);

/* Brings a decoded radiograph to the packed form that `pack` gives it: packed [height][width]. May
 * be called by many threads at once. */
pd_status pd_classifier_pack(const pd_classifier *classifier, const pd_image *image,
                             uint8_t *packed);

/* A square image of any size, such as a packed one, as network input x [size][size][channels].
 * Allocates scratch memory for the call. */
pd_status pd_classifier_render(const pd_classifier *classifier, const pd_image *square, float *x);

/* Scores packed images packed[count], count <= chunk: sets logit, views, probability and predicted
 * of scores[count]; the probabilities are the ones that the checkpoint's threshold and band are for
 * (temperature and views applied). */
pd_status pd_classifier_score(pd_classifier *classifier, const uint8_t *const *packed, int count,
                              pd_score *scores);

#endif
