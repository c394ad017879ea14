/* Importing models of other programs: a checkpoint from a Keras file. */
#ifndef PNEUMO_TRAIN_IMPORT_H
#define PNEUMO_TRAIN_IMPORT_H

#include "pneumo/base/status.h"
#include "pneumo/train/task.h"

#include <stddef.h>

typedef struct pd_import_options {
    const char *like;    /* file whose network is used, for files with weights only; or NULL */
    const char *scaling; /* as in exchange/scaling.h; NULL: that of the model */
    int size;            /* of the input, for models that take any; 0: none */
    int positive;        /* of 1 or 2 outputs, the number of the one that means pneumonia; a single
                            one is number 1, and 0 means that it stands for normal */
    int causes[3];       /* of 3 outputs, the numbers of normal, bacteria and virus */
} pd_import_options;

/* What was imported. */
typedef struct pd_import_summary {
    pd_task_kind task;
    int size, channels, layers, outputs; /* outputs of the file's model */
    size_t parameters;
} pd_import_summary;

/* Reads the Keras model `path` and writes it as a checkpoint to `output`. The threshold is 0.5.
 * Fills *summary. */
pd_status pd_import(const char *output, const char *path, const pd_import_options *options,
                    pd_import_summary *summary);

#endif
