/* pneumo-dist import: makes a checkpoint from a model of another program. */
#include "command.h"

#include "pneumo/io/checkpoint.h"
#include "pneumo/io/file.h"
#include "pneumo/io/outputs.h"
#include "pneumo/train/import.h"

#include <stdio.h>

typedef struct arguments {
    const char *output, *like, *scaling;
    int positive, size;
    pd_option_ints causes;
} arguments;

static const arguments defaults = {.positive = 1, .causes = {{0, 1, 2}, 3}};

static const pd_option options[] = {
    {"output", 'o', PD_OPTION_TEXT, offsetof(arguments, output), "FILE", "the checkpoint to write",
     .required = true, .complete = PD_COMPLETE_FILES, .no_stdout = true},
    {"like", 'l', PD_OPTION_TEXT, offsetof(arguments, like), "FILE",
     "Keras model, or its to_json(), that describes the network of a file with weights only",
     .complete = PD_COMPLETE_FILES},
    {"scaling", 0, PD_OPTION_TEXT, offsetof(arguments, scaling), "SCALING",
     "how images were scaled in training: 0..1, 0..255, tf, caffe, torch or MEAN,DEVIATION",
     .complete = PD_COMPLETE_NOTHING},
    {"positive", 0, PD_OPTION_INT, offsetof(arguments, positive), "N",
     "of two outputs, the one that means pneumonia; of one: 0 if it means normal (default 1)",
     .low = 0, .high = 1},
    {"causes", 0, PD_OPTION_INTS, offsetof(arguments, causes), "N,B,V",
     "of three outputs, those for normal, bacteria and virus (default 0,1,2)", .low = 0, .high = 2},
    {"size", 0, PD_OPTION_INT, offsetof(arguments, size), "N",
     "side of the images, for models that take any", .low = 1, .high = 4096},
    {0}};

static pd_status run(pd_comm *comm, void *values, char **operands, int count)
{
    const arguments *given = values;
    (void)comm;
    (void)count;
    pd_import_options import = {.like = given->like,
                                .scaling = given->scaling,
                                .size = given->size,
                                .positive = given->positive};
    pd_import_summary summary;
    if (given->causes.count != 3)
        return pd_fail_usage("--causes needs three numbers");
    for (int i = 0; i < 3; i++)
        import.causes[i] = given->causes.values[i];
    const char *const inputs[] = {operands[0], given->like};
    pd_status status = pd_output_check(given->output, inputs, 2);
    if (status == PD_OK)
        status = pd_checkpoint_check_replaced(given->output);
    if (status == PD_OK)
        status = pd_folder_make_above(given->output);
    if (status == PD_OK)
        status = pd_import(given->output, operands[0], &import, &summary);
    if (status == PD_OK)
        printf("%s: %d layers, %zu parameters, images of %d x %d x %d, task %s\n", given->output,
               summary.layers, summary.parameters, summary.size, summary.size, summary.channels,
               pd_tasks[summary.task].name);
    return status;
}

const pd_command pd_command_import = {
    .name = "import",
    .summary = "make a checkpoint from a Keras model",
    .description =
        "Reads a model that Keras 1, 2 or 3 saved (.h5, .hdf5, .keras) and writes a checkpoint, "
        "which evaluate, predict, explain, calibrate, inspect and export use like one that was "
        "trained here; ensemble refuses it, since its training images are unknown. The network is "
        "built from the model's own description; what cannot be built is named with its layer and "
        "class.\n\n"
        "A file with weights only (.weights.h5, save_weights) needs the network from another file: "
        "--like takes a Keras model, or the JSON that model.to_json() gives.\n\n"
        "The images' scaling is that of the model's Rescaling or Normalization layer; a model "
        "without one needs --scaling. tf is -1 to 1; caffe and torch subtract ImageNet's means "
        "(keras.applications).\n\n"
        "One output is the probability of pneumonia, two are normal and pneumonia, three normal, "
        "bacteria and virus, or as --positive and --causes say. The threshold is 0.5: 'pneumo-dist "
        "calibrate' chooses a better one on images of your own.",
    .examples = "pneumo-dist import model.h5 --scaling 0..1 -o model-imported.h5\n"
                "pneumo-dist import best.weights.h5 --like model.json -o imported.h5",
    .operands = {{"FILE", PD_COMPLETE_FILES}},
    .options = options,
    .options_size = sizeof(arguments),
    .defaults = &defaults,
    .run = run,
    .one_rank = true,
};
