/* pneumo-dist calibrate: a checkpoint's decision for the images of another site. */
#include "pneumo/base/log.h"
#include "pneumo/cli/command.h"
#include "pneumo/report/calibrate_print.h"

#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_help(void)
{
    printf(
        "usage: pneumo-dist calibrate CHECKPOINT -d SITE.h5 -o NEW.h5 [OPTION]...\n"
        "       pneumo-dist calibrate CHECKPOINT --normal DIR --pneumonia DIR -o NEW.h5 "
        "[OPTION]...\n\n"
        "Chooses threshold, temperature and band of doubt anew by labelled images of another site, "
        "and writes\na checkpoint with the same weights and the new decision. At least %d images "
        "of each class are needed.\nPrints the decision and the figures before and after, and by "
        "cross-validation.\n\n"
        "The checkpoint remembers the images by a hash of their pixels, and 'evaluate' leaves them "
        "out.\n\n"
        "  -d, --data FILE             a packed data set of the site\n"
        "  -f, --fold F                train, val, test or all of it; default: val if it has both "
        "classes,\n"
        "                              else all\n"
        "      --normal DIR            instead of a data set: a folder of normal images\n"
        "      --pneumonia DIR         and one of images with pneumonia\n"
        "      --skip-bad              go on without files that cannot be read\n"
        "  -n, --images N              draw N images of each class, whole patients where they are "
        "known\n"
        "      --seed N                of the draw and of the cross-validation (default 1)\n"
        "      --rule R                sensitivity or both, as evaluate.threshold_rule of a job\n"
        "      --target-sensitivity S  such as 0.95; rule sensitivity adds the job's "
        "sensitivity_margin\n"
        "      --target-specificity S  such as 0.9; these three are by default as the "
        "checkpoint's job says\n"
        "  -o, --output FILE           the new checkpoint\n"
        "  -t, --threads N             threads per rank\n"
        "  -h, --help\n\n"
        "example: pneumo-dist calibrate runs/cnn-deep/best.h5 --normal ours/normal --pneumonia "
        "ours/pneumonia \\\n             -o runs/cnn-deep/ours.h5\n",
        PD_CALIBRATE_LEAST);
}

/* A share above 0 and up to 1. */
static pd_status parse_share(double *out, const char *option, const char *text)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !(value > 0 && value <= 1))
        return pd_fail_usage("%s '%s' is not a number above 0 and up to 1, such as 0.95", option,
                             text);
    *out = value;
    return PD_OK;
}

static pd_status parse_word(const char **out, const char *option, const char *text,
                            const char *const *words, const char *list)
{
    for (int i = 0; words[i] != NULL; i++)
        if (strcmp(words[i], text) == 0) {
            *out = text;
            return PD_OK;
        }
    return pd_fail_usage("%s '%s' is none of %s", option, text, list);
}

/* What one option alone cannot tell. */
static pd_status check_options(const pd_calibrate_options *options)
{
    const pd_labelled_options *images = &options->images;
    bool folders = images->folders[PD_NORMAL] != NULL || images->folders[PD_PNEUMONIA] != NULL;
    if (images->data != NULL && folders)
        return pd_fail_usage("--data and folders cannot be given together");
    if (images->data == NULL && !folders)
        return pd_fail_usage("no images were given: use --data, or --normal and --pneumonia");
    if (folders && (images->folders[PD_NORMAL] == NULL || images->folders[PD_PNEUMONIA] == NULL))
        return pd_fail_usage("--normal and --pneumonia are needed both");
    if (folders && images->fold != NULL)
        return pd_fail_usage("--fold is for data sets; folders have none");
    if (images->data != NULL && options->skip_bad)
        return pd_fail_usage("--skip-bad is for folders; a data set has no bad files");
    if (options->output == NULL || options->output[0] == '\0')
        return pd_fail_usage("no file to write was given: use --output");
    if (options->rule != NULL && strcmp(options->rule, "both") == 0 &&
        (options->target_sensitivity == 1 || options->target_specificity == 1))
        return pd_fail_usage("rule both needs targets below 1");
    return PD_OK;
}

enum { NORMAL = 256, PNEUMONIA, SKIP_BAD, SEED, RULE, SENSITIVITY, SPECIFICITY };

/* One option that needs more than its text to be kept. */
static pd_status parse_option(pd_calibrate_options *out, int option)
{
    static const char *const folds[] = {"train", "val", "test", "all", NULL};
    static const char *const rules[] = {"sensitivity", "both", NULL};
    long long number = 0;
    pd_status status = PD_OK;
    switch (option) {
    case 'f':
        return parse_word(&out->images.fold, "--fold", optarg, folds, "train, val, test, all");
    case RULE:
        return parse_word(&out->rule, "--rule", optarg, rules, "sensitivity, both");
    case SENSITIVITY:
        return parse_share(&out->target_sensitivity, "--target-sensitivity", optarg);
    case SPECIFICITY:
        return parse_share(&out->target_specificity, "--target-specificity", optarg);
    case 'n':
        status = pd_command_integer(&number, "--images", optarg, PD_CALIBRATE_LEAST, 1000000000);
        out->images.each = number;
        return status;
    case SEED:
        status = pd_command_integer(&number, "--seed", optarg, 0, INT64_MAX);
        out->images.seed = (uint64_t)number;
        return status;
    default: /* 't' */
        status = pd_command_integer(&number, "--threads", optarg, 1, 4096);
        out->threads = (int)number;
        return status;
    }
}

pd_status pd_command_calibrate(pd_comm *comm, int argc, char **argv)
{
    static const struct option names[] = {
        {"data", required_argument, NULL, 'd'},
        {"fold", required_argument, NULL, 'f'},
        {"normal", required_argument, NULL, NORMAL},
        {"pneumonia", required_argument, NULL, PNEUMONIA},
        {"skip-bad", no_argument, NULL, SKIP_BAD},
        {"images", required_argument, NULL, 'n'},
        {"seed", required_argument, NULL, SEED},
        {"rule", required_argument, NULL, RULE},
        {"target-sensitivity", required_argument, NULL, SENSITIVITY},
        {"target-specificity", required_argument, NULL, SPECIFICITY},
        {"output", required_argument, NULL, 'o'},
        {"threads", required_argument, NULL, 't'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    pd_status status = PD_OK;
    pd_calibrate_result result;
    pd_calibrate_options options = {
        .target_sensitivity = (double)NAN, .target_specificity = (double)NAN, .images.seed = 1};
    int option;
    while ((option = getopt_long(argc, argv, ":d:f:n:o:t:h", names, NULL)) != -1) {
        switch (option) {
        case 'd':
            options.images.data = optarg;
            break;
        case NORMAL:
            options.images.folders[PD_NORMAL] = optarg;
            break;
        case PNEUMONIA:
            options.images.folders[PD_PNEUMONIA] = optarg;
            break;
        case SKIP_BAD:
            options.skip_bad = true;
            break;
        case 'o':
            options.output = optarg;
            break;
        case 'h':
            if (pd_comm_rank(comm) == 0)
                print_help();
            return PD_OK;
        case '?':
        case ':':
            return pd_command_bad_option(argc, argv, option);
        default:
            PD_TRY(parse_option(&options, option));
        }
    }
    if (optind + 1 != argc)
        return pd_fail_usage(optind == argc ? "no checkpoint to calibrate was given"
                                            : "one checkpoint is calibrated at a time");
    options.checkpoint = argv[optind];
    PD_TRY(check_options(&options));
    PD_TRY(pd_calibrate(comm, &options, &result));
    if (pd_comm_rank(comm) == 0)
        pd_calibrate_print(stdout, &result);
    pd_log_info("wrote %s", options.output);
cleanup:
    return status;
}
