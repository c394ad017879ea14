/* pneumo-dist explain: draws maps of where a convolutional network looks. */
#include "checkpoint_operand.h"
#include "command.h"
#include "pneumo/base/log.h"
#include "pneumo/base/memory.h"
#include "pneumo/base/progress.h"
#include "pneumo/base/text.h"
#include "pneumo/evaluate/classifier.h"
#include "pneumo/evaluate/heatmap.h"
#include "pneumo/io/file.h"
#include "pneumo/io/outputs.h"
#include "pneumo/train/threads.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The command line. */
typedef struct request {
    const char *checkpoint, *folder;
    char *const *images;
    int count, threads;
} request;

/* --- The files that are written --- */

/* Returns the file name without its folder, and sets *length to that without its extension. */
static const char *stem_of(const char *path, int *length)
{
    const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
    const char *dot = strrchr(name, '.');
    *length = (int)(dot != NULL && dot > name ? (size_t)(dot - name) : strlen(name));
    return name;
}

/* Names the outputs of image `index`, without extensions, different from those of earlier images.
 */
static pd_status name_output(char **outputs, int index, const request *options)
{
    int length, other, number = 1;
    const char *stem = stem_of(options->images[index], &length);
    for (int i = 0; i < index; i++) {
        const char *earlier = stem_of(options->images[i], &other);
        number += other == length && memcmp(earlier, stem, (size_t)length) == 0;
    }
    for (;; number++) {
        char suffix[16] = "";
        if (number > 1)
            snprintf(suffix, sizeof suffix, "-%d", number);
        pd_status status =
            pd_format(&outputs[index], "%s/%.*s%s", options->folder, length, stem, suffix);
        if (status != PD_OK)
            return status;
        bool taken = false;
        for (int i = 0; i < index && !taken; i++)
            taken = strcmp(outputs[i], outputs[index]) == 0;
        if (!taken)
            return PD_OK;
        free(outputs[index]);
        outputs[index] = NULL;
    }
}

/* Fails if a file that is written would replace the checkpoint or one of the images. */
static pd_status check_files(char **outputs, const request *options)
{
    static const char *const extensions[] = {"png", "npy"};
    pd_status status = PD_OK;
    char **files = NULL;
    const int64_t count = 2 * (int64_t)options->count;
    PD_TRY(pd_alloc(&files, (size_t)count, sizeof *files));
    for (int64_t i = 0; i < count; i++)
        PD_TRY(pd_format(&files[i], "%s.%s", outputs[i / 2], extensions[i % 2]));
    const char *const *paths = (const char *const *)files;
    PD_TRY(pd_outputs_check(paths, count, &options->checkpoint, 1));
    PD_TRY(pd_outputs_check(paths, count, (const char *const *)options->images, options->count));
cleanup:
    for (int64_t i = 0; files != NULL && i < count; i++)
        free(files[i]);
    free(files);
    return status;
}

static pd_status write_picture(const char *path, const pd_heatmap *map, const pd_image *image)
{
    pd_status status = PD_OK;
    pd_picture picture = {0};
    unsigned char *bytes = NULL;
    size_t size;
    PD_TRY(pd_heatmap_overlay(&picture, map, image));
    PD_TRY(pd_picture_encode(&bytes, &size, &picture));
    PD_TRY(pd_file_write(path, bytes, size));
cleanup:
    free(bytes);
    pd_picture_free(&picture);
    return status;
}

/* NumPy's file format, version 1.0 (NEP 1): a preamble of 10 bytes and a text, padded to 128
 * bytes. */
static pd_status write_array(const char *path, const pd_heatmap *map)
{
    enum { PREAMBLE = 10, HEADER = 128 };
    const char order = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? '<' : '>';
    size_t size = (size_t)map->height * (size_t)map->width * sizeof *map->values;
    char *bytes;
    pd_status status = pd_alloc(&bytes, HEADER + size, 1);
    if (status != PD_OK)
        return status;
    memset(bytes, ' ', HEADER);
    memcpy(bytes, "\x93NUMPY\x01\x00", 8);
    bytes[8] = HEADER - PREAMBLE;
    bytes[9] = 0;
    int length = snprintf(bytes + PREAMBLE, HEADER - PREAMBLE,
                          "{'descr': '%cf4', 'fortran_order': False, 'shape': (%d, %d), }", order,
                          map->height, map->width);
    bytes[PREAMBLE + length] = ' ';
    bytes[HEADER - 1] = '\n';
    memcpy(bytes + HEADER, map->values, size);
    status = pd_file_write(path, bytes, HEADER + size);
    free(bytes);
    return status;
}

/* --- The rows that are printed --- */

static void print_row(const char *path, const char *picture, const pd_heatmap *map,
                      const pd_image *image, double probability, pd_label label)
{
    pd_progress_clear(); /* standard output may be the same terminal */
    pd_text_write_csv(stdout, path);
    printf(",%.6f,%s,", probability, pd_label_names[label]);
    if (isnan(map->border)) /* then the peak is unknown too */
        printf(",,,");
    else
        printf("%.4f,%d,%d,", map->border, (int)(map->peak_y * image->height),
               (int)(map->peak_x * image->width));
    pd_text_write_csv(stdout, picture);
    putchar('\n');
}

/* --- The work --- */

/* `square` is scratch for one packed image. */
static pd_status explain_image(pd_classifier *classifier, const char *path, const char *output,
                               const pd_image *square)
{
    pd_status status = PD_OK;
    pd_image image = {0};
    pd_heatmap map = {0};
    pd_score score = {0};
    char *picture = NULL, *array = NULL;
    PD_TRY(pd_format(&picture, "%s.png", output));
    PD_TRY(pd_format(&array, "%s.npy", output));
    PD_TRY(pd_image_check_path(path));
    PD_TRY(pd_image_read(&image, path));
    PD_TRY(pd_classifier_pack(classifier, &image, square->pixels));
    PD_TRY(pd_classifier_heatmap(&map, classifier, square));
    const uint8_t *packed = square->pixels;
    PD_TRY(pd_classifier_score(classifier, &packed, 1, &score));
    PD_TRY(write_array(array, &map));
    PD_TRY(write_picture(picture, &map, &image));
    bool ill = score.probability >= pd_classifier_checkpoint(classifier)->decision.threshold;
    print_row(path, picture, &map, &image, score.probability, ill ? PD_PNEUMONIA : PD_NORMAL);
cleanup:
    free(picture);
    free(array);
    pd_heatmap_free(&map);
    pd_image_free(&image);
    return status;
}

static pd_status load(pd_classifier **classifier, const request *options)
{
    pd_status status = PD_OK;
    PD_TRY(pd_classifier_load(classifier, options->checkpoint, 1, options->threads));
    if (!pd_classifier_has_heatmap(*classifier))
        status = pd_fail("%s: its model '%s' has no convolution, so it has no heat map; give a "
                         "checkpoint of a cnn, vgg or xception",
                         options->checkpoint, pd_classifier_checkpoint(*classifier)->model);
cleanup:
    return status;
}

/* Creates the folder and names the outputs of every image. */
static pd_status prepare_outputs(char **outputs, const request *options)
{
    pd_status status = PD_OK;
    for (int i = 0; i < options->count; i++)
        PD_TRY(name_output(outputs, i, options));
    PD_TRY(check_files(outputs, options));
    PD_TRY(pd_folder_make(options->folder));
cleanup:
    return status;
}

/* Says why an image could not be explained. Some messages name the file already. */
static void warn_of(const char *path)
{
    const char *message = pd_error_message();
    bool named = strncmp(message, path, strlen(path)) == 0;
    pd_log_warn("%s%s%s", named ? "" : path, named ? "" : ": ", message);
}

static pd_status explain(const request *options)
{
    pd_status status = PD_OK;
    pd_classifier *classifier = NULL;
    char **outputs = NULL;
    pd_image square = {0};
    pd_progress progress;
    bool found = pd_file_exists(options->folder);
    int failed = 0;
    PD_TRY(load(&classifier, options));
    PD_TRY(pd_alloc(&outputs, (size_t)options->count, sizeof *outputs));
    PD_TRY(prepare_outputs(outputs, options));
    const pd_input *input = pd_classifier_input(classifier);
    square = (pd_image){.height = input->height, .width = input->width};
    PD_TRY(pd_alloc(&square.pixels, pd_classifier_packed_size(classifier), 1));
    puts("path,probability,label,border,peak_row,peak_column,picture");
    pd_progress_begin(&progress, "explaining", 0, (uint64_t)options->count);
    for (int i = 0; i < options->count; i++) {
        if (explain_image(classifier, options->images[i], outputs[i], &square) != PD_OK) {
            warn_of(options->images[i]);
            failed++;
        }
        pd_progress_update(&progress, (uint64_t)i + 1, NULL);
    }
    pd_progress_end(&progress);
    if (failed == options->count && !found)
        rmdir(options->folder); /* nothing was written */
    if (failed > 0)
        status = pd_fail("%d of %d image%s could not be explained", failed, options->count,
                         pd_text_plural(options->count));
cleanup:
    for (int i = 0; outputs != NULL && i < options->count; i++)
        free(outputs[i]);
    free(outputs);
    pd_image_free(&square);
    pd_classifier_destroy(&classifier);
    return status;
}

typedef struct arguments {
    const char *folder;
    int threads;
} arguments;

static const pd_option options[] = {{"output", 'o', PD_OPTION_TEXT, offsetof(arguments, folder),
                                     "DIR", "the folder to write to", .required = true,
                                     .complete = PD_COMPLETE_FOLDERS, .no_stdout = true},
                                    PD_OPTION_THREADS(arguments, threads),
                                    {0}};

static pd_status run(pd_comm *comm, void *values, char **operands, int count)
{
    const arguments *given = values;
    pd_status status = pd_checkpoint_operand_check(operands[0], operands[1]);
    if (status != PD_OK)
        return status;
    const request asked = {.checkpoint = operands[0],
                           .folder = given->folder,
                           .images = operands + 1,
                           .count = count - 1,
                           .threads = pd_threads_choose(comm, given->threads)};
    return explain(&asked);
}

const pd_command pd_command_explain = {
    .name = "explain",
    .summary = "show which regions a prediction rests on, as a map over each image",
    .description =
        "Shows which regions of an image raise the probability of pneumonia: Grad-CAM (Selvaraju "
        "et al., arXiv:1610.02391) at its last convolution. For every image it writes\n\n"
        "  DIR/NAME.png  the image at its own size under the map in colours, with\n"
        "                their scale from 0 (bottom) to the map's largest value (top)\n"
        "  DIR/NAME.npy  the map itself, float32, for NumPy\n\n"
        "and a row of CSV on standard output:\n\n"
        "  path         the image\n"
        "  probability  of pneumonia\n"
        "  label        NORMAL or PNEUMONIA at the checkpoint's threshold\n"
        "  border       share of the map that lies within a tenth of the side from the\n"
        "               border, where there are markers and edges rather than lungs\n"
        "  peak_row, peak_column\n"
        "               where the colours peak, in the image's pixels from 0\n"
        "  picture      the PNG file\n\n"
        "CHECKPOINT may also be an average of several (pneumo-dist ensemble). Its map is the mean "
        "of "
        "the members' maps, each divided by the member's temperature, as its logit is, at the size "
        "of the finest.\n\n"
        "border and peak are empty where the map is zero. Images of the same name are numbered. An "
        "image that cannot be read is left out; the exit code is then 1.",
    .examples = "pneumo-dist explain runs/cnn-deep/best.h5 image.jpeg -o maps",
    .operands = {{"CHECKPOINT", PD_COMPLETE_FILES}, {"IMAGE", PD_COMPLETE_FILES, .repeated = true}},
    .options = options,
    .options_size = sizeof(arguments),
    .run = run,
    .one_rank = true,
};
