/* pneumo-dist inspect: describes data sets, checkpoints and ensembles. */
#include "inspect.h"
#include "command.h"
#include "pneumo/io/checkpoint.h"
#include "pneumo/io/ensemble.h"

#include <stdio.h>

void pd_inspect_heading(const char *path, const char *what)
{
    printf("%s: %s\n", path, what);
}

void pd_inspect_text(const char *name, const char *text)
{
    printf("  %-14s %s\n", name, text[0] == '\0' ? "-" : text);
}

static pd_status inspect(const char *path, bool job_only)
{
    pd_status status = PD_OK;
    bool is_checkpoint, is_ensemble = false;
    PD_TRY(pd_checkpoint_recognise(&is_checkpoint, path));
    if (!is_checkpoint)
        PD_TRY(pd_ensemble_recognise(&is_ensemble, path));
    if (is_ensemble)
        PD_TRY(pd_inspect_ensemble(path, job_only));
    else if (is_checkpoint)
        PD_TRY(pd_inspect_checkpoint(path, job_only));
    else if (job_only)
        status = pd_fail("%s: is not a checkpoint; only checkpoints contain a job", path);
    else
        PD_TRY(pd_inspect_dataset(path));

cleanup:
    return status;
}

typedef struct arguments {
    bool job_only;
} arguments;

static const pd_option options[] = {
    {"job", 'j', PD_OPTION_FLAG, offsetof(arguments, job_only), NULL,
     .help =
         "print only the text of the job that a checkpoint was trained with; for an average, of "
         "each member's"},
    {0}};

static pd_status run(pd_comm *comm, void *values, char **operands, int count)
{
    pd_status status = PD_OK;
    const arguments *given = values;
    (void)comm;
    for (int i = 0; i < count && status == PD_OK; i++) {
        if (i > 0)
            putchar('\n');
        status = inspect(operands[i], given->job_only);
    }
    return status;
}

const pd_command pd_command_inspect = {
    .name = "inspect",
    .summary = "describe data sets and checkpoints",
    .description = "Describes the contents of data sets, checkpoints and averages of several "
                   "checkpoints.",
    .examples = "pneumo-dist inspect data/chest_xray.h5 runs/cnn-deep/best.h5\n"
                "pneumo-dist inspect --job runs/cnn-deep/best.h5 > jobs/again.ini",
    .operands = {{"FILE", PD_COMPLETE_FILES, .repeated = true}},
    .options = options,
    .options_size = sizeof(arguments),
    .run = run,
    .one_rank = true,
};
