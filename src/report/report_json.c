/* report.json. */
#include "pneumo/base/memory.h"
#include "pneumo/base/text.h"
#include "pneumo/io/outputs.h"
#include "pneumo/report/report.h"

#include "report_json.h"
#include "warnings.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* cJSON's functions accept NULL for an object or item and then return NULL or false, so any failed
 * allocation leaves `ok` false. */

typedef struct json {
    bool ok;
} json;

static cJSON *add_object(json *j, cJSON *parent, const char *key)
{
    cJSON *object = cJSON_AddObjectToObject(parent, key);
    j->ok = j->ok && object != NULL;
    return object;
}

static cJSON *add_array(json *j, cJSON *parent, const char *key)
{
    cJSON *array = cJSON_AddArrayToObject(parent, key);
    j->ok = j->ok && array != NULL;
    return array;
}

static void append(json *j, cJSON *array, cJSON *item)
{
    if (!cJSON_AddItemToArray(array, item)) {
        cJSON_Delete(item);
        j->ok = false;
    }
}

/* cJSON prints numbers with a relative error of up to one rounding, and cannot hold 64-bit
 * integers. */
static void add_number(json *j, cJSON *parent, const char *key, double value)
{
    char text[PD_TEXT_NUMBER];
    const char *number = isfinite(value) ? pd_text_number(text, value) : "null";
    j->ok = cJSON_AddRawToObject(parent, key, number) && j->ok;
}

static void add_integer(json *j, cJSON *parent, const char *key, int64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, value);
    j->ok = cJSON_AddRawToObject(parent, key, text) && j->ok;
}

static void add_seed(json *j, cJSON *parent, uint64_t seed)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, seed);
    j->ok = cJSON_AddRawToObject(parent, "seed", text) && j->ok;
}

static void add_null(json *j, cJSON *parent, const char *key)
{
    j->ok = cJSON_AddNullToObject(parent, key) && j->ok;
}

/* A JSON string; null for NULL. File names may hold any bytes, JSON only UTF-8: other bytes become
 * '?'. */
static cJSON *make_string(const char *text)
{
    char *clean = NULL;
    if (text == NULL)
        return cJSON_CreateNull();
    if (pd_strdup(&clean, text) != PD_OK)
        return NULL;
    pd_text_make_utf8(clean);
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

static void add_figures(json *j, cJSON *object, const pd_metrics *metrics)
{
    for (int i = 0; i < PD_FIGURES; i++)
        add_figure(j, object, pd_figure_names[i], pd_metrics_figure(metrics, i));
}

static void add_metrics_to(json *j, cJSON *object, const pd_metrics *metrics)
{
    add_number(j, object, "threshold", metrics->threshold);
    cJSON *confusion = add_object(j, object, "confusion");
    add_integer(j, confusion, "true_positive", metrics->confusion.true_positive);
    add_integer(j, confusion, "false_negative", metrics->confusion.false_negative);
    add_integer(j, confusion, "true_negative", metrics->confusion.true_negative);
    add_integer(j, confusion, "false_positive", metrics->confusion.false_positive);
    add_figures(j, object, metrics);
}

static void add_metrics(json *j, cJSON *parent, const char *key, const pd_metrics *metrics)
{
    add_metrics_to(j, add_object(j, parent, key), metrics);
}

static void add_calibration(json *j, cJSON *parent, const char *key,
                            const pd_calibration *calibration)
{
    cJSON *object = add_object(j, parent, key);
    add_number(j, object, "brier", calibration->brier);
    add_number(j, object, "ece", calibration->ece);
    cJSON *bins = add_array(j, object, "bins");
    for (int i = 0; i < PD_CALIBRATION_BINS; i++) {
        const pd_calibration_bin *bin = &calibration->bins[i];
        cJSON *item = cJSON_CreateObject();
        add_number(j, item, "low", bin->low);
        add_number(j, item, "high", bin->high);
        add_integer(j, item, "count", bin->count);
        add_number(j, item, "mean_probability", bin->mean_probability);
        add_figure(j, item, "positive", bin->positive);
        append(j, bins, item);
    }
}

/* causes.NORMAL.predicted.VIRUS is the number of normal images predicted as virus. */
static void add_causes(json *j, cJSON *parent, const pd_results_fold *fold)
{
    cJSON *causes = add_object(j, parent, "causes");
    for (int truth = 0; truth < PD_RESULTS_CLASSES; truth++) {
        cJSON *row = add_object(j, causes, pd_results_classes[truth]);
        cJSON *predicted = add_object(j, row, "predicted");
        for (int called = 0; called < PD_RESULTS_CLASSES; called++)
            add_integer(j, predicted, pd_results_classes[called], fold->causes[truth][called]);
        add_figure(j, row, "recall", pd_results_recall(fold, truth));
    }
}

static void add_shape_class(json *j, cJSON *parent, const char *key, const pd_shape_class *group)
{
    cJSON *object = add_object(j, parent, key);
    for (int i = 0; i < PD_SHAPE_THIRDS; i++) {
        const pd_shape_third *third = &group->thirds[i];
        cJSON *item = add_object(j, object, pd_shape_third_names[i]);
        add_number(j, item, "low", third->low);
        add_number(j, item, "high", third->high);
        add_integer(j, item, "count", third->count);
        add_figure(j, item, "right", third->right);
    }
    add_number(j, object, "p", group->p);
    add_figure(j, object, "correlation", group->correlation);
}

static void add_shape(json *j, cJSON *parent, const pd_shape_report *shape)
{
    cJSON *object = add_object(j, parent, "shape");
    for (int measure = 0; measure < PD_SHAPE_MEASURES; measure++) {
        const pd_shape_figures *figures = &shape->measures[measure];
        if (!figures->known)
            continue;
        cJSON *of_measure = add_object(j, object, pd_shape_measure_names[measure]);
        for (int label = 0; label < PD_LABELS; label++)
            add_shape_class(j, of_measure, pd_shape_class_names[label], &figures->classes[label]);
        add_figure(j, of_measure, "auc_high_normal", figures->auc_high_normal);
        add_figure(j, of_measure, "auc_low_normal", figures->auc_low_normal);
    }
}

/* null if not checked. */
static void add_outside(json *j, cJSON *parent, const pd_outside *outside)
{
    if (!outside->checked) {
        add_null(j, parent, "outside");
        return;
    }
    cJSON *object = add_object(j, parent, "outside");
    add_integer(j, object, "count", outside->count);
    cJSON *traits = add_object(j, object, "by_trait");
    for (int trait = 0; trait < PD_TRAITS; trait++)
        add_integer(j, traits, pd_trait_names[trait], outside->by_trait[trait]);
}

static void add_stress_rows(json *j, cJSON *parent, const pd_stress *stress)
{
    cJSON *rows = add_array(j, parent, "rows");
    for (int i = 0; i < PD_STRESS_ROWS; i++) {
        const pd_stress_row *row = &stress->rows[i];
        cJSON *item = cJSON_CreateObject();
        add_string(j, item, "name", pd_stress_name(row));
        add_string(j, item, "phrase", pd_stress_phrase(row));
        add_string(j, item, "family", pd_stress_family(row));
        add_metrics_to(j, item, &row->metrics);
        append(j, rows, item);
    }
}

/* `fold` is the JSON of a fold, NULL when it is not present. */
static void add_stress(json *j, cJSON *fold, const pd_stress *stress, const pd_verdict *verdict,
                       const char *caveat)
{
    if (fold == NULL || !stress->present)
        return;
    cJSON *object = add_object(j, fold, "stress");
    add_integer(j, object, "images", stress->images);
    add_integer(j, object, "fold_images", stress->fold_images);
    add_figure(j, object, "pooled_auc", stress->pooled_auc);
    add_string(j, object, "worst",
               stress->worst == PD_STRESS_NO_ROW ? NULL
                                                 : pd_stress_name(&stress->rows[stress->worst]));
    cJSON *lines = add_array(j, object, "verdict");
    for (int i = 0; i < verdict->count; i++)
        append(j, lines, make_string(verdict->lines[i]));
    add_string(j, object, "caveat", caveat);
    add_stress_rows(j, object, stress);
}

static void add_fold(json *j, cJSON *parent, const char *key, const pd_results *results,
                     const pd_results_fold *fold)
{
    if (!fold->present)
        return;
    cJSON *object = add_object(j, parent, key);
    add_metrics(j, object, "chosen", &fold->chosen);
    add_metrics(j, object, "half", &fold->half);
    if (results->unknown_patients == 0)
        add_metrics(j, object, "patients", &fold->patients);
    add_figures(j, add_object(j, object, "chosen_bootstrap"), &fold->chosen_bootstrap);
    add_figures(j, add_object(j, object, "half_bootstrap"), &fold->half_bootstrap);
    add_integer(j, object, "left_out", fold->left_out);
    cJSON *causes = add_object(j, object, "by_cause");
    for (int cause = 0; cause < PD_CAUSES; cause++)
        add_figure(j, causes, pd_cause_names[cause], fold->by_cause[cause]);
    add_figure(j, object, "referred", fold->referred);
    add_figure(j, object, "decided", fold->decided);
    add_outside(j, object, &fold->outside);
    add_calibration(j, object, "calibration", &fold->calibration);
    add_calibration(j, object, "uncalibrated", &fold->uncalibrated);
    if (fold->shape.known)
        add_shape(j, object, &fold->shape);
    if (fold->has_causes)
        add_causes(j, object, fold);
}

/* The chosen threshold is the same in both folds; NAN when there is neither. */
static double report_threshold(const pd_results *results)
{
    return results->val.present    ? results->val.chosen.threshold
           : results->test.present ? results->test.chosen.threshold
                                   : NAN;
}

static void add_data(json *j, cJSON *root, const pd_results *results)
{
    const pd_dataset_info *info = &results->data;
    cJSON *data = add_object(j, root, "data");
    add_string(j, data, "path", results->data_path);
    add_string(j, data, "digest", results->data_digest);
    add_string(j, data, "trained_digest", results->trained_digest);
    add_integer(j, data, "images", info->count);
    add_integer(j, data, "width", info->width);
    add_integer(j, data, "height", info->height);
    add_integer(j, data, "duplicates", info->duplicates);
    add_seed(j, data, info->seed);
    add_string(j, data, "fold_policy", info->fold_policy);
    add_string(j, data, "grouping", info->grouping);
    add_string(j, data, "version", info->version);
    cJSON *folds = add_object(j, data, "folds");
    for (int fold = 0; fold < PD_FOLDS; fold++) {
        cJSON *of = add_object(j, folds, pd_fold_names[fold]);
        for (int label = 0; label < PD_LABELS; label++)
            add_integer(j, of, pd_label_names[label], info->counts[fold][label]);
        for (int cause = PD_CAUSE_BACTERIA; cause < PD_CAUSES; cause++)
            add_integer(j, of, pd_cause_names[cause], results->causes[fold][cause]);
        if (results->unknown_patients == 0)
            add_integer(j, of, "patients", results->patients[fold]);
    }
}

/* The job, the model and the cost of training. */
static void add_run(json *j, cJSON *root, const pd_results *results)
{
    bool known = pd_results_knows_seed(results);
    add_string(j, root, "job", results->job_name);
    add_string(j, root, "model", results->model);
    if (known)
        add_seed(j, root, results->seed);
    else
        add_null(j, root, "seed");
    add_data(j, root, results);
    add_string(j, root, "version", results->version);
    add_integer(j, root, "ranks", results->ranks);
    add_integer(j, root, "threads", results->threads);
    if (known)
        add_integer(j, root, "lanes", results->lanes);
    else
        add_null(j, root, "lanes");
    add_integer(j, root, "members", results->members > 0 ? results->members : 1);
    add_integer(j, root, "parameters", results->parameters);
    add_integer(j, root, "epochs", results->epochs);
    add_integer(j, root, "best_epoch", results->best_epoch);
    add_integer(j, root, "weights_epoch", results->weights_epoch);
    add_number(j, root, "seconds", results->seconds);
    add_number(j, root, "images_per_second", results->images_per_second);
    add_string(j, root, "processor", results->processor[0] == '\0' ? NULL : results->processor);
    add_string(j, root, "settings", results->settings);
}

static void add_decision(json *j, cJSON *root, const pd_results *results)
{
    cJSON *targets = add_object(j, root, "targets");
    add_number(j, targets, "sensitivity", results->target_sensitivity);
    add_number(j, targets, "specificity", results->target_specificity);
    cJSON *decision = add_object(j, root, "decision");
    add_string(j, decision, "rule", results->decision_rule);
    add_number(j, decision, "threshold", report_threshold(results));
    add_string(j, decision, "fold",
               results->decision_fold != NULL ? results->decision_fold : "val");
    add_number(j, decision, "temperature", results->temperature);
    add_integer(j, decision, "views", results->views);
    add_number(j, decision, "refer_low", results->refer_low);
    add_number(j, decision, "refer_high", results->refer_high);
    if (pd_results_is_import(results))
        add_null(j, root, "test_looks");
    else
        add_integer(j, root, "test_looks", results->test_looks);
    add_integer(j, root, "unknown_patients", results->unknown_patients);
    add_integer(j, root, "leaks", results->leaks);
}

static void add_folds(json *j, cJSON *root, const pd_results *results)
{
    cJSON *folds = add_object(j, root, "folds");
    const pd_targets targets = pd_results_targets(results);
    const pd_stress *val = &results->val.stress, *test = &results->test.stress;
    const pd_verdict on_val = pd_verdict_of(val, "validation ", targets);
    const pd_verdict on_test = pd_verdict_of(test, "", targets);
    add_fold(j, folds, "val", results, &results->val);
    add_fold(j, folds, "test", results, &results->test);
    add_stress(j, cJSON_GetObjectItemCaseSensitive(folds, "val"), val, &on_val,
               pd_verdict_caveat(results));
    add_stress(j, cJSON_GetObjectItemCaseSensitive(folds, "test"), test, &on_test, NULL);
}

static void add_warnings(json *j, cJSON *root, const pd_results *results)
{
    const pd_warnings warnings = pd_warnings_of(results);
    cJSON *list = add_array(j, root, "warnings");
    for (int i = 0; i < warnings.count; i++)
        append(j, list, make_string(warnings.lines[i]));
}

pd_status pd_report_json_create(cJSON **out, const pd_results *results)
{
    json j = {.ok = true};
    cJSON *root = cJSON_CreateObject();
    add_run(&j, root, results);
    add_decision(&j, root, results);
    add_folds(&j, root, results);
    add_warnings(&j, root, results);
    *out = root;
    if (j.ok)
        return PD_OK;
    cJSON_Delete(root);
    *out = NULL;
    return pd_fail("out of memory for the report");
}

pd_status pd_report_write_json(const char *path, const pd_results *results)
{
    pd_status status = PD_OK;
    char *text = NULL, *lines = NULL;
    cJSON *root = NULL;
    PD_TRY(pd_report_json_create(&root, results));
    text = cJSON_Print(root);
    if (text == NULL) {
        status = pd_fail("%s: out of memory for the report", path);
        goto cleanup;
    }
    PD_TRY(pd_format(&lines, "%s\n", text));
    PD_TRY(pd_output_write(path, lines, strlen(lines)));
cleanup:
    free(lines);
    cJSON_free(text);
    cJSON_Delete(root);
    return status;
}
