/* pneumo-dist evaluate: judges a checkpoint on the folds of a packed data set. */
#include "pneumo/evaluate/evaluate.h"
#include "pneumo/cli/command.h"
#include "pneumo/io/file.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

static void print_help(void)
{
    printf("usage: pneumo-dist evaluate CHECKPOINT [OPTION]...\n\n"
           "Prints recall, specificity and the other figures with their 95 %% intervals, at the "
           "threshold that\nthe checkpoint chose on its validation fold and at 0.5.\n\n"
           "  -d, --data FILE     a packed data set; default: the one of the checkpoint's job\n"
           "  -f, --fold F        val, test or both (default both)\n"
           "  -o, --output FILE   also write the figures as JSON\n"
           "  -t, --threads N     threads per rank\n"
           "  -h, --help\n\n"
           "example: pneumo-dist evaluate runs/cnn-deep/best.h5 --fold test\n");
}

pd_status pd_command_evaluate(pd_comm *comm, int argc, char **argv)
{
    static const struct option names[] = {
        {"data", required_argument, NULL, 'd'},   {"fold", required_argument, NULL, 'f'},
        {"output", required_argument, NULL, 'o'}, {"threads", required_argument, NULL, 't'},
        {"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0},
    };
    pd_status status = PD_OK;
    pd_evaluation *evaluation = NULL;
    pd_evaluate_options options = {.val = true, .test = true};
    const char *output = NULL;
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
            output = optarg;
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
    if (optind + 1 != argc)
        return pd_fail_usage(optind == argc ? "no checkpoint to evaluate was given"
                                            : "one checkpoint is evaluated at a time");
    options.checkpoint = argv[optind];
    options.threads = (int)threads;
    if (output != NULL && pd_comm_rank(comm) == 0)
        status = pd_folder_make_above(output);
    PD_TRY(pd_comm_agree(comm, status));
    PD_TRY(pd_evaluate(&evaluation, comm, &options));
    if (pd_comm_rank(comm) == 0) {
        pd_report_print(stdout, pd_evaluation_report(evaluation));
        if (output != NULL)
            status = pd_report_write_json(output, pd_evaluation_report(evaluation));
    }
    status = pd_comm_agree(comm, status);
cleanup:
    pd_evaluation_destroy(&evaluation);
    return status;
}
