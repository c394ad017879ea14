#include "pneumo/kernels/tree.h"

#include "pneumo/base/number.h"

#include <string.h>

/* Elements folded at once: the block of the sum stays in cache. Threads divide the blocks. */
enum { TREE_BLOCK = 4096 };

void pd_tree_slice(int lanes, int ranks, int rank, int *first, int *count)
{
    *first = pd_slice_first(lanes, rank, ranks);
    *count = pd_slice_first(lanes, rank + 1, ranks) - *first;
}

/* The number of lanes under the node at `level` that starts at lane `first`. */
static int tree_width(int lanes, int first, int level)
{
    int width = 1 << level;
    return width < lanes - first ? width : lanes - first;
}

int pd_tree_subtrees(int lanes, int first, int count, pd_subtree out[PD_SUBTREES_MAX])
{
    int found = 0;
    int end = first + count;
    while (first < end) {
        int level = 0;
        /* Climb while the parent also starts here and lies within the run. Stop at a node that
         * reaches the last lane: its parents add no lanes. */
        while (first + tree_width(lanes, first, level) < lanes && first % (2 << level) == 0 &&
               first + tree_width(lanes, first, level + 1) <= end)
            level++;
        int width = tree_width(lanes, first, level);
        out[found++] = (pd_subtree){.first = first, .count = width, .level = level};
        first += width;
    }
    return found;
}

static void tree_add(float *restrict sum, const float *restrict part, size_t n)
{
    for (size_t j = 0; j < n; j++)
        sum[j] += part[j];
}

void pd_tree_fold_lanes(const pd_subtree *subtree, float *parts, size_t stride, size_t n,
                        float *out)
{
    size_t lanes = (size_t)subtree->count;
#pragma omp parallel for schedule(static) if (n > (size_t)4 * TREE_BLOCK)
    for (size_t first = 0; first < n; first += TREE_BLOCK) {
        size_t size = n - first < TREE_BLOCK ? n - first : TREE_BLOCK;
        float *block = parts + first;
        for (size_t step = 1; step < lanes; step *= 2) {
            for (size_t lane = 0; lane + step < lanes; lane += 2 * step)
                tree_add(block + lane * stride, block + (lane + step) * stride, size);
        }
        if (out != parts)
            memcpy(out + first, block, size * sizeof *out);
    }
}

void pd_tree_fold_subtrees(const pd_subtree *node, const pd_subtree *subtrees, int count,
                           float *const *parts, size_t n, float *out)
{
    /* part_at[lane]: the part that starts at this lane of the node, or -1. */
    short part_at[PD_LANES_MAX];
    int lanes = node->count;
    for (int lane = 0; lane < lanes; lane++)
        part_at[lane] = -1;
    for (int i = 0; i < count; i++)
        part_at[subtrees[i].first - node->first] = (short)i;

#pragma omp parallel for schedule(static) if (n > (size_t)4 * TREE_BLOCK)
    for (size_t first = 0; first < n; first += TREE_BLOCK) {
        size_t size = n - first < TREE_BLOCK ? n - first : TREE_BLOCK;
        /* A right child without a part of its own is included in the part to its left. */
        for (int step = 1; step < lanes; step *= 2) {
            for (int lane = 0; lane + step < lanes; lane += 2 * step) {
                int right = part_at[lane + step];
                if (right >= 0)
                    tree_add(parts[part_at[lane]] + first, parts[right] + first, size);
            }
        }
        if (out != parts[0])
            memcpy(out + first, parts[0] + first, size * sizeof *out);
    }
}

void pd_tree_fold_doubles(int lanes, double *parts, size_t n, double *out)
{
    size_t count = (size_t)lanes;
    for (size_t step = 1; step < count; step *= 2) {
        for (size_t lane = 0; lane + step < count; lane += 2 * step) {
            for (size_t j = 0; j < n; j++)
                parts[lane * n + j] += parts[(lane + step) * n + j];
        }
    }
    if (out != parts)
        memcpy(out, parts, n * sizeof *out);
}
