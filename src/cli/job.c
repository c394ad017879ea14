#include "job.h"

#include "pneumo/base/memory.h"
#include "pneumo/io/file.h"
#include "suggest.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

pd_status pd_overrides_add(pd_overrides *overrides, const char *key, const char *value)
{
    if (overrides->count == PD_OVERRIDES_MAX)
        return pd_fail_usage("more than %d overrides of the job's keys", PD_OVERRIDES_MAX);
    overrides->keys[overrides->count] = key;
    overrides->values[overrides->count] = value;
    overrides->count++;
    return PD_OK;
}

enum { NAMES_MAX = 256 };

/* Below the program's folder. */
static const char *const places[] = {"../jobs", "../share/pneumo-dist/jobs"};

/* The folder of the program's file, without a slash at its end. */
static bool find_program_folder(char folder[PATH_MAX])
{
    ssize_t length = readlink("/proc/self/exe", folder, PATH_MAX - 1);
    if (length <= 0)
        return false;
    folder[length] = '\0';
    *strrchr(folder, '/') = '\0';
    return true;
}

/* Adds the names of the jobs in a folder to names[*count], to be released with free(). */
static void add_names(char *names[NAMES_MAX], int *count, const char *folder)
{
    DIR *jobs = opendir(folder);
    if (jobs == NULL)
        return;
    for (struct dirent *entry; *count < NAMES_MAX && (entry = readdir(jobs)) != NULL;) {
        size_t length = strlen(entry->d_name);
        if (length > 4 && strcmp(entry->d_name + length - 4, ".ini") == 0 &&
            pd_format(&names[*count], "%.*s", (int)length - 4, entry->d_name) == PD_OK)
            ++*count;
    }
    closedir(jobs);
}

/* The error for a job that is in none of the folders, with the most similar name of those that are.
 */
static pd_status fail_unknown(const char *name)
{
    char program[PATH_MAX], suggestion[PD_SUGGESTION], *names[NAMES_MAX], *folder;
    int count = 0;
    struct stat about;
    if (stat(name, &about) == 0 && S_ISDIR(about.st_mode))
        return pd_fail("%s: is a folder, not a job; give the path of a job, or the name of one in "
                       "jobs",
                       name);
    add_names(names, &count, "jobs");
    for (size_t i = 0; i < sizeof places / sizeof *places && find_program_folder(program); i++) {
        if (pd_format(&folder, "%s/%s", program, places[i]) != PD_OK)
            break;
        add_names(names, &count, folder);
        free(folder);
    }
    pd_suggest(suggestion, "", name, (const char *const *)names, count);
    for (int i = 0; i < count; i++)
        free(names[i]);
    return pd_fail("unknown job '%s': it is neither in jobs nor in the jobs folder of the program; "
                   "give its path%s",
                   name, suggestion);
}

/* Finds a job by its path, or by its name: in ./jobs, in the jobs folder beside the program's build
 * folder, or in share/pneumo-dist/jobs of an installed program. free() *out, also after a failure.
 */
static pd_status find_job(char **out, const char *name)
{
    char program[PATH_MAX];
    pd_status status = PD_OK;
    const char *end = strrchr(name, '.');
    if (strchr(name, '/') != NULL || (end != NULL && strcmp(end, ".ini") == 0)) {
        if (pd_file_exists(name))
            return pd_strdup(out, name);
        return pd_fail("%s: cannot open: %s; give the path of a job or the name of one in jobs",
                       name, strerror(errno));
    }
    PD_TRY(pd_format(out, "jobs/%s.ini", name));
    if (pd_file_exists(*out))
        return PD_OK;
    for (size_t i = 0; i < sizeof places / sizeof *places && find_program_folder(program); i++) {
        free(*out);
        *out = NULL;
        PD_TRY(pd_format(out, "%s/%s/%s.ini", program, places[i], name));
        if (pd_file_exists(*out))
            return PD_OK;
    }
    status = fail_unknown(name);
cleanup:
    return status;
}

/* A job's text, or the path of its file. */
typedef struct source {
    const char *name; /* of a job whose text is given, or path */
    const char *text; /* NULL: in the file */
} source;

/* Reads the job on this rank. The `count` overrides of `first` come before the user's. */
static pd_status read_source(pd_job *job, const source *from, const char *const *first, int count,
                             const pd_overrides *overrides)
{
    pd_status status = PD_OK;
    char **own = NULL;
    const char *all[count + PD_OVERRIDES_MAX];
    PD_TRY(pd_alloc(&own, PD_OVERRIDES_MAX, sizeof *own));
    for (int i = 0; i < count; i++)
        all[i] = first[i];
    for (int i = 0; i < overrides->count; i++) {
        const char *key = overrides->keys[i];
        PD_TRY(pd_format(&own[i], "%s%s%s", key, *key == '\0' ? "" : "=", overrides->values[i]));
        all[count + i] = own[i];
    }
    count += overrides->count;
    status = from->text == NULL ? pd_job_read(job, from->name, all, count)
                                : pd_job_parse(job, from->name, from->text, all, count);
cleanup:
    for (int i = 0; own != NULL && i < overrides->count; i++)
        free(own[i]);
    free(own);
    return status;
}

pd_status pd_command_parse_job(pd_job *job, const char *name, const char *text,
                               const pd_overrides *overrides)
{
    return read_source(job, &(source){.name = name, .text = text}, NULL, 0, overrides);
}

static pd_status read_job(pd_job *job, const char *name, const char *const *first, int count,
                          const pd_overrides *overrides)
{
    char *path = NULL;
    pd_status status = find_job(&path, name);
    if (status == PD_OK)
        status = read_source(job, &(source){.name = path}, first, count, overrides);
    free(path);
    return status;
}

pd_status pd_command_read_job(pd_job *job, pd_comm *comm, const char *name,
                              const char *const *first, int count, const pd_overrides *overrides)
{
    pd_status status = PD_OK;
    memset(job, 0, sizeof *job);
    if (pd_comm_rank(comm) == 0)
        status = read_job(job, name == NULL ? PD_DEFAULT_JOB : name, first, count, overrides);
    PD_TRY(pd_comm_agree(comm, status));
    PD_TRY(pd_comm_broadcast(comm, job, sizeof *job, 0));
cleanup:
    return status;
}

pd_status pd_command_set_folder(pd_job *job, const char *folder)
{
    if (folder != NULL && strlen(folder) >= sizeof job->folder)
        return pd_fail_usage("--run: the path is too long");
    if (folder != NULL)
        snprintf(job->folder, sizeof job->folder, "%s", folder);
    else if (job->folder[0] == '\0')
        snprintf(job->folder, sizeof job->folder, "runs/%s", job->name);
    return PD_OK;
}
