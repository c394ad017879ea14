/* The passes in which the lanes of a rank go through a network: all at once, or a few at a time, so
 * that only the activations of one pass are in memory.
 *
 * A pass takes whole nodes of the lane tree (pneumo/kernels/tree.h), called pieces. The gradient of
 * a maximal subtree is the sum of its pieces' in tree order. Sums that later pieces complete are on
 * a stack, whose bottom is the gradient of the subtree. */
#ifndef PNEUMO_NN_PASSES_H
#define PNEUMO_NN_PASSES_H

#include "pneumo/base/status.h"
#include "pneumo/kernels/tree.h"

typedef struct pd_piece {
    pd_subtree lanes;
    int subtree; /* index of its maximal subtree */
    int height;  /* sums on the stack before this piece's own is pushed */
    int merges;  /* afterwards, this many times, the top is popped and added to the next */
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
    int depth;   /* largest height of the stack, without its bottom */
} pd_passes;

/* Cuts the maximal subtrees subtrees[count] of a rank into passes of at most `lanes` lanes, at
 * least 1. Release *out with pd_passes_release, also after a failure. */
pd_status pd_passes_cut(pd_passes *out, const pd_subtree *subtrees, int count, int lanes);
void pd_passes_release(pd_passes *passes);

#endif
