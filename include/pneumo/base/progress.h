/* Progress on standard error: on a terminal a line that is rewritten in place, with the remaining
 * time; otherwise a log line for every 10 %. Suppressed if the log is quiet. */
#ifndef PNEUMO_BASE_PROGRESS_H
#define PNEUMO_BASE_PROGRESS_H

#include <stdint.h>

typedef struct pd_progress {
    const char *label; /* borrowed */
    uint64_t total;
    uint64_t first; /* done before the start, not counted in the speed */
    double started; /* pd_clock_now */
    double drawn;   /* the same, of the last output */
    int tenth;      /* the last 10 % that was printed */
} pd_progress;

/* Starts at `done` of `total`. `label` ("packing", "epoch 3/20") is borrowed until pd_progress_end.
 */
void pd_progress_begin(pd_progress *progress, const char *label, uint64_t done, uint64_t total);

/* Cheap enough to call for every item: draws at most ten times a second. `note` (may be NULL), such
 * as "loss 0.213", is shown after the bar. */
void pd_progress_update(pd_progress *progress, uint64_t done, const char *note);

/* Clears the progress line. */
void pd_progress_end(pd_progress *progress);

/* Clears the progress line, if one is visible, before other output to the same terminal. */
void pd_progress_clear(void);

#endif
