/* Writing a model in the format of another program. */
#ifndef PNEUMO_EXCHANGE_EXPORT_H
#define PNEUMO_EXCHANGE_EXPORT_H

#include "pneumo/exchange/model.h"

typedef struct pd_export_options {
    /* ONNX: batch normalisations become part of the convolutions before them. */
    bool fold_batchnorm;
} pd_export_options;

typedef struct pd_export_format {
    const char *extension; /* with its dot */
    const char *about;     /* for help */
    bool folds_batchnorm;  /* takes pd_export_options.fold_batchnorm */

    /* Writes `model` to `path`, atomically. The same model gives the same bytes. */
    pd_status (*write)(const char *path, const pd_exchange_model *model,
                       const pd_export_options *options);
} pd_export_format;

/* Stores at *out the format that the end of `path` stands for. PD_USAGE if there is none, with a
 * message that lists them. */
pd_status pd_export_find(const pd_export_format **out, const char *path);

#endif
