/* A trained network with its decision, or the average of several, for images of any size. */
#ifndef PNEUMO_EVALUATE_CLASSIFIER_H
#define PNEUMO_EVALUATE_CLASSIFIER_H

#include "pneumo/data/image.h"
#include "pneumo/data/view.h"
#include "pneumo/evaluate/heatmap.h"
#include "pneumo/io/ensemble.h"
#include "pneumo/nn/network.h"
#include "pneumo/train/inference.h"
#include "pneumo/train/job.h"

typedef struct pd_classifier pd_classifier;

/* Loads a checkpoint, which must have a decision, or an ensemble file, and plans its networks for
 * `chunk` images at a time (0: the samples of a lane of the member's job's batch) and `threads`
 * threads. Needs no data set. The caller owns *out. */
pd_status pd_classifier_load(pd_classifier **out, const char *path, int chunk, int threads);

/* The same for members in memory, of which the classifier takes ownership, also on failure. The
 * decision of several may still be missing; pd_classifier_score must not be called then.
 * Members that differ in task or in the size of packed images are an error that names them. */
pd_status pd_classifier_create(pd_classifier **out, pd_ensemble **ensemble, int chunk, int threads);
void pd_classifier_destroy(pd_classifier **classifier);

/* Lets a crew of as many threads do the work of pd_classifier_score, instead of OpenMP's; borrowed.
 */
void pd_classifier_use_crew(pd_classifier *classifier, pd_crew *crew);

/* One of the networks; all owned by the classifier. */
typedef struct pd_classifier_member {
    const char *name; /* for messages */
    pd_checkpoint *checkpoint;
    pd_job job;
    pd_inference inference; /* its input, views, threads and network */
} pd_classifier_member;

int pd_classifier_count(const pd_classifier *classifier);
const pd_classifier_member *pd_classifier_at(const pd_classifier *classifier, int index);

/* All owned by the classifier. The checkpoint is that of the only member, or pd_ensemble.whole; job
 * and input are those of the first member. */
pd_ensemble *pd_classifier_ensemble(const pd_classifier *classifier);
pd_checkpoint *pd_classifier_checkpoint(const pd_classifier *classifier);
const pd_job *pd_classifier_job(const pd_classifier *classifier);
const pd_input *pd_classifier_input(const pd_classifier *classifier);

/* Bytes of a packed image: height * width of pd_classifier_input. */
size_t pd_classifier_packed_size(const pd_classifier *classifier);

/* Packs a decoded radiograph as `pack` does: packed [height][width]. For an imported model, an
 * image of that size is copied as it is. Thread-safe. */
pd_status pd_classifier_pack(const pd_classifier *classifier, const pd_image *image,
                             uint8_t *packed);

/* Scores packed images packed[count], count <= chunk: sets logit, views, probability and predicted
 * of scores[count]; the probabilities are those that the checkpoint's threshold and band apply to
 * (temperature and views applied). For several members, logit is the mean (src/evaluate/mean.h). */
pd_status pd_classifier_score(pd_classifier *classifier, const uint8_t *const *packed, int count,
                              pd_score *scores);

/* Whether every member has a convolution, which heat maps need. */
bool pd_classifier_has_heatmap(const pd_classifier *classifier);

/* The heat map of a square image of any size, such as a packed one. For several members it is
 * pd_heatmap_mean of their maps, each divided by the member's temperature, like its logit. */
pd_status pd_classifier_heatmap(pd_heatmap *out, pd_classifier *classifier, const pd_image *square);

#endif
