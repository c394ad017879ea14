/* Tasks: which classes a network learns to tell apart, and how its outputs stand for them. */
#ifndef PNEUMO_TRAIN_TASK_H
#define PNEUMO_TRAIN_TASK_H

#include "pneumo/data/lanes.h"
#include "pneumo/io/dataset.h"
#include "pneumo/nn/loss.h"

#include <stdbool.h>

typedef enum pd_task_kind {
    PD_TASK_PNEUMONIA = 0, /* normal or pneumonia */
    PD_TASK_CAUSE = 1,     /* normal, bacterial or viral pneumonia */
    PD_TASKS
} pd_task_kind;

typedef struct pd_task {
    const char *name; /* in job files */
    int classes;
    const char *class_names[PD_CLASSES_MAX];
    int outputs;      /* logits per sample */
    bool has_causes;  /* the classes distinguish causes of pneumonia */
    bool mixes_pairs; /* the loss takes the blended targets of augment.mixup */
    pd_loss_function loss;
    const char *activation; /* of the outputs, in Keras' words: makes probabilities of logits */

    /* The class of a sample; -1 if the task has none for it (pneumonia of unknown cause). */
    int (*class_of)(const pd_sample *sample);

    /* The log-odds of pneumonia of logits[outputs]. */
    double (*log_odds)(const float *logits);

    /* The likeliest class. */
    int (*predicted)(const float *logits);

    /* dlogits[outputs]: the derivative of the evidence for pneumonia, which is the logit of the
     * likeliest class with pneumonia less that of normal, if there is one. */
    void (*evidence_gradient)(const float *logits, float *dlogits);
} pd_task;

extern const pd_task pd_tasks[PD_TASKS];

#endif
