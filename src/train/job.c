#include "pneumo/train/job.h"

#include "key_file.h"
#include "pneumo/io/file.h"

#include <stdlib.h>
#include <string.h>

enum { FILE_MAX_BYTES = 1 << 20 };

static const char *const balances[] = {"none", "oversample", "weights", "shape"};
static const char *const heads[] = {"pool", "dense"};
static const char *const scopes[] = {"batch", "lane"};
static const char *const image_places[] = {"auto", "memory", "stream"};
static const char *const views[] = {"plain", "mirror", "zoom", "auto"};
static const char *const threshold_folds[] = {"validation", "stress"};
static const char *const threshold_rules[] = {"sensitivity", "both"};
static const char *const monitors[] = {"auc", "loss", "balanced-accuracy", "stress"};
static const char *const inits[] = {"default",        "he-normal", "he-uniform", "glorot-normal",
                                    "glorot-uniform", "zeros",     "ones"};

#define FIELD(field)       PD_KEY_FIELD(pd_job, field), false
#define OPERATIONAL(field) PD_KEY_FIELD(pd_job, field), true
#define CHOICES(table)                                                                             \
    &(const pd_key_choices)                                                                        \
    {                                                                                              \
        .rows = table, .row_size = sizeof *(table), .count = sizeof(table) / sizeof *(table)       \
    }
static const pd_key_choices scalings = {.rows = pd_grey_scaling_names,
                                        .row_size = sizeof *pd_grey_scaling_names,
                                        .count = PD_GREY_FIXED};
static const pd_key_choices models = {.list = pd_model_names, .what = "model"};

/* One row per key. The sections are in the order of the job's text and of the help. */
static const pd_key rows[] = {
    {"run", "seed", FIELD(seed), "1", "[0, 18446744073709551615]", NULL,
     "seed of all random numbers"},
    {"run", "folder", OPERATIONAL(folder), "", NULL, NULL,
     "folder to write; empty: runs/<name of the job>"},
    {"run", "checkpoint_minutes", OPERATIONAL(checkpoint_minutes), "5", "[0, 100000]", NULL,
     "minutes between checkpoints within an epoch; 0: only at its end"},
    {"run", "audit_steps", OPERATIONAL(audit_steps), "100", "[0, 1000000]", NULL,
     "steps between comparisons of the ranks' weights, made before saving, too; 0: never"},
    {"run", "watchdog_seconds", OPERATIONAL(watchdog_seconds), "60", "[0, 86400]", NULL,
     "time within which all ranks end when one is lost, at least 4; 0: they wait"},
    {"run", "reduction", FIELD(reduction), "exact", NULL, CHOICES(pd_reduction_names),
     "sum of gradients: same bits for any number of ranks, or MPI's own"},
    {"run", "threads", OPERATIONAL(threads), "0", "[0, 4096]", NULL,
     "threads per rank; 0: OMP_NUM_THREADS, else SLURM_CPUS_PER_TASK, else the rank's share of "
     "its host's cores, within the quota of its container"},
    {"run", "bucket_kib", OPERATIONAL(bucket_kib), "1024", "[1, 65536]", NULL,
     "KiB of gradient per message"},
    {"run", "share_ranks", OPERATIONAL(share_ranks), "0", "[0, 4096]", NULL,
     "ranks of a host that sum gradients in shared memory; 0: all, 1: none"},
    {"run", "images", OPERATIONAL(images), "auto", NULL, CHOICES(image_places),
     "hold a rank's images in memory or stream them from the file; auto: hold if they fit"},
    {"run", "tensorboard", OPERATIONAL(tensorboard), "no", NULL, NULL,
     "also write the figures of each epoch for TensorBoard, into the run's folder"},

    {"data", "file", FIELD(file), "data/chest_xray.h5", NULL, NULL, "the packed data set"},
    {"data", "size", FIELD(input.size), "112", "[0, 4096]", NULL,
     "side of the network's input; 0: as packed"},
    {"data", "channels", FIELD(input.channels), "1", "[1, 3]", NULL,
     "1: grey; 3: the same grey in three channels"},
    {"data", "task", FIELD(task), "pneumonia", NULL, CHOICES(pd_tasks), "what to classify"},
    {"data", "balance", FIELD(sampling.balance), "none", NULL, CHOICES(balances),
     "how to treat unequal class counts; shape: oversample, and even out shape and size"},
    {"data", "scaling", FIELD(input.scaling), "fold", NULL, &scalings,
     "normalise grey values by mean and standard deviation of the train fold or of each image"},
    {"data", "train_images", FIELD(train_images), "0", "[0, 1000000000]", NULL,
     "use only so many images of the train fold, patient by patient; 0: all"},
    {"data", "cross", FIELD(cross), "0", "[0, 20]", NULL,
     "parts into which the patients of train and val are divided; 0: the file's folds"},
    {"data", "cross_part", FIELD(cross_part), "0", "[0, 20]", NULL,
     "the part that is the val fold, from 1; the other parts are the train fold"},

    {"model", "name", FIELD(model.name), "cnn", NULL, &models, "the network"},
    {"model", "from", FIELD(base.file), "", NULL, NULL,
     "Keras model or checkpoint that provides the network, except its head, and the first weights"},
    {"model", "from_layer", FIELD(base.layer), "", NULL, NULL,
     "from: the last layer to keep; empty: the one before the last dense layer; output: all"},
    {"model", "weights", FIELD(weights), "", NULL, NULL,
     "file of the weights to start from, layer by layer; empty: random ones"},
    {"model", "scaling", FIELD(base.scaling), "", NULL, NULL,
     "from, weights: how images were scaled there, as in import; empty: as the file says"},
    {"model", "hidden", FIELD(model.hidden), "128", "[1, 65536]", NULL,
     "mlp2, cnn: units of the hidden layer"},
    {"model", "width", FIELD(model.width), "1", "(0, 16]", NULL,
     "factor on the channels of convolutions"},
    {"model", "dropout", FIELD(model.dropout), "0", "[0, 1)", NULL,
     "fraction of values dropped in training"},
    {"model", "head", FIELD(model.head), "pool", NULL, CHOICES(heads),
     "vgg16, vgg19: global pooling, or two dense layers"},
    {"model", "normalise", FIELD(model.normalise), "no", NULL, NULL,
     "vgg16, vgg19: batch normalisation after convolutions"},
    {"model", "batchnorm", FIELD(model.norm_scope), "batch", NULL, CHOICES(scopes),
     "batch normalisation over the batch or over each lane"},
    {"model", "norm_momentum", FIELD(model.norm_momentum), "0.9", "(0, 1)", NULL,
     "momentum of batch normalisation's moving statistics"},
    {"model", "precision", FIELD(precision), "float32", NULL, CHOICES(pd_precision_names),
     "how activations and their gradients are stored: bf16 takes half the memory"},
    {"model", "recompute", FIELD(recompute), "auto", NULL, CHOICES(pd_recompute_names),
     "compute outputs of batch normalisation again for backward, which saves memory"},
    {"model", "init", FIELD(model.init), "default", NULL, CHOICES(inits),
     "initialisation of the weights of all layers but the last"},
    {"model", "freeze", FIELD(freeze), "", NULL, NULL,
     "layers not to train: base (all but the last), or up to a layer or block; empty: none"},

    {"train", "epochs", FIELD(schedule.epochs), "20", "[1, 100000]", NULL, "epochs to train"},
    {"train", "epoch_images", FIELD(sampling.epoch_images), "0", "[0, 1000000000]", NULL,
     "images per epoch; 0: the size of the train fold"},
    {"train", "batch", FIELD(sampling.batch), "64", "[1, 1048576]", NULL,
     "images per step over all ranks; a multiple of lanes"},
    {"train", "lanes", FIELD(sampling.lanes), "8", "[1, 4096]", NULL,
     "fixed slices of a batch; at least the number of ranks"},
    {"train", "optimizer", FIELD(optimizer.kind), "adamw", NULL, CHOICES(pd_optimizer_types),
     "rule by which gradients update weights"},
    {"train", "learning_rate", FIELD(schedule.learning_rate), "1e-3", "(0, 1000]", NULL,
     "peak learning rate"},
    {"train", "momentum", FIELD(optimizer.momentum), "0.9", "[0, 1)", NULL, "sgd, rmsprop"},
    {"train", "nesterov", FIELD(optimizer.nesterov), "no", NULL, NULL, "sgd: Nesterov's momentum"},
    {"train", "beta1", FIELD(optimizer.beta1), "0.9", "[0, 1)", NULL,
     "adam, adamw: decay of the mean gradient"},
    {"train", "beta2", FIELD(optimizer.beta2), "0.999", "[0, 1)", NULL,
     "adam, adamw, rmsprop: decay of the mean square"},
    {"train", "epsilon", FIELD(optimizer.epsilon), "1e-8", "(0, 1]", NULL,
     "adam, adamw, rmsprop: added to the divisor"},
    {"train", "schedule", FIELD(schedule.kind), "onecycle", NULL, CHOICES(pd_schedule_types),
     "learning rate over time"},
    {"train", "warmup_epochs", FIELD(schedule.warmup_epochs), "0", "[0, 100000]", NULL,
     "epochs in which the learning rate rises; onecycle: 0 means 30 % of the run"},
    {"train", "step_epochs", FIELD(schedule.step_epochs), "10", "[1, 100000]", NULL,
     "schedule = step: epochs between cuts"},
    {"train", "step_factor", FIELD(schedule.step_factor), "0.1", "(0, 1]", NULL,
     "schedule = step: factor of a cut"},
    {"train", "final_factor", FIELD(schedule.final_factor), "0.001", "[0, 1]", NULL,
     "cosine, onecycle: final learning rate over the peak"},
    {"train", "plateau_epochs", FIELD(plateau_epochs), "0", "[0, 100000]", NULL,
     "epochs without improvement after which to cut the learning rate; 0: never"},
    {"train", "plateau_factor", FIELD(plateau_factor), "0.5", "(0, 1)", NULL, "factor of that cut"},
    {"train", "patience", FIELD(patience), "0", "[0, 100000]", NULL,
     "epochs without improvement after which to stop; 0: never"},
    {"train", "unfreeze_epoch", FIELD(schedule.unfreeze_epoch), "0", "[0, 100000]", NULL,
     "epoch from which all layers are trained and the schedule begins again; 0: never"},
    {"train", "unfreeze_factor", FIELD(schedule.unfreeze_factor), "0.1", "(0, 1]", NULL,
     "factor on the learning rate from that epoch on"},
    {"train", "rate_decay", FIELD(optimizer.rate_decay), "1", "(0, 1]", NULL,
     "factor on the learning rate from each block or layer to the next one below it"},
    {"train", "ema", FIELD(optimizer.ema), "0", "[0, 1)", NULL,
     "decay per step of the weights' moving average; 0: off"},
    {"train", "clip_norm", FIELD(optimizer.clip_norm), "0", "[0, 1e9]", NULL,
     "largest norm of the gradient; 0: no limit"},
    {"train", "monitor", FIELD(monitor), "auc", NULL, CHOICES(monitors),
     "validation figure by which the best epoch is chosen"},

    {"regularise", "l1", FIELD(optimizer.l1), "0", "[0, 1000]", NULL,
     "adds l1 |w| to the loss, for kernels"},
    {"regularise", "l2", FIELD(optimizer.l2), "0", "[0, 1000]", NULL,
     "adds l2 w^2 to the loss, for kernels"},
    {"regularise", "l2_sp", FIELD(optimizer.l2_sp), "0", "[0, 1000]", NULL,
     "adds l2_sp (w - start)^2 to the loss, for kernels of all layers but the last"},
    {"regularise", "weight_decay", FIELD(optimizer.weight_decay), "0", "[0, 1000]", NULL,
     "adamw: multiplies kernels by 1 - learning rate * this"},
    {"regularise", "label_smoothing", FIELD(label_smoothing), "0", "[0, 1)", NULL,
     "fraction of the label spread over all classes"},

    {"augment", "crop_min", FIELD(augment.crop_min), "1", "(0, 1]", NULL,
     "smallest random crop, as a fraction of the area"},
    {"augment", "crop_max", FIELD(augment.crop_max), "1", "[1, 4]", NULL,
     "largest; above 1, crops extend beyond the image"},
    {"augment", "crop_ratio", FIELD(augment.crop_ratio), "1.33", "[1, 4]", NULL,
     "largest ratio of a crop's sides"},
    {"augment", "flip", FIELD(augment.flip), "no", NULL, NULL,
     "mirror half of the images, left to right"},
    {"augment", "rotate", FIELD(augment.rotate), "0", "[0, 180]", NULL,
     "largest rotation in degrees, either way"},
    {"augment", "translate", FIELD(augment.translate), "0", "[0, 1]", NULL,
     "largest shift as a fraction of the side, either way"},
    {"augment", "brightness", FIELD(augment.brightness), "0", "[0, 1]", NULL,
     "largest change of grey values as a fraction of their range, either way"},
    {"augment", "contrast", FIELD(augment.contrast), "0", "[0, 1)", NULL,
     "multiply contrast by 1 - this to 1 + this"},
    {"augment", "black", FIELD(augment.black), "0", "[0, 1]", NULL,
     "fraction of images that are black beyond their edges"},
    {"augment", "gamma", FIELD(augment.gamma), "0", "[0, 4]", NULL,
     "exponent on grey values, 1 / (1 + this) to 1 + this"},
    {"augment", "blur", FIELD(augment.blur), "0", "[0, 0.05]", NULL,
     "blur half of the images, up to this fraction of the side"},
    {"augment", "resample_min", FIELD(augment.resample_min), "1", "(0, 1]", NULL,
     "shrink half of the images to this or more, and enlarge them"},
    {"augment", "sharpen", FIELD(augment.sharpen), "0", "[0, 10]", NULL,
     "sharpen half of the images, up to this amount"},
    {"augment", "noise", FIELD(augment.noise), "0", "[0, 1]", NULL,
     "noise in half of the images, up to this fraction of the range"},
    {"augment", "border", FIELD(augment.border), "0", "[0, 0.5]", NULL,
     "black out up to this fraction of each side in half of the images"},
    {"augment", "erase", FIELD(augment.erase), "0", "[0, 1]", NULL,
     "erase a rectangle of up to this fraction of the area in half of the images"},
    {"augment", "mixup", FIELD(augment.mixup), "0", "[0, 1]", NULL,
     "blend pairs of images with weights from Beta(this, this); 0: off"},

    {"evaluate", "target_sensitivity", FIELD(decision.target_sensitivity), "0.95", "(0, 1]", NULL,
     "sensitivity that the verdict requires; the threshold reaches it on validation or, with rule "
     "both, aims at it"},
    {"evaluate", "threshold_rule", FIELD(decision.threshold), "sensitivity", NULL,
     CHOICES(threshold_rules),
     "highest specificity at the target sensitivity, or most probable to meet both targets"},
    {"evaluate", "sensitivity_margin", FIELD(decision.sensitivity_margin), "0", "[0, 1)", NULL,
     "added to the target sensitivity when the threshold is chosen"},
    {"evaluate", "specificity_margin", FIELD(decision.specificity_margin), "0", "[0, 1)", NULL,
     "rule both: added to the target specificity when the threshold is chosen"},
    {"evaluate", "threshold_on", FIELD(threshold_on), "validation", NULL, CHOICES(threshold_folds),
     "choose the threshold on the validation images, or on changed ones"},
    {"evaluate", "stress_rounds", FIELD(stress_rounds), "2", "[1, 25]", NULL,
     "changes per validation image for threshold_on and monitor = stress"},
    {"evaluate", "stress", FIELD(stress), "yes", NULL, NULL,
     "end training with a stress test of the validation fold"},
    {"evaluate", "stress_images", FIELD(stress_images), "1000", "[0, 1000000000]", NULL,
     "about this many images of a fold in the stress test; at least one of each class; 0: all"},
    {"evaluate", "views", FIELD(decision.views), "plain", NULL, CHOICES(views),
     "average over views of each image; auto: those with the least loss on validation"},
    {"evaluate", "target_specificity", FIELD(decision.target_specificity), "0.90", "(0, 1]", NULL,
     "specificity that the verdict requires, and at which the threshold aims with rule both"},
};

static const pd_keys keys = {rows, sizeof rows / sizeof *rows};

/* --- Rules about several keys --- */

/* 20 heartbeats, which are 0.2 s apart with up to 400 ranks; with more, pd_watchdog_set_limit
 * raises the limit. */
static const double WATCHDOG_LEAST = 4;

static pd_status check_training(const pd_job *job, const pd_key_file *file)
{
    if (job->sampling.batch % job->sampling.lanes != 0)
        return pd_key_file_fail(
            file, "train.batch", "train.lanes",
            pd_fail("batch = %d is not a multiple of lanes = %d: set train.batch to one, or "
                    "train.lanes to a divisor of the batch",
                    job->sampling.batch, job->sampling.lanes));
    if (job->sampling.epoch_images > 0 && job->sampling.epoch_images < job->sampling.batch)
        return pd_key_file_fail(file, "train.epoch_images", "train.batch",
                                pd_fail("epoch_images = %d is less than batch = %d",
                                        job->sampling.epoch_images, job->sampling.batch));
    if (job->schedule.warmup_epochs >= job->schedule.epochs)
        return pd_key_file_fail(file, "train.warmup_epochs", "train.epochs",
                                pd_fail("warmup_epochs = %g must be less than epochs = %d",
                                        job->schedule.warmup_epochs, job->schedule.epochs));
    if (job->optimizer.weight_decay > 0 && !pd_optimizer_types[job->optimizer.kind].decouples_decay)
        return pd_key_file_fail(file, "regularise.weight_decay", "train.optimizer",
                                pd_fail("weight_decay requires optimizer = adamw; for %s set l2",
                                        pd_optimizer_types[job->optimizer.kind].name));
    if (job->watchdog_seconds > 0 && job->watchdog_seconds < WATCHDOG_LEAST)
        return pd_key_file_fail(
            file, "run.watchdog_seconds", "run.watchdog_seconds",
            pd_fail("watchdog_seconds = %g is too short to tell a lost rank from a "
                    "slow one: use at least %g, or 0 for no watchdog",
                    job->watchdog_seconds, WATCHDOG_LEAST));
    if (job->augment.mixup > 0 && !pd_tasks[job->task].mixes_pairs)
        return pd_key_file_fail(file, "augment.mixup", "data.task",
                                pd_fail("mixup requires task = pneumonia: set augment.mixup = 0"));
    return PD_OK;
}

static pd_status check_stages(const pd_job *job, const pd_key_file *file)
{
    const pd_schedule_spec *schedule = &job->schedule;
    int first = schedule->unfreeze_epoch - 1, second = schedule->epochs - first;
    if (schedule->unfreeze_epoch == 0)
        return PD_OK;
    if (job->freeze[0] == '\0')
        return pd_key_file_fail(file, "train.unfreeze_epoch", "model.freeze",
                                pd_fail("unfreeze_epoch = %d requires model.freeze, which says "
                                        "what is frozen before it",
                                        schedule->unfreeze_epoch));
    if (first < 1 || second < 1)
        return pd_key_file_fail(file, "train.unfreeze_epoch", "train.epochs",
                                pd_fail("unfreeze_epoch = %d is not from 2 to epochs = %d",
                                        schedule->unfreeze_epoch, schedule->epochs));
    if (schedule->warmup_epochs >= (first < second ? first : second))
        return pd_key_file_fail(file, "train.warmup_epochs", "train.unfreeze_epoch",
                                pd_fail("warmup_epochs = %g must be less than the epochs of each "
                                        "stage, %d and %d",
                                        schedule->warmup_epochs, first, second));
    return PD_OK;
}

static pd_status check_decision(const pd_job *job, const pd_key_file *file)
{
    const pd_decision_rule *rule = &job->decision;
    if (rule->threshold != PD_THRESHOLD_BOTH)
        return PD_OK;
    if (rule->target_sensitivity + rule->sensitivity_margin >= 1)
        return pd_key_file_fail(file, "evaluate.target_sensitivity", "evaluate.threshold_rule",
                                pd_fail("threshold_rule = both needs target_sensitivity and "
                                        "sensitivity_margin with a sum below 1"));
    if (rule->target_specificity + rule->specificity_margin >= 1)
        return pd_key_file_fail(file, "evaluate.target_specificity", "evaluate.threshold_rule",
                                pd_fail("threshold_rule = both needs target_specificity and "
                                        "specificity_margin with a sum below 1"));
    return PD_OK;
}

static pd_status check_model(const pd_job *job, const pd_key_file *file)
{
    bool from = job->base.file[0] != '\0', weights = job->weights[0] != '\0';
    if (from && weights)
        return pd_key_file_fail(file, "model.weights", "model.from",
                                pd_fail("model.from has weights of its own: omit model.weights"));
    if (job->base.layer[0] != '\0' && !from)
        return pd_key_file_fail(file, "model.from_layer", "model.from",
                                pd_fail("from_layer requires model.from"));
    if (job->base.scaling[0] != '\0' && !from && !weights)
        return pd_key_file_fail(
            file, "model.scaling", "model.weights",
            pd_fail("model.scaling requires model.weights or model.from; see data.scaling"));
    return PD_OK;
}

static pd_status check_data(const pd_job *job, const pd_key_file *file)
{
    if (job->input.channels == 2)
        return pd_key_file_fail(file, "data.channels", "data.channels",
                                pd_fail("channels = 2 is neither 1 nor 3"));
    if (job->cross == 1)
        return pd_key_file_fail(
            file, "data.cross", "data.cross",
            pd_fail("cross = 1 leaves nothing to train on: set data.cross to 2 or "
                    "more, or to 0 for the file's own folds"));
    if (job->cross_part > job->cross || (job->cross > 0 && job->cross_part == 0))
        return pd_key_file_fail(
            file, "data.cross", "data.cross_part",
            pd_fail("cross_part = %d is not a part of cross = %d: %s", job->cross_part, job->cross,
                    job->cross > 0 ? "set data.cross_part from 1 on, or leave both "
                                     "out and give 'train --cross'"
                                   : "set data.cross, too"));
    return PD_OK;
}

/* --- Reading --- */

/* Keys of earlier versions, which old checkpoints hold, and what stands for them now. */
static const struct {
    const char *section, *name, *value, *new_name, *new_value;
} former[] = {
    {"evaluate", "flip_average", "off", "views", "plain"},
    {"evaluate", "flip_average", "on", "views", "mirror"},
    {"evaluate", "flip_average", "auto", "views", "auto"},
};

static void rename_former(const char *section, const char **name, const char **value)
{
    for (size_t i = 0; i < sizeof former / sizeof *former; i++) {
        if (strcmp(section, former[i].section) == 0 && strcmp(*name, former[i].name) == 0 &&
            strcmp(*value, former[i].value) == 0) {
            *name = former[i].new_name;
            *value = former[i].new_value;
            return;
        }
    }
}

static pd_status set_name(pd_job *job, const char *origin)
{
    const char *slash = strrchr(origin, '/');
    const char *base = slash != NULL ? slash + 1 : origin;
    size_t length = strlen(base);
    if (length > 4 && strcmp(base + length - 4, ".ini") == 0)
        length -= 4;
    if (length >= sizeof job->name)
        return pd_fail("%s: the file's name is longer than %zu characters", origin,
                       sizeof job->name - 1);
    memcpy(job->name, base, length);
    return PD_OK;
}

static pd_status parse(pd_job *job, pd_key_file *file)
{
    pd_status status;
    int lines[sizeof rows / sizeof *rows];
    file->keys = &keys;
    file->rename = rename_former;
    file->lines = lines;
    pd_job_defaults(job);
    PD_TRY(set_name(job, file->origin));
    PD_TRY(pd_key_file_read(job, file));
    PD_TRY(check_training(job, file));
    PD_TRY(check_stages(job, file));
    PD_TRY(check_decision(job, file));
    PD_TRY(check_model(job, file));
    PD_TRY(check_data(job, file));
cleanup:
    return status;
}

void pd_job_defaults(pd_job *job)
{
    memset(job, 0, sizeof *job);
    for (int i = 0; i < keys.count; i++)
        pd_key_set(job, &rows[i], rows[i].preset);
}

pd_status pd_job_parse(pd_job *job, const char *origin, const char *text,
                       const char *const *overrides, int count)
{
    return parse(job, &(pd_key_file){.origin = origin,
                                     .text = text,
                                     .size = strlen(text),
                                     .overrides = overrides,
                                     .override_count = count});
}

pd_status pd_job_read(pd_job *job, const char *path, const char *const *overrides, int count)
{
    unsigned char *bytes = NULL;
    size_t size;
    pd_status status;
    PD_TRY(pd_file_read(&bytes, &size, path, FILE_MAX_BYTES));
    PD_TRY(parse(job, &(pd_key_file){.origin = path,
                                     .text = (const char *)bytes,
                                     .size = size,
                                     .overrides = overrides,
                                     .override_count = count}));
cleanup:
    free(bytes);
    return status;
}

/* --- Printing --- */

pd_status pd_job_text(char **out, const pd_job *job)
{
    size_t size;
    *out = NULL;
    for (int i = 0; i < keys.count; i++) {
        if (rows[i].kind != PD_KEY_TEXT || rows[i].is_operational)
            continue;
        pd_status status = pd_key_check_text(&rows[i], (const char *)job + rows[i].offset);
        if (status != PD_OK)
            return status;
    }
    FILE *stream = open_memstream(out, &size);
    if (stream == NULL)
        return pd_fail("out of memory for the text of job %s", job->name);
    for (int i = 0; i < keys.count; i++) {
        pd_key_print_section(stream, &keys, i);
        if (rows[i].is_operational)
            continue;
        fprintf(stream, "%s = ", rows[i].name);
        pd_key_print(stream, job, &rows[i]);
        fputc('\n', stream);
    }
    if (fclose(stream) != 0) {
        free(*out);
        *out = NULL;
        return pd_fail("out of memory for the text of job %s", job->name);
    }
    return PD_OK;
}

void pd_job_help(FILE *out)
{
    pd_key_print_help(out, &keys);
}
