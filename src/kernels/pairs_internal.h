/* Lets tests run the kernels as on a processor without products of pairs. */
#ifndef PNEUMO_KERNELS_PAIRS_INTERNAL_H
#define PNEUMO_KERNELS_PAIRS_INTERNAL_H

#include <stdbool.h>

/* Whether pd_precision_has_dot is to be false. */
void pd_pairs_forbid(bool forbid);

#endif
