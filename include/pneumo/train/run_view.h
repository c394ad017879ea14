/* A run as others see it, from the files in its folder. */
#ifndef PNEUMO_TRAIN_RUN_VIEW_H
#define PNEUMO_TRAIN_RUN_VIEW_H

#include "pneumo/io/lock.h"
#include "pneumo/io/train_state.h"
#include "pneumo/train/run_status.h"

typedef enum pd_run_life {
    PD_LIFE_STARTING = 0,
    PD_LIFE_RUNNING,
    PD_LIFE_FINISHED,
    PD_LIFE_STOPPED, /* by a signal, after saving */
    PD_LIFE_FAILED,
    PD_LIFE_DEAD, /* its process was killed, or its host is gone */
    PD_LIFE_ENDED /* no process writes it; how it ended is not recorded */
} pd_run_life;

typedef struct pd_run_view {
    const char *folder; /* borrowed */
    pd_run_life life;
    bool has_status;
    pd_run_status status;
    pd_lock_holder holder;
    pd_history_row *rows; /* [count], from history.csv; columns that are not there are NAN */
    int count;
} pd_run_view;

/* Reads status.csv, history.csv and run.lock of `folder`, which is borrowed. Writes nothing. Fails
 * if there is no run or a file is damaged. Release with pd_run_view_free, also after a failure. */
pd_status pd_run_view_read(pd_run_view *out, const char *folder);
void pd_run_view_free(pd_run_view *view);

/* Whether a process works on the run, or is about to. */
bool pd_run_view_is_live(const pd_run_view *view);

#endif
