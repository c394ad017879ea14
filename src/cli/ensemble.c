/* pneumo-dist ensemble: makes one file of several checkpoints, whose average it stands for. */
#include "pneumo/io/ensemble.h"
#include "pneumo/base/memory.h"
#include "pneumo/cli/command.h"
#include "pneumo/evaluate/ensemble.h"
#include "pneumo/io/file.h"
#include "pneumo/train/threads.h"
#include "pneumo/train/train.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static void print_help(void)
{
    printf("usage: pneumo-dist ensemble RUN|CHECKPOINT... -o FILE [OPTION]...\n\n"
           "Makes one file of several checkpoints, which evaluate, predict, explain and inspect "
           "take like a\ncheckpoint; a RUN stands for its best.h5. Its answer is the mean of the "
           "members' log odds, each\naveraged over the member's views and divided by its "
           "temperature. Threshold, temperature and band of\ndoubt are chosen for that mean, as "
           "training does, on the validation fold of the data set that the\nfirst member was "
           "trained on.\n\n"
           "The parts of a cross-validation have no image in common that none was trained on, but "
           "for the test\nfold. Their average's threshold is chosen on all images of their "
           "validation folds, each judged only\nby the members that were not trained on it.\n\n"
           "Members need the same task and packed size, and no patient may be in different folds "
           "for two of them.\n\n"
           "  -o, --output FILE   the file to write\n"
           "  -d, --data FILE     the packed data set to choose the threshold on\n"
           "  -t, --threads N     threads per rank\n"
           "  -h, --help\n\n"
           "example: pneumo-dist ensemble runs/seed-1 runs/seed-2 runs/seed-3 -o average.h5\n");
}

/* The checkpoint that a run or a path stands for; free(). */
static pd_status find_checkpoint(char **out, const char *path)
{
    struct stat about;
    if (stat(path, &about) == 0 && S_ISDIR(about.st_mode))
        return pd_train_path(out, path, "best.h5");
    return pd_strdup(out, path);
}

/* The file to write may not be one of those read, which would be gone. */
static pd_status check_output(const char *output, char *const *paths, int count)
{
    struct stat there, about;
    if (stat(output, &there) != 0)
        return pd_folder_make_above(output);
    for (int i = 0; i < count; i++)
        if (stat(paths[i], &about) == 0 && about.st_dev == there.st_dev &&
            about.st_ino == there.st_ino)
            return pd_fail("%s: is one of the members: write to another file with -o", output);
    return PD_OK;
}

static pd_status make(pd_comm *comm, const char *output, const pd_ensemble_options *options,
                      char *const *paths)
{
    pd_status status = PD_OK;
    pd_classifier *classifier = NULL;
    if (pd_comm_rank(comm) == 0)
        status = check_output(output, paths, options->count);
    PD_TRY(pd_comm_agree(comm, status));
    PD_TRY(pd_ensemble_assemble(&classifier, comm, options));
    if (pd_comm_rank(comm) == 0) {
        status = pd_ensemble_save(output, pd_classifier_ensemble(classifier));
        const pd_checkpoint *whole = pd_classifier_checkpoint(classifier);
        if (status == PD_OK)
            printf("%s: average of %d model%s, threshold %.6f: %s\n", output, options->count,
                   options->count == 1 ? "" : "s", whole->decision.threshold, whole->decision.rule);
    }
    status = pd_comm_agree(comm, status);
cleanup:
    pd_classifier_destroy(&classifier);
    return status;
}

/* Puts the paths of all checkpoints into paths[count]. */
static pd_status find_checkpoints(char **paths, char *const *given, int count)
{
    pd_status status = PD_OK;
    for (int i = 0; i < count && status == PD_OK; i++)
        status = find_checkpoint(&paths[i], given[i]);
    return status;
}

pd_status pd_command_ensemble(pd_comm *comm, int argc, char **argv)
{
    static const struct option names[] = {
        {"output", required_argument, NULL, 'o'},
        {"data", required_argument, NULL, 'd'},
        {"threads", required_argument, NULL, 't'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    pd_status status = PD_OK;
    pd_ensemble_options options = {0};
    const char *output = NULL;
    char *paths[PD_MEMBERS_MAX] = {NULL};
    long long threads = 0;
    int option;
    while ((option = getopt_long(argc, argv, ":o:d:t:h", names, NULL)) != -1) {
        switch (option) {
        case 'o':
            output = optarg;
            break;
        case 'd':
            options.data = optarg;
            break;
        case 't':
            PD_TRY(pd_command_integer(&threads, "--threads", optarg, 1, 4096));
            break;
        case 'h':
            if (pd_comm_rank(comm) == 0)
                print_help();
            return PD_OK;
        default:
            return pd_command_bad_option(argc, argv, option);
        }
    }
    if (optind == argc)
        return pd_fail_usage("no runs or checkpoints to average were given");
    if (argc - optind > PD_MEMBERS_MAX)
        return pd_fail_usage("more than %d checkpoints", PD_MEMBERS_MAX);
    if (argc - optind == 1 && options.data != NULL)
        return pd_fail_usage("--data is of no use to one checkpoint, which keeps its threshold");
    if (output == NULL || output[0] == '\0')
        return pd_fail_usage("no file to write to was given: add -o FILE");
    options.paths = (const char *const *)paths;
    options.count = argc - optind;
    options.threads = pd_threads_choose(comm, (int)threads);
    PD_TRY(pd_comm_agree(comm, find_checkpoints(paths, argv + optind, options.count)));
    status = make(comm, output, &options, paths);
cleanup:
    for (int i = 0; i < PD_MEMBERS_MAX; i++)
        free(paths[i]);
    return status;
}
