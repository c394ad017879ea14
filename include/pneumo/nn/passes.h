/* How the lanes that a rank holds go through a network: all at once, or in passes, one after the
 * other, so that only the activations of one pass are kept.
 *
 * A pass takes whole nodes of the lane tree (pneumo/kernels/tree.h), called pieces. The gradient of
 * a maximal subtree is the sum of its pieces' in tree order. While later pieces are still to come,
 * a few sums wait, on a stack whose bottom is the subtree's gradient itself. */
#ifndef PNEUMO_NN_PASSES_H
#define PNEUMO_NN_PASSES_H

#include "pneumo/base/status.h"
#include "pneumo/kernels/tree.h"

typedef struct pd_piece {
    pd_subtree lanes;
    int subtree; /* index of the maximal subtree that it is part of */
    int waiting; /* sums on the stack before this piece's own goes on top of them */
    int merges;  /* then, so many times, the topmost is added to the one below it */
} pd_piece;

typedef struct pd_pass {
    int first_piece, pieces;
    int first_lane, lanes;
} pd_pass;

typedef struct pd_passes {
    int piece_count, pass_count;
    pd_piece *pieces; /* in lane order */
    pd_pass *passes;
    int largest; /* lanes of the largest pass */
    int depth;   /* sums that may wait besides the subtree's own */
} pd_passes;

/* Cuts the maximal subtrees subtrees[count] of a rank into passes of at most `lanes` lanes, at
 * least
 * 1. Release *out with pd_passes_release, also after a failure. */
pd_status pd_passes_cut(pd_passes *out, const pd_subtree *subtrees, int count, int lanes);
void pd_passes_release(pd_passes *passes);

#endif
