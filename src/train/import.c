#include "pneumo/train/import.h"

#include "pneumo/base/memory.h"
#include "pneumo/exchange/keras_model.h"
#include "pneumo/exchange/scaling.h"
#include "pneumo/train/job.h"
#include "pneumo/train/setup.h"
#include "snapshot.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A model on its way from a file to a checkpoint. */
typedef struct importer {
    const pd_import_options *options;
    pd_keras_file *file, *like; /* like: where the network is described; may be the same */
    pd_keras_model model;
    int outputs; /* of the file's network */
    pd_task_kind task;
    bool has_head; /* a layer turns its outputs into those of the task */
    float head[3][3];
    pd_shape head_shape; /* h: its inputs, c: its outputs */
} importer;

static const char *const HEAD = "class_logits";

/* --- The network --- */

/* Reads the network. Without `all`, it cannot be run, and takes no memory. */
static pd_status read_network(importer *import, bool all)
{
    size_t bytes;
    const char *config = pd_keras_file_config(import->like);
    const char *path = pd_keras_file_path(import->like);
    if (config == NULL)
        return pd_fail("%s: has weights, but no description of the network: give a file that has "
                       "one with --like (a Keras model, or its to_json())",
                       path);
    pd_keras_model_free(&import->model);
    import->model.input.size = import->options->size;
    pd_status status = pd_keras_model_read(&import->model, path, config, import->file);
    if (status != PD_OK)
        return status;
    if (import->has_head)
        pd_network_add(import->model.network, "dense", HEAD,
                       pd_network_layer_count(import->model.network),
                       (pd_layer_spec){.units = import->head_shape.c, .no_bias = true});
    const pd_plan plan = {.lanes = 1, .lane_samples = 1, .total_lanes = 1, .threads = 1};
    status = all ? pd_network_plan(import->model.network, &plan, 0, false)
                 : pd_network_measure(import->model.network, &plan, 0, &bytes);
    return status == PD_OK ? PD_OK : pd_error_prefix(status, "%s", path);
}

/* Every command reads the checkpoint's job, in which data.channels is 1 or 3. */
static pd_status check_channels(const importer *import)
{
    if (import->model.input.channels != 2)
        return PD_OK;
    return pd_fail("%s: the model takes images of 2 channels; 1 (grey) or 3 (the same grey in "
                   "each) are supported",
                   pd_keras_file_path(import->like));
}

static pd_status check_scaling(importer *import)
{
    const char *scaling = import->options->scaling, *path = pd_keras_file_path(import->like);
    if (import->model.scaled && scaling != NULL)
        return pd_fail("%s: the model scales its images itself: omit --scaling", path);
    if (import->model.scaled)
        return PD_OK;
    if (scaling == NULL)
        return pd_fail("%s: the model does not say how its images are scaled: give --scaling "
                       "0..1, 0..255, tf, caffe, torch or MEAN,DEVIATION as in training (0..1 "
                       "where pixels were divided by 255)",
                       path);
    return pd_scaling_parse(&import->model.input, scaling);
}

/* --- Outputs --- */

static void need_head(importer *import, int inputs, int outputs)
{
    import->has_head = true;
    import->head_shape = (pd_shape){inputs, 1, outputs};
}

/* One output: the logit of pneumonia, or of normal. */
static pd_status choose_single(importer *import)
{
    if (strcmp(import->model.activation, "softmax") == 0)
        return pd_fail("a softmax of one output is always 1");
    if (import->options->positive == 0) {
        need_head(import, 1, 1);
        import->head[0][0] = -1;
    }
    return PD_OK;
}

/* Two logits: the difference is the log-odds. */
static pd_status choose_pair(importer *import)
{
    if (strcmp(import->model.activation, "sigmoid") == 0)
        return pd_fail("the model has two outputs with sigmoid; two are supported with softmax");
    need_head(import, 2, 1);
    for (int i = 0; i < 2; i++)
        import->head[i][0] = i == import->options->positive ? 1 : -1;
    return PD_OK;
}

static pd_status choose_causes(importer *import)
{
    const int *causes = import->options->causes;
    bool used[3] = {false}, sorted = true;
    if (strcmp(import->model.activation, "sigmoid") == 0)
        return pd_fail("the model has three outputs with sigmoid; three are supported with "
                       "softmax");
    for (int i = 0; i < 3; i++) {
        if (causes[i] < 0 || causes[i] > 2 || used[causes[i]])
            return pd_fail_usage("--causes must name each of the outputs 0, 1 and 2");
        used[causes[i]] = true;
        sorted = sorted && causes[i] == i;
        import->head[causes[i]][i] = 1;
    }
    import->task = PD_TASK_CAUSE;
    if (!sorted)
        need_head(import, 3, 3);
    return PD_OK;
}

/* Chooses the task by the number of outputs. */
static pd_status choose_task(importer *import)
{
    static pd_status (*const choices[])(importer *) = {choose_single, choose_pair, choose_causes};
    import->outputs = pd_network_output(import->model.network).c;
    import->task = PD_TASK_PNEUMONIA;
    pd_status status =
        import->outputs > 3
            ? pd_fail("the model has %d outputs; 1 (pneumonia), 2 (normal, pneumonia) or 3 "
                      "(normal, bacteria, virus) are supported",
                      import->outputs)
            : choices[import->outputs - 1](import);
    return status == PD_FAILED ? pd_error_prefix(status, "%s", pd_keras_file_path(import->like))
                               : status;
}

static void fill_head(importer *import)
{
    const pd_network *network = import->model.network;
    const pd_layer *layer = pd_network_layer(network, pd_network_layer_count(network) - 1);
    pd_shape shape = import->head_shape;
    for (int i = 0; i < shape.h; i++)
        for (int j = 0; j < shape.c; j++)
            layer->params[0].value[i * shape.c + j] = import->head[i][j];
}

/* Reads network and weights. */
static pd_status read_model(importer *import)
{
    pd_status status = PD_OK;
    PD_TRY(read_network(import, false));
    PD_TRY(check_channels(import));
    PD_TRY(choose_task(import));
    if (pd_keras_file_has_weights(import->file))
        PD_TRY(pd_keras_model_check(&import->model, import->file));
    PD_TRY(read_network(import, true));
    PD_TRY(check_scaling(import));
    /* Arrays that Keras left out, such as a gamma, have their initial values. */
    pd_network_initialise(import->model.network, 0);
    PD_TRY(pd_keras_model_load(&import->model, import->file));
    if (import->has_head)
        fill_head(import);

cleanup:
    return status;
}

/* --- The checkpoint --- */

/* The file's name without folder and extension. */
static void set_name(char *name, size_t size, const char *path)
{
    const char *slash = strrchr(path, '/'), *stem = slash == NULL ? path : slash + 1;
    size_t length = strcspn(stem, ".");
    snprintf(name, size, "%.*s", (int)length, stem);
}

static pd_status write_checkpoint(importer *import, const char *output)
{
    pd_status status = PD_OK;
    const pd_task *task = &pd_tasks[import->task];
    const pd_input *input = &import->model.input;
    char *job = NULL;
    pd_job defaults;
    pd_job_defaults(&defaults);
    PD_TRY(pd_format(&job, "[data]\nsize = %d\nchannels = %d\ntask = %s\n", input->size,
                     input->channels, task->name));
    pd_checkpoint checkpoint = {.job = job,
                                .image_height = input->height,
                                .image_width = input->width,
                                .pixel_deviation = 1,
                                .state = {.best_metric = NAN,
                                          .learning_scale = 1,
                                          .lanes = defaults.sampling.lanes,
                                          .finished = true},
                                .has_decision = true,
                                .decision = {.threshold = 0.5,
                                             .temperature = 1,
                                             .views = 1,
                                             .refer_low = 0.5,
                                             .refer_high = 0.5,
                                             .rule = "0.5 by default, after import",
                                             .fold = "no images"}};
    set_name(checkpoint.job_name, sizeof checkpoint.job_name, output);
    snprintf(checkpoint.model, sizeof checkpoint.model, "%s", PD_SETUP_IMPORTED);
    snprintf(checkpoint.version, sizeof checkpoint.version, "%s", PNEUMO_VERSION);
    const pd_exchange_model model = {.name = checkpoint.job_name,
                                     .network = import->model.network,
                                     .input = input,
                                     .activation = task->activation};
    status = pd_snapshot_view(&checkpoint, &model, NULL);
    if (status == PD_OK)
        status = pd_checkpoint_save(output, &checkpoint);
    pd_snapshot_release(&checkpoint);

cleanup:
    free(job);
    return status;
}

static void summarise(importer *import, pd_import_summary *out)
{
    size_t weights, state;
    pd_network_weights(import->model.network, &weights);
    pd_network_state(import->model.network, &state);
    *out = (pd_import_summary){.task = import->task,
                               .size = import->model.input.size,
                               .channels = import->model.input.channels,
                               .layers = pd_network_layer_count(import->model.network),
                               .outputs = import->outputs,
                               .parameters = weights + state};
}

pd_status pd_import(const char *output, const char *path, const pd_import_options *options,
                    pd_import_summary *summary)
{
    pd_status status = PD_OK;
    importer import = {.options = options};
    PD_TRY(pd_keras_file_open(&import.file, path));
    import.like = import.file;
    if (options->like != NULL)
        PD_TRY(pd_keras_file_open(&import.like, options->like));
    PD_TRY(read_model(&import));
    PD_TRY(write_checkpoint(&import, output));
    summarise(&import, summary);

cleanup:
    pd_keras_model_free(&import.model);
    if (import.like != import.file)
        pd_keras_file_close(&import.like);
    pd_keras_file_close(&import.file);
    return status;
}
