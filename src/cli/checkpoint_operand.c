#include "checkpoint_operand.h"

#include "pneumo/io/ensemble.h"

#include <sys/stat.h>

static bool is_regular(const char *path)
{
    struct stat about;
    return stat(path, &about) == 0 && S_ISREG(about.st_mode);
}

/* Whether `path` is a regular file that holds a checkpoint or an ensemble. */
static bool is_checkpoint(const char *path)
{
    bool is = false;
    if (!is_regular(path))
        return false;
    if (pd_checkpoint_recognise(&is, path) == PD_OK && !is)
        pd_ensemble_recognise(&is, path);
    return is;
}

pd_status pd_checkpoint_operand_check(const char *checkpoint, const char *image)
{
    if (!is_checkpoint(image))
        return PD_OK;
    if (is_regular(checkpoint) && !is_checkpoint(checkpoint))
        return pd_fail_usage("'%s' is not a readable checkpoint, but '%s' is: give the checkpoint "
                             "first, then the images",
                             checkpoint, image);
    return pd_fail_usage(
        "'%s' is a second checkpoint, but one threshold is needed: combine the two with "
        "'pneumo-dist ensemble %s %s -o average.h5'",
        image, checkpoint, image);
}
