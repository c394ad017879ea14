/* The fixed binary tree over which the vectors of the lanes are summed.
 *
 * Level 0 has one node per lane. Node i of level l+1 is the sum (left + right) of nodes 2i and
 * 2i+1 of level l, or node 2i alone when 2i+1 does not exist. The root is the lane sum. The tree
 * depends only on the number of lanes, so any partition of the lanes over ranks gives the same
 * bits. */
#ifndef PNEUMO_KERNELS_TREE_H
#define PNEUMO_KERNELS_TREE_H

#include <stddef.h>

enum { PD_LANES_MAX = 4096, PD_SUBTREES_MAX = 32 };

/* One complete node of the tree: lanes [first, first + count), at `level`. */
typedef struct pd_subtree {
    int first, count, level;
} pd_subtree;

/* The slice [*first, *first + *count) of the lanes that rank `rank` owns: lanes
 * [rank * lanes / ranks, (rank + 1) * lanes / ranks). ranks <= lanes. */
void pd_tree_slice(int lanes, int ranks, int rank, int *first, int *count);

/* Writes the maximal complete subtrees of lanes [first, first + count), in lane order, and returns
 * their number (at most PD_SUBTREES_MAX). A node that the last lane cuts off on its right counts as
 * complete. */
int pd_tree_subtrees(int lanes, int first, int count, pd_subtree out[PD_SUBTREES_MAX]);

/* Sums the vectors parts[lane * stride + j], j < n, of `subtree`'s lanes in tree order into out[j].
 * parts[0] is the subtree's first lane. `parts` is overwritten; out may be parts, which then holds
 * the sum in the first lane's place. Threads split j, never the tree. */
void pd_tree_fold_lanes(const pd_subtree *subtree, float *parts, size_t stride, size_t n,
                        float *out);

/* Sums the subtree sums parts[i], i < count, vectors of n floats, into out. The subtrees cover the
 * lanes of `node` in lane order. The `parts` vectors are overwritten; out may be one of them. */
void pd_tree_fold_subtrees(const pd_subtree *node, const pd_subtree *subtrees, int count,
                           float *const *parts, size_t n, float *out);

/* As pd_tree_fold_lanes over all `lanes`, for short vectors of doubles: parts [lanes][n] -> out[n].
 * `parts` is overwritten. Single-threaded. */
void pd_tree_fold_doubles(int lanes, double *parts, size_t n, double *out);

#endif
