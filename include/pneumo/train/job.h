/* The settings of one experiment, read from an INI file.
 *
 * Every key has a default, a range and a line of help in one table (src/train/job.c); unknown keys,
 * duplicates and values out of range are errors with file and line. */
#ifndef PNEUMO_TRAIN_JOB_H
#define PNEUMO_TRAIN_JOB_H

#include "pneumo/base/status.h"
#include "pneumo/data/augment.h"
#include "pneumo/data/view.h"
#include "pneumo/metrics/scores.h"
#include "pneumo/metrics/threshold.h"
#include "pneumo/nn/model.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

typedef enum pd_task { PD_TASK_PNEUMONIA = 0, PD_TASK_CAUSE = 1 } pd_task;
typedef enum pd_balance {
    PD_BALANCE_NONE = 0,
    PD_BALANCE_OVERSAMPLE = 1, /* classes take turns in every batch */
    PD_BALANCE_WEIGHTS = 2     /* loss weights inverse to the class counts, mean 1 */
} pd_balance;
typedef enum pd_optimizer_kind {
    PD_SGD = 0,
    PD_ADAM = 1,
    PD_ADAMW = 2,
    PD_RMSPROP = 3
} pd_optimizer_kind;
typedef enum pd_schedule_kind {
    PD_SCHEDULE_CONSTANT = 0,
    PD_SCHEDULE_STEP = 1,
    PD_SCHEDULE_COSINE = 2,
    PD_SCHEDULE_ONECYCLE = 3
} pd_schedule_kind;
typedef enum pd_monitor {
    PD_MONITOR_AUC = 0,
    PD_MONITOR_LOSS = 1,
    PD_MONITOR_BALANCED_ACCURACY = 2,
    PD_MONITOR_STRESS = 3 /* AUC of the validation fold under acquisition changes, pooled */
} pd_monitor;

/* Where a rank's images are while it trains. */
typedef enum pd_image_place {
    PD_IMAGES_AUTO = 0, /* in memory if they fit */
    PD_IMAGES_MEMORY = 1,
    PD_IMAGES_STREAM = 2
} pd_image_place;

/* On which images the threshold, the temperature and the band of doubt are chosen. */
typedef enum pd_threshold_on {
    PD_THRESHOLD_VALIDATION = 0, /* the validation fold as it is */
    PD_THRESHOLD_STRESS = 1      /* its images under acquisition changes, pooled */
} pd_threshold_on;

/* Grouped as in the file: [run], [data], [model], [train], [regularise], [augment], [evaluate]. */
typedef struct pd_job {
    char name[64]; /* the file's name without folder and .ini */

    /* [run] */
    uint64_t seed;
    char folder[512];          /* where to write; "" means runs/<name> */
    double checkpoint_minutes; /* besides every epoch; 0: only every epoch */
    int audit_steps;           /* steps between comparisons of the ranks' weights; 0: never */
    double watchdog_seconds;   /* within which all ranks end when one is gone; 0: off */
    char reduction[8];         /* exact | mpi */
    int threads;               /* per rank; 0: as many as the rank may use */
    int bucket_kib;            /* size of a reduction bucket */
    int share_ranks;           /* pd_comm_set_group_size */
    pd_image_place images;

    /* [data] */
    char file[512]; /* the packed data set */
    int size;       /* side of the network's input; 0: that of the packed images */
    int channels;   /* 1 grey, 3 the same grey three times */
    pd_task task;
    pd_balance balance;
    pd_grey_scaling scaling;
    int cross, cross_part; /* pd_cross_assign by `seed`; 0: the file's own folds */

    /* [model] */
    char model[32];
    int hidden;
    double width;
    double dropout;
    pd_head head;
    bool normalise;
    pd_norm_scope batchnorm;
    double norm_momentum;
    pd_init init;

    /* [train] */
    int epochs;
    int epoch_images; /* images per epoch; 0: as many as the train fold has */
    int batch;        /* global batch; a multiple of lanes */
    int lanes;
    pd_optimizer_kind optimizer;
    double learning_rate; /* peak of the schedule */
    double momentum;      /* sgd; rmsprop */
    bool nesterov;
    double beta1, beta2, epsilon; /* adam, adamw; beta2 is rmsprop's rho */
    pd_schedule_kind schedule;
    double warmup_epochs;
    int step_epochs; /* schedule = step: epochs between cuts */
    double step_factor;
    double final_factor; /* cosine, onecycle: last learning rate over the peak */
    int plateau_epochs;  /* cut the rate after so many epochs without a gain; 0: never */
    double plateau_factor;
    int patience;     /* stop after so many epochs without a gain; 0: never */
    double ema;       /* decay of the weights' moving average per step; 0: off */
    double clip_norm; /* 0: off */
    pd_monitor monitor;

    /* [regularise] */
    double l1, l2;       /* on kernels; adds the gradient of l1 |w| + l2 w^2 (the losses that are
                            shown are without it) */
    double weight_decay; /* adamw, decoupled, on kernels */
    double label_smoothing;

    /* [augment] */
    pd_augment augment;

    /* [evaluate] */
    double target_sensitivity;
    pd_threshold_rule threshold_rule;
    double sensitivity_margin; /* added to the target when the threshold is chosen */
    pd_views views;
    pd_threshold_on threshold_on;
    int stress_rounds; /* changes per validation image wherever they are pooled */
    bool stress;       /* training ends with a stress test of the validation fold */
    int stress_images; /* images of a fold that the stress test takes at most; 0: all */
    double target_specificity;
} pd_job;

/* The defaults of every key. */
void pd_job_defaults(pd_job *job);

/* Reads `path` over the defaults, then applies `overrides` ("section.key=value"), then checks what
 * concerns several keys (batch a multiple of lanes, ...). Errors: "train.ini:12: model 'vgg61' is
 * unknown; choices are ..."; a wrong override gives PD_USAGE and "--set train.batch=0: ...". The
 * last of several overrides of a key wins. Texts hold at most 180 characters, lines 198
 * (what inih reads as one), comments any number, a file 1 MiB. */
pd_status pd_job_read(pd_job *job, const char *path, const char *const *overrides, int count);

/* The same from text; `origin` stands for the file's name in messages and gives job->name. */
pd_status pd_job_parse(pd_job *job, const char *origin, const char *text,
                       const char *const *overrides, int count);

/* Every key that bears on the result, with its value, in table order: reading it back gives the
 * same job but for the rest of [run] (folder, threads, ...), which may differ from one resume to
 * the next. *out is released with free(). */
pd_status pd_job_text(char **out, const pd_job *job);

/* Prints every key with default, range and meaning: the help of `train`. */
void pd_job_help(FILE *out);

#endif
