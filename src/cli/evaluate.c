/* pneumo-dist evaluate: judges a checkpoint on the folds of a packed data set. */
#include "pneumo/evaluate/evaluate.h"
#include "pneumo/cli/command.h"
#include "pneumo/io/file.h"
#include "pneumo/report/gallery.h"
#include "pneumo/report/report.h"
#include "pneumo/report/score_file.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

static void print_help(void)
{
    printf(
        "usage: pneumo-dist evaluate CHECKPOINT... [OPTION]...\n\n"
        "Prints recall, specificity and the other figures with their 95 %% intervals, at the "
        "threshold that\nthe checkpoint chose on its validation fold and at 0.5.\n\n"
        "Of several checkpoints, their average is evaluated: the mean of their calibrated log "
        "odds, with a\nthreshold, temperature and band of doubt of its own, chosen as training "
        "does on the validation fold\nof the data set that they were trained on. 'pneumo-dist "
        "ensemble' keeps an average in a file, which\nis given like a checkpoint.\n\n"
        "  -d, --data FILE     a packed data set; default: the one of the checkpoint's job\n"
        "  -f, --fold F        val, test or both (default both)\n"
        "  -o, --output FILE   also write the figures as JSON\n"
        "      --html FILE     also write them as a page with plots\n"
        "      --stress        also score the folds' images as if taken otherwise (zoom, gamma,\n"
        "                      blur, ...)\n"
        "      --scores FILE   also write each image's probability as CSV\n"
        "  -t, --threads N     threads per rank\n"
        "  -h, --help\n\n"
        "examples:\n"
        "  pneumo-dist evaluate runs/cnn-deep/best.h5 --fold test\n"
        "  pneumo-dist evaluate runs/seed-1/best.h5 runs/seed-2/best.h5 --fold val\n");
}

/* Where the figures go besides the screen; NULL: nowhere. */
typedef struct outputs {
    const char *json, *html, *scores;
} outputs;

/* Known before the images are scored, which may take long. */
static pd_status make_folders(const outputs *files)
{
    const char *paths[] = {files->json, files->html, files->scores};
    pd_status status = PD_OK;
    for (int i = 0; i < 3 && status == PD_OK; i++)
        if (paths[i] != NULL)
            status = pd_folder_make_above(paths[i]);
    return status;
}

static pd_status write_files(const outputs *files, pd_evaluation *evaluation)
{
    pd_status status = PD_OK;
    const pd_results *report = pd_evaluation_results(evaluation);
    if (files->json != NULL)
        PD_TRY(pd_report_write_json(files->json, report));
    if (files->scores != NULL)
        PD_TRY(pd_score_file_write(files->scores, report));
    if (files->html != NULL)
        PD_TRY(pd_gallery_write_page(files->html, evaluation));
cleanup:
    return status;
}

pd_status pd_command_evaluate(pd_comm *comm, int argc, char **argv)
{
    enum { HTML = 256, SCORES, STRESS };
    static const struct option names[] = {
        {"data", required_argument, NULL, 'd'},
        {"fold", required_argument, NULL, 'f'},
        {"output", required_argument, NULL, 'o'},
        {"threads", required_argument, NULL, 't'},
        {"html", required_argument, NULL, HTML},
        {"scores", required_argument, NULL, SCORES},
        {"stress", no_argument, NULL, STRESS},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    pd_status status = PD_OK;
    pd_evaluation *evaluation = NULL;
    pd_evaluate_options options = {.val = true, .test = true};
    outputs files = {NULL, NULL, NULL};
    long long threads = 0;
    int option;
    while ((option = getopt_long(argc, argv, ":d:f:o:t:h", names, NULL)) != -1) {
        switch (option) {
        case 'd':
            options.data = optarg;
            break;
        case 'f':
            if (strcmp(optarg, "val") != 0 && strcmp(optarg, "test") != 0 &&
                strcmp(optarg, "both") != 0)
                return pd_fail_usage("--fold '%s' is none of val, test, both", optarg);
            options.val = strcmp(optarg, "test") != 0;
            options.test = strcmp(optarg, "val") != 0;
            break;
        case 'o':
            files.json = optarg;
            break;
        case HTML:
            files.html = optarg;
            break;
        case SCORES:
            files.scores = optarg;
            break;
        case STRESS:
            options.stress = true;
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
        return pd_fail_usage("no checkpoint to evaluate was given");
    options.checkpoints = (const char *const *)argv + optind;
    options.checkpoint_count = argc - optind;
    options.threads = (int)threads;
    if (pd_comm_rank(comm) == 0)
        status = make_folders(&files);
    PD_TRY(pd_comm_agree(comm, status));
    PD_TRY(pd_evaluate(&evaluation, comm, &options));
    if (pd_comm_rank(comm) == 0) {
        pd_report_print(stdout, pd_evaluation_results(evaluation));
        status = write_files(&files, evaluation);
    }
    status = pd_comm_agree(comm, status);
cleanup:
    pd_evaluation_destroy(&evaluation);
    return status;
}
