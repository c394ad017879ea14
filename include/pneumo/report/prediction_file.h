/* The file of predictions that `predict` writes. */
#ifndef PNEUMO_REPORT_PREDICTION_FILE_H
#define PNEUMO_REPORT_PREDICTION_FILE_H

#include "pneumo/evaluate/predict.h"

typedef enum pd_prediction_format {
    PD_PREDICTION_CSV = 0,
    PD_PREDICTION_JSONL = 1
} pd_prediction_format;

typedef struct pd_prediction_file pd_prediction_file;

/* A file at `path`, which is borrowed, or standard output (NULL). The caller owns *out. */
pd_status pd_prediction_file_create(pd_prediction_file **out, const char *path,
                                    pd_prediction_format format);

/* Removes an unfinished file. NULL-safe; nulls the handle. */
void pd_prediction_file_destroy(pd_prediction_file **file);

/* Writes a row per prediction: CSV (RFC 4180, but lines end in \n) below the header
 *     path,probability,label,refer,reason,error
 * or a JSON object with these keys. `probability` reads back to the same bits, `label` is NORMAL or
 * PNEUMONIA, `refer` is yes or no, in JSON a boolean. What does not apply is empty or null. Paths
 * are bytes in CSV; in JSON bytes that are not UTF-8 become '?'. A file appears at `path` at the
 * end, all or nothing; standard output is flushed after every put. */
pd_prediction_sink pd_prediction_file_sink(pd_prediction_file *file);

#endif
