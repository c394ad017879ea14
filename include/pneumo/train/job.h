/* The settings of one experiment, read from an INI file.
 *
 * Every key has a default, a range and a line of help in one table (src/train/job.c); unknown keys,
 * duplicates and values out of range are errors with file and line. */
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

/* Grouped roughly as in the file: [run], [data], [model], [train], [regularise], [augment],
 * [evaluate]. Plain bytes without
 * pointers, so that rank 0 can broadcast it. */
typedef struct pd_job {
    char name[64]; /* the file's name without folder and .ini */

    /* [run] */
    uint64_t seed;
    char folder[512];          /* where to write; "" means runs/<name> */
    double checkpoint_minutes; /* besides every epoch; 0: only every epoch */
    int audit_steps;           /* steps between comparisons of the ranks' weights; 0: never */
    double watchdog_seconds;   /* within which all ranks end when one is gone; 0: off */
    pd_reduction_kind reduction;
    int threads;     /* per rank; 0: as many as the rank may use */
    int bucket_kib;  /* size of a reduction bucket */
    int share_ranks; /* pd_comm_set_group_size */
    pd_image_place images;

    /* [data] */
    char file[512]; /* the packed data set */
    pd_input input; /* size, channels and scaling; see pd_setup_input */
    pd_task_kind task;
    int cross, cross_part; /* pd_cross_assign by `seed`; 0: the file's own folds */

    /* [model] */
    pd_model_spec model; /* all but input and outputs; see pd_setup_network */

    /* [train] */
    pd_sampling sampling; /* balance is a key of [data] */
    pd_optimizer_spec optimizer;
    pd_schedule_spec schedule;
    int plateau_epochs; /* cut the learning rate after so many epochs without a gain; 0: never */
    double plateau_factor;
    int patience; /* stop after so many epochs without a gain; 0: never */
    pd_monitor monitor;

    /* [regularise], the rest of which is in `optimizer` */
    double label_smoothing;

    /* [augment] */
    pd_augment augment;

    /* [evaluate] */
    pd_decision_rule decision; /* all but copies and where; see pd_decision_rule_of */
    pd_threshold_on threshold_on;
    int stress_rounds; /* changes per validation image wherever they are pooled */
    bool stress;       /* training ends with a stress test of the validation fold */
    int stress_images; /* images of a fold that the stress test takes at most; 0: all */
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
