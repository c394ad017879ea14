/* Classifying image files. */
#ifndef PNEUMO_EVALUATE_PREDICT_H
#define PNEUMO_EVALUATE_PREDICT_H

#include "pneumo/comm/comm.h"
#include "pneumo/data/profile.h"
#include "pneumo/io/dataset.h"

#include <stdbool.h>

enum { PD_PREDICTION_ERROR_SIZE = 256 };

/* The answer for one file. */
typedef struct pd_prediction {
    char error[PD_PREDICTION_ERROR_SIZE]; /* why there is no prediction, in UTF-8; "": there is one.
                                             Otherwise nothing else is set */
    double probability;                   /* of pneumonia */
    pd_label label;                       /* at the checkpoint's threshold */
    char reason[PD_REASON_SIZE];          /* why a person should review it; "": no reason */
} pd_prediction;

/* Receives the predictions, on rank 0. */
typedef struct pd_prediction_sink {
    void *context;
    /* Called once, before the first image is read. */
    pd_status (*begin)(void *context);
    /* Called with predictions[count] of paths[count], file after file. */
    pd_status (*put)(void *context, const char *const *paths, const pd_prediction *predictions,
                     int count);
    /* Called once, after the last put. */
    pd_status (*end)(void *context);
} pd_prediction_sink;

/* The input that stands for one image on standard input; only for one rank. */
#define PD_PREDICT_STDIN "-"

typedef struct pd_predict_options {
    const char *checkpoint;    /* path */
    const char *const *inputs; /* [input_count] files and folders, as for pd_files_find, or "-" */
    int input_count;
    double threshold; /* replaces that of the checkpoint; 0: not */
    int threads;      /* per rank; 0: chosen by pd_threads_choose */
    pd_prediction_sink sink;
    const char *output; /* the file that the sink writes; NULL: none */
} pd_predict_options;

/* Classifies every file, in the order of pd_files_find. Predictions do not depend on the number of
 * ranks and threads. The reason to refer an image to a person is that it is unlike the training
 * images (pd_profile_check; a checkpoint without a profile gives one warning in the log), that its
 * DICOM file states a lateral view or another modality, or that its probability lies in the
 * checkpoint's band of doubt.
 *
 * Memory grows with the number of files only by their paths. Logs the images per second. Fails at
 * the start if the output is one of the files (pd_outputs_check), and at the end, after all files,
 * if a file has no prediction. Rank 0 alone lists the files and calls the sink; every rank reads
 * images. Collective; all ranks return the same status. */
pd_status pd_predict(pd_comm *comm, const pd_predict_options *options);

#endif
