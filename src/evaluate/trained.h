/* Finding images of the training among the images that calibrate a decision. */
#ifndef PNEUMO_EVALUATE_TRAINED_H
#define PNEUMO_EVALUATE_TRAINED_H

#include "pneumo/evaluate/classifier.h"
#include "pneumo/evaluate/labelled.h"

typedef struct pd_trained {
    char reason[640]; /* why the images cannot be compared; "": they were, and the rest is set */
    int64_t taken;    /* images in the train or test fold of the training's data set */
    int64_t example;  /* the first of them; -1: none */
    int64_t val;      /* images in its val fold */
} pd_trained;

/* Compares the pixels of identities[count], which are of different images of `labelled`, with those
 * of the data set that the job of `member` names, in the member's folds. If `labelled` is of that
 * data set, all its images are of the val fold, and nothing is read. Copies in another quality,
 * crop or size are not recognised. Fails if the data set is damaged or memory runs out. */
pd_status pd_trained_find(pd_trained *out, const pd_classifier_member *member,
                          const pd_labelled *labelled, const pd_identity *identities, size_t count);

#endif
