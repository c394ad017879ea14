/* What a run tells at its end: a table on standard output and report.json. */
#ifndef PNEUMO_EVALUATE_REPORT_H
#define PNEUMO_EVALUATE_REPORT_H

#include "pneumo/evaluate/calibration.h"
#include "pneumo/evaluate/metrics.h"
#include "pneumo/evaluate/shape.h"
#include "pneumo/evaluate/stress.h"
#include "pneumo/evaluate/verdict.h"
#include "pneumo/io/checkpoint.h"
#include "pneumo/io/dataset.h"

#include <stdbool.h>
#include <stdio.h>

enum { PD_REPORT_CLASSES = 3 };

/* Images unlike the training images, each counted by the first trait that tells it apart. */
typedef struct pd_outside {
    bool checked; /* false: the checkpoint has no profile, and nothing is known */
    int64_t count;
    int64_t by_trait[PD_TRAITS];
} pd_outside;

/* A fold at both thresholds; for task = cause also the three-class confusion. */
typedef struct pd_report_fold {
    bool present;
    pd_metrics chosen;           /* at the threshold from validation */
    pd_metrics half;             /* at 0.5 */
    pd_metrics chosen_bootstrap; /* the same with intervals by bootstrap over patients */
    pd_metrics half_bootstrap;
    pd_metrics patients;           /* of patients' mean probabilities, at the chosen threshold */
    pd_figure by_cause[PD_CAUSES]; /* share decided rightly of normal images and of each cause */
    pd_figure referred;            /* share of images in the checkpoint's band of doubt */
    pd_figure decided;             /* accuracy on the others */
    pd_outside outside;            /* images of any kind that predict would refer as well */
    pd_calibration calibration;    /* of the probabilities as they are used */
    pd_calibration uncalibrated;   /* with temperature 1 */
    pd_shape_report shape;         /* at the chosen threshold, by the images' own shape and size */
    pd_stress stress;              /* of the fold's images taken otherwise */
    pd_score *scores;              /* [score_count], in the order of ids; borrowed */
    size_t score_count;
    int64_t left_out; /* images without a score, since calibration has seen them */
    bool has_causes;
    int64_t causes[PD_REPORT_CLASSES][PD_REPORT_CLASSES]; /* [true][predicted]; normal, bacteria,
                                                             virus */
} pd_report_fold;

/* The classes of task = cause: NORMAL, BACTERIA, VIRUS. */
extern const char *const pd_report_classes[PD_REPORT_CLASSES];

/* The share of class `truth` that was called so. */
pd_figure pd_report_recall(const pd_report_fold *fold, int truth);

typedef struct pd_report {
    const char *job_name, *model, *data_path, *data_digest, *version; /* borrowed */
    uint64_t seed;
    int ranks, threads, lanes;
    int members; /* networks whose mean it is; then there is no epoch */
    int64_t parameters;
    int64_t best_epoch, epochs;
    double seconds, images_per_second; /* of training; NAN when not known */
    double target_sensitivity, target_specificity;
    const char *decision_rule; /* how the threshold was chosen; borrowed */
    const char *decision_fold; /* on which fold, or "calibration"; NULL: val; borrowed */
    double temperature, refer_low, refer_high;
    int views;                /* averaged over: pd_view_standard */
    int64_t test_looks;       /* evaluations of the test fold so far, this one included */
    const pd_sample *samples; /* of the data set, by pd_score.id; borrowed */
    pd_report_fold val, test;
    bool other_data;      /* the data set is not the one that the model was trained on */
    bool other_threshold; /* the threshold was chosen for the weights of an earlier step */
    bool unrecognised;    /* images of the calibration may be among these, at another size */
    int64_t leaks;        /* patients with images in more than one fold of the data set */
} pd_report;

pd_targets pd_report_targets(const pd_report *report);

/* What the stress test says: that of the test fold if it was run, else that of the validation fold,
 * which the lines then say. */
pd_verdict pd_report_stress(const pd_report *report);

/* What a reader of the figures must know, a line each. At most one per decision of each fold (two
 * thresholds and the three-class answer), one on the shapes of each, one on what calibration has
 * seen of each, five on the data and the threshold, and those of a stress test that misses a target,
 * which are the last. */
typedef struct pd_warnings {
    int count;
    int stress; /* how many are the stress test's */
    char lines[15 + PD_VERDICT_LINES][256];
} pd_warnings;

pd_warnings pd_report_warnings(const pd_report *report);

/* Writes the report as JSON, by pd_file_write:
 *
 *   job, model, seed, data {path, digest}, version, ranks, threads, lanes, members, parameters,
 *   epochs, best_epoch, seconds, images_per_second, targets {sensitivity, specificity},
 *   decision {rule, threshold, fold, temperature, views, refer_low, refer_high}, test_looks,
 *   folds {val, test}, warnings [text].
 *
 * A fold that is not present has no member. Each other holds `chosen` and `half`: threshold,
 * confusion {true_positive, false_negative, true_negative, false_positive} and, each as
 * {value, low, high}, accuracy, balanced_accuracy, sensitivity, specificity, precision, f1, auc;
 * `patients`, the same at the chosen threshold; `chosen_bootstrap` and `half_bootstrap`, figures
 * only; `left_out`, how many images calibration has seen; `by_cause` {NONE, BACTERIA, VIRUS,
 * UNKNOWN}, `referred` and `decided`, each {value, low, high}; `outside` {count, by_trait {side,
 * ratio, ...}}, null if not checked; `calibration` and `uncalibrated`: brier, ece, bins [{low, high,
 * count, mean_probability, positive}]; with has_causes `causes`: per true class NORMAL, BACTERIA,
 * VIRUS the counts `predicted` by class and `recall`. With shape.known `shape`, as pd_shape_report:
 * {aspect, area}, of which one without differences has no member; in each `normal` and `pneumonia`:
 * per third `lowest`, `middle`, `highest` {low, high, count, right}, `p`, `correlation`; and
 * `auc_high_normal`, `auc_low_normal`. An aspect is width over height, an area in pixels. After a
 * stress test `stress`: images (scored under each change), fold_images, pooled_auc {value, low,
 * high} of all changed images together, worst (the name of the row with the lowest balanced
 * accuracy), verdict [text], rows [{name, phrase, family, and what `chosen` holds}], the row "clean"
 * of the images as they are first. Shares are 0..1. Numbers read back to the same bits; NAN and NULL
 * are null; bytes that are not UTF-8 become '?'. Fails when memory runs out or the file cannot be
 * written. */
pd_status pd_report_write_json(const char *path, const pd_report *report);

/* Prints the table: what was trained, then a block per fold with the confusion and a line per
 * metric (percent, with its 95 % interval) at the chosen threshold and at 0.5, columns that line up
 * for counts below 10^11, and with shape.known one by shape and size; the stress test, a row per
 * change; warnings, such as a model that answers one class only, by name; last the verdict of the
 * test fold against the targets. The verdict of the stress test is at the head. */
void pd_report_print(FILE *out, const pd_report *report);

#endif
