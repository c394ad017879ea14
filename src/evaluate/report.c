#include "pneumo/evaluate/report.h"

#include "pneumo/base/clock.h"
#include "pneumo/base/memory.h"
#include "pneumo/io/file.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The figures of pd_metrics, in the order in which both outputs list them. */
static const struct {
    const char *name;
    size_t offset;
} figures[] = {
    {"accuracy", offsetof(pd_metrics, accuracy)},
    {"balanced_accuracy", offsetof(pd_metrics, balanced_accuracy)},
    {"sensitivity", offsetof(pd_metrics, sensitivity)},
    {"specificity", offsetof(pd_metrics, specificity)},
    {"precision", offsetof(pd_metrics, precision)},
    {"f1", offsetof(pd_metrics, f1)},
    {"auc", offsetof(pd_metrics, auc)},
};
enum { FIGURES = sizeof(figures) / sizeof(figures[0]) };

static const char *const class_names[PD_REPORT_CLASSES] = {"NORMAL", "BACTERIA", "VIRUS"};

static pd_figure figure_of(const pd_metrics *metrics, int i)
{
    return *(const pd_figure *)((const char *)metrics + figures[i].offset);
}

/* The share of class `truth` that was called so. */
static pd_figure class_recall(const pd_report_fold *fold, int truth)
{
    int64_t images = 0;
    for (int called = 0; called < PD_REPORT_CLASSES; called++)
        images += fold->causes[truth][called];
    return pd_wilson(fold->causes[truth][truth], images);
}

/* The only class that a three-class model ever answers, or NULL if there are several. */
static const char *only_class(const pd_report_fold *fold)
{
    const char *only = NULL;
    for (int called = 0; called < PD_REPORT_CLASSES; called++) {
        int64_t images = 0;
        for (int truth = 0; truth < PD_REPORT_CLASSES; truth++)
            images += fold->causes[truth][called];
        if (images > 0 && only)
            return NULL;
        if (images > 0)
            only = class_names[called];
    }
    return only;
}

/* At most one per decision of each fold (two thresholds and the three-class answer), and three on
 * the data and the threshold. */
typedef struct warnings {
    int count;
    char lines[9][256];
} warnings;

static void warn_of_data(warnings *w, const pd_report *report)
{
    if (report->leaks > 0)
        snprintf(w->lines[w->count++], sizeof(w->lines[0]),
                 "%" PRId64 " patients have images in more than one fold, which flatters the model",
                 report->leaks);
    if (report->other_data)
        snprintf(w->lines[w->count++], sizeof(w->lines[0]),
                 "this is not the data set of the training: images that the model knows from there "
                 "flatter it");
    if (report->other_threshold)
        snprintf(w->lines[w->count++], sizeof(w->lines[0]),
                 "saved in the middle of an epoch: the threshold was chosen for the weights of an "
                 "earlier step");
}

static void warn_of_fold(warnings *w, const pd_report *report, const char *name,
                         const pd_report_fold *fold)
{
    if (!fold->present)
        return;
    const char *model = report->model ? report->model : "the model";
    const pd_metrics *const thresholds[] = {&fold->chosen, &fold->half};
    /* Models that answer about 0.5 to everything need not be told of twice. */
    int count = fabs(fold->chosen.threshold - fold->half.threshold) < 1e-6 ? 1 : 2;
    for (int i = 0; i < count; i++) {
        const char *line = pd_metrics_one_class(thresholds[i]);
        if (line)
            snprintf(w->lines[w->count++], sizeof(w->lines[0]), "%s fold, threshold %.6g: %.64s %s",
                     name, thresholds[i]->threshold, model, line);
    }
    const char *only = fold->has_causes ? only_class(fold) : NULL;
    if (only)
        snprintf(w->lines[w->count++], sizeof(w->lines[0]),
                 "%s fold, three classes: %.64s predicts %s for every image", name, model, only);
}

static warnings warnings_collect(const pd_report *report)
{
    warnings w = {0};
    warn_of_data(&w, report);
    warn_of_fold(&w, report, "val", &report->val);
    warn_of_fold(&w, report, "test", &report->test);
    return w;
}

/* ---- JSON ----
 *
 * cJSON's calls take NULL for an object or item and then return NULL or false, so a failed
 * allocation anywhere ends in `ok` being false. */

typedef struct json {
    bool ok;
} json;

static cJSON *add_object(json *j, cJSON *parent, const char *key)
{
    cJSON *object = cJSON_AddObjectToObject(parent, key);
    j->ok = j->ok && object;
    return object;
}

static cJSON *add_array(json *j, cJSON *parent, const char *key)
{
    cJSON *array = cJSON_AddArrayToObject(parent, key);
    j->ok = j->ok && array;
    return array;
}

static void append(json *j, cJSON *array, cJSON *item)
{
    if (!cJSON_AddItemToArray(array, item)) {
        cJSON_Delete(item);
        j->ok = false;
    }
}

/* The shortest text that reads back as the same number. cJSON's own is content with a relative
 * error of one rounding, and its numbers cannot hold 64-bit integers. */
static void add_number(json *j, cJSON *parent, const char *key, double value)
{
    char text[40] = "null";
    for (int digits = 15; isfinite(value) && digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    j->ok = cJSON_AddRawToObject(parent, key, text) && j->ok;
}

static void add_integer(json *j, cJSON *parent, const char *key, int64_t value)
{
    char text[24];
    snprintf(text, sizeof(text), "%" PRId64, value);
    j->ok = cJSON_AddRawToObject(parent, key, text) && j->ok;
}

/* Bytes of the UTF-8 character at `text`; 0 if there is none (Unicode 15, table 3-7). */
static size_t utf8_length(const unsigned char *text)
{
    if (text[0] < 0x80)
        return 1;
    size_t length = text[0] >= 0xf0 ? 4 : text[0] >= 0xe0 ? 3 : 2;
    if (text[0] < 0xc2 || text[0] > 0xf4)
        return 0;
    if ((text[0] == 0xe0 && text[1] < 0xa0) || (text[0] == 0xed && text[1] > 0x9f) ||
        (text[0] == 0xf0 && text[1] < 0x90) || (text[0] == 0xf4 && text[1] > 0x8f))
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    return length;
}

/* A JSON string; null for NULL. File names may hold any bytes but JSON only UTF-8: what is not
 * becomes '?'. */
static cJSON *make_string(const char *text)
{
    char *clean = NULL;
    if (!text)
        return cJSON_CreateNull();
    if (pd_strdup(&clean, text) != PD_OK)
        return NULL;
    for (unsigned char *at = (unsigned char *)clean; *at;) {
        size_t length = utf8_length(at);
        if (length == 0)
            *at = '?';
        at += length > 0 ? length : 1;
    }
    cJSON *string = cJSON_CreateString(clean);
    free(clean);
    return string;
}

static void add_string(json *j, cJSON *parent, const char *key, const char *text)
{
    cJSON *string = make_string(text);
    if (!cJSON_AddItemToObject(parent, key, string)) {
        cJSON_Delete(string);
        j->ok = false;
    }
}

static void add_figure(json *j, cJSON *parent, const char *key, pd_figure figure)
{
    cJSON *object = add_object(j, parent, key);
    add_number(j, object, "value", figure.value);
    add_number(j, object, "low", figure.low);
    add_number(j, object, "high", figure.high);
}

static void add_metrics(json *j, cJSON *parent, const char *key, const pd_metrics *metrics)
{
    cJSON *object = add_object(j, parent, key);
    add_number(j, object, "threshold", metrics->threshold);
    cJSON *confusion = add_object(j, object, "confusion");
    add_integer(j, confusion, "true_positive", metrics->confusion.true_positive);
    add_integer(j, confusion, "false_negative", metrics->confusion.false_negative);
    add_integer(j, confusion, "true_negative", metrics->confusion.true_negative);
    add_integer(j, confusion, "false_positive", metrics->confusion.false_positive);
    for (int i = 0; i < FIGURES; i++)
        add_figure(j, object, figures[i].name, figure_of(metrics, i));
}

/* causes.NORMAL.predicted.VIRUS is the number of normal images that were called virus. */
static void add_causes(json *j, cJSON *parent, const pd_report_fold *fold)
{
    cJSON *causes = add_object(j, parent, "causes");
    for (int truth = 0; truth < PD_REPORT_CLASSES; truth++) {
        cJSON *row = add_object(j, causes, class_names[truth]);
        cJSON *predicted = add_object(j, row, "predicted");
        for (int called = 0; called < PD_REPORT_CLASSES; called++)
            add_integer(j, predicted, class_names[called], fold->causes[truth][called]);
        add_figure(j, row, "recall", class_recall(fold, truth));
    }
}

static void add_fold(json *j, cJSON *parent, const char *key, const pd_report_fold *fold)
{
    if (!fold->present)
        return;
    cJSON *object = add_object(j, parent, key);
    add_metrics(j, object, "chosen", &fold->chosen);
    add_metrics(j, object, "half", &fold->half);
    if (fold->has_causes)
        add_causes(j, object, fold);
}

/* The chosen threshold is the same in both folds; NAN when there is neither. */
static double report_threshold(const pd_report *report)
{
    return report->val.present    ? report->val.chosen.threshold
           : report->test.present ? report->test.chosen.threshold
                                  : NAN;
}

pd_status pd_report_write_json(const char *path, const pd_report *report)
{
    pd_status status = PD_OK;
    char *text = NULL, *lines = NULL;
    json j = {.ok = true};
    cJSON *root = cJSON_CreateObject();

    add_string(&j, root, "job", report->job_name);
    add_string(&j, root, "model", report->model);
    char seed[24];
    snprintf(seed, sizeof(seed), "%" PRIu64, report->seed);
    j.ok = cJSON_AddRawToObject(root, "seed", seed) && j.ok;
    cJSON *data = add_object(&j, root, "data");
    add_string(&j, data, "path", report->data_path);
    add_string(&j, data, "digest", report->data_digest);
    add_string(&j, root, "version", report->version);
    add_integer(&j, root, "ranks", report->ranks);
    add_integer(&j, root, "threads", report->threads);
    add_integer(&j, root, "lanes", report->lanes);
    add_integer(&j, root, "parameters", report->parameters);
    add_integer(&j, root, "epochs", report->epochs);
    add_integer(&j, root, "best_epoch", report->best_epoch);
    add_number(&j, root, "seconds", report->seconds);
    add_number(&j, root, "images_per_second", report->images_per_second);
    cJSON *targets = add_object(&j, root, "targets");
    add_number(&j, targets, "sensitivity", report->target_sensitivity);
    add_number(&j, targets, "specificity", report->target_specificity);
    cJSON *decision = add_object(&j, root, "decision");
    add_string(&j, decision, "rule", report->decision_rule);
    add_number(&j, decision, "threshold", report_threshold(report));
    add_string(&j, decision, "fold", "val");
    cJSON *folds = add_object(&j, root, "folds");
    add_fold(&j, folds, "val", &report->val);
    add_fold(&j, folds, "test", &report->test);
    cJSON *list = add_array(&j, root, "warnings");
    warnings w = warnings_collect(report);
    for (int i = 0; i < w.count; i++)
        append(&j, list, make_string(w.lines[i]));

    text = j.ok ? cJSON_Print(root) : NULL;
    if (!text) {
        status = pd_fail("%s: out of memory while the report was put together", path);
        goto cleanup;
    }
    PD_TRY(pd_format(&lines, "%s\n", text));
    PD_TRY(pd_file_write(path, lines, strlen(lines)));
cleanup:
    free(lines);
    cJSON_free(text);
    cJSON_Delete(root);
    return status;
}

/* ---- the table ----
 *
 * A name in 20 columns, then for each threshold a cell of 23 columns after a gap of 4. */

enum { CELL = 23 };

/* "  97.1 % [ 94.6,  98.4]" */
static void print_figure(FILE *out, pd_figure figure)
{
    if (isnan(figure.value))
        fprintf(out, "    %*s", CELL, "not defined: no images");
    else
        fprintf(out, "    %6.1f %% [%5.1f, %5.1f]", 100 * figure.value, 100 * figure.low,
                100 * figure.high);
}

static void print_metrics(FILE *out, const pd_metrics *chosen, const pd_metrics *half)
{
    char heading[2][CELL + 1];
    snprintf(heading[0], sizeof(heading[0]), "threshold %.6g", chosen->threshold);
    snprintf(heading[1], sizeof(heading[1]), "threshold %.6g", half->threshold);
    fprintf(out, "  %-18s    %*s    %*s\n", "", CELL, heading[0], CELL, heading[1]);

    const pd_confusion *a = &chosen->confusion, *b = &half->confusion;
    fprintf(out, "  %-18s    %11s %11s    %11s %11s\n", "predicted", "PNEUMONIA", "NORMAL",
            "PNEUMONIA", "NORMAL");
    fprintf(out,
            "  %-18s    %11" PRId64 " %11" PRId64 "    %11" PRId64 " %11" PRId64 "\n"
            "  %-18s    %11" PRId64 " %11" PRId64 "    %11" PRId64 " %11" PRId64 "\n",
            "truly PNEUMONIA", a->true_positive, a->false_negative, b->true_positive,
            b->false_negative, "truly NORMAL", a->false_positive, a->true_negative,
            b->false_positive, b->true_negative);

    const char *columns = "value  95 % interval";
    fprintf(out, "\n  %-18s    %*s    %*s\n", "", CELL, columns, CELL, columns);
    for (int i = 0; i < FIGURES; i++) {
        fprintf(out, "  %-18s", figures[i].name);
        print_figure(out, figure_of(chosen, i));
        print_figure(out, figure_of(half, i));
        fputc('\n', out);
    }
}

static void print_causes(FILE *out, const pd_report_fold *fold)
{
    fprintf(out, "\n  %-18s", "predicted");
    for (int called = 0; called < PD_REPORT_CLASSES; called++)
        fprintf(out, " %11s", class_names[called]);
    fprintf(out, "    %*s\n", CELL, "recall  95 % interval");
    for (int truth = 0; truth < PD_REPORT_CLASSES; truth++) {
        fprintf(out, "  truly %-12s", class_names[truth]);
        for (int called = 0; called < PD_REPORT_CLASSES; called++)
            fprintf(out, " %11" PRId64, fold->causes[truth][called]);
        print_figure(out, class_recall(fold, truth));
        fputc('\n', out);
    }
}

static void print_fold(FILE *out, const char *name, const pd_report_fold *fold)
{
    if (!fold->present)
        return;
    const pd_confusion *c = &fold->chosen.confusion;
    int64_t pneumonia = c->true_positive + c->false_negative;
    int64_t normal = c->true_negative + c->false_positive;
    fprintf(out, "\n%s fold: %" PRId64 " images, %" PRId64 " pneumonia and %" PRId64 " normal\n\n",
            name, pneumonia + normal, pneumonia, normal);
    print_metrics(out, &fold->chosen, &fold->half);
    if (fold->has_causes)
        print_causes(out, fold);
}

/* "sensitivity 97.1 % (target 95 %): met" */
static void print_verdict(FILE *out, const char *name, double value, double target)
{
    if (isnan(value)) {
        fprintf(out, "%s (target %g %%): not known, no such images", name, 100 * target);
        return;
    }
    /* 94.96 % must not print as 95.0 % and missed. */
    int digits = fabs(value - target) < 0.001 ? 3 : 1;
    fprintf(out, "%s %.*f %% (target %g %%): %s", name, digits, 100 * value, 100 * target,
            value >= target ? "met" : "missed");
}

void pd_report_print(FILE *out, const pd_report *report)
{
    const char *unknown = "unknown";
    fprintf(out, "job %s: %s with %" PRId64 " parameters, seed %" PRIu64 "\n",
            report->job_name ? report->job_name : unknown, report->model ? report->model : unknown,
            report->parameters, report->seed);
    fprintf(out, "data %s, digest %s\n", report->data_path ? report->data_path : unknown,
            report->data_digest ? report->data_digest : unknown);
    fprintf(out, "%" PRId64 " epochs, best %" PRId64 "; ranks %d, threads %d, lanes %d",
            report->epochs, report->best_epoch, report->ranks, report->threads, report->lanes);
    char duration[64];
    if (isfinite(report->seconds))
        fprintf(out, "; %s", pd_clock_format(duration, sizeof(duration), report->seconds));
    if (isfinite(report->images_per_second))
        fprintf(out, ", %.1f images/s", report->images_per_second);
    fprintf(out, "\nthreshold: %s\n", report->decision_rule ? report->decision_rule : unknown);

    print_fold(out, "val", &report->val);
    print_fold(out, "test", &report->test);
    if (report->val.present || report->test.present)
        fputc('\n', out);

    warnings w = warnings_collect(report);
    for (int i = 0; i < w.count; i++)
        fprintf(out, "WARNING: %s\n", w.lines[i]);
    if (report->test.present) {
        print_verdict(out, "sensitivity", report->test.chosen.sensitivity.value,
                      report->target_sensitivity);
        fputs("; ", out);
        print_verdict(out, "specificity", report->test.chosen.specificity.value,
                      report->target_specificity);
        fputc('\n', out);
    }
}
