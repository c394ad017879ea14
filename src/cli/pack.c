#include "pneumo/data/pack.h"
#include "pneumo/cli/command.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const char help[] =
    "usage: pneumo-dist pack DIR -o FILE [options]\n"
    "\n"
    "Packs the radiographs of DIR/{train,val,test}/{NORMAL,PNEUMONIA}/ (any of the three folds "
    "may\n"
    "be missing) or DIR/{NORMAL,PNEUMONIA}/ into one HDF5 file. No patient is in two folds (kept\n"
    "folds that have it so bring a warning), and exact duplicates are kept once. Same folder and\n"
    "options, same file, byte for byte.\n"
    "\n"
    "  -o, --output FILE        the file to write\n"
    "  -s, --size N             side of the packed images in pixels (224)\n"
    "      --folds A/B/C        percent of the images for train, val and test (70/15/15), or\n"
    "      --folds keep         the folder's own folds\n"
    "      --shares balanced    val and test: half normal, half pneumonia (default)\n"
    "      --shares stratified  val and test: the folder's own share of each class\n"
    "      --val-from-train P   with --folds keep: move P percent of train's patients to val\n"
    "      --seed N             deals the patients to the folds (1)\n"
    "      --skip-bad           leave out images that cannot be read, instead of stopping\n"
    "  -t, --threads N          threads that decode (one per core)\n"
    "  -h, --help               show this text\n"
    "\n"
    "example: pneumo-dist pack chest_xray -o data/chest_xray.h5 --folds 70/15/15\n";

static pd_status parse_folds(pd_pack_options *options, const char *text)
{
    char rest;
    int *ratio = options->folds.ratio;
    if (strcmp(text, "keep") == 0) {
        options->folds.policy = PD_FOLDS_KEEP;
        return PD_OK;
    }
    options->folds.policy = PD_FOLDS_SPLIT;
    if (sscanf(text, "%3d/%3d/%3d%c", &ratio[PD_TRAIN], &ratio[PD_VAL], &ratio[PD_TEST], &rest) !=
            3 ||
        ratio[PD_TRAIN] < 1 || ratio[PD_VAL] < 0 || ratio[PD_TEST] < 0 ||
        ratio[PD_TRAIN] + ratio[PD_VAL] + ratio[PD_TEST] != 100)
        return pd_fail_usage("--folds %s: give 'keep' or percentages of train, val and test that "
                             "add up to 100, such as 70/15/15",
                             text);
    return PD_OK;
}

static pd_status parse_shares(pd_pack_options *options, const char *text)
{
    if (strcmp(text, "balanced") == 0)
        options->folds.shares = PD_SHARES_BALANCED;
    else if (strcmp(text, "stratified") == 0)
        options->folds.shares = PD_SHARES_STRATIFIED;
    else
        return pd_fail_usage("--shares %s: give 'balanced' or 'stratified'", text);
    return PD_OK;
}

static pd_status parse_arguments(pd_pack_options *options, bool *asked_help, int argc, char **argv)
{
    enum { FOLDS = 256, SHARES, VAL_FROM_TRAIN, SEED, SKIP_BAD };
    static const struct option known[] = {
        {"output", required_argument, NULL, 'o'},
        {"size", required_argument, NULL, 's'},
        {"folds", required_argument, NULL, FOLDS},
        {"shares", required_argument, NULL, SHARES},
        {"val-from-train", required_argument, NULL, VAL_FROM_TRAIN},
        {"seed", required_argument, NULL, SEED},
        {"skip-bad", no_argument, NULL, SKIP_BAD},
        {"threads", required_argument, NULL, 't'},
        {"help", no_argument, NULL, 'h'},
        {0}};
    pd_status status = PD_OK;
    long long number;
    int option;

    opterr = 0;
    optind = 0; /* start anew, whoever used getopt before */
    while ((option = getopt_long(argc, argv, ":o:s:t:h", known, NULL)) != -1) {
        switch (option) {
        case 'o':
            options->output = optarg;
            break;
        case 's':
            PD_TRY(
                pd_command_integer(&number, "--size", optarg, PD_PACK_SIZE_MIN, PD_PACK_SIZE_MAX));
            options->size = (int)number;
            break;
        case FOLDS:
            PD_TRY(parse_folds(options, optarg));
            break;
        case SHARES:
            PD_TRY(parse_shares(options, optarg));
            break;
        case VAL_FROM_TRAIN:
            PD_TRY(pd_command_integer(&number, "--val-from-train", optarg, 0, 99));
            options->folds.val_from_train = (int)number;
            break;
        case SEED:
            PD_TRY(pd_command_integer(&number, "--seed", optarg, 0, INT64_MAX));
            options->folds.seed = (uint64_t)number;
            break;
        case SKIP_BAD:
            options->skip_bad = true;
            break;
        case 't':
            PD_TRY(pd_command_integer(&number, "--threads", optarg, 1, 1024));
            options->threads = (int)number;
            break;
        case 'h':
            *asked_help = true;
            return PD_OK;
        default:
            return pd_command_bad_option(argc, argv, option);
        }
    }
    if (optind + 1 != argc)
        return pd_fail_usage(optind == argc ? "no folder to pack was given"
                                            : "one folder is packed at a time");
    options->folder = argv[optind];
    if (options->folder[0] == '\0')
        return pd_fail_usage("the folder to pack has no name");
    if (!options->output || options->output[0] == '\0')
        return pd_fail_usage("no file to write was given: -o FILE");
    if (options->folds.val_from_train > 0 && options->folds.policy != PD_FOLDS_KEEP)
        return pd_fail_usage("--val-from-train works on the folder's own folds: --folds keep");

cleanup:
    return status;
}

static void print_separation(const char *name, const char *measure, const char *more,
                             const char *unit, int digits, const pd_shape_separation *s)
{
    const char *higher = s->higher == PD_NORMAL ? "normal" : "pneumonia";
    const char *lower = s->higher == PD_NORMAL ? "pneumonia" : "normal";
    printf("%-10s %s alone separates the classes with AUC %.3f (", name, measure, s->auc);
    if (s->auc == 0.5)
        printf("neither class is %s, ", more);
    else
        printf("%s images are %s, ", higher, more);
    printf("median %.*f%s; %s %.*f)\n", digits, s->medians[s->higher], unit, lower, digits,
           s->medians[!s->higher]);
}

/* What a model could learn from the images' outlines. */
static void print_shapes(const pd_shapes *shapes)
{
    if (!shapes->known)
        printf("shape      not compared: it takes images of both classes\n");
    else if (shapes->same)
        printf("shape      all images are %d x %d: their own shape is not known\n", shapes->width,
               shapes->height);
    else {
        print_separation("shape", "width over height", "wider", "", 2,
                         &shapes->separations[PD_SHAPE_ASPECT]);
        print_separation("size", "width times height", "larger", " pixels", 0,
                         &shapes->separations[PD_SHAPE_AREA]);
    }
}

static void print_result(const pd_pack_result *result, const char *output)
{
    const pd_dataset_info *info = &result->info;
    printf("%-5s  %-9s  %8s  %8s  %8s  %8s  %8s\n", "fold", "class", "images", "patients",
           "bacteria", "virus", "unknown");
    for (int fold = 0; fold < PD_FOLDS; fold++) {
        for (int label = 0; label < PD_LABELS; label++) {
            const int64_t *of_cause = result->images[fold][label];
            printf("%-5s  %-9s  %8lld  %8lld", pd_fold_names[fold], pd_label_names[label],
                   (long long)info->counts[fold][label], (long long)result->patients[fold][label]);
            for (int cause = PD_CAUSE_BACTERIA; cause < PD_CAUSES; cause++) {
                if (label == PD_NORMAL)
                    printf("  %8s", "-");
                else
                    printf("  %8lld", (long long)of_cause[cause]);
            }
            printf("\n");
        }
    }
    printf("\nimages     %lld of %d x %d pixels\n", (long long)info->count, info->width,
           info->height);
    printf("folds      %s, seed %llu\n", info->fold_policy, (unsigned long long)info->seed);
    printf("left out   %lld exact duplicates, %lld unreadable, %lld other files\n",
           (long long)info->duplicates, (long long)result->bad, (long long)result->skipped);
    if (result->leaks > 0)
        printf("caution    %lld patients have images in two folds\n", (long long)result->leaks);
    print_shapes(&result->shapes);
    printf("train      mean %.3f, deviation %.3f of 255\n", info->mean, info->deviation);
    printf("digest     %s\n", info->digest);
    printf("written    %s\n", output);
}

pd_status pd_command_pack(pd_comm *comm, int argc, char **argv)
{
    pd_status status;
    pd_pack_options options = pd_pack_defaults();
    pd_pack_result result;
    bool asked_help = false;

    (void)comm; /* main calls this on rank 0 only */
    PD_TRY(parse_arguments(&options, &asked_help, argc, argv));
    if (asked_help) {
        fputs(help, stdout);
        goto cleanup;
    }
    PD_TRY(pd_pack(&options, &result));
    print_result(&result, options.output);

cleanup:
    return status;
}
