/* The settings of one experiment, read from an INI file.
 *
 * Every key has a default, a range and a line of help in one table (src/train/job.c); unknown keys,
 * duplicates and values out of range are errors with file and line. Internally, key.h and
 * key_file.h read it. */
#ifndef PNEUMO_TRAIN_JOB_H
#define PNEUMO_TRAIN_JOB_H

#include "pneumo/base/status.h"
#include "pneumo/comm/comm.h"
#include "pneumo/comm/reduction.h"
#include "pneumo/data/augment.h"
#include "pneumo/data/lanes.h"
#include "pneumo/data/view.h"
#include "pneumo/metrics/decision.h"
#include "pneumo/nn/model.h"
#include "pneumo/train/optimizer.h"
#include "pneumo/train/schedule.h"
#include "pneumo/train/task.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

typedef enum pd_monitor {
    PD_MONITOR_AUC = 0,
    PD_MONITOR_LOSS = 1,
    PD_MONITOR_BALANCED_ACCURACY = 2,
    PD_MONITOR_STRESS = 3 /* AUC of the validation fold under acquisition changes, pooled */
} pd_monitor;

/* Where training keeps the images of a rank. */
typedef enum pd_image_place {
    PD_IMAGES_AUTO = 0, /* in memory if they fit */
    PD_IMAGES_MEMORY = 1,
    PD_IMAGES_STREAM = 2
} pd_image_place;

/* On which images the threshold, the temperature and the band of doubt are chosen. */
typedef enum pd_threshold_on {
    PD_THRESHOLD_ON_VALIDATION = 0, /* the validation fold as it is */
    PD_THRESHOLD_ON_STRESS = 1      /* its images under acquisition changes, pooled */
} pd_threshold_on;

/* The network of another model, with its weights. */
typedef struct pd_base {
    char file[512];   /* whose network is used; "": that of pd_model_spec */
    char layer[128];  /* the last one to keep; see pd_base_network_build */
    char scaling[64]; /* of the images, as in exchange/scaling.h; "": what the file says */
} pd_base;

/* Grouped roughly as in the file: [run], [data], [model], [train], [regularise], [augment],
 * [evaluate]. Plain bytes without pointers, so that rank 0 can broadcast it. */
typedef struct pd_job {
    char name[64]; /* the file's name without folder and .ini */

    /* [run] */
    uint64_t seed;
    char folder[512];          /* to write; "" means runs/<name> */
    double checkpoint_minutes; /* between checkpoints within an epoch; 0: only at its end */
    int audit_steps;           /* steps between comparisons of the ranks' weights; 0: never */
    double watchdog_seconds;   /* within which all ranks end when one is lost; 0: off */
    pd_reduction_kind reduction;
    int threads;     /* per rank; 0: see pd_threads_set */
    int bucket_kib;  /* size of a reduction bucket */
    int share_ranks; /* pd_comm_set_group_size */
    pd_image_place images;
    bool tensorboard; /* write an event file */

    /* [data] */
    char file[512]; /* the packed data set */
    pd_input input; /* size, channels and scaling; see pd_setup_input */
    pd_task_kind task;
    int train_images;      /* pd_subset_choose; 0: all of the train fold */
    int cross, cross_part; /* pd_cross_assign by `seed`; 0: the file's own folds */

    /* [model] */
    pd_model_spec model; /* all but input and outputs; see pd_setup_network */
    pd_base base;
    char weights[512];      /* file of the first weights; "": random ones, or those of `base` */
    char freeze[64];        /* layers not trained in stage 0: see pd_network_freeze */
    pd_precision precision; /* of activations: see pd_network_set_precision */
    pd_recompute recompute;

    /* [train] */
    pd_sampling sampling; /* balance is a key of [data] */
    pd_optimizer_spec optimizer;
    pd_schedule_spec schedule;
    int plateau_epochs; /* without improvement, before a cut of the learning rate; 0: never */
    double plateau_factor;
    int patience; /* epochs without improvement before an early stop; 0: never */
    pd_monitor monitor;

    /* [regularise], the rest of which is in `optimizer` */
    double label_smoothing;

    /* [augment] */
    pd_augment augment;

    /* [evaluate] */
    pd_decision_rule decision; /* all but copies and where; see pd_decision_rule_of */
    pd_threshold_on threshold_on;
    int stress_rounds; /* changes per validation image, for threshold_on and monitor */
    bool stress;       /* training ends with a stress test of the validation fold */
    int stress_images; /* about as many of a fold in the stress test, one of each class; 0: all */
} pd_job;

/* Sets every key to its default. */
void pd_job_defaults(pd_job *job);

/* Sets the defaults, reads `path`, applies `overrides` ("section.key=value"; the last one of a key
 * is used), and checks the rules between keys (batch a multiple of lanes, ...). Errors are such as
 * "train.ini:12: model 'vgg61' is unknown; choices are ..."; an invalid override returns PD_USAGE
 * with "--set train.batch=0: ...". Limits: 180 characters in a text, fewer if its field is
 * shorter; 198 in a line other than a comment; 1 MiB in a file. */
pd_status pd_job_read(pd_job *job, const char *path, const char *const *overrides, int count);

/* The same from text. `origin` is used as the file's name in messages and sets job->name. */
pd_status pd_job_parse(pd_job *job, const char *origin, const char *text,
                       const char *const *overrides, int count);

/* The text of every key that affects the result, in table order. Reading it back gives the same job
 * except for the rest of [run] (folder, threads, ...), which may change when a run is resumed. *out
 * is released with free(). */
pd_status pd_job_text(char **out, const pd_job *job);

/* Prints every key with default, range and meaning: the help of `train`. */
void pd_job_help(FILE *out);

#endif
