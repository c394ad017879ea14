/* The job that a command line names, and its overrides. */
#ifndef PNEUMO_CLI_JOB_H
#define PNEUMO_CLI_JOB_H

#include "pneumo/comm/comm.h"
#include "pneumo/train/job.h"

/* The job of commands that are given none. */
#define PD_DEFAULT_JOB "cnn-deep"

enum { PD_OVERRIDES_MAX = 256 };

/* Overrides of a job's keys, from the command line: borrowed texts. */
typedef struct pd_overrides {
    const char *keys[PD_OVERRIDES_MAX];   /* "section.key"; "": the value is "section.key=value" */
    const char *values[PD_OVERRIDES_MAX]; /* not checked yet */
    int count;
} pd_overrides;

pd_status pd_overrides_add(pd_overrides *overrides, const char *key, const char *value);

/* Reads a job on rank 0, for all ranks: the one of that name or path or the default
 * job where `name` is NULL. The `count` overrides of `first`, "section.key=value", come before the
 * user's. Collective. */
pd_status pd_command_read_job(pd_job *job, pd_comm *comm, const char *name,
                              const char *const *first, int count, const pd_overrides *overrides);

/* Parses the text of job `name`, as checkpoints hold it, on this rank. */
pd_status pd_command_parse_job(pd_job *job, const char *name, const char *text,
                               const pd_overrides *overrides);

/* Sets job->folder to that of the job's run: `folder` (--run; NULL: not given), else run.folder,
 * else runs/<name>. */
pd_status pd_command_set_folder(pd_job *job, const char *folder);

#endif
