#include "pneumo/cli/command.h"

#include "pneumo/io/ensemble.h"

#include <sys/stat.h>

/* Whether `path` is a regular file that holds a checkpoint or an ensemble. */
static bool is_model(const char *path)
{
    struct stat about;
    bool is = false;
    if (stat(path, &about) != 0 || !S_ISREG(about.st_mode))
        return false;
    if (pd_checkpoint_recognise(&is, path) == PD_OK && !is)
        pd_ensemble_recognise(&is, path);
    return is;
}

pd_status pd_command_one_model(const char *model, const char *first)
{
    if (!is_model(first))
        return PD_OK;
    return pd_fail_usage("'%s' is a second checkpoint, and the two have no threshold in common: "
                         "make one file of them by 'pneumo-dist ensemble %s %s -o average.h5'",
                         first, model, first);
}
