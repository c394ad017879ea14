/* pneumo-dist calibrate: chooses a checkpoint's threshold for the images of another site. */
#include "command.h"
#include "pneumo/base/log.h"
#include "pneumo/report/calibrate_print.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Checks options that depend on each other. */
static pd_status check_options(const pd_calibrate_options *options)
{
    const pd_labelled_options *images = &options->images;
    bool folders = images->folders[PD_NORMAL] != NULL || images->folders[PD_PNEUMONIA] != NULL;
    if (images->data != NULL && folders)
        return pd_fail_usage("--data and folders cannot be given together");
    if (images->data == NULL && !folders)
        return pd_fail_usage("no images were given: use --data, or --normal and --pneumonia");
    if (folders && (images->folders[PD_NORMAL] == NULL || images->folders[PD_PNEUMONIA] == NULL))
        return pd_fail_usage("--normal and --pneumonia must be given together");
    if (folders && images->fold != NULL)
        return pd_fail_usage("--fold applies to data sets, not to folders");
    if (images->data != NULL && images->patient_pattern != NULL)
        return pd_fail_usage("--patient-pattern applies to folders, not to data sets");
    if (images->data != NULL && options->skip_bad)
        return pd_fail_usage("--skip-bad applies to folders, not to data sets");
    if (options->rule != NULL && strcmp(options->rule, "both") == 0 &&
        (options->target_sensitivity == 1 || options->target_specificity == 1))
        return pd_fail_usage("rule 'both' requires targets below 1");
    return PD_OK;
}

static const char *const folds[] = {"train", "val", "test", "all", NULL};
static const char *const rules[] = {"sensitivity", "both", NULL};

typedef struct arguments {
    pd_calibrate_options calibrate;
    int fold, rule; /* indices; -1: not given */
    int64_t seed;
} arguments;

static const arguments defaults = {
    .calibrate = {.target_sensitivity = (double)NAN, .target_specificity = (double)NAN},
    .fold = -1,
    .rule = -1,
    .seed = 1};

static const pd_option options[] = {
    {"data", 'd', PD_OPTION_TEXT, offsetof(arguments, calibrate.images.data), "FILE",
     "packed data set of the site", .complete = PD_COMPLETE_FILES},
    {"fold", 'f', PD_OPTION_CHOICE, offsetof(arguments, fold), "FOLD",
     "fold of the data set (default: val if it has both classes, else all)", .choices = folds},
    {"normal", 0, PD_OPTION_TEXT, offsetof(arguments, calibrate.images.folders[PD_NORMAL]), "DIR",
     "folder of normal images, instead of a data set", .complete = PD_COMPLETE_FOLDERS},
    {"pneumonia", 0, PD_OPTION_TEXT, offsetof(arguments, calibrate.images.folders[PD_PNEUMONIA]),
     "DIR", "folder of images with pneumonia", .complete = PD_COMPLETE_FOLDERS},
    {"patient-pattern", 0, PD_OPTION_TEXT, offsetof(arguments, calibrate.images.patient_pattern),
     "REGEX",
     .help = "of folders: the patient of a file, as for pack: the first group of this POSIX "
             "extended regular expression in its path"},
    {"skip-bad", 0, PD_OPTION_FLAG, offsetof(arguments, calibrate.skip_bad), NULL,
     .help = "leave out files that cannot be read"},
    {"images", 'n', PD_OPTION_INT64, offsetof(arguments, calibrate.images.each), "N",
     "draw N images of each class, whole patients where patients are known",
     .low = PD_CALIBRATE_LEAST, .high = 1000000000},
    {"seed", 0, PD_OPTION_INT64, offsetof(arguments, seed), "N",
     "seed of the draw and of the cross-validation (default 1)", .low = 0, .high = INT64_MAX},
    {"rule", 0, PD_OPTION_CHOICE, offsetof(arguments, rule), "RULE",
     "rule that chooses the threshold, as evaluate.threshold_rule of a job (default: that of the "
     "checkpoint's job)",
     .choices = rules},
    {"target-sensitivity", 0, PD_OPTION_NUMBER, offsetof(arguments, calibrate.target_sensitivity),
     "S",
     "target such as 0.95 (default: that of the checkpoint's job); the job's sensitivity_margin is "
     "added",
     .high = 1, .above_low = true},
    {"target-specificity", 0, PD_OPTION_NUMBER, offsetof(arguments, calibrate.target_specificity),
     "S",
     "target such as 0.9 (default: that of the checkpoint's job); rule both adds the job's "
     "specificity_margin",
     .high = 1, .above_low = true},
    {"output", 'o', PD_OPTION_TEXT, offsetof(arguments, calibrate.output), "FILE",
     "the checkpoint to write", .required = true, .complete = PD_COMPLETE_FILES, .no_stdout = true},
    PD_OPTION_THREADS(arguments, calibrate.threads),
    {0}};

static pd_status run(pd_comm *comm, void *values, char **operands, int count)
{
    pd_status status = PD_OK;
    arguments *given = values;
    pd_calibrate_options *calibrate = &given->calibrate;
    pd_calibrate_result result;
    (void)count;
    calibrate->checkpoint = operands[0];
    calibrate->images.seed = (uint64_t)given->seed;
    if (given->fold >= 0)
        calibrate->images.fold = folds[given->fold];
    if (given->rule >= 0)
        calibrate->rule = rules[given->rule];
    PD_TRY(check_options(calibrate));
    PD_TRY(pd_calibrate(comm, calibrate, &result));
    if (pd_comm_rank(comm) == 0)
        pd_calibrate_print(stdout, &result);
    pd_log_info("wrote %s", calibrate->output);
cleanup:
    return status;
}

_Static_assert(PD_CALIBRATE_LEAST == 10, "the description says 10");

const pd_command pd_command_calibrate = {
    .name = "calibrate",
    .summary = "choose a checkpoint's threshold for another site",
    .description =
        "Chooses threshold, temperature and band of doubt anew on labelled images of another site, "
        "from a data set (--data) or two folders (--normal, --pneumonia), and writes a checkpoint "
        "with the same weights and the new decision. At least 10 images of each class are "
        "required. For folders, patients are found as in pack: from --patient-pattern, DICOM's "
        "PatientID and known file names, and near-duplicates count as one patient; lateral views "
        "and other modalities are left out. Prints the decision and the figures before and after, "
        "and those of a cross-validation.\n\n"
        "Images of the train or test fold of the data set that the checkpoint's job names are "
        "refused. They are recognised by their packed pixels: if that data set cannot be opened or "
        "has another size, a warning says so.\n\n"
        "The checkpoint stores a hash of the pixels of each image, and 'evaluate' leaves out these "
        "images and all others of their patients.",
    .examples =
        "pneumo-dist calibrate runs/cnn-deep/best.h5 -d site.h5 -o runs/cnn-deep/site.h5\n"
        "pneumo-dist calibrate best.h5 --normal site/normal --pneumonia site/pneumonia -o site.h5",
    .operands = {{"CHECKPOINT", PD_COMPLETE_FILES}},
    .options = options,
    .options_size = sizeof(arguments),
    .defaults = &defaults,
    .run = run,
};
