/* What the tests of the lane sum look at. */
#ifndef PNEUMO_COMM_REDUCTION_INTERNAL_H
#define PNEUMO_COMM_REDUCTION_INTERNAL_H

#include "pneumo/comm/reduction.h"

/* The number of maximal subtrees of this rank's lanes (pd_tree_subtrees). */
int pd_reduction_subtrees(const pd_reduction *reduction);

#endif
