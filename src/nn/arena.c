#include "arena.h"

#include "pneumo/base/memory.h"

#include <stdbool.h>
#include <stdlib.h>

enum { ALIGNMENT = 64 };

typedef struct buffer {
    size_t bytes, offset;
    int begin, end;
} buffer;

struct pd_arena {
    int count;
    size_t capacity;
    buffer *buffers;
    size_t bytes;
    unsigned char *block;
    bool borrowed; /* the block is another arena's */
};

pd_status pd_arena_create(pd_arena **out)
{
    return pd_alloc(out, 1, sizeof **out);
}

void pd_arena_destroy(pd_arena **arena)
{
    if (*arena == NULL)
        return;
    free((*arena)->buffers);
    if (!(*arena)->borrowed)
        free((*arena)->block);
    free(*arena);
    *arena = NULL;
}

pd_status pd_arena_add(pd_arena *arena, size_t bytes, int begin, int end, int *handle)
{
    if (pd_grow(&arena->buffers, &arena->capacity, (size_t)arena->count + 1,
                sizeof *arena->buffers) != PD_OK)
        return pd_fail("out of memory: cannot plan %d buffers", arena->count + 1);
    arena->buffers[arena->count] = (buffer){
        .bytes = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT, .begin = begin, .end = end};
    *handle = arena->count++;
    return PD_OK;
}

/* Larger first; ties in the order of adding, so that the layout is deterministic. */
static int by_size(const void *left, const void *right)
{
    const buffer *a = *(buffer *const *)left, *b = *(buffer *const *)right;
    if (a->bytes != b->bytes)
        return a->bytes < b->bytes ? 1 : -1;
    return a < b ? -1 : a > b;
}

static int by_offset(const void *left, const void *right)
{
    const buffer *a = *(buffer *const *)left, *b = *(buffer *const *)right;
    return a->offset < b->offset ? -1 : a->offset > b->offset;
}

static bool overlap(const buffer *a, const buffer *b)
{
    return a->begin <= b->end && b->begin <= a->end;
}

/* The lowest offset at which `bytes` fit between the buffers taken[count], sorted by offset. */
static size_t lowest_gap(buffer *const *taken, int count, size_t bytes)
{
    size_t offset = 0;
    for (int i = 0; i < count && offset + bytes > taken[i]->offset; i++)
        if (taken[i]->offset + taken[i]->bytes > offset)
            offset = taken[i]->offset + taken[i]->bytes;
    return offset;
}

pd_status pd_arena_lay_out(pd_arena *arena)
{
    pd_status status = PD_OK;
    buffer **order = NULL, **taken = NULL;
    PD_TRY(pd_alloc(&order, (size_t)arena->count, sizeof *order));
    PD_TRY(pd_alloc(&taken, (size_t)arena->count, sizeof *taken));
    for (int i = 0; i < arena->count; i++)
        order[i] = &arena->buffers[i];
    qsort(order, (size_t)arena->count, sizeof *order, by_size);
    for (int i = 0; i < arena->count; i++) {
        int count = 0;
        for (int j = 0; j < i; j++)
            if (overlap(order[j], order[i]))
                taken[count++] = order[j];
        qsort(taken, (size_t)count, sizeof *taken, by_offset);
        order[i]->offset = lowest_gap(taken, count, order[i]->bytes);
        if (order[i]->offset + order[i]->bytes > arena->bytes)
            arena->bytes = order[i]->offset + order[i]->bytes;
    }
cleanup:
    free(order);
    free(taken);
    return status;
}

pd_status pd_arena_place(pd_arena *arena, size_t least)
{
    return pd_alloc(&arena->block, arena->bytes > least ? arena->bytes : least, 1);
}

void pd_arena_place_in(pd_arena *arena, const pd_arena *other, size_t offset)
{
    arena->block = other->block + offset;
    arena->borrowed = true;
}

void *pd_arena_at(const pd_arena *arena, int handle)
{
    return arena->block + arena->buffers[handle].offset;
}

size_t pd_arena_bytes(const pd_arena *arena)
{
    return arena->bytes;
}

void *pd_arena_block(const pd_arena *arena)
{
    return arena->block;
}
