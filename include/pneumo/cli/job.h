/* The job that a command line names, and the keys that it overrides. */
#ifndef PNEUMO_CLI_JOB_H
#define PNEUMO_CLI_JOB_H

#include "pneumo/train/job.h"

#include <stdbool.h>

/* The job that is meant where none is named. */
#define PD_DEFAULT_JOB "cnn-deep"

enum { PD_OVERRIDES_MAX = 256 };

/* Overrides of a job's keys, collected without checks in between. Starts zeroed. */
typedef struct pd_overrides {
    char *texts[PD_OVERRIDES_MAX]; /* "section.key=value", owned */
    int count;
    pd_status status; /* the first failure */
} pd_overrides;

/* Adds "key=value", or with an empty key `value` as it is. */
void pd_overrides_add(pd_overrides *to, const char *key, const char *value);

/* Takes an option that commands on jobs share: 'd' is data.file, 't' run.threads, 's' any
 * KEY=VALUE. Says whether `option` is one of them. */
bool pd_overrides_take(pd_overrides *to, int option, const char *value);

void pd_overrides_release(pd_overrides *overrides);

/* Reads the job `name`, a path or the name of one in ./jobs or in the jobs folder beside the
 * program's build folder, with the `count` overrides of `first` and then the user's. */
pd_status pd_command_job(pd_job *job, const char *name, const char *const *first, int count,
                         const pd_overrides *overrides);

/* Where the job's run is: `asked` (NULL: nothing was asked for), else run.folder, else
 * runs/<name>. */
pd_status pd_command_folder(pd_job *job, const char *asked);

#endif
