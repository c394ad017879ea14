#include "pneumo/train/run.h"

#include "pneumo/base/memory.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

pd_status pd_run_path(char **out, const char *folder, const char *name)
{
    return pd_format(out, "%s/%s", folder, name);
}

/* How names begin in the folder of a run or a cross-validation, those of temporary files included.
 */
static const char *const own_names[] = {
    "status.csv",          "history.csv", "last.h5", "previous.h5",
    "events.out.tfevents", "run.lock",    "cross-",  "cross.csv"};

/* What people put beside a run before it starts: its output, and its job. */
static const char *const other_endings[] = {".log", ".out", ".err", ".txt", ".ini"};

static bool is_own(const char *name)
{
    for (size_t i = 0; i < sizeof own_names / sizeof *own_names; i++)
        if (strncmp(name, own_names[i], strlen(own_names[i])) == 0)
            return true;
    return false;
}

static bool may_be_there(const char *name)
{
    const char *end = strrchr(name, '.');
    for (size_t i = 0; end != NULL && i < sizeof other_endings / sizeof *other_endings; i++)
        if (strcmp(end, other_endings[i]) == 0)
            return true;
    return name[0] == '.' || strcmp(name, "lost+found") == 0;
}

pd_status pd_run_check_folder(const char *folder)
{
    bool own = false;
    char foreign[NAME_MAX + 1] = "";
    DIR *entries = opendir(folder);
    if (entries == NULL && (errno == ENOENT || errno == ENOTDIR))
        return PD_OK;
    if (entries == NULL)
        return pd_fail("%s: cannot read the folder: %s", folder, strerror(errno));
    for (struct dirent *entry; !own && (entry = readdir(entries)) != NULL;) {
        own = is_own(entry->d_name);
        /* The first name, whatever the order in the folder. */
        if (!may_be_there(entry->d_name) &&
            (foreign[0] == '\0' || strcmp(entry->d_name, foreign) < 0))
            snprintf(foreign, sizeof foreign, "%s", entry->d_name);
    }
    closedir(entries);
    if (own || foreign[0] == '\0')
        return PD_OK;
    return pd_fail(
        "%s: is not the folder of a run: it contains %s; give a new or empty folder with "
        "--run",
        folder, foreign);
}
