#include "reduction_layout.h"

#include "pneumo/base/memory.h"
#include "pneumo/base/number.h"

#include <stdlib.h>

int pd_reduction_layout_subtrees(const pd_reduction_layout *layout, int first, int ranks,
                                 pd_subtree out[PD_SUBTREES_MAX])
{
    int lane, last, count;
    pd_tree_slice(layout->lanes, layout->ranks, first, &lane, &count);
    pd_tree_slice(layout->lanes, layout->ranks, first + ranks - 1, &last, &count);
    return pd_tree_subtrees(layout->lanes, lane, last + count - lane, out);
}

size_t pd_reduction_layout_begin(const pd_reduction_layout *layout, size_t index)
{
    size_t end = (index + 1) * layout->bucket;
    return end < layout->count ? layout->count - end : 0;
}

const pd_bucket_layout *pd_reduction_layout_bucket(const pd_reduction_layout *layout, size_t index)
{
    return index + 1 < layout->buckets ? &layout->whole : &layout->last;
}

/* The group's subtrees and the nodes that they form. */
static pd_status find_group_nodes(pd_reduction_layout *layout)
{
    pd_status status = PD_OK;
    pd_subtree nodes[PD_SUBTREES_MAX];
    int count = 0, first = layout->group * layout->members;
    PD_TRY(pd_alloc(&layout->subtrees, (size_t)layout->members * PD_SUBTREES_MAX,
                    sizeof *layout->subtrees));
    for (int member = 0; member < layout->members; member++) {
        int found =
            pd_reduction_layout_subtrees(layout, first + member, 1, layout->subtrees + count);
        count += found;
        if (member == layout->member)
            layout->own_subtrees = found;
    }
    layout->subtree_count = count;
    layout->node_count = pd_reduction_layout_subtrees(layout, first, layout->members, nodes);
    for (int i = 0, j = 0; i < layout->node_count; i++) {
        layout->node_first[i] = j;
        while (j < count && layout->subtrees[j].first < nodes[i].first + nodes[i].count)
            j++;
    }
    layout->node_first[layout->node_count] = count;

cleanup:
    return status;
}

/* The nodes of all groups. */
static pd_status find_all_nodes(pd_reduction_layout *layout)
{
    pd_status status = PD_OK;
    PD_TRY(
        pd_alloc(&layout->nodes, (size_t)layout->groups * PD_SUBTREES_MAX, sizeof *layout->nodes));
    for (int group = 0; group < layout->groups; group++) {
        if (group == layout->group)
            layout->first_node = layout->all_nodes;
        int found = pd_reduction_layout_subtrees(layout, group * layout->members, layout->members,
                                                 layout->nodes + layout->all_nodes);
        layout->all_nodes += found;
        if (found > layout->exchanges && layout->groups > 1)
            layout->exchanges = found;
    }

cleanup:
    return status;
}

static size_t slice_first(size_t count, size_t slice, size_t slices)
{
    return (size_t)pd_slice_first((int64_t)count, (int64_t)slice, (int64_t)slices);
}

/* The float of the bucket at which piece `group` of this rank's slice begins. */
static size_t piece_begin(const pd_bucket_layout *bucket, size_t group, size_t groups)
{
    return bucket->slice + slice_first(bucket->slice_size, group, groups);
}

/* Sets where the nodes of the other groups arrive. */
static void place_arrivals(const pd_reduction_layout *layout, pd_bucket_layout *out)
{
    size_t groups = (size_t)layout->groups;
    int piece_bytes = (int)(out->piece_size * sizeof(float)), arrived = 0;
    for (int group = 0; group < layout->groups; group++) {
        pd_subtree nodes[PD_SUBTREES_MAX];
        if (group == layout->group)
            continue;
        int found =
            pd_reduction_layout_subtrees(layout, group * layout->members, layout->members, nodes);
        for (int i = 0; i < found; i++) {
            out->arrival_sizes[(size_t)i * groups + (size_t)group] = piece_bytes;
            out->arrival_offsets[(size_t)i * groups + (size_t)group] = arrived++ * piece_bytes;
        }
    }
}

/* Divides a bucket of n floats. After find_all_nodes. */
static pd_status divide_bucket(const pd_reduction_layout *layout, pd_bucket_layout *out, size_t n)
{
    pd_status status = PD_OK;
    size_t groups = (size_t)layout->groups, own = (size_t)layout->group;
    size_t members = (size_t)layout->members, member = (size_t)layout->member;
    size_t rows = groups * (size_t)layout->exchanges;
    out->n = n;
    out->slice = slice_first(n, member, members);
    out->slice_size = slice_first(n, member + 1, members) - out->slice;
    out->piece = piece_begin(out, own, groups);
    out->piece_size = piece_begin(out, own + 1, groups) - out->piece;

    PD_TRY(pd_alloc(&out->sizes, groups, sizeof *out->sizes));
    PD_TRY(pd_alloc(&out->offsets, groups, sizeof *out->offsets));
    PD_TRY(pd_alloc(&out->send_sizes, groups, sizeof *out->send_sizes));
    PD_TRY(pd_alloc(&out->arrival_sizes, rows, sizeof *out->arrival_sizes));
    PD_TRY(pd_alloc(&out->arrival_offsets, rows, sizeof *out->arrival_offsets));
    for (size_t group = 0; group < groups; group++) {
        size_t begin = piece_begin(out, group, groups), end = piece_begin(out, group + 1, groups);
        out->sizes[group] = (int)((end - begin) * sizeof(float));
        out->offsets[group] = (int)(begin * sizeof(float));
        out->send_sizes[group] = group == own ? 0 : out->sizes[group];
    }
    place_arrivals(layout, out);

cleanup:
    return status;
}

pd_status pd_reduction_layout_create(pd_reduction_layout *layout, int lanes, int ranks, int rank,
                                     int group_size, size_t count, size_t bucket)
{
    pd_status status = PD_OK;
    if (bucket > count && count > 0)
        bucket = count;
    *layout = (pd_reduction_layout){.lanes = lanes,
                                    .ranks = ranks,
                                    .members = group_size,
                                    .member = rank % group_size,
                                    .groups = ranks / group_size,
                                    .group = rank / group_size,
                                    .count = count,
                                    .bucket = bucket,
                                    .buckets = count / bucket + (count % bucket != 0)};
    PD_TRY(find_group_nodes(layout));
    if (layout->buckets == 0 || ranks == 1)
        goto cleanup;
    PD_TRY(find_all_nodes(layout));
    PD_TRY(divide_bucket(layout, &layout->whole, layout->bucket));
    PD_TRY(divide_bucket(layout, &layout->last, count - (layout->buckets - 1) * layout->bucket));
    /* Rounding can make a piece of the shorter bucket the larger one. */
    size_t whole = layout->whole.piece_size, last = layout->last.piece_size;
    layout->arrivals =
        (size_t)(layout->all_nodes - layout->node_count) * (whole > last ? whole : last);

cleanup:
    return status;
}

static void release_bucket(pd_bucket_layout *bucket)
{
    free(bucket->sizes);
    free(bucket->offsets);
    free(bucket->send_sizes);
    free(bucket->arrival_sizes);
    free(bucket->arrival_offsets);
}

void pd_reduction_layout_release(pd_reduction_layout *layout)
{
    release_bucket(&layout->whole);
    release_bucket(&layout->last);
    free(layout->subtrees);
    free(layout->nodes);
    *layout = (pd_reduction_layout){0};
}
