/* Wall-clock time for measuring and for deadlines; no result depends on it. */
#ifndef PNEUMO_BASE_CLOCK_H
#define PNEUMO_BASE_CLOCK_H

#include <stddef.h>

/* Seconds of a monotonic clock with an arbitrary origin. */
double pd_clock_now(void);

/* Adds the time since *since to *seconds and sets *since to the present. */
void pd_clock_lap(double *since, double *seconds);

/* Writes a duration such as "48 s", "12 min 05 s" or "3 h 07 min" and returns `text`. */
char *pd_clock_format(char *text, size_t size, double seconds);

#endif
