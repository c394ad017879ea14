/* Calibrating a trained network's decision for another site. */
#ifndef PNEUMO_EVALUATE_CALIBRATE_H
#define PNEUMO_EVALUATE_CALIBRATE_H

#include "pneumo/evaluate/labelled.h"
#include "pneumo/metrics/decision.h"
#include "pneumo/metrics/metrics.h"

/* The minimum of images per class. */
enum { PD_CALIBRATE_LEAST = 10 };

/* The half-width of a 95 % Wilson interval that the table aims at: 3 points. */
#define PD_CALIBRATE_HALF_WIDTH 0.03

typedef struct pd_calibrate_options {
    const char *checkpoint, *output; /* paths of two files */
    pd_labelled_options images;
    bool skip_bad;                                 /* skip files that cannot be read */
    const char *rule;                              /* sensitivity or both; NULL: the job's */
    double target_sensitivity, target_specificity; /* NAN: the job's */
    int threads;                                   /* per rank; 0: chosen by pd_threads_choose */
} pd_calibrate_options;

typedef struct pd_calibrate_result {
    char source[64], grouping[64]; /* pd_labelled */
    int64_t images[PD_LABELS], patients, duplicates, bad;
    int64_t unknown_patients; /* pd_labelled */
    int64_t before_images;    /* that `before` was chosen on, as far as they are recognised */
    pd_decision before, after;
    pd_metrics judged_before, judged_after; /* on the images that `after` was chosen on */
    int parts;                              /* of the cross-validation; below 2: there is none */
    pd_metrics held_out; /* each part with a decision made on the others: counts and shares */
} pd_calibrate_result;

/* Chooses temperature, threshold and band of doubt of a checkpoint again on labelled images of
 * another site, and writes the checkpoint with the new decision to options->output, all or nothing.
 * Weights and views stay the same. Exact duplicates (of packed pixels) count once. The result does
 * not depend on the number of ranks and threads.
 *
 * Fails if a class has fewer than PD_CALIBRATE_LEAST images, an image has two labels, an image has
 * the pixels of a train or test image of the data set that the checkpoint was trained on, a file
 * cannot be read (unless skip_bad, which warns of each), or the output is the checkpoint or another
 * file that is not one. If that data set cannot be opened, has changed, or is packed to another
 * size, a warning says that the images are not compared with it. *result is set on rank 0.
 * Collective; all ranks return the same status.
 *
 * Readjusting the threshold of a ready-made model to a site's own data is the second of three
 * methods that Yang, Soltan and Clifton compare; the others are to use it as it is and to fine-tune
 * it: npj Digital Medicine 5, 69, 2022, doi:10.1038/s41746-022-00614-9. */
pd_status pd_calibrate(pd_comm *comm, const pd_calibrate_options *options,
                       pd_calibrate_result *result);

#endif
