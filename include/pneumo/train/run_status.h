/* status.csv: where a run is now, for those who watch it. No result depends on it. */
#ifndef PNEUMO_TRAIN_RUN_STATUS_H
#define PNEUMO_TRAIN_RUN_STATUS_H

#include "pneumo/base/status.h"

#include <stdbool.h>
#include <stdint.h>

typedef enum pd_run_phase {
    PD_RUN_STARTING = 0,
    PD_RUN_TRAINING,
    PD_RUN_VALIDATING,
    PD_RUN_EVALUATING, /* after the training */
    PD_RUN_STOPPED,    /* by a signal, after saving */
    PD_RUN_FAILED,
    PD_RUN_FINISHED,
    PD_RUN_PHASES
} pd_run_phase;

/* starting, training, ... */
extern const char *const pd_run_phase_names[PD_RUN_PHASES];

/* Whether the process has ended the run in that phase. */
bool pd_run_phase_is_end(pd_run_phase phase);

typedef struct pd_run_status {
    pd_run_phase phase;
    int64_t epoch, epochs; /* the present one, from 1; of the job */
    int64_t step, steps;   /* taken in this epoch; of an epoch */
    double loss;           /* mean of this epoch so far; this and the others NAN: unknown */
    double learning_rate;  /* of the last step */
    double images_per_second;
    double seconds_left; /* until the training ends; the evaluation follows */
    int ranks, threads;  /* threads per rank */
    long process;        /* of rank 0; set by pd_run_status_write */
    char host[64];       /* the same */
    double age;          /* seconds since it was written; set by pd_run_status_read */
} pd_run_status;

/* Writes folder/status.csv: a header and a row. A kill leaves the old row or the new one; it is not
 * flushed to disk unless `flush`, since after a crash of the host it says nothing. No run depends
 * on it: a failure is a warning, keeps pd_error_message, and returns false. */
bool pd_run_status_write(const char *folder, const pd_run_status *run, bool flush);

/* Reads it. *found is false if there is none. Fails if it is damaged. */
pd_status pd_run_status_read(pd_run_status *out, bool *found, const char *folder);

/* If there is a status.csv, writes it again with that phase. Failures are treated as in
 * pd_run_status_write. */
void pd_run_status_enter(const char *folder, pd_run_phase phase);

#endif
