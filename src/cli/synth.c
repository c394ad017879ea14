#include "pneumo/cli/command.h"
#include "pneumo/data/phantom.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>

static const char help[] =
    "usage: pneumo-dist synth DIR [options]\n"
    "\n"
    "Draws synthetic chest radiographs into the new folder DIR, in the layout and naming of the\n"
    "public data set, for trying the program without data. They teach nothing about patients.\n"
    "\n"
    "  -n, --images N   how many, over both classes (2000)\n"
    "      --seed N     same seed, same images (1)\n"
    "  -t, --threads N  threads that draw (one per core)\n"
    "      --truth      also write DIR/truth.csv: where each focal opacity (bacteria) lies, as the\n"
    "                   middle and the half axes of an ellipse, in pixels\n"
    "  -h, --help       show this text\n"
    "\n"
    "example: pneumo-dist synth phantoms --images 2000 && pneumo-dist pack phantoms -o "
    "phantoms.h5\n";

static pd_status parse_arguments(pd_synth_options *options, bool *asked_help, int argc, char **argv)
{
    enum { SEED = 256, TRUTH };
    static const struct option known[] = {{"images", required_argument, NULL, 'n'},
                                          {"seed", required_argument, NULL, SEED},
                                          {"threads", required_argument, NULL, 't'},
                                          {"truth", no_argument, NULL, TRUTH},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
    pd_status status = PD_OK;
    long long number;
    int option;

    opterr = 0;
    optind = 0; /* start anew, whoever used getopt before */
    while ((option = getopt_long(argc, argv, ":n:t:h", known, NULL)) != -1) {
        switch (option) {
        case 'n':
            PD_TRY(pd_command_integer(&number, "--images", optarg, PD_SYNTH_MIN, PD_SYNTH_MAX));
            options->images = (int)number;
            break;
        case SEED:
            PD_TRY(pd_command_integer(&number, "--seed", optarg, 0, INT64_MAX));
            options->seed = (uint64_t)number;
            break;
        case 't':
            PD_TRY(pd_command_integer(&number, "--threads", optarg, 1, 1024));
            options->threads = (int)number;
            break;
        case TRUTH:
            options->truth = true;
            break;
        case 'h':
            *asked_help = true;
            return PD_OK;
        default:
            return pd_command_bad_option(argc, argv, option);
        }
    }
    if (optind + 1 != argc)
        return pd_fail_usage(optind == argc ? "no folder to draw into was given"
                                            : "one folder is drawn at a time");
    options->folder = argv[optind];

cleanup:
    return status;
}

pd_status pd_command_synth(pd_comm *comm, int argc, char **argv)
{
    pd_status status;
    pd_synth_options options = pd_synth_defaults();
    bool asked_help = false;

    (void)comm; /* main calls this on rank 0 only */
    PD_TRY(parse_arguments(&options, &asked_help, argc, argv));
    if (asked_help) {
        fputs(help, stdout);
        goto cleanup;
    }
    PD_TRY(pd_synth(&options));
    printf("%d synthetic radiographs are in %s\n", options.images, options.folder);

cleanup:
    return status;
}
