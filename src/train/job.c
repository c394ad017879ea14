#include "pneumo/train/job.h"

#include "pneumo/base/memory.h"
#include "pneumo/base/text.h"
#include "pneumo/io/file.h"
#include "pneumo/nn/model.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* TEXT_MAX keeps every line of pd_job_text within what inih reads as one line. */
enum { FILE_MAX_BYTES = 1 << 20, TEXT_MAX = 180 };
_Static_assert(TEXT_MAX + 16 <= INI_MAX_LINE, "a text value fits into one line of inih");
_Static_assert(sizeof(pd_task_kind) == sizeof(int), "choices are stored as int");

typedef enum kind {
    KIND_WHOLE,  /* int */
    KIND_SEED,   /* uint64_t */
    KIND_REAL,   /* double */
    KIND_SWITCH, /* bool */
    KIND_CHOICE, /* an enum: the index of the word among the choices */
    KIND_MODEL,  /* char[]: one of pd_model_names */
    KIND_TEXT    /* char[] */
} kind;

/* The words that a key may have: the first member of each row of a table is a name. */
typedef struct choice_set {
    const void *rows;
    size_t row_size;
    int count;
} choice_set;

typedef struct key {
    const char *section, *name;
    kind kind;
    size_t offset, size;       /* of the field in pd_job */
    const char *preset;        /* the default, as in a file */
    const char *range;         /* an interval such as "[0, 1)", or NULL */
    const choice_set *choices; /* of KIND_CHOICE */
    const char *help;
} key;

static const char *const balances[] = {"none", "oversample", "weights"};
static const char *const heads[] = {"pool", "dense"};
static const char *const scopes[] = {"batch", "lane"};
static const char *const image_places[] = {"auto", "memory", "stream"};
static const char *const scalings[] = {"fold", "image"};
static const char *const views[] = {"plain", "mirror", "zoom", "auto"};
static const char *const threshold_folds[] = {"validation", "stress"};
static const char *const threshold_rules[] = {"sensitivity", "both"};
static const char *const monitors[] = {"auc", "loss", "balanced-accuracy", "stress"};
static const char *const inits[] = {"default",        "he-normal", "he-uniform", "glorot-normal",
                                    "glorot-uniform", "zeros",     "ones"};

/* The kind that fits the type of a field. Enums are unsigned int. */
#define KIND_OF(field)                                                                             \
    _Generic(((pd_job *)0)->field,                                                                 \
        int: KIND_WHOLE,                                                                           \
        uint64_t: KIND_SEED,                                                                       \
        double: KIND_REAL,                                                                         \
        bool: KIND_SWITCH,                                                                         \
        unsigned: KIND_CHOICE,                                                                     \
        char *: KIND_TEXT)
#define PLACE(field) offsetof(pd_job, field), sizeof(((pd_job *)0)->field)
#define FIELD(field) KIND_OF(field), PLACE(field)
#define CHOICES(table)                                                                             \
    &(const choice_set)                                                                            \
    {                                                                                              \
        table, sizeof *(table), sizeof(table) / sizeof *(table)                                    \
    }

/* One row per key. The sections are in the order of the job's text and of the help. */
static const key keys[] = {
    {"run", "seed", FIELD(seed), "1", "[0, 18446744073709551615]", NULL,
     "start of all random numbers"},
    {"run", "folder", FIELD(folder), "", NULL, NULL,
     "where to write; empty: runs/<name of the job>"},
    {"run", "checkpoint_minutes", FIELD(checkpoint_minutes), "5", "[0, 100000]", NULL,
     "save so often besides every epoch; 0: only every epoch"},
    {"run", "audit_steps", FIELD(audit_steps), "100", "[0, 1000000]", NULL,
     "compare the ranks' weights so often, and before saving; 0: never"},
    {"run", "watchdog_seconds", FIELD(watchdog_seconds), "60", "[0, 86400]", NULL,
     "all ranks end within this time when one is gone; 0: they wait"},
    {"run", "reduction", FIELD(reduction), "exact", NULL, CHOICES(pd_reduction_names),
     "sum of gradients: same bits for any ranks, or MPI's own"},
    {"run", "threads", FIELD(threads), "0", "[0, 4096]", NULL,
     "threads per rank; 0: as many as it may use"},
    {"run", "bucket_kib", FIELD(bucket_kib), "1024", "[1, 65536]", NULL,
     "KiB of gradient per message"},
    {"run", "share_ranks", FIELD(share_ranks), "0", "[0, 4096]", NULL,
     "ranks of a host that add up gradients in shared memory; 0: all, 1: none"},
    {"run", "images", FIELD(images), "auto", NULL, CHOICES(image_places),
     "hold a rank's images in memory, or stream them from the file; auto: as fits"},

    {"data", "file", FIELD(file), "data/chest_xray.h5", NULL, NULL, "the packed data set"},
    {"data", "size", FIELD(input.size), "112", "[0, 4096]", NULL,
     "side of the network's input; 0: as packed"},
    {"data", "channels", FIELD(input.channels), "1", "[1, 3]", NULL,
     "1: grey; 3: the same grey three times"},
    {"data", "task", FIELD(task), "pneumonia", NULL, CHOICES(pd_tasks), "what to learn"},
    {"data", "balance", FIELD(sampling.balance), "none", NULL, CHOICES(balances),
     "what to do about unequal classes"},
    {"data", "scaling", FIELD(input.scaling), "fold", NULL, CHOICES(scalings),
     "normalise grey values by the train fold's mean and deviation, or by each image's own"},
    {"data", "cross", FIELD(cross), "0", "[0, 20]", NULL,
     "parts that the train and val folds' patients are dealt into; 0: the file's folds"},
    {"data", "cross_part", FIELD(cross_part), "0", "[0, 20]", NULL,
     "the part that is the val fold, from 1; the other parts are the train fold"},

    {"model", "name", KIND_MODEL, PLACE(model.name), "cnn", NULL, NULL, "the network"},
    {"model", "hidden", FIELD(model.hidden), "128", "[1, 65536]", NULL,
     "mlp2, cnn: units of the hidden layer"},
    {"model", "width", FIELD(model.width), "1", "(0, 16]", NULL,
     "factor on the channels of convolutions"},
    {"model", "dropout", FIELD(model.dropout), "0", "[0, 1)", NULL,
     "share of values dropped while training"},
    {"model", "head", FIELD(model.head), "pool", NULL, CHOICES(heads),
     "vgg16, vgg19: global pooling, or two dense layers"},
    {"model", "normalise", FIELD(model.normalise), "no", NULL, NULL,
     "vgg16, vgg19: batch normalisation after convolutions"},
    {"model", "batchnorm", FIELD(model.norm_scope), "batch", NULL, CHOICES(scopes),
     "batch normalisation over the batch or a lane"},
    {"model", "norm_momentum", FIELD(model.norm_momentum), "0.9", "(0, 1)", NULL,
     "of batch normalisation's moving statistics"},
    {"model", "init", FIELD(model.init), "default", NULL, CHOICES(inits), "how weights start"},

    {"train", "epochs", FIELD(schedule.epochs), "20", "[1, 100000]", NULL, "epochs to train"},
    {"train", "epoch_images", FIELD(sampling.epoch_images), "0", "[0, 1000000000]", NULL,
     "images per epoch; 0: as many as the train fold has"},
    {"train", "batch", FIELD(sampling.batch), "64", "[1, 1048576]", NULL,
     "images per step over all ranks; lanes divide it"},
    {"train", "lanes", FIELD(sampling.lanes), "8", "[1, 4096]", NULL,
     "fixed slices of a batch; at least the ranks"},
    {"train", "optimizer", FIELD(optimizer.kind), "adamw", NULL, CHOICES(pd_optimizer_types),
     "how weights follow the gradient"},
    {"train", "learning_rate", FIELD(schedule.learning_rate), "1e-3", "(0, 1000]", NULL,
     "highest learning rate"},
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
     "rise of the learning rate; onecycle: 0 means 30 % of the run"},
    {"train", "step_epochs", FIELD(schedule.step_epochs), "10", "[1, 100000]", NULL,
     "schedule = step: epochs between cuts"},
    {"train", "step_factor", FIELD(schedule.step_factor), "0.1", "(0, 1]", NULL,
     "schedule = step: factor of a cut"},
    {"train", "final_factor", FIELD(schedule.final_factor), "0.001", "[0, 1]", NULL,
     "cosine, onecycle: last learning rate over the highest"},
    {"train", "plateau_epochs", FIELD(plateau_epochs), "0", "[0, 100000]", NULL,
     "cut the learning rate after so many epochs without a gain; 0: never"},
    {"train", "plateau_factor", FIELD(plateau_factor), "0.5", "(0, 1)", NULL, "factor of that cut"},
    {"train", "patience", FIELD(patience), "0", "[0, 100000]", NULL,
     "stop after so many epochs without a gain; 0: never"},
    {"train", "ema", FIELD(optimizer.ema), "0", "[0, 1)", NULL,
     "decay per step of the weights' moving average; 0: off"},
    {"train", "clip_norm", FIELD(optimizer.clip_norm), "0", "[0, 1e9]", NULL,
     "longest gradient; 0: any"},
    {"train", "monitor", FIELD(monitor), "auc", NULL, CHOICES(monitors),
     "what makes an epoch the best, on validation"},

    {"regularise", "l1", FIELD(optimizer.l1), "0", "[0, 1000]", NULL,
     "adds l1 |w| to the loss, for kernels"},
    {"regularise", "l2", FIELD(optimizer.l2), "0", "[0, 1000]", NULL,
     "adds l2 w^2 to the loss, for kernels"},
    {"regularise", "weight_decay", FIELD(optimizer.weight_decay), "0", "[0, 1000]", NULL,
     "adamw: shrinks kernels by rate * this"},
    {"regularise", "label_smoothing", FIELD(label_smoothing), "0", "[0, 1)", NULL,
     "share of the label spread over classes"},

    {"augment", "crop_min", FIELD(augment.crop_min), "1", "(0, 1]", NULL,
     "smallest random crop, as a share of the area"},
    {"augment", "crop_max", FIELD(augment.crop_max), "1", "[1, 4]", NULL,
     "largest; above 1 crops reach beyond the image"},
    {"augment", "crop_ratio", FIELD(augment.crop_ratio), "1.33", "[1, 4]", NULL,
     "longest side of a crop over its shortest"},
    {"augment", "flip", FIELD(augment.flip), "no", NULL, NULL,
     "mirror every other image, left to right"},
    {"augment", "rotate", FIELD(augment.rotate), "0", "[0, 180]", NULL,
     "up to so many degrees either way"},
    {"augment", "translate", FIELD(augment.translate), "0", "[0, 1]", NULL,
     "up to this share of the side either way"},
    {"augment", "brightness", FIELD(augment.brightness), "0", "[0, 1]", NULL,
     "add up to this share of the range either way"},
    {"augment", "contrast", FIELD(augment.contrast), "0", "[0, 1)", NULL,
     "multiply by 1 - this to 1 + this"},
    {"augment", "black", FIELD(augment.black), "0", "[0, 1]", NULL,
     "share of images that are black beyond their edge"},
    {"augment", "gamma", FIELD(augment.gamma), "0", "[0, 4]", NULL,
     "exponent on grey values between 1 / (1 + this) and 1 + this"},
    {"augment", "blur", FIELD(augment.blur), "0", "[0, 0.05]", NULL,
     "blur half of the images, up to this share of the side"},
    {"augment", "resample_min", FIELD(augment.resample_min), "1", "(0, 1]", NULL,
     "shrink half of the images to this or more, and enlarge"},
    {"augment", "sharpen", FIELD(augment.sharpen), "0", "[0, 10]", NULL,
     "sharpen half of the images, up to this amount"},
    {"augment", "noise", FIELD(augment.noise), "0", "[0, 1]", NULL,
     "noise in half of the images, up to this share of the range"},
    {"augment", "border", FIELD(augment.border), "0", "[0, 0.5]", NULL,
     "black out up to this share of each side of half of them"},
    {"augment", "erase", FIELD(augment.erase), "0", "[0, 1]", NULL,
     "erase a rectangle up to this share of the area in half of them"},
    {"augment", "mixup", FIELD(augment.mixup), "0", "[0, 1]", NULL,
     "mix pairs of images by shares of Beta(this, this); 0: off"},

    {"evaluate", "target_sensitivity", FIELD(decision.target_sensitivity), "0.95", "(0, 1]", NULL,
     "what the model must reach: the threshold is chosen for it on validation"},
    {"evaluate", "threshold_rule", FIELD(decision.threshold), "sensitivity", NULL,
     CHOICES(threshold_rules),
     "highest specificity at the target sensitivity, or both targets most probably"},
    {"evaluate", "sensitivity_margin", FIELD(decision.sensitivity_margin), "0", "[0, 1)", NULL,
     "rule sensitivity: keeps so much more than the target on validation"},
    {"evaluate", "threshold_on", FIELD(threshold_on), "validation", NULL, CHOICES(threshold_folds),
     "choose the threshold on the validation images, or on changed ones"},
    {"evaluate", "stress_rounds", FIELD(stress_rounds), "2", "[1, 25]", NULL,
     "changes per validation image for threshold_on and monitor = stress"},
    {"evaluate", "stress", FIELD(stress), "yes", NULL, NULL,
     "end training with a stress test of the validation fold"},
    {"evaluate", "stress_images", FIELD(stress_images), "1000", "[0, 1000000000]", NULL,
     "images of a fold that the stress test takes at most; 0: all"},
    {"evaluate", "views", FIELD(decision.views), "plain", NULL, CHOICES(views),
     "average over views of each image; auto: those that validation gains most by"},
    {"evaluate", "target_specificity", FIELD(decision.target_specificity), "0.90", "(0, 1]", NULL,
     "what the verdict on the test fold asks of the specificity"},
};

enum { KEY_COUNT = sizeof(keys) / sizeof(keys[0]) };

/* --- The table --- */

static choice_set choices_of(const key *k)
{
    choice_set models = {pd_model_names(), sizeof(char *), 0};
    if (k->choices != NULL)
        return *k->choices;
    if (k->kind != KIND_MODEL)
        return (choice_set){NULL, 0, 0};
    while (pd_model_names()[models.count] != NULL)
        models.count++;
    return models;
}

static const char *choice_name(const choice_set *choices, int index)
{
    const char *row = (const char *)choices->rows + (size_t)index * choices->row_size;
    return *(const char *const *)(const void *)row;
}

/* "a, b, c" into text. */
static void join_choices(char *text, size_t size, const choice_set *choices)
{
    size_t used = 0;
    text[0] = '\0';
    for (int i = 0; i < choices->count && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%s", i > 0 ? ", " : "",
                                 choice_name(choices, i));
}

static bool section_known(const char *name)
{
    for (int i = 0; i < KEY_COUNT; i++) {
        if (strcmp(keys[i].section, name) == 0)
            return true;
    }
    return false;
}

static pd_status fail_section(const char *name)
{
    char list[256] = "";
    size_t used = 0;
    for (int i = 0; i < KEY_COUNT; i++) {
        if (i == 0 || strcmp(keys[i].section, keys[i - 1].section) != 0)
            used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s", i ? ", " : "",
                                     keys[i].section);
    }
    return pd_fail("section '%s' is unknown; sections are %s", name, list);
}

static pd_status fail_key(const char *section, const char *name)
{
    const key *nearest = NULL;
    int least = 4; /* further away, a suggestion would only confuse */
    for (int i = 0; i < KEY_COUNT; i++) {
        int distance =
            pd_text_distance(name, keys[i].name) + (strcmp(section, keys[i].section) != 0);
        if (distance < least) {
            least = distance;
            nearest = &keys[i];
        }
    }
    if (nearest)
        return pd_fail("section [%s] has no key '%s'; did you mean '%s' in [%s]?", section, name,
                       nearest->name, nearest->section);
    return pd_fail("section [%s] has no key '%s'; 'pneumo-dist train --help' lists all keys",
                   section, name);
}

static pd_status find_key(int *index, const char *section, const char *name)
{
    if (!section_known(section))
        return fail_section(section);
    for (int i = 0; i < KEY_COUNT; i++) {
        if (strcmp(keys[i].section, section) == 0 && strcmp(keys[i].name, name) == 0) {
            *index = i;
            return PD_OK;
        }
    }
    return fail_key(section, name);
}

/* --- Values --- */

static pd_status check_range(const key *k, double number, const char *value)
{
    char open, close;
    double low, high;
    sscanf(k->range, "%c%lf, %lf%c", &open, &low, &high, &close);
    bool above = open == '[' ? number >= low : number > low;
    bool below = close == ']' ? number <= high : number < high;
    if (!above || !below)
        return pd_fail("%s = %s is out of range %s", k->name, value, k->range);
    return PD_OK;
}

/* A text must come back unchanged from a line of an INI file. */
static pd_status check_text(const key *k, const char *value)
{
    if (strlen(value) > TEXT_MAX)
        return pd_fail("%s is longer than %d characters", k->name, TEXT_MAX);
    for (const char *c = value; *c; c++) {
        if (iscntrl((unsigned char)*c))
            return pd_fail("%s has a control character", k->name);
        if (*c == ';' && (c == value || isspace((unsigned char)c[-1])))
            return pd_fail("%s has a ';' after a blank, where a comment would start", k->name);
    }
    size_t length = strlen(value);
    if (length > 0 &&
        (isspace((unsigned char)value[0]) || isspace((unsigned char)value[length - 1])))
        return pd_fail("%s begins or ends with a blank", k->name);
    return PD_OK;
}

static pd_status set_whole(const key *k, int *field, const char *value)
{
    char *end;
    long long number = strtoll(value, &end, 10); /* saturates, and then is out of range */
    if (end == value || *end)
        return pd_fail("%s = '%s' is not a whole number", k->name, value);
    pd_status status = check_range(k, (double)number, value);
    if (status == PD_OK)
        *field = (int)number;
    return status;
}

static pd_status set_seed(const key *k, uint64_t *field, const char *value)
{
    char *end;
    errno = 0;
    unsigned long long number = strtoull(value, &end, 10);
    if (!isdigit((unsigned char)value[0]) || *end)
        return pd_fail("%s = '%s' is not a whole number from 0", k->name, value);
    if (errno == ERANGE)
        return pd_fail("%s = %s is out of range %s", k->name, value, k->range);
    *field = number;
    return PD_OK;
}

static pd_status set_real(const key *k, double *field, const char *value)
{
    char *end;
    double number = strtod(value, &end);
    if (end == value || *end || isnan(number))
        return pd_fail("%s = '%s' is not a number", k->name, value);
    pd_status status = check_range(k, number, value);
    if (status == PD_OK)
        *field = number;
    return status;
}

static pd_status set_switch(const key *k, bool *field, const char *value)
{
    static const char *const words[] = {"no", "yes", "false", "true", "0", "1"};
    for (int i = 0; i < 6; i++) {
        if (strcmp(value, words[i]) == 0) {
            *field = i % 2;
            return PD_OK;
        }
    }
    return pd_fail("%s = '%s' is neither yes nor no", k->name, value);
}

static pd_status find_choice(const key *k, int *index, const char *value)
{
    const choice_set choices = choices_of(k);
    for (*index = 0; *index < choices.count; ++*index)
        if (strcmp(value, choice_name(&choices, *index)) == 0)
            return PD_OK;
    char list[512];
    join_choices(list, sizeof list, &choices);
    return pd_fail("%s '%s' is unknown; choices are %s", k->kind == KIND_MODEL ? "model" : k->name,
                   value, list);
}

static pd_status set_choice(const key *k, int *field, const char *value)
{
    int index;
    pd_status status = find_choice(k, &index, value);
    if (status == PD_OK)
        *field = index;
    return status;
}

static pd_status set_text(const key *k, char *field, const char *value)
{
    int index;
    pd_status status = k->kind == KIND_MODEL ? find_choice(k, &index, value) : check_text(k, value);
    if (status != PD_OK)
        return status;
    memset(field, 0, k->size); /* equal jobs are equal byte for byte */
    memcpy(field, value, strnlen(value, k->size - 1));
    return PD_OK;
}

static pd_status set_value(pd_job *job, const key *k, const char *value)
{
    void *field = (char *)job + k->offset;
    switch (k->kind) {
    case KIND_WHOLE:
        return set_whole(k, field, value);
    case KIND_SEED:
        return set_seed(k, field, value);
    case KIND_REAL:
        return set_real(k, field, value);
    case KIND_SWITCH:
        return set_switch(k, field, value);
    case KIND_CHOICE:
        return set_choice(k, field, value);
    default:
        return set_text(k, field, value);
    }
}

static void print_value(FILE *out, const pd_job *job, const key *k)
{
    char number[PD_TEXT_NUMBER];
    const void *field = (const char *)job + k->offset;
    switch (k->kind) {
    case KIND_WHOLE:
        fprintf(out, "%d", *(const int *)field);
        break;
    case KIND_SEED:
        fprintf(out, "%llu", (unsigned long long)*(const uint64_t *)field);
        break;
    case KIND_REAL:
        fputs(pd_text_number(number, *(const double *)field), out);
        break;
    case KIND_SWITCH:
        fputs(*(const bool *)field ? "yes" : "no", out);
        break;
    case KIND_CHOICE:
        fputs(choice_name(k->choices, *(const int *)field), out);
        break;
    default:
        fputs(field, out);
        break;
    }
}

/* --- Reading --- */

typedef struct reading {
    pd_job *job;
    const char *origin;
    const char *at, *end;    /* what is still to be read */
    int line;                /* number of the line read last */
    int key_line[KEY_COUNT]; /* where the file set a key; 0: it did not, or an override did */
    pd_status status;        /* of the line read last; a failure ends the reading */
} reading;

/* `line` starts with '['. Checked here because inih tells only of keys. */
static pd_status check_section(const char *line)
{
    const char *close = strchr(line, ']');
    if (!close)
        return pd_fail("'%s' lacks a ']'", line);
    const char *rest = close + 1 + strspn(close + 1, " \t");
    if (*rest && *rest != ';' && *rest != '#')
        return pd_fail("'%s' after a section's name; start a new line", rest);

    char name[64];
    snprintf(name, sizeof(name), "%.*s", (int)(close - line - 1), line + 1);
    return section_known(name) ? PD_OK : fail_section(name);
}

/* inih's reader, in the manner of fgets. Hands out one whole line per call, so that lines can be
 * counted, and without its indentation, which inih would take for a continued value. */
static char *read_line(char *buffer, int size, void *stream)
{
    reading *r = stream;
    if (r->status != PD_OK || r->at == r->end)
        return NULL;

    const char *start = r->at;
    const char *stop = memchr(start, '\n', (size_t)(r->end - start));
    r->at = stop ? stop + 1 : r->end;
    stop = stop ? stop : r->end;
    r->line++;
    while (start < stop && isspace((unsigned char)*start))
        start++;
    while (start < stop && isspace((unsigned char)stop[-1]))
        stop--;

    for (const char *c = start; c < stop; c++) {
        if (iscntrl((unsigned char)*c) && *c != '\t')
            r->status = pd_fail("byte %d is no text; is this a job file?", (unsigned char)*c);
    }
    size_t length = (size_t)(stop - start);
    if (length > 0 && (*start == '#' || *start == ';'))
        length = 0; /* a comment may be longer than the buffer */
    if (r->status == PD_OK && length + 2 > (size_t)size)
        r->status = pd_fail("the line is longer than %d characters", size - 2);
    if (r->status != PD_OK)
        return NULL;

    memcpy(buffer, start, length);
    buffer[length] = '\0';
    if (buffer[0] == '[')
        r->status = check_section(buffer);
    return r->status == PD_OK ? buffer : NULL;
}

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

static int handle_key(void *user, const char *section, const char *name, const char *value)
{
    reading *r = user;
    int index = 0;
    if (section[0] == '\0') {
        r->status = pd_fail("key '%s' stands before the first [section]", name);
        return 0;
    }
    rename_former(section, &name, &value);
    r->status = find_key(&index, section, name);
    if (r->status == PD_OK && r->key_line[index] > 0)
        r->status = pd_fail("key '%s' was set already in line %d", name, r->key_line[index]);
    if (r->status == PD_OK)
        r->status = set_value(r->job, &keys[index], value);
    if (r->status != PD_OK)
        return 0;
    r->key_line[index] = r->line;
    return 1;
}

/* The first mistake counts. inih reads on after a line that is no INI; ours end the reading. */
static pd_status read_text(reading *r)
{
    int first_error = ini_parse_stream(read_line, r, handle_key, r);
    if (first_error < 0)
        return pd_fail("%s: out of memory", r->origin);
    if (first_error > 0 && (r->status == PD_OK || first_error < r->line)) {
        pd_fail("the line is neither '[section]' nor 'key = value'");
        return pd_error_prefix(PD_FAILED, "%s:%d", r->origin, first_error);
    }
    if (r->status != PD_OK)
        return pd_error_prefix(r->status, "%s:%d", r->origin, r->line);
    return PD_OK;
}

/* Cuts blanks off both ends, in place. */
static char *trim(char *text)
{
    while (isspace((unsigned char)*text))
        text++;
    size_t length = strlen(text);
    while (length > 0 && isspace((unsigned char)text[length - 1]))
        text[--length] = '\0';
    return text;
}

static pd_status apply_override(reading *r, const char *override)
{
    char *copy = NULL;
    int index = 0;
    pd_status status = pd_strdup(&copy, override);
    if (status != PD_OK)
        return status;

    char *equals = strchr(copy, '=');
    if (equals)
        *equals = '\0';
    char *dot = strchr(copy, '.');
    if (!equals || !dot) {
        status = pd_fail("write it as section.key=value");
        goto cleanup;
    }
    *dot = '\0';
    PD_TRY(find_key(&index, trim(copy), trim(dot + 1)));
    PD_TRY(set_value(r->job, &keys[index], trim(equals + 1)));
    r->key_line[index] = 0;

cleanup:
    free(copy);
    if (status != PD_OK)
        return pd_error_prefix(PD_USAGE, "--set %.*s", (int)strcspn(override, "\r\n"), override);
    return PD_OK;
}

/* Puts the place before the message of a rule about two keys: the later of their lines. */
static pd_status fail_rule(const reading *r, const char *a, const char *b, pd_status status)
{
    int line = 0;
    for (int i = 0; i < KEY_COUNT; i++) {
        if ((strcmp(keys[i].name, a) == 0 || strcmp(keys[i].name, b) == 0) && r->key_line[i] > line)
            line = r->key_line[i];
    }
    if (line > 0)
        return pd_error_prefix(status, "%s:%d", r->origin, line);
    return pd_error_prefix(status, "%s", r->origin);
}

static pd_status check_rules(const reading *r)
{
    const pd_job *job = r->job;
    if (job->sampling.batch % job->sampling.lanes != 0)
        return fail_rule(
            r, "batch", "lanes",
            pd_fail("batch = %d is not a multiple of lanes = %d: set train.batch to one, or "
                    "train.lanes to a divisor of the batch",
                    job->sampling.batch, job->sampling.lanes));
    if (job->sampling.epoch_images > 0 && job->sampling.epoch_images < job->sampling.batch)
        return fail_rule(r, "epoch_images", "batch",
                         pd_fail("epoch_images = %d is less than batch = %d",
                                 job->sampling.epoch_images, job->sampling.batch));
    if (job->schedule.warmup_epochs >= job->schedule.epochs)
        return fail_rule(r, "warmup_epochs", "epochs",
                         pd_fail("warmup_epochs = %g must be less than epochs = %d",
                                 job->schedule.warmup_epochs, job->schedule.epochs));
    if (job->optimizer.weight_decay > 0 && !pd_optimizer_types[job->optimizer.kind].decouples_decay)
        return fail_rule(r, "weight_decay", "optimizer",
                         pd_fail("weight_decay works with optimizer = adamw only; for %s set l2",
                                 pd_optimizer_types[job->optimizer.kind].name));
    if (job->augment.mixup > 0 && !pd_tasks[job->task].mixes_pairs)
        return fail_rule(r, "mixup", "task",
                         pd_fail("mixup works with task = pneumonia only: set augment.mixup = 0"));
    if (job->decision.threshold == PD_THRESHOLD_BOTH && job->decision.target_sensitivity == 1)
        return fail_rule(r, "target_sensitivity", "threshold_rule",
                         pd_fail("threshold_rule = both needs target_sensitivity below 1"));
    if (job->decision.threshold == PD_THRESHOLD_BOTH && job->decision.target_specificity == 1)
        return fail_rule(r, "target_specificity", "threshold_rule",
                         pd_fail("threshold_rule = both needs target_specificity below 1"));
    if (job->input.channels == 2)
        return fail_rule(r, "channels", "channels", pd_fail("channels = 2 is neither 1 nor 3"));
    if (job->cross == 1)
        return fail_rule(r, "cross", "cross",
                         pd_fail("cross = 1 leaves nothing to train on: set data.cross to 2 or "
                                 "more, or to 0 for the file's own folds"));
    if (job->cross_part > job->cross || (job->cross > 0 && job->cross_part == 0))
        return fail_rule(r, "cross", "cross_part",
                         pd_fail("cross_part = %d is none of the parts of cross = %d: %s",
                                 job->cross_part, job->cross,
                                 job->cross > 0 ? "set data.cross_part from 1 on, or leave both "
                                                  "out and give 'train --cross'"
                                                : "set data.cross, too"));
    return PD_OK;
}

static pd_status set_name(pd_job *job, const char *origin)
{
    const char *slash = strrchr(origin, '/');
    const char *base = slash ? slash + 1 : origin;
    size_t length = strlen(base);
    if (length > 4 && strcmp(base + length - 4, ".ini") == 0)
        length -= 4;
    if (length >= sizeof(job->name))
        return pd_fail("%s: the file's name is longer than %zu characters", origin,
                       sizeof(job->name) - 1);
    memcpy(job->name, base, length);
    return PD_OK;
}

static pd_status parse(pd_job *job, const char *origin, const char *text, size_t size,
                       const char *const *overrides, int count)
{
    reading r = {.job = job, .origin = origin, .at = text, .end = text + size};
    pd_status status;

    if (size >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0)
        r.at += 3; /* the mark some editors put before UTF-8 */
    pd_job_defaults(job);
    PD_TRY(set_name(job, origin));
    PD_TRY(read_text(&r));
    for (int i = 0; i < count; i++)
        PD_TRY(apply_override(&r, overrides[i]));
    PD_TRY(check_rules(&r));

cleanup:
    return status;
}

/* --- Public --- */

void pd_job_defaults(pd_job *job)
{
    memset(job, 0, sizeof(*job));
    for (int i = 0; i < KEY_COUNT; i++)
        set_value(job, &keys[i], keys[i].preset);
}

pd_status pd_job_parse(pd_job *job, const char *origin, const char *text,
                       const char *const *overrides, int count)
{
    return parse(job, origin, text, strlen(text), overrides, count);
}

pd_status pd_job_read(pd_job *job, const char *path, const char *const *overrides, int count)
{
    unsigned char *bytes = NULL;
    size_t size;
    pd_status status;
    PD_TRY(pd_file_read(&bytes, &size, path, FILE_MAX_BYTES));
    PD_TRY(parse(job, path, (const char *)bytes, size, overrides, count));

cleanup:
    free(bytes);
    return status;
}

/* Most of [run] says where and how a run works: its result is the same without. */
static bool changes_result(const key *k)
{
    return strcmp(k->section, "run") != 0 || strcmp(k->name, "seed") == 0 ||
           strcmp(k->name, "reduction") == 0;
}

pd_status pd_job_text(char **out, const pd_job *job)
{
    size_t size;
    *out = NULL;
    for (int i = 0; i < KEY_COUNT; i++) {
        if (keys[i].kind != KIND_TEXT || !changes_result(&keys[i]))
            continue;
        pd_status status = check_text(&keys[i], (const char *)job + keys[i].offset);
        if (status != PD_OK)
            return status;
    }
    FILE *stream = open_memstream(out, &size);
    if (!stream)
        return pd_fail("out of memory for the text of job %s", job->name);
    for (int i = 0; i < KEY_COUNT; i++) {
        if (i == 0 || strcmp(keys[i].section, keys[i - 1].section) != 0)
            fprintf(stream, "%s[%s]\n", i ? "\n" : "", keys[i].section);
        if (!changes_result(&keys[i]))
            continue;
        fprintf(stream, "%s = ", keys[i].name);
        print_value(stream, job, &keys[i]);
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
    for (int i = 0; i < KEY_COUNT; i++) {
        const key *k = &keys[i];
        if (i == 0 || strcmp(k->section, keys[i - 1].section) != 0)
            fprintf(out, "%s[%s]\n", i ? "\n" : "", k->section);

        const choice_set choices = choices_of(k);
        char preset[64], values[512] = "";
        snprintf(preset, sizeof(preset), "%s = %s", k->name, k->preset);
        if (k->range)
            snprintf(values, sizeof(values), "in %s", k->range);
        else if (k->kind == KIND_SWITCH)
            snprintf(values, sizeof(values), "yes or no");
        else if (choices.count > 0)
            join_choices(values, sizeof values, &choices);
        fprintf(out, "  %-28s %s\n", preset, k->help);
        if (values[0])
            fprintf(out, "  %-28s %s\n", "", values);
    }
}
