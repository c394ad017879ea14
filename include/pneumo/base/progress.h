/* A progress line on standard error: rewritten in place with the time left on a terminal, a plain
 * line every tenth of the way when not. Silent when the log is quiet. */
#ifndef PNEUMO_BASE_PROGRESS_H
#define PNEUMO_BASE_PROGRESS_H

#include <stdint.h>

typedef struct pd_progress {
    const char *label; /* borrowed */
    uint64_t total;
    uint64_t first; /* what was already done at the start: does not count into the speed */
    double started;
    double drawn;
    int tenth;
} pd_progress;

/* `label` ("packing", "epoch 3/20") is borrowed until pd_progress_end. */
void pd_progress_begin(pd_progress *progress, const char *label, uint64_t done, uint64_t total);

/* Call it as often as you like; it draws at most ten times a second. `note` (may be NULL) is a few
 * words put behind the bar, such as "loss 0.213". */
void pd_progress_update(pd_progress *progress, uint64_t done, const char *note);

/* Clears the line on a terminal. */
void pd_progress_end(pd_progress *progress);

/* Used by the log: clears a drawn progress line before other text is printed. */
void pd_progress_clear(void);

#endif
