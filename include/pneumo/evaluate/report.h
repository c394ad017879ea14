/* What a run tells at its end: a table on standard output and report.json. */
#ifndef PNEUMO_EVALUATE_REPORT_H
#define PNEUMO_EVALUATE_REPORT_H

#include "pneumo/evaluate/metrics.h"

#include <stdbool.h>
#include <stdio.h>

enum { PD_REPORT_CLASSES = 3 };

/* A fold at both thresholds; for task = cause also the three-class confusion. */
typedef struct pd_report_fold {
    bool present;
    pd_metrics chosen; /* at the threshold from validation */
    pd_metrics half;   /* at 0.5 */
    bool has_causes;
    int64_t causes[PD_REPORT_CLASSES][PD_REPORT_CLASSES]; /* [true][predicted]; normal, bacteria,
                                                             virus */
} pd_report_fold;

typedef struct pd_report {
    const char *job_name, *model, *data_path, *data_digest, *version; /* borrowed */
    uint64_t seed;
    int ranks, threads, lanes;
    int64_t parameters;
    int64_t best_epoch, epochs;
    double seconds, images_per_second; /* of training; NAN when not known */
    double target_sensitivity, target_specificity;
    const char *decision_rule; /* how the threshold was chosen; borrowed */
    pd_report_fold val, test;
    bool other_data;      /* the data set is not the one that the model was trained on */
    bool other_threshold; /* the threshold was chosen for the weights of an earlier step */
    int64_t leaks;        /* patients with images in more than one fold of the data set */
} pd_report;

/* Writes the report as JSON, by pd_file_write:
 *
 *   job, model, seed, data {path, digest}, version, ranks, threads, lanes, parameters, epochs,
 *   best_epoch, seconds, images_per_second, targets {sensitivity, specificity},
 *   decision {rule, threshold, fold}, folds {val, test}, warnings [text].
 *
 * A fold that is not present has no member. Each other holds `chosen` and `half`: threshold,
 * confusion {true_positive, false_negative, true_negative, false_positive} and, each as
 * {value, low, high}, accuracy, balanced_accuracy, sensitivity, specificity, precision, f1, auc;
 * and with has_causes `causes`: per true class NORMAL, BACTERIA, VIRUS the counts `predicted` by
 * class and `recall`. Shares are 0..1. Numbers read back to the same bits; NAN and NULL are null;
 * bytes that are not UTF-8 become '?'. Fails when memory runs out or the file cannot be written. */
pd_status pd_report_write_json(const char *path, const pd_report *report);

/* Prints the table: what was trained, then a block per fold with the confusion and a line per
 * metric (percent, with its 95 % interval) at the chosen threshold and at 0.5, columns that line up
 * for counts below 10^11; warnings, such as a model that answers one class only, by name; last the
 * verdict of the test fold against the targets. */
void pd_report_print(FILE *out, const pd_report *report);

#endif
