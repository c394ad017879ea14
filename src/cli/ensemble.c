/* pneumo-dist ensemble: combines several checkpoints into one file that serves as their average.
 */
#include "pneumo/io/ensemble.h"
#include "command.h"
#include "pneumo/base/log.h"
#include "pneumo/base/memory.h"
#include "pneumo/base/text.h"
#include "pneumo/evaluate/ensemble.h"
#include "pneumo/io/file.h"
#include "pneumo/io/outputs.h"
#include "pneumo/train/threads.h"
#include "pneumo/train/train.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

/* Sets *out to the path of a checkpoint, or of a run's best checkpoint; free(). */
static pd_status find_checkpoint(char **out, const char *path)
{
    struct stat about;
    if (stat(path, &about) == 0 && S_ISDIR(about.st_mode))
        return pd_run_path(out, path, "best.h5");
    return pd_strdup(out, path);
}

/* Fails if the file to write is one of the members, or something else that is no ensemble. */
static pd_status check_output(const char *output, const pd_ensemble_options *options)
{
    pd_status status = PD_OK;
    /* A data set is not an ensemble, so the second check protects it, too. */
    PD_TRY(pd_output_check(output, options->paths, options->count));
    PD_TRY(pd_ensemble_check_replaced(output));
    status = pd_folder_make_above(output);
cleanup:
    return status;
}

static pd_status make(pd_comm *comm, const char *output, const pd_ensemble_options *options,
                      char *const *paths)
{
    pd_status status = PD_OK;
    pd_classifier *classifier = NULL;
    if (pd_comm_rank(comm) == 0)
        status = check_output(output, options);
    PD_TRY(pd_comm_agree(comm, status));
    PD_TRY(pd_ensemble_assemble(&classifier, comm, options));
    if (pd_comm_rank(comm) == 0) {
        const int members = pd_classifier_count(classifier);
        if (members == 1)
            pd_log_warn("%s is the only checkpoint: the average has one member", paths[0]);
        status = pd_ensemble_save(output, pd_classifier_ensemble(classifier));
        const pd_checkpoint *whole = pd_classifier_checkpoint(classifier);
        if (status == PD_OK)
            printf("%s: average of %d model%s, threshold %.6f: %s\n", output, members,
                   pd_text_plural(members), whole->decision.threshold, whole->decision.rule);
    }
    status = pd_comm_agree(comm, status);
cleanup:
    pd_classifier_destroy(&classifier);
    return status;
}

/* Fills paths[count] with the paths of all checkpoints. */
static pd_status find_checkpoints(char **paths, char *const *given, int count)
{
    pd_status status = PD_OK;
    for (int i = 0; i < count && status == PD_OK; i++)
        status = find_checkpoint(&paths[i], given[i]);
    return status;
}

typedef struct arguments {
    const char *output, *data;
    int threads;
} arguments;

static const pd_option options[] = {
    {"output", 'o', PD_OPTION_TEXT, offsetof(arguments, output), "FILE", "the file to write",
     .required = true, .complete = PD_COMPLETE_FILES, .no_stdout = true},
    {"data", 'd', PD_OPTION_TEXT, offsetof(arguments, data), "FILE",
     "packed data set to choose the threshold on", .complete = PD_COMPLETE_FILES},
    PD_OPTION_THREADS(arguments, threads),
    {0}};

static pd_status run(pd_comm *comm, void *values, char **operands, int count)
{
    pd_status status = PD_OK;
    const arguments *given = values;
    char *paths[PD_MEMBERS_MAX] = {NULL};
    const pd_ensemble_options ensemble = {.paths = (const char *const *)paths,
                                          .count = count,
                                          .data = given->data,
                                          .threads = pd_threads_choose(comm, given->threads)};
    if (count > PD_MEMBERS_MAX)
        return pd_fail_usage("more than %d checkpoints", PD_MEMBERS_MAX);
    if (count == 1 && given->data != NULL)
        return pd_fail_usage("--data does not apply to a single checkpoint, which keeps its "
                             "threshold");
    PD_TRY(pd_comm_agree(comm, find_checkpoints(paths, operands, count)));
    status = make(comm, given->output, &ensemble, paths);
cleanup:
    for (int i = 0; i < PD_MEMBERS_MAX; i++)
        free(paths[i]);
    return status;
}

const pd_command pd_command_ensemble = {
    .name = "ensemble",
    .summary = "combine several checkpoints into one file, their average",
    .description =
        "Writes a file of several checkpoints, which evaluate, predict, explain and inspect use "
        "like "
        "a checkpoint; a RUN stands for its best.h5. The output is the mean of the members' log "
        "odds, each averaged over the member's views and divided by its temperature. Threshold, "
        "temperature and band of doubt are chosen for that mean, as in training, on the validation "
        "fold of the data set that the first member was trained on.\n\n"
        "The models of a cross-validation share no image, outside the test fold, that none of them "
        "was trained on. The threshold of their average is chosen on all images of their "
        "validation folds, each scored only by the members that were not trained on it.\n\n"
        "Members must have the same task and packed size, and no patient may be in different folds "
        "of two of them.",
    .examples = "pneumo-dist ensemble runs/seed-1 runs/seed-2 runs/seed-3 -o average.h5",
    .operands = {{"RUN|CHECKPOINT", PD_COMPLETE_FILES, .repeated = true}},
    .options = options,
    .options_size = sizeof(arguments),
    .run = run,
};
