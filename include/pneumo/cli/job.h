/* The job that a command line names, and the keys that it overrides. */
#ifndef PNEUMO_CLI_JOB_H
#define PNEUMO_CLI_JOB_H

#include "pneumo/train/job.h"

enum { PD_OVERRIDES_MAX = 256 };

/* Overrides of a job's keys, collected without checks in between. Starts zeroed. */
typedef struct pd_overrides {
    char *texts[PD_OVERRIDES_MAX]; /* "section.key=value", owned */
    int count;
    pd_status status; /* the first failure */
} pd_overrides;

/* Adds "key=value", or with an empty key `value` as it is. */
void pd_overrides_add(pd_overrides *to, const char *key, const char *value);
void pd_overrides_release(pd_overrides *overrides);

/* Reads the job `name`, a path or the name of one in ./jobs or in the jobs folder beside the
 * program's build folder, with the `count` overrides of `first` and then the user's. */
pd_status pd_command_job(pd_job *job, const char *name, const char *const *first, int count,
                         const pd_overrides *overrides);

#endif
