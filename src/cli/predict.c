/* pneumo-dist predict: classifies image files with a checkpoint. */
#include "checkpoint_operand.h"
#include "command.h"
#include "pneumo/io/outputs.h"
#include "pneumo/metrics/calibration.h"
#include "pneumo/report/prediction_file.h"

#include <string.h>

typedef struct arguments {
    const char *output;
    int format;       /* pd_prediction_format */
    double threshold; /* 0: not given */
    int threads;
} arguments;

static const pd_option options[] = {
    {"format", 'f', PD_OPTION_CHOICE, offsetof(arguments, format), "FORMAT",
     "format of the rows (default csv); jsonl is a JSON object per line",
     .choices =
         (const char *const[]){[PD_PREDICTION_CSV] = "csv", [PD_PREDICTION_JSONL] = "jsonl", NULL}},
    {"output", 'o', PD_OPTION_TEXT, offsetof(arguments, output), "FILE",
     "write to FILE, all or nothing, instead of to standard output (-)",
     .complete = PD_COMPLETE_FILES},
    {"threshold", 0, PD_OPTION_NUMBER, offsetof(arguments, threshold), "X",
     "call a probability of X or more PNEUMONIA, instead of the checkpoint's threshold; evaluate "
     "chooses one for a target sensitivity",
     .low = 0, .high = 1, .above_low = true},
    PD_OPTION_THREADS(arguments, threads),
    {0}};

static pd_status run(pd_comm *comm, void *values, char **operands, int count)
{
    pd_status status = PD_OK;
    const arguments *given = values;
    pd_prediction_file *file = NULL;
    const char *output = pd_output_is_stdout(given->output) ? NULL : given->output;
    pd_predict_options predict = {.checkpoint = operands[0],
                                  .inputs = (const char *const *)operands + 1,
                                  .input_count = count - 1,
                                  .threshold = given->threshold,
                                  .threads = given->threads,
                                  .output = output};
    for (int i = 0; i < count; i++) {
        if (operands[i][0] == '\0')
            return pd_fail_usage("a checkpoint or an image has an empty name");
        if (i > 0 && strcmp(operands[i], PD_PREDICT_STDIN) == 0 && pd_comm_size(comm) > 1)
            return pd_fail_usage(
                "'-' reads standard input, which one rank has; run predict without "
                "mpirun");
    }
    if (pd_comm_rank(comm) == 0)
        status = pd_checkpoint_operand_check(operands[0], operands[1]);
    PD_TRY(pd_comm_agree(comm, status));
    PD_TRY(pd_prediction_file_create(&file, output, (pd_prediction_format)given->format));
    predict.sink = pd_prediction_file_sink(file);
    status = pd_predict(comm, &predict);
cleanup:
    pd_prediction_file_destroy(&file);
    return status;
}

_Static_assert(PD_BAND_PERCENT == 1, "the description says 1 %");

const pd_command pd_command_predict = {
    .name = "predict",
    .summary = "classify images",
    .description =
        "Writes a row for every image: path, probability (of pneumonia), label (NORMAL "
        "or PNEUMONIA, at the threshold that the checkpoint chose on its validation fold, or at "
        "--threshold, which the band of doubt is extended to include), refer, "
        "reason, error. A folder stands for all files in it and below it, sorted, except hidden "
        "ones; '-' stands for one image on standard input. A file that is not a readable image has "
        "a row with an error; the other files are "
        "still classified, and the exit code is 1.\n\n"
        "To predict with the average of several checkpoints, first combine them into one file with "
        "'pneumo-dist ensemble', which chooses the threshold of the average; give that file as "
        "CHECKPOINT.\n\n"
        "refer is 'yes' if a person should review the image; reason says why:\n"
        "- The image is unlike the training images in its shape, share of black pixels, deviation "
        "or "
        "mean of its grey values, sharpness, or correlation with their mean image. inspect shows "
        "the limits.\n"
        "- The DICOM file states a lateral view, or another modality than radiography.\n"
        "- The probability lies in the checkpoint's band of doubt. That is the narrowest band "
        "around "
        "the threshold outside of which, on the validation fold, at most 1 % of the images "
        "classified as NORMAL were pneumonia and at most 1 % of those classified as PNEUMONIA were "
        "normal; both ends belong to it.\n\n"
        "'no' is not a diagnosis: images from elsewhere can mislead the model without any sign of "
        "doubt.",
    .examples = "pneumo-dist predict runs/cnn-deep/best.h5 radiographs -o predictions.csv\n"
                "cat radiograph.png | pneumo-dist predict runs/cnn-deep/best.h5 -",
    .operands = {{"CHECKPOINT", PD_COMPLETE_FILES},
                 {"IMAGE|DIR", PD_COMPLETE_FILES, .repeated = true}},
    .options = options,
    .options_size = sizeof(arguments),
    .run = run,
};
