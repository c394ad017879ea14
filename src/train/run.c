#include "pneumo/train/run.h"

#include "pneumo/base/memory.h"

pd_status pd_run_path(char **out, const char *folder, const char *name)
{
    return pd_format(out, "%s/%s", folder, name);
}
