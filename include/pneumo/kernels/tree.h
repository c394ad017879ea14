/* The fixed binary tree in which vectors of different lanes meet.
 *
 * Level 0 has one node per lane. Node i of level l+1 is the sum (left + right) of nodes 2i and
 * 2i+1 of level l, or node 2i alone when 2i+1 does not exist. The root is the lane sum. Because the
 * tree depends on nothing but the number of lanes, any partition of the lanes over ranks gives the
 * same bits. */
#ifndef PNEUMO_KERNELS_TREE_H
#define PNEUMO_KERNELS_TREE_H

#include <stddef.h>

enum { PD_LANES_MAX = 4096, PD_SUBTREES_MAX = 32 };

/* One complete node of the tree: lanes [first, first + count), at `level`. */
typedef struct pd_subtree {
    int first, count, level;
} pd_subtree;

/* Rank `rank` of `ranks` owns lanes [*first, *first + *count) of `lanes`: the contiguous run
 * [rank * lanes / ranks, (rank + 1) * lanes / ranks). ranks <= lanes. */
void pd_tree_share(int lanes, int ranks, int rank, int *first, int *count);

/* Writes the maximal complete subtrees of lanes [first, first + count), in lane order, and returns
 * how many there are (at most PD_SUBTREES_MAX). A node whose right end is cut off by the last lane
 * counts as complete. */
int pd_tree_subtrees(int lanes, int first, int count, pd_subtree out[PD_SUBTREES_MAX]);

/* Sums the vectors parts[lane * stride + j], j < n, of `subtree`'s lanes in tree order into out[j].
 * parts[0] is the subtree's first lane. out may be parts (the sum then lies in the first lane's
 * place); `parts` is overwritten. Splits j over threads, never the tree. */
void pd_tree_fold_lanes(const pd_subtree *subtree, float *parts, size_t stride, size_t n,
                        float *out);

/* Sums subtree sums parts[i], i < count, each a vector of n floats, that together cover the lanes of
 * `node`, in lane order, into out. `parts` vectors are overwritten; out may be one of them. */
void pd_tree_fold_subtrees(const pd_subtree *node, const pd_subtree *subtrees, int count,
                           float *const *parts, size_t n, float *out);

/* As pd_tree_fold_lanes over all `lanes`, for short vectors of doubles: parts [lanes][n] -> out[n].
 * `parts` is overwritten. Single-threaded. */
void pd_tree_fold_doubles(int lanes, double *parts, size_t n, double *out);

#endif
