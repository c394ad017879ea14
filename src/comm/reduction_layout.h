/* How a reduction divides its vector, and which nodes of the lane tree each rank and group holds.
 *
 * The vector is cut into buckets, from its end downward; each bucket into one slice per member of a
 * group (ranks that share memory); and each slice into one piece per group. The ranks at the same
 * position in their groups form a column, which exchanges pieces. With groups of one rank a slice
 * is a whole bucket; with a single group a piece is a whole slice, and nothing is sent. */
#ifndef PNEUMO_COMM_REDUCTION_LAYOUT_H
#define PNEUMO_COMM_REDUCTION_LAYOUT_H

#include "pneumo/base/status.h"
#include "pneumo/kernels/tree.h"

/* How a bucket of n floats is divided. The arrays hold bytes, one entry per group. */
typedef struct pd_bucket_layout {
    size_t n;
    size_t slice, slice_size;             /* this rank's slice begins at float `slice` */
    size_t piece, piece_size;             /* and its piece of the slice */
    int *sizes, *offsets;                 /* of the column's pieces in the bucket */
    int *send_sizes;                      /* `sizes`, but 0 for this rank itself */
    int *arrival_sizes, *arrival_offsets; /* [exchanges][groups]: node i of each other group */
} pd_bucket_layout;

typedef struct pd_reduction_layout {
    int lanes, ranks;
    int members, member; /* ranks per group, and this rank's position in its group */
    int groups, group;   /* and this rank's group */
    size_t count, bucket, buckets;

    /* The group's subtrees (those of its ranks, in lane order), and the fewer nodes of the tree
     * that they form together: node i consists of subtrees [node_first[i], node_first[i + 1]). */
    int own_subtrees; /* of this rank */
    pd_subtree *subtrees;
    int subtree_count;
    int node_first[PD_SUBTREES_MAX + 1];
    int node_count;

    pd_subtree *nodes; /* of all groups, in lane order */
    int all_nodes;
    int first_node; /* this group's first one */
    int exchanges;  /* per bucket: the most nodes of any group; 0 with a single group */

    pd_bucket_layout whole, last; /* the last bucket, at the vector's start, may be shorter */
    size_t arrivals;              /* floats that arrive from other groups for a bucket, at most */
} pd_reduction_layout;

/* For vectors of `count` floats in buckets of `bucket` > 0 floats, as seen by rank `rank` of
 * `ranks`, which form groups of `group_size`. pd_reduction_layout_release must follow, after a
 * failure too. */
pd_status pd_reduction_layout_create(pd_reduction_layout *layout, int lanes, int ranks, int rank,
                                     int group_size, size_t count, size_t bucket);
void pd_reduction_layout_release(pd_reduction_layout *layout);

/* Writes the maximal subtrees of the lanes of ranks [first, first + ranks) together; returns how
 * many there are. */
int pd_reduction_layout_subtrees(const pd_reduction_layout *layout, int first, int ranks,
                                 pd_subtree out[PD_SUBTREES_MAX]);

/* The float at which bucket `index` begins. */
size_t pd_reduction_layout_begin(const pd_reduction_layout *layout, size_t index);

const pd_bucket_layout *pd_reduction_layout_bucket(const pd_reduction_layout *layout, size_t index);

#endif
