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
_Static_assert(sizeof(pd_task) == sizeof(int), "choices are stored as int");

typedef enum kind {
    KIND_WHOLE,  /* int */
    KIND_SEED,   /* uint64_t */
    KIND_REAL,   /* double */
    KIND_SWITCH, /* bool */
    KIND_CHOICE, /* an enum: the index of the word among the choices */
    KIND_WORD,   /* char[]: one of the choices */
    KIND_MODEL,  /* char[]: one of the models */
    KIND_TEXT    /* char[] */
} kind;

typedef struct key {
    const char *section, *name;
    kind kind;
    size_t offset, size;        /* of the field in pd_job */
    const char *preset;         /* the default, as in a file */
    const char *range;          /* an interval such as "[0, 1)", or NULL */
    const char *const *choices; /* NULL at the end, or NULL */
    const char *help;
} key;

static const char *const reductions[] = {"exact", "mpi", NULL};
static const char *const tasks[] = {"pneumonia", "cause", NULL};
static const char *const balances[] = {"none", "oversample", "weights", NULL};
static const char *const heads[] = {"pool", "dense", NULL};
static const char *const scopes[] = {"batch", "lane", NULL};
static const char *const optimizers[] = {"sgd", "adam", "adamw", "rmsprop", NULL};
static const char *const schedules[] = {"constant", "step", "cosine", "onecycle", NULL};
static const char *const image_places[] = {"auto", "memory", "stream", NULL};
static const char *const scalings[] = {"fold", "image", NULL};
static const char *const views[] = {"plain", "mirror", "zoom", "auto", NULL};
static const char *const threshold_folds[] = {"validation", "stress", NULL};
static const char *const threshold_rules[] = {"sensitivity", "both", NULL};
static const char *const monitors[] = {"auc", "loss", "balanced-accuracy", "stress", NULL};
static const char *const inits[] = {"default",        "he-normal", "he-uniform", "glorot-normal",
                                    "glorot-uniform", "zeros",     "ones",       NULL};

#define FIELD(field) offsetof(pd_job, field), sizeof(((pd_job *)0)->field)
#define WHOLE(section, field, preset, range, help)                                                 \
    {                                                                                              \
        section, #field, KIND_WHOLE, FIELD(field), preset, range, NULL, help                       \
    }
#define REAL(section, field, preset, range, help)                                                  \
    {                                                                                              \
        section, #field, KIND_REAL, FIELD(field), preset, range, NULL, help                        \
    }
#define SWITCH(section, field, preset, help)                                                       \
    {                                                                                              \
        section, #field, KIND_SWITCH, FIELD(field), preset, NULL, NULL, help                       \
    }
#define CHOICE(section, field, preset, choices, help)                                              \
    {                                                                                              \
        section, #field, KIND_CHOICE, FIELD(field), preset, NULL, choices, help                    \
    }
#define AUGMENT(field, preset, range, help)                                                        \
    {                                                                                              \
        "augment", #field, KIND_REAL, FIELD(augment.field), preset, range, NULL, help              \
    }
#define TEXT(section, field, preset, help)                                                         \
    {                                                                                              \
        section, #field, KIND_TEXT, FIELD(field), preset, NULL, NULL, help                         \
    }

static const key keys[] = {
    {"run", "seed", KIND_SEED, FIELD(seed), "1", "[0, 18446744073709551615]", NULL,
     "start of all random numbers"},
    TEXT("run", folder, "", "where to write; empty: runs/<name of the job>"),
    REAL("run", checkpoint_minutes, "5", "[0, 100000]",
         "save so often besides every epoch; 0: only every epoch"),
    WHOLE("run", audit_steps, "100", "[0, 1000000]",
          "compare the ranks' weights so often, and before saving; 0: never"),
    REAL("run", watchdog_seconds, "60", "[0, 86400]",
         "all ranks end within this time when one is gone; 0: they wait"),
    {"run", "reduction", KIND_WORD, FIELD(reduction), "exact", NULL, reductions,
     "sum of gradients: same bits for any ranks, or MPI's own"},
    WHOLE("run", threads, "0", "[0, 4096]", "threads per rank; 0: as many as it may use"),
    WHOLE("run", bucket_kib, "1024", "[1, 65536]", "KiB of gradient per message"),
    WHOLE("run", share_ranks, "0", "[0, 4096]",
          "ranks of a host that add up gradients in shared memory; 0: all, 1: none"),
    CHOICE("run", images, "auto", image_places,
           "hold a rank's images in memory, or stream them from the file; auto: as fits"),

    TEXT("data", file, "data/chest_xray.h5", "the packed data set"),
    WHOLE("data", size, "112", "[0, 4096]", "side of the network's input; 0: as packed"),
    WHOLE("data", channels, "1", "[1, 3]", "1: grey; 3: the same grey three times"),
    CHOICE("data", task, "pneumonia", tasks, "what to learn"),
    CHOICE("data", balance, "none", balances, "what to do about unequal classes"),
    CHOICE("data", scaling, "fold", scalings,
           "normalise grey values by the train fold's mean and deviation, or by each image's own"),
    WHOLE("data", cross, "0", "[0, 20]",
          "parts that the train and val folds' patients are dealt into; 0: the file's folds"),
    WHOLE("data", cross_part, "0", "[0, 20]",
          "the part that is the val fold, from 1; the other parts are the train fold"),

    {"model", "name", KIND_MODEL, FIELD(model), "cnn", NULL, NULL, "the network"},
    WHOLE("model", hidden, "128", "[1, 65536]", "mlp2, cnn: units of the hidden layer"),
    REAL("model", width, "1", "(0, 16]", "factor on the channels of convolutions"),
    REAL("model", dropout, "0", "[0, 1)", "share of values dropped while training"),
    CHOICE("model", head, "pool", heads, "vgg16, vgg19: global pooling, or two dense layers"),
    SWITCH("model", normalise, "no", "vgg16, vgg19: batch normalisation after convolutions"),
    CHOICE("model", batchnorm, "batch", scopes, "batch normalisation over the batch or a lane"),
    REAL("model", norm_momentum, "0.9", "(0, 1)", "of batch normalisation's moving statistics"),
    CHOICE("model", init, "default", inits, "how weights start"),

    WHOLE("train", epochs, "20", "[1, 100000]", "epochs to train"),
    WHOLE("train", epoch_images, "0", "[0, 1000000000]",
          "images per epoch; 0: as many as the train fold has"),
    WHOLE("train", batch, "64", "[1, 1048576]", "images per step over all ranks; lanes divide it"),
    WHOLE("train", lanes, "8", "[1, 4096]", "fixed slices of a batch; at least the ranks"),
    CHOICE("train", optimizer, "adamw", optimizers, "how weights follow the gradient"),
    REAL("train", learning_rate, "1e-3", "(0, 1000]", "highest learning rate"),
    REAL("train", momentum, "0.9", "[0, 1)", "sgd, rmsprop"),
    SWITCH("train", nesterov, "no", "sgd: Nesterov's momentum"),
    REAL("train", beta1, "0.9", "[0, 1)", "adam, adamw: decay of the mean gradient"),
    REAL("train", beta2, "0.999", "[0, 1)", "adam, adamw, rmsprop: decay of the mean square"),
    REAL("train", epsilon, "1e-8", "(0, 1]", "adam, adamw, rmsprop: added to the divisor"),
    CHOICE("train", schedule, "onecycle", schedules, "learning rate over time"),
    REAL("train", warmup_epochs, "0", "[0, 100000]",
         "rise of the learning rate; onecycle: 0 means 30 % of the run"),
    WHOLE("train", step_epochs, "10", "[1, 100000]", "schedule = step: epochs between cuts"),
    REAL("train", step_factor, "0.1", "(0, 1]", "schedule = step: factor of a cut"),
    REAL("train", final_factor, "0.001", "[0, 1]",
         "cosine, onecycle: last learning rate over the highest"),
    WHOLE("train", plateau_epochs, "0", "[0, 100000]",
          "cut the learning rate after so many epochs without a gain; 0: never"),
    REAL("train", plateau_factor, "0.5", "(0, 1)", "factor of that cut"),
    WHOLE("train", patience, "0", "[0, 100000]",
          "stop after so many epochs without a gain; 0: never"),
    REAL("train", ema, "0", "[0, 1)", "decay per step of the weights' moving average; 0: off"),
    REAL("train", clip_norm, "0", "[0, 1e9]", "longest gradient; 0: any"),
    CHOICE("train", monitor, "auc", monitors, "what makes an epoch the best, on validation"),

    REAL("regularise", l1, "0", "[0, 1000]", "adds l1 |w| to the loss, for kernels"),
    REAL("regularise", l2, "0", "[0, 1000]", "adds l2 w^2 to the loss, for kernels"),
    REAL("regularise", weight_decay, "0", "[0, 1000]", "adamw: shrinks kernels by rate * this"),
    REAL("regularise", label_smoothing, "0", "[0, 1)", "share of the label spread over classes"),

    AUGMENT(crop_min, "1", "(0, 1]", "smallest random crop, as a share of the area"),
    AUGMENT(crop_max, "1", "[1, 4]", "largest; above 1 crops reach beyond the image"),
    AUGMENT(crop_ratio, "1.33", "[1, 4]", "longest side of a crop over its shortest"),
    {"augment", "flip", KIND_SWITCH, FIELD(augment.flip), "no", NULL, NULL,
     "mirror every other image, left to right"},
    AUGMENT(rotate, "0", "[0, 180]", "up to so many degrees either way"),
    AUGMENT(translate, "0", "[0, 1]", "up to this share of the side either way"),
    AUGMENT(brightness, "0", "[0, 1]", "add up to this share of the range either way"),
    AUGMENT(contrast, "0", "[0, 1)", "multiply by 1 - this to 1 + this"),
    AUGMENT(black, "0", "[0, 1]", "share of images that are black beyond their edge"),
    AUGMENT(gamma, "0", "[0, 4]", "exponent on grey values between 1 / (1 + this) and 1 + this"),
    AUGMENT(blur, "0", "[0, 0.05]", "blur half of the images, up to this share of the side"),
    AUGMENT(resample_min, "1", "(0, 1]", "shrink half of the images to this or more, and enlarge"),
    AUGMENT(sharpen, "0", "[0, 10]", "sharpen half of the images, up to this amount"),
    AUGMENT(noise, "0", "[0, 1]", "noise in half of the images, up to this share of the range"),
    AUGMENT(border, "0", "[0, 0.5]", "black out up to this share of each side of half of them"),
    AUGMENT(erase, "0", "[0, 1]", "erase a rectangle up to this share of the area in half of them"),
    AUGMENT(mixup, "0", "[0, 1]", "mix pairs of images by shares of Beta(this, this); 0: off"),

    REAL("evaluate", target_sensitivity, "0.95", "(0, 1]",
         "what the model must reach: the threshold is chosen for it on validation"),
    CHOICE("evaluate", threshold_rule, "sensitivity", threshold_rules,
           "highest specificity at the target sensitivity, or both targets most probably"),
    REAL("evaluate", sensitivity_margin, "0", "[0, 1)",
         "rule sensitivity: keeps so much more than the target on validation"),
    CHOICE("evaluate", threshold_on, "validation", threshold_folds,
           "choose the threshold on the validation images, or on changed ones"),
    WHOLE("evaluate", stress_rounds, "2", "[1, 25]",
          "changes per validation image for threshold_on and monitor = stress"),
    SWITCH("evaluate", stress, "yes", "end training with a stress test of the validation fold"),
    WHOLE("evaluate", stress_images, "1000", "[0, 1000000000]",
          "images of a fold that the stress test takes at most; 0: all"),
    CHOICE("evaluate", views, "plain", views,
           "average over views of each image; auto: those that validation gains most by"),
    REAL("evaluate", target_specificity, "0.90", "(0, 1]",
         "what the verdict on the test fold asks of the specificity"),
};

enum { KEY_COUNT = sizeof(keys) / sizeof(keys[0]) };

/* --- The table --- */

static const char *const *key_choices(const key *k)
{
    return k->kind == KIND_MODEL ? pd_model_names() : k->choices;
}

/* "a, b, c" into text. */
static void join_words(char *text, size_t size, const char *const *words)
{
    size_t used = 0;
    text[0] = '\0';
    for (int i = 0; words[i] && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%s", i ? ", " : "", words[i]);
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
    const char *const *choices = key_choices(k);
    for (int i = 0; choices[i]; i++) {
        if (strcmp(value, choices[i]) == 0) {
            *index = i;
            return PD_OK;
        }
    }
    char list[512];
    join_words(list, sizeof(list), choices);
    return pd_fail("%s '%s' is unknown; choices are %s", k->kind == KIND_MODEL ? "model" : k->name,
                   value, list);
}

static pd_status set_value(pd_job *job, const key *k, const char *value)
{
    void *field = (char *)job + k->offset;
    int index;
    pd_status status;
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
        return find_choice(k, field, value);
    case KIND_WORD:
    case KIND_MODEL:
        status = find_choice(k, &index, value);
        break;
    default:
        status = check_text(k, value);
        break;
    }
    if (status == PD_OK) {
        memset(field, 0, k->size); /* equal jobs are equal byte for byte */
        memcpy(field, value, strnlen(value, k->size - 1));
    }
    return status;
}

/* The shortest text that reads back as the same number. */
static void print_real(FILE *out, double number)
{
    char text[32];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, number);
        if (strtod(text, NULL) == number)
            break;
    }
    fputs(text, out);
}

static void print_value(FILE *out, const pd_job *job, const key *k)
{
    const void *field = (const char *)job + k->offset;
    switch (k->kind) {
    case KIND_WHOLE:
        fprintf(out, "%d", *(const int *)field);
        break;
    case KIND_SEED:
        fprintf(out, "%llu", (unsigned long long)*(const uint64_t *)field);
        break;
    case KIND_REAL:
        print_real(out, *(const double *)field);
        break;
    case KIND_SWITCH:
        fputs(*(const bool *)field ? "yes" : "no", out);
        break;
    case KIND_CHOICE:
        fputs(k->choices[*(const int *)field], out);
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
    if (job->batch % job->lanes != 0)
        return fail_rule(
            r, "batch", "lanes",
            pd_fail("batch = %d is not a multiple of lanes = %d: set train.batch to one, or "
                    "train.lanes to a divisor of the batch",
                    job->batch, job->lanes));
    if (job->epoch_images > 0 && job->epoch_images < job->batch)
        return fail_rule(
            r, "epoch_images", "batch",
            pd_fail("epoch_images = %d is less than batch = %d", job->epoch_images, job->batch));
    if (job->warmup_epochs >= job->epochs)
        return fail_rule(r, "warmup_epochs", "epochs",
                         pd_fail("warmup_epochs = %g must be less than epochs = %d",
                                 job->warmup_epochs, job->epochs));
    if (job->weight_decay > 0 && job->optimizer != PD_ADAMW)
        return fail_rule(r, "weight_decay", "optimizer",
                         pd_fail("weight_decay works with optimizer = adamw only; for %s set l2",
                                 optimizers[job->optimizer]));
    if (job->augment.mixup > 0 && job->task != PD_TASK_PNEUMONIA)
        return fail_rule(r, "mixup", "task",
                         pd_fail("mixup works with task = pneumonia only: set augment.mixup = 0"));
    if (job->threshold_rule == PD_THRESHOLD_BOTH && job->target_sensitivity == 1)
        return fail_rule(r, "target_sensitivity", "threshold_rule",
                         pd_fail("threshold_rule = both needs target_sensitivity below 1"));
    if (job->threshold_rule == PD_THRESHOLD_BOTH && job->target_specificity == 1)
        return fail_rule(r, "target_specificity", "threshold_rule",
                         pd_fail("threshold_rule = both needs target_specificity below 1"));
    if (job->channels == 2)
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

        char preset[64], values[512] = "";
        snprintf(preset, sizeof(preset), "%s = %s", k->name, k->preset);
        if (k->range)
            snprintf(values, sizeof(values), "in %s", k->range);
        else if (k->kind == KIND_SWITCH)
            snprintf(values, sizeof(values), "yes or no");
        else if (key_choices(k))
            join_words(values, sizeof(values), key_choices(k));
        fprintf(out, "  %-28s %s\n", preset, k->help);
        if (values[0])
            fprintf(out, "  %-28s %s\n", "", values);
    }
}
