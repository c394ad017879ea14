/* A run in memory: everything that training works on, set up from a job, or from what an earlier
 * process left in the run's folder, and saved there. Internal to the room `train`. */
#ifndef PNEUMO_TRAIN_RUN_H
#define PNEUMO_TRAIN_RUN_H

#include "pneumo/data/images.h"
#include "pneumo/data/lanes.h"
#include "pneumo/data/mixup.h"
#include "pneumo/train/scorer.h"
#include "pneumo/train/setup.h"
#include "pneumo/train/step.h"
#include "pneumo/train/train.h"

typedef struct pd_run {
    const pd_train_options *options;
    const pd_job *job;
    pd_comm *comm;
    char *job_text;
    char *last_path, *previous_path, *best_path, *history_path, *time_path;

    pd_dataset *dataset;
    pd_step step;      /* network, optimiser, and the buffers of one step */
    pd_scorer *scorer; /* of the validation fold */
    pd_lanes *lanes;
    pd_images *images;     /* of the lanes held here */
    bool stream;           /* images come from the file whenever they are needed */
    char images_note[192]; /* where images are and why, for the log */
    int64_t asked;         /* the first step of the run whose images were not asked for ahead */

    pd_input input;
    float class_weight[PD_CLASSES_MAX];
    pd_pick *picks;         /* [step.samples] */
    int64_t *ids;           /* [step.samples], of picks */
    const uint8_t **pixels; /* [step.samples], of ids */
    float *scratch;         /* [threads][pd_view_scratch] */
    pd_mixup_pair *pairs;   /* [step.lane_samples / 2] */
    int64_t *order;         /* [step.lane_samples] */

    /* Counters, decisions and history: what a checkpoint keeps besides arrays. */
    pd_checkpoint checkpoint;
    pd_history_row *history; /* [job->schedule.epochs] */
    double saved_at;         /* clock of the last checkpoint */
    bool last_unreadable;    /* so the run went on from previous.h5, which must outlive it */

    /* Of all processes of this run, this one included up to its last checkpoint; as in time.csv. */
    double seconds;
    int64_t images_seen; /* trained on; those of this process up to its last step */
    double counted_at;   /* clock up to which `seconds` counts */
} pd_run;

/* Makes *run ready for its next step: a new run, or the one that options->folder holds. Everything
 * that training cannot do without, such as both classes in the validation fold, is looked for here.
 * `options` is borrowed. Release *run with pd_run_tear_down, also after a failure. Collective; all
 * ranks return the same status. */
pd_status pd_run_set_up(pd_run *run, const pd_train_options *options);
void pd_run_tear_down(pd_run *run);

/* Rank 0 writes last.h5 and history.csv, with `best` also best.h5; all learn how it went. What
 * last.h5 was becomes previous.h5. last.h5 comes after the others: whatever a kill leaves undone
 * before it, the resumed run does again, to the same bytes; only time.csv, which no result depends
 * on, follows it. Weights that are not finite, or (job->audit_steps > 0) not the same on all ranks,
 * are an error and replace nothing. Collective. */
pd_status pd_run_save(pd_run *run, bool best);

#endif
