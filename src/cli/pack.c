/* pneumo-dist pack: packs a folder of radiographs into a data-set file. */
#include "pneumo/data/pack.h"
#include "command.h"
#include "pneumo/base/text.h"
#include "pneumo/train/threads.h"

#include <stdio.h>
#include <string.h>

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

/* Prints how well the images' shapes alone separate the classes. */
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
    printf("%-5s  %-9s  %8s  %8s  %8s  %8s  %8s\n", "fold", "class", "images",
           pd_patients_noun(info->unknown_patients), "bacteria", "virus", "unknown");
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
    printf("patients   %s\n", info->grouping);
    printf("left out   %lld exact duplicate%s, %lld unreadable, %lld other file%s\n",
           (long long)info->duplicates, pd_text_plural(info->duplicates), (long long)result->bad,
           (long long)result->left_out, pd_text_plural(result->left_out));
    if (result->lateral + result->other > 0)
        printf("           %lld lateral view%s, %lld of other modalities\n",
               (long long)result->lateral, pd_text_plural(result->lateral),
               (long long)result->other);
    if (result->old > 0)
        printf("appended   %lld image%s to %lld\n", (long long)(info->count - result->old),
               pd_text_plural(info->count - result->old), (long long)result->old);
    if (result->bridging > 0)
        printf("           %lld image%s between patients of two folds left out\n",
               (long long)result->bridging, pd_text_plural(result->bridging));
    printf("copies     %lld pair%s of images that are almost the same, %lld of them of two %s\n",
           (long long)result->near_pairs, pd_text_plural(result->near_pairs),
           (long long)result->near_joined, pd_patients_noun(info->unknown_patients));
    if (result->leaks > 0)
        printf("caution    %lld %s %s images in two folds\n", (long long)result->leaks,
               pd_patients_noun_of(info->unknown_patients, result->leaks),
               result->leaks == 1 ? "has" : "have");
    print_shapes(&result->shapes);
    printf("train      mean %.3f, deviation %.3f of 255\n", info->mean, info->deviation);
    printf("digest     %s\n", info->digest);
    printf("written    %s\n", output);
}

typedef struct arguments {
    pd_pack_options pack;
    const char *folds; /* NULL: not given */
    int64_t seed;      /* -1: not given */
} arguments;

static const arguments defaults = {.pack = PD_PACK_DEFAULTS, .seed = -1};

static const pd_option options[] = {
    {"output", 'o', PD_OPTION_TEXT, offsetof(arguments, pack.output), "FILE", "the file to write",
     .required = true, .complete = PD_COMPLETE_FILES, .no_stdout = true},
    {"size", 's', PD_OPTION_INT, offsetof(arguments, pack.size), "N",
     "side of the packed images in pixels (default 224)", .low = PD_PACK_SIZE_MIN,
     .high = PD_PACK_SIZE_MAX},
    {"folds", 0, PD_OPTION_TEXT, offsetof(arguments, folds), "A/B/C",
     .help = "percentages of the images for train, val and test (default 70/15/15), or 'keep' for "
             "the folder's own folds"},
    {"shares", 0, PD_OPTION_CHOICE, offsetof(arguments, pack.folds.shares), "SHARES",
     "classes of val and test: balanced (default) makes each half normal and half pneumonia, "
     "stratified keeps the folder's ratio",
     .choices = pd_fold_shares_names},
    {"val-from-train", 0, PD_OPTION_INT, offsetof(arguments, pack.folds.val_from_train), "P",
     "with '--folds keep', move P percent of train's patients to val", .low = 0, .high = 99},
    {"seed", 0, PD_OPTION_INT64, offsetof(arguments, seed), "N",
     "seed of the assignment of patients to folds (default 1)", .low = 0, .high = INT64_MAX},
    {"append", 'a', PD_OPTION_TEXT, offsetof(arguments, pack.append), "FILE",
     .help = "a packed data set to append the images to: it is not decoded again, its patients "
             "keep their folds, and its size, fold ratios and seed apply",
     .complete = PD_COMPLETE_FILES},
    {"new-patients", 0, PD_OPTION_FLAG, offsetof(arguments, pack.new_patients), NULL,
     .help = "with --append: the images show no patient of FILE (if the two cannot be compared)"},
    {"labels", 'l', PD_OPTION_TEXT, offsetof(arguments, pack.labels), "FILE",
     .help = "a table (CSV) with the images' labels; DIR then holds the images in any folders",
     .complete = PD_COMPLETE_FILES},
    {"columns", 0, PD_OPTION_TEXT, offsetof(arguments, pack.columns), "ROLE=COLUMN,...",
     .help = "columns of the table: path, label, patient, fold, cause and view (default: by their "
             "names)"},
    {"allow-missing", 0, PD_OPTION_FLAG, offsetof(arguments, pack.allow_missing), NULL,
     .help = "pack even if images that the table lists are missing"},
    {"normal", 0, PD_OPTION_TEXT, offsetof(arguments, pack.classes[PD_NORMAL]), "A|B",
     .help =
         "folders of normal images, in DIR or in each fold, separated by '|' (default NORMAL or "
         "0); with --labels, findings of normal images (default 'Normal|No Finding|0')"},
    {"pneumonia", 0, PD_OPTION_TEXT, offsetof(arguments, pack.classes[PD_PNEUMONIA]), "A|B",
     .help = "the same for pneumonia (default PNEUMONIA or 1; 'Pneumonia|Pnemonia|1')"},
    {"recursive", 'r', PD_OPTION_FLAG, offsetof(arguments, pack.recursive), NULL,
     .help = "take images in subfolders of the classes, too"},
    {"allow-rest", 0, PD_OPTION_FLAG, offsetof(arguments, pack.allow_rest), NULL,
     .help = "pack even if a third of the images or more are left out"},
    {"patient-pattern", 0, PD_OPTION_TEXT, offsetof(arguments, pack.patient_pattern), "REGEX",
     .help = "the patient of a file: the first group of this POSIX extended regular expression in "
             "its path, such as '([0-9]+)_'"},
    {"lateral", 0, PD_OPTION_FLAG, offsetof(arguments, pack.keep_lateral), NULL,
     .help = "pack lateral views too, which are left out if DICOM files or the table state them"},
    {"skip-bad", 0, PD_OPTION_FLAG, offsetof(arguments, pack.skip_bad), NULL,
     .help = "leave out images that cannot be read instead of stopping"},
    {"threads", 't', PD_OPTION_INT, offsetof(arguments, pack.threads), "N",
     "threads of each rank that decode images (default: as of run.threads = 0 in a job)", .low = 1,
     .high = 1024},
    {0}};

/* --- The ranks, as the room data knows them --- */

static pd_status broadcast(void *comm, void *bytes, size_t size, int root)
{
    return pd_comm_broadcast(comm, bytes, size, root);
}

static pd_status gather(void *comm, const void *bytes, size_t size, void **out, size_t *total)
{
    return pd_comm_gather(comm, bytes, size, out, total);
}

static pd_status agree(void *comm, pd_status status)
{
    return pd_comm_agree(comm, status);
}

/* Packs on all ranks. */
static pd_status pack_together(pd_pack_result *result, const pd_pack_options *given, pd_comm *comm)
{
    pd_pack_options pack = *given;
    const pd_team team = {.rank = pd_comm_rank(comm),
                          .size = pd_comm_size(comm),
                          .comm = comm,
                          .broadcast = broadcast,
                          .gather = gather,
                          .agree = agree};
    pack.team = &team;
    return pd_pack(&pack, result);
}

/* What the packed set says is not asked for. */
static pd_status check_append(const arguments *given)
{
    const char *option = given->folds != NULL                   ? "folds"
                         : given->pack.folds.shares != 0        ? "shares"
                         : given->pack.folds.val_from_train > 0 ? "val-from-train"
                         : given->seed >= 0                     ? "seed"
                                                                : NULL;
    if (given->pack.append == NULL)
        return given->pack.new_patients ? pd_fail_usage("--new-patients requires --append FILE")
                                        : PD_OK;
    return option == NULL ? PD_OK
                          : pd_fail_usage("--append keeps the folds of %s; leave out --%s",
                                          given->pack.append, option);
}

static pd_status run(pd_comm *comm, void *values, char **operands, int count)
{
    pd_status status = PD_OK;
    arguments *given = values;
    pd_pack_options *pack = &given->pack;
    pd_pack_result result;
    (void)count;
    pack->folder = operands[0];
    if (given->seed >= 0)
        pack->folds.seed = (uint64_t)given->seed;
    if (given->folds != NULL)
        PD_TRY(parse_folds(pack, given->folds));
    if (pack->labels == NULL && (pack->columns != NULL || pack->allow_missing))
        return pd_fail_usage("--%s requires --labels FILE",
                             pack->columns != NULL ? "columns" : "allow-missing");
    if (pack->labels != NULL && pack->recursive)
        return pd_fail_usage("--labels finds images in all folders; leave out --recursive");
    PD_TRY(check_append(given));
    if (pack->folder[0] == '\0')
        return pd_fail_usage("the folder to pack has an empty name");
    if (pack->folds.val_from_train > 0 && pack->folds.policy != PD_FOLDS_KEEP)
        return pd_fail_usage("--val-from-train requires '--folds keep'");
    pack->threads = pd_threads_choose(comm, pack->threads);
    PD_TRY(pack_together(&result, pack, comm));
    if (pd_comm_rank(comm) == 0)
        print_result(&result, pack->output);
cleanup:
    return status;
}

const pd_command pd_command_pack = {
    .name = "pack",
    .summary = "pack a folder of radiographs into one data-set file",
    .description =
        "Packs the radiographs of DIR/{train,val,test}/{NORMAL,PNEUMONIA}/ (any of the three folds "
        "may be missing) or DIR/{NORMAL,PNEUMONIA}/ into one HDF5 file; says what it leaves out. "
        "With --labels, a table gives class, patient, fold and cause of the images in DIR. No "
        "patient is in two folds "
        "(with '--folds keep', patients in two folds cause a warning), and exact duplicates are "
        "kept once. The patient comes from the table, from --patient-pattern, from the file "
        "(DICOM's PatientID), "
        "or from a known file name: that of the public data set, NIH ChestX-ray14, CheXpert, "
        "MIMIC-CXR, Shenzhen or Montgomery, also after common tools have changed it. The same "
        "folder and options give the "
        "same file, byte for byte, on any number of ranks.\n\n"
        "If it is stopped or killed, the same command continues from the images that it has "
        "decoded, "
        "which are in part files beside the output (FILE.part-0, ...) until that is complete.",
    .examples = "pneumo-dist pack chest_xray -o data/chest_xray.h5 --folds 70/15/15\n"
                "pneumo-dist pack new-images -o data/chest_xray.h5 --append data/chest_xray.h5\n"
                "mpirun -np 8 pneumo-dist pack images -o data/large.h5\n"
                "pneumo-dist pack images -o data/nih.h5 --labels Data_Entry_2017.csv",
    .operands = {{"DIR", PD_COMPLETE_FOLDERS}},
    .options = options,
    .options_size = sizeof(arguments),
    .defaults = &defaults,
    .run = run,
    .stop_advice = "the same command continues",
};
