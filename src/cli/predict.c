/* pneumo-dist predict: what a checkpoint says of images that it has never seen. */
#include "pneumo/cli/command.h"
#include "pneumo/metrics/calibration.h"
#include "pneumo/report/prediction_file.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

static void print_help(void)
{
    printf(
        "usage: pneumo-dist predict CHECKPOINT IMAGE|DIR... [OPTION]...\n\n"
        "Writes a row for every JPEG or PNG image: path, probability (of pneumonia), label "
        "(NORMAL or\nPNEUMONIA, at the threshold that the checkpoint chose on its validation "
        "fold), refer, reason, error.\nA folder stands for all files in it and below it, "
        "sorted, but for hidden ones. A file that is no\nreadable image has a row with an "
        "error; the others are still done, and the exit code is 1.\n\n"
        "To predict with the average of several checkpoints, make one file of them first, by "
        "'pneumo-dist\nensemble', which chooses the threshold of the average; give that file for "
        "CHECKPOINT.\n\n"
        "refer is 'yes' where a human should look, and reason says why:\n"
        "- The image is unlike the training images in its shape, share of black, deviation or "
        "mean of its\n  grey values, sharpness, or correlation with their mean image. inspect "
        "shows the limits.\n"
        "- The probability lies in the checkpoint's band of doubt. That is the narrowest band "
        "around the\n  threshold outside of which, on the validation fold, at most %g %% of "
        "the images called NORMAL\n  were pneumonia and at most %g %% of those called "
        "PNEUMONIA were normal; both ends belong to it.\n"
        "'no' is no diagnosis: images from elsewhere can mislead the model without any sign of "
        "doubt.\n\n"
        "  -f, --format F      csv (default) or jsonl: a JSON object per line, with the same "
        "names\n"
        "  -o, --output FILE   write to FILE, all or nothing, instead of standard output\n"
        "  -t, --threads N     threads per rank\n"
        "  -h, --help\n\n"
        "example: pneumo-dist predict runs/cnn-deep/best.h5 radiographs -o predictions.csv\n",
        100 * PD_BAND_ERROR, 100 * PD_BAND_ERROR);
}

pd_status pd_command_predict(pd_comm *comm, int argc, char **argv)
{
    static const struct option names[] = {
        {"format", required_argument, NULL, 'f'},
        {"output", required_argument, NULL, 'o'},
        {"threads", required_argument, NULL, 't'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    pd_status status = PD_OK;
    pd_predict_options options = {0};
    pd_prediction_format format = PD_PREDICTION_CSV;
    pd_prediction_file *file = NULL;
    const char *output = NULL;
    long long threads = 0;
    int option;
    while ((option = getopt_long(argc, argv, ":f:o:t:h", names, NULL)) != -1) {
        switch (option) {
        case 'f':
            if (strcmp(optarg, "csv") != 0 && strcmp(optarg, "jsonl") != 0)
                return pd_fail_usage("--format '%s' is none of csv, jsonl", optarg);
            format = strcmp(optarg, "csv") == 0 ? PD_PREDICTION_CSV : PD_PREDICTION_JSONL;
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
    if (optind == argc)
        return pd_fail_usage("no checkpoint to predict with was given");
    if (optind + 1 == argc)
        return pd_fail_usage("no images to predict were given");
    for (int i = optind; i < argc; i++)
        if (argv[i][0] == '\0')
            return pd_fail_usage("a checkpoint or an image has no name");
    if (output != NULL && output[0] == '\0')
        return pd_fail_usage("the file to write has no name");
    if (pd_comm_rank(comm) == 0)
        status = pd_command_one_model(argv[optind], argv[optind + 1]);
    PD_TRY(pd_comm_agree(comm, status));
    options.checkpoint = argv[optind];
    options.inputs = (const char *const *)argv + optind + 1;
    options.input_count = argc - optind - 1;
    options.threads = (int)threads;
    PD_TRY(pd_prediction_file_create(&file, output, format));
    options.sink = pd_prediction_file_sink(file);
    status = pd_predict(comm, &options);
cleanup:
    pd_prediction_file_destroy(&file);
    return status;
}
