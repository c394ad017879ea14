/* pneumo-dist export: writes a checkpoint's model in the format of another program. */
#include "command.h"

#include "pneumo/base/text.h"
#include "pneumo/evaluate/classifier.h"
#include "pneumo/exchange/export.h"
#include "pneumo/io/file.h"
#include "pneumo/io/outputs.h"

#include <stdio.h>

typedef struct arguments {
    const char *output;
    bool fold_batchnorm;
} arguments;

/* Other programs' files hold one network. */
static pd_status check_single(const pd_classifier *classifier, const char *path)
{
    int count = pd_classifier_count(classifier);
    if (count == 1)
        return PD_OK;
    return pd_fail("%s: is an average of %d models, which cannot be exported: export its members",
                   path, count);
}

static pd_status write_model(const char *path, const arguments *given,
                             const pd_export_format *format)
{
    pd_status status = PD_OK;
    pd_classifier *classifier = NULL;
    const pd_export_options options = {.fold_batchnorm = given->fold_batchnorm};
    PD_TRY(pd_output_check(given->output, &path, 1));
    PD_TRY(pd_classifier_load(&classifier, path, 1, 1));
    PD_TRY(check_single(classifier, path));
    const pd_classifier_member *member = pd_classifier_at(classifier, 0);
    const pd_inference *inference = &member->inference;
    const pd_exchange_model model = {.name = member->job.model.name,
                                     .network = inference->network,
                                     .input = &inference->input,
                                     .activation = inference->task->activation};
    PD_TRY(pd_folder_make_above(given->output));
    PD_TRY(format->write(given->output, &model, &options));
    printf("%s: %s for grey images of %d x %d pixels, 0 to 255; output: %s of %d logit%s\n",
           given->output, model.name, inference->input.size, inference->input.size,
           model.activation, inference->task->outputs, pd_text_plural(inference->task->outputs));

cleanup:
    pd_classifier_destroy(&classifier);
    return status;
}

static const pd_option options[] = {
    {"output", 'o', PD_OPTION_TEXT, offsetof(arguments, output), "FILE",
     "the file to write; its extension selects the format", .required = true,
     .complete = PD_COMPLETE_FILES, .no_stdout = true},
    {"fold-batchnorm", 0, PD_OPTION_FLAG, offsetof(arguments, fold_batchnorm), NULL,
     .help = "ONNX: make batch normalisations part of the convolutions before them"},
    {0}};

static pd_status run(pd_comm *comm, void *values, char **operands, int count)
{
    const arguments *given = values;
    const pd_export_format *format;
    (void)comm;
    (void)count;
    pd_status status = pd_export_find(&format, given->output);
    if (status != PD_OK)
        return status;
    if (given->fold_batchnorm && !format->folds_batchnorm)
        return pd_fail_usage("--fold-batchnorm does not apply to %s files", format->extension);
    return write_model(operands[0], given, format);
}

const pd_command pd_command_export = {
    .name = "export",
    .summary = "write a model for Keras and other programs",
    .description =
        "Writes the network of a checkpoint in the format that the name of the output ends in:\n"
        "- .keras: layers and weights, for Keras 3\n"
        "- .weights.h5: weights alone, for Keras 3\n"
        "- .safetensors: weights as <layer>/<weight>, for many programs\n"
        "- .onnx: the whole model, for ONNX Runtime and others\n\n"
        "Keras opens the checkpoint itself, too: keras.models.load_model(\"best.h5\", "
        "compile=False).\n\n"
        "The model takes grey images, 0 to 255, at the network's size, [size][size][1] (ONNX: "
        "[1][size][size]), and scales them itself. Its output is the probability of pneumonia, or "
        "of each class, before calibration: predict also averages over views and divides by the "
        "checkpoint's temperature. The threshold is in the checkpoint; see inspect.",
    .examples = "pneumo-dist export runs/cnn-deep/best.h5 -o cnn-deep.keras",
    .operands = {{"CHECKPOINT", PD_COMPLETE_FILES}},
    .options = options,
    .options_size = sizeof(arguments),
    .run = run,
    .one_rank = true,
};
