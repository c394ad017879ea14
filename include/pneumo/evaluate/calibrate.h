/* A decision of a trained network for another site. */
#ifndef PNEUMO_EVALUATE_CALIBRATE_H
#define PNEUMO_EVALUATE_CALIBRATE_H

#include "pneumo/evaluate/labelled.h"
#include "pneumo/metrics/decision.h"
#include "pneumo/metrics/metrics.h"

/* Images of each class without which no decision is made, and parts of the cross-validation. */
enum { PD_CALIBRATE_LEAST = 10, PD_CALIBRATE_PARTS = 10 };

/* The half-width of a 95 % Wilson interval that the table asks for: 3 points. */
#define PD_CALIBRATE_HALF_WIDTH 0.03

typedef struct pd_calibrate_options {
    const char *checkpoint, *output; /* paths of two files */
    pd_labelled_options images;
    bool skip_bad;                                 /* go on without files that cannot be read */
    const char *rule;                              /* sensitivity or both; NULL: as the job says */
    double target_sensitivity, target_specificity; /* NAN: as the job says */
    int threads;                                   /* per rank; 0: chosen by pd_threads_choose */
} pd_calibrate_options;

typedef struct pd_calibrate_result {
    char source[64], grouping[64]; /* pd_labelled */
    int64_t images[PD_LABELS], patients, duplicates, bad;
    pd_decision before, after;
    pd_metrics judged_before, judged_after; /* of the same images; what `after` was chosen by */
    int parts;           /* of the cross-validation; less than 2: there is none */
    pd_metrics held_out; /* every part by a decision made on the others: counts and shares */
} pd_calibrate_result;

/* Chooses temperature, threshold and band of doubt of a checkpoint anew, by labelled images of
 * another site, and writes the checkpoint with the new decision to options->output, all or nothing;
 * the weights stay. Over which views of an image logits are averaged stays, too. Exact duplicates
 * (of packed pixels) count once. The result is the same for any number of ranks and threads.
 *
 * Fails if a class has fewer than PD_CALIBRATE_LEAST images, an image has two labels, a file cannot
 * be read (unless skip_bad, which warns of each), or the output is one of the files that are read.
 * *result is set on rank 0. Collective; all ranks return the same status.
 *
 * Readjusting the threshold of a ready-made model by a site's own data is the second of the three
 * ways that Yang, Soltan and Clifton compare, between using it as it is and fine-tuning it: npj
 * Digital Medicine 5, 69, 2022, doi:10.1038/s41746-022-00614-9. */
pd_status pd_calibrate(pd_comm *comm, const pd_calibrate_options *options,
                       pd_calibrate_result *result);

#endif
