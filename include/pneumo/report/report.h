/* The report of an evaluation: a table as text, and report.json. */
#ifndef PNEUMO_REPORT_REPORT_H
#define PNEUMO_REPORT_REPORT_H

#include "pneumo/evaluate/results.h"

#include <stdio.h>

/* Writes the report as JSON with pd_output_write:
 *
 *   job, model, seed, data {path, digest, trained_digest, images, width, height, duplicates, seed,
 *   fold_policy, grouping, version, folds {TRAIN, VAL, TEST}}, version, ranks, threads, lanes,
 *   members, parameters, epochs, best_epoch, weights_epoch, seconds, images_per_second, processor,
 * settings (the job's text; of an average, the first member's), targets {sensitivity, specificity},
 * decision {rule, threshold, fold, temperature, views, refer_low, refer_high}, test_looks,
 * unknown_patients, leaks, folds {val, test}, warnings [text].
 *
 * seed and lanes are null for an average, whose members have their own, and for an import.
 * test_looks is null for an import: the test fold of its training is unknown.
 *
 * data.folds.TRAIN holds the images NORMAL, PNEUMONIA, BACTERIA, VIRUS and UNKNOWN (cause), and
 * `patients` if no patient is unknown. data.trained_digest is that of the data set of the training.
 *
 * A fold that is not present has no member. Each other holds `chosen` and `half`: threshold,
 * confusion {true_positive, false_negative, true_negative, false_positive} and, each as
 * {value, low, high}, accuracy, balanced_accuracy, sensitivity, specificity, precision, f1, auc;
 * `patients`, the same at the chosen threshold, if no patient is unknown; `chosen_bootstrap` and
 * `half_bootstrap`, figures only; `left_out`, the number of images of patients with images that
 * calibration used; `by_cause` {NONE, BACTERIA, VIRUS, UNKNOWN}, `referred` and `decided`, each
 * {value, low, high}; `outside` {count, by_trait {side, ratio, ...}}, null if not checked;
 * `calibration` and `uncalibrated`: brier, ece, bins [{low, high, count, mean_probability,
 * positive}]; with has_causes `causes`: per true class NORMAL, BACTERIA, VIRUS the counts
 * `predicted` by class and `recall`. With shape.known `shape`, as pd_shape_report: {aspect, area},
 * of which a measure without differences has no member; in each `normal` and `pneumonia`: per third
 * `lowest`, `middle`, `highest` {low, high, count, right}, `p`, `correlation`; and
 * `auc_high_normal`, `auc_low_normal`. An aspect is width over height, an area in pixels. After a
 * stress test `stress`: images (scored under each change), fold_images (without left_out),
 * pooled_auc {value, low, high} of all changed images together, worst (the name of the row with the
 * lowest balanced accuracy; null if all images are of one class), verdict [text], caveat (null, or
 * what was chosen on changed images of this fold), rows [{name, phrase, family, and what `chosen`
 * holds}], first the row "clean" of the unchanged images. Shares are 0..1. Numbers read back to the
 * same bits; NAN and NULL are null; bytes that are not UTF-8 become '?'. Fails when memory runs out
 * or the file cannot be written. */
pd_status pd_report_write_json(const char *path, const pd_results *results);

/* Prints the table: what was trained, then a block per fold with the confusion and a line per
 * metric (percent, with its 95 % interval) at the chosen threshold and at 0.5, columns that line up
 * for counts below 10^11, and with shape.known one by shape and size; the stress test, a row per
 * change; warnings, such as a model that predicts one class only; last the verdict of the test fold
 * against the targets. The verdict of the stress test is at the top. */
void pd_report_print(FILE *out, const pd_results *results);

#endif
