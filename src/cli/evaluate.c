/* pneumo-dist evaluate: evaluates a checkpoint on the folds of a packed data set. */
#include "pneumo/evaluate/evaluate.h"
#include "command.h"
#include "pneumo/io/file.h"
#include "pneumo/io/outputs.h"
#include "pneumo/report/gallery.h"
#include "pneumo/report/model_card.h"
#include "pneumo/report/report.h"
#include "pneumo/report/score_file.h"

#include <stdio.h>
#include <string.h>

/* The files to write; NULL: none. */
typedef struct outputs {
    const char *json, *html, *card, *scores;
} outputs;

enum { OUTPUTS = 4 };

/* Fails before the images are scored, which may take long. */
static pd_status make_folders(const char *const paths[OUTPUTS])
{
    pd_status status = PD_OK;
    for (int i = 0; i < OUTPUTS && status == PD_OK; i++)
        if (paths[i] != NULL)
            status = pd_folder_make_above(paths[i]);
    return status;
}

static bool any_is_stdout(const char *const paths[OUTPUTS])
{
    bool is = false;
    for (int i = 0; i < OUTPUTS; i++)
        is = is || pd_output_is_stdout(paths[i]);
    return is;
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
    if (files->card != NULL)
        PD_TRY(pd_model_card_write(files->card, report));
cleanup:
    return status;
}

typedef struct arguments {
    const char *data;
    outputs files;
    int fold;
    bool stress;
    double threshold, target_sensitivity; /* 0: not given */
    int threads;
} arguments;

enum { VAL, TEST, BOTH };

static const arguments defaults = {.fold = BOTH};

static const pd_option options[] = {
    {"data", 'd', PD_OPTION_TEXT, offsetof(arguments, data), "FILE",
     "packed data set (default: that of the checkpoint's job)", .complete = PD_COMPLETE_FILES},
    {"fold", 'f', PD_OPTION_CHOICE, offsetof(arguments, fold), "FOLD",
     "folds to evaluate (default both)",
     .choices = (const char *const[]){[VAL] = "val", [TEST] = "test", [BOTH] = "both", NULL}},
    {"output", 'o', PD_OPTION_TEXT, offsetof(arguments, files.json), "FILE",
     "also write the figures as JSON", .complete = PD_COMPLETE_FILES},
    {"html", 0, PD_OPTION_TEXT, offsetof(arguments, files.html), "FILE",
     "also write them as a page with plots", .complete = PD_COMPLETE_FILES},
    {"card", 0, PD_OPTION_TEXT, offsetof(arguments, files.card), "FILE",
     "also write a model card, as Markdown", .complete = PD_COMPLETE_FILES},
    {"stress", 0, PD_OPTION_FLAG, offsetof(arguments, stress), NULL,
     .help = "also score the images under acquisition changes (zoom, gamma, blur, ...)"},
    {"threshold", 0, PD_OPTION_NUMBER, offsetof(arguments, threshold), "X",
     "call a probability of X or more pneumonia, instead of the checkpoint's threshold", .low = 0,
     .high = 1, .above_low = true},
    {"target-sensitivity", 0, PD_OPTION_NUMBER, offsetof(arguments, target_sensitivity), "X",
     "choose the threshold with the highest specificity at a sensitivity of X (such as 0.98) on "
     "the "
     "validation fold of the data set, never on the test fold",
     .low = 0, .high = 1, .above_low = true},
    {"scores", 0, PD_OPTION_TEXT, offsetof(arguments, files.scores), "FILE",
     "also write each image's probability as CSV", .complete = PD_COMPLETE_FILES},
    PD_OPTION_THREADS(arguments, threads),
    {0}};

static pd_status run(pd_comm *comm, void *values, char **operands, int count)
{
    pd_status status = PD_OK;
    const arguments *given = values;
    pd_evaluation *evaluation = NULL;
    const outputs *files = &given->files;
    const char *const paths[OUTPUTS] = {files->json, files->html, files->card, files->scores};
    const pd_evaluate_options evaluate = {.checkpoints = (const char *const *)operands,
                                          .checkpoint_count = count,
                                          .data = given->data,
                                          .val = given->fold != TEST,
                                          .test = given->fold != VAL,
                                          .stress = given->stress,
                                          .threshold = given->threshold,
                                          .target_sensitivity = given->target_sensitivity,
                                          .threads = given->threads,
                                          .outputs = paths,
                                          .output_count = OUTPUTS};
    if (given->threshold > 0 && given->target_sensitivity > 0)
        return pd_fail_usage("--threshold and --target-sensitivity cannot be given together");
    if (pd_comm_rank(comm) == 0)
        status = make_folders(paths);
    PD_TRY(pd_comm_agree(comm, status));
    PD_TRY(pd_evaluate(&evaluation, comm, &evaluate));
    if (pd_comm_rank(comm) == 0) {
        if (!any_is_stdout(paths))
            pd_report_print(stdout, pd_evaluation_results(evaluation));
        status = write_files(files, evaluation);
    }
    status = pd_comm_agree(comm, status);
cleanup:
    pd_evaluation_destroy(&evaluation);
    return status;
}

const pd_command pd_command_evaluate = {
    .name = "evaluate",
    .summary = "evaluate a checkpoint on a packed data set",
    .description =
        "Prints recall, specificity and the other figures with their 95 % intervals, at the "
        "threshold that the checkpoint chose on its validation fold (or --threshold, "
        "--target-sensitivity) and at 0.5.\n\n"
        "Several checkpoints are evaluated as their average: the mean of their calibrated log "
        "odds, "
        "with its own threshold, temperature and band of doubt, chosen as in training on the "
        "validation fold of the data set that they were trained on. 'pneumo-dist ensemble' saves "
        "an "
        "average in a file, which is used like a checkpoint.\n\n"
        "One of the files may be '-': it is then printed instead of the table.\n\n"
        "Each evaluation of the test fold of the training data adds one to a count in the "
        "checkpoint file. So does that of another packed file, such as one with images appended, "
        "if the test folds of both share an image. For that the file of the training, or the same "
        "with images appended, must still be there, and the sizes must be equal.",
    .examples = "pneumo-dist evaluate runs/cnn-deep/best.h5 --fold test\n"
                "pneumo-dist evaluate runs/seed-1/best.h5 runs/seed-2/best.h5 --fold val",
    .operands = {{"CHECKPOINT", PD_COMPLETE_FILES, .repeated = true}},
    .options = options,
    .options_size = sizeof(arguments),
    .defaults = &defaults,
    .run = run,
};
