#include "pneumo/cli/job.h"

#include "pneumo/base/memory.h"
#include "pneumo/io/file.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void pd_overrides_add(pd_overrides *to, const char *key, const char *value)
{
    if (to->status != PD_OK)
        return;
    if (to->count == PD_OVERRIDES_MAX)
        to->status = pd_fail_usage("more than %d overrides", PD_OVERRIDES_MAX);
    else
        to->status =
            pd_format(&to->texts[to->count], "%s%s%s", key, *key == '\0' ? "" : "=", value);
    if (to->status == PD_OK)
        to->count++;
}

bool pd_overrides_take(pd_overrides *to, int option, const char *value)
{
    static const struct {
        int option;
        const char *key;
    } shared[] = {{'d', "data.file"}, {'t', "run.threads"}, {'s', ""}};
    for (size_t i = 0; i < sizeof shared / sizeof *shared; i++) {
        if (shared[i].option != option)
            continue;
        pd_overrides_add(to, shared[i].key, value);
        return true;
    }
    return false;
}

void pd_overrides_release(pd_overrides *overrides)
{
    for (int i = 0; i < overrides->count; i++)
        free(overrides->texts[i]);
    overrides->count = 0;
}

/* A path as it is; a bare name is looked up in ./jobs and in the jobs folder beside the program's
 * build folder. */
static pd_status find_job(char **out, const char *name)
{
    char program[PATH_MAX];
    const char *end = strrchr(name, '.');
    if (strchr(name, '/') != NULL || (end != NULL && strcmp(end, ".ini") == 0)) {
        if (pd_file_exists(name))
            return pd_strdup(out, name);
        return pd_fail("%s: cannot open: %s; give the path of a job or the name of one in jobs",
                       name, strerror(errno));
    }
    pd_status status = pd_format(out, "jobs/%s.ini", name);
    if (status != PD_OK || pd_file_exists(*out))
        return status;
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    if (length > 0) {
        program[length] = '\0';
        char *beside = NULL;
        status = pd_format(&beside, "%s/../jobs/%s.ini", dirname(program), name);
        if (status == PD_OK && pd_file_exists(beside)) {
            free(*out);
            *out = beside;
            return PD_OK;
        }
        free(beside);
        if (status != PD_OK)
            return status;
    }
    return pd_fail("there is no job '%s': neither %s nor one in the jobs folder of the checkout "
                   "that the program was built in; give its path",
                   name, *out);
}

pd_status pd_command_job(pd_job *job, const char *name, const char *const *first, int count,
                         const pd_overrides *overrides)
{
    pd_status status = PD_OK;
    char *path = NULL;
    const char *all[count + PD_OVERRIDES_MAX];
    for (int i = 0; i < count; i++)
        all[i] = first[i];
    for (int i = 0; i < overrides->count; i++)
        all[count + i] = overrides->texts[i];
    PD_TRY(find_job(&path, name));
    PD_TRY(pd_job_read(job, path, all, count + overrides->count));
cleanup:
    free(path);
    return status;
}

pd_status pd_command_folder(pd_job *job, const char *asked)
{
    if (asked != NULL && strlen(asked) >= sizeof job->folder)
        return pd_fail_usage("--run: the path is too long");
    if (asked != NULL)
        snprintf(job->folder, sizeof job->folder, "%s", asked);
    else if (job->folder[0] == '\0')
        snprintf(job->folder, sizeof job->folder, "runs/%s", job->name);
    return PD_OK;
}
