/* What a checkpoint says of people's own images. */
#ifndef PNEUMO_REPORT_PREDICT_H
#define PNEUMO_REPORT_PREDICT_H

#include "pneumo/comm/comm.h"

typedef enum pd_predict_format { PD_PREDICT_CSV = 0, PD_PREDICT_JSONL = 1 } pd_predict_format;

typedef struct pd_predict_options {
    const char *checkpoint;    /* path */
    const char *const *inputs; /* [input_count] files and folders, as for pd_files_find */
    int input_count;
    const char *output; /* the file to write, all or nothing; NULL: standard output */
    pd_predict_format format;
    int threads; /* per rank; 0: chosen by pd_threads_choose */
} pd_predict_options;

/* Writes a row for every file, in the order of pd_files_find; the bytes do not depend on ranks and
 * threads. A row is CSV (RFC 4180, but lines end in \n) below the header
 *     path,probability,label,refer,reason,error
 * or a JSON object with these keys. `probability` (of pneumonia) reads back to the same bits,
 * `label` is NORMAL or PNEUMONIA at the checkpoint's threshold, and `refer` (yes or no; in JSON a
 * boolean) says whether a human should look, for a `reason` that is empty where none should: the
 * image is unlike the training images (pd_profile_check, for which the checkpoint must have a
 * profile; else the log has one warning), or the probability lies in the checkpoint's band of
 * doubt. A file without a prediction has `error` instead; what does not apply is empty or null.
 * Paths are bytes in CSV; in JSON those that are not UTF-8 become '?'.
 *
 * Memory does not grow with the number of images, but for their paths. Says the images per second
 * in the log. Fails at the end, after all rows are written, if a file has no prediction. Rank 0
 * alone lists the files and writes; every rank reads images. Collective; all ranks return the same
 * status. */
pd_status pd_predict(pd_comm *comm, const pd_predict_options *options);

#endif
