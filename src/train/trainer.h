/* The state of training: a run in memory. The files start, resume, batch, validate and save work on
 * it. */
#ifndef PNEUMO_TRAIN_TRAINER_H
#define PNEUMO_TRAIN_TRAINER_H

#include "pneumo/data/images.h"
#include "pneumo/data/lanes.h"
#include "pneumo/data/mixup.h"
#include "pneumo/data/shape_weights.h"
#include "pneumo/train/run_status.h"
#include "pneumo/train/scorer.h"
#include "pneumo/train/step.h"
#include "run_files.h"

/* What is published of the run; see live.h. Times are those of pd_clock_now. */
typedef struct pd_live {
    pd_run_status status;
    double written_at;
    double entered_at;         /* when the phase began */
    double validation_seconds; /* of the last validation and what follows; 0: none yet */
    int64_t first_step;        /* of this process in the epoch */
    bool broken;               /* it cannot be written */
} pd_live;

typedef struct pd_trainer {
    const pd_job *job;      /* borrowed */
    pd_comm *comm;          /* borrowed */
    bool resume;            /* an existing run may be continued */
    pd_checkpoint *resumed; /* while starting: the one to continue from, or NULL */
    const char *resumed_path;
    bool extend;       /* if so, train.epochs may differ */
    int former_epochs; /* the number of epochs of the run so far, if it differs; else 0 */
    char *job_text;
    pd_run_files files;
    bool claimed; /* this process owns the folder */

    pd_dataset *dataset;
    pd_step step;      /* network, optimiser, and the buffers of one step */
    pd_scorer *scorer; /* of the validation fold */
    pd_lanes *lanes;
    int64_t train_images;           /* of all lanes of all ranks */
    pd_shape_balance shape_balance; /* with data.balance = shape */
    pd_images *images;              /* of the lanes held here */
    bool stream;                    /* read images from the file for each step */
    char images_note[192];          /* where images are and why, for the log */
    int64_t prefetched;             /* steps of the run whose images have been prefetched */

    pd_input input;
    float class_weight[PD_CLASSES_MAX];
    pd_pick *picks;         /* [step.samples] */
    int64_t *ids;           /* [step.samples], of picks */
    const uint8_t **pixels; /* [step.samples], of ids */
    float *scratch;         /* [threads][pd_view_scratch] */
    pd_mixup_pair *pairs;   /* [step.lane_samples / 2] */
    int64_t *order;         /* [step.lane_samples] */

    /* What the next checkpoint holds; its arrays are set only while it is written. */
    pd_checkpoint checkpoint;
    pd_history_row *history; /* [job->schedule.epochs] */
    int64_t steps_here;      /* taken by this process */
    char remark[128];        /* the last one of pd_validation */
    int64_t events_epoch;    /* the last one in TensorBoard's file */
    double epoch_speed;      /* images per second of this process in the epoch; NAN: none */
    pd_live live;
    double saved_at;      /* clock of the last checkpoint */
    bool last_unreadable; /* the run continued from previous.h5, which must not be replaced by
                             the unreadable last.h5 */

    /* Over all processes of this run, as in time.csv: */
    double seconds;      /* of training, up to the last checkpoint */
    int64_t images_seen; /* trained on, up to the last step */
    double counted_at;   /* clock time up to which `seconds` counts */
} pd_trainer;

#endif
