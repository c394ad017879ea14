/* A walk through a window by plain loops, for the reference functions. */
#ifndef PNEUMO_KERNELS_WINDOW_INTERNAL_H
#define PNEUMO_KERNELS_WINDOW_INTERNAL_H

#include "pneumo/kernels/window.h"

#include <stddef.h>

/* One pair of an input and an output pixel that a tap connects; all are counted from 0, pixels over
 * all samples. */
typedef void (*pd_window_visit)(void *context, size_t in, size_t tap, size_t out);

/* Calls `visit` for each such pair, output by output. */
void pd_window_visit_all(const pd_window *window, int samples, pd_window_visit visit,
                         void *context);

#endif
