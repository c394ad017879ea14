/* TensorBoard's event files, of scalars.
 *
 * A file is a sequence of TFRecords (length, its checksum, content, its checksum), each an Event of
 * event.proto. All scalars of a step are one record, written by one call, so a process that is
 * killed leaves whole records and at most one cut short at the end, which readers pass over. */
#ifndef PNEUMO_EXCHANGE_EVENT_FILE_H
#define PNEUMO_EXCHANGE_EVENT_FILE_H

#include "pneumo/base/status.h"

#include <stdint.h>

enum { PD_EVENT_SCALARS_MAX = 32 };

typedef struct pd_event_scalar {
    const char *tag; /* such as "loss/train"; borrowed */
    double value;    /* stored as float; not written unless it is finite */
} pd_event_scalar;

/* Prepares `path` for steps after `last`: creates the file if it is missing, and cuts off what
 * follows the last whole record of a step of at most `last`. Sets *step to the step of that record,
 * 0 if there is none. Fails if the file cannot be read or written. */
pd_status pd_event_file_continue(int64_t *step, const char *path, int64_t last);

/* Appends the scalars[count] of a step, at most PD_EVENT_SCALARS_MAX, with the present time. If
 * that fails, for example on a full disk, the file has the records that it had. */
pd_status pd_event_file_append(const char *path, int64_t step, const pd_event_scalar *scalars,
                               int count);

#endif
