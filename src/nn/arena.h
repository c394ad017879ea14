/* One block of memory for buffers with known lifetimes: buffers that are never in use at the same
 * time may overlap. */
#ifndef PNEUMO_NN_ARENA_H
#define PNEUMO_NN_ARENA_H

#include "pneumo/base/status.h"

#include <stddef.h>

typedef struct pd_arena pd_arena;

pd_status pd_arena_create(pd_arena **out);
void pd_arena_destroy(pd_arena **arena);

/* Adds a buffer of `bytes` that is in use from time `begin` to time `end`, both included; *handle
 * identifies it. Before pd_arena_lay_out. */
pd_status pd_arena_add(pd_arena *arena, size_t bytes, int begin, int end, int *handle);

/* Places all buffers, the largest first, each at the lowest offset that is free over its lifetime.
 * pd_arena_bytes is valid afterwards. */
pd_status pd_arena_lay_out(pd_arena *arena);

/* Allocates the block, of pd_arena_bytes or `least` bytes, whichever is more. After
 * pd_arena_lay_out. */
pd_status pd_arena_place(pd_arena *arena, size_t least);

/* Instead: places the buffers in the block of another arena, `offset` bytes, a multiple of 64, from
 * its beginning. The buffers of the two arenas overlap. */
void pd_arena_place_in(pd_arena *arena, const pd_arena *other, size_t offset);

/* The buffer, aligned to 64 bytes. After the arena is placed; owned by the arena. */
void *pd_arena_at(const pd_arena *arena, int handle);

size_t pd_arena_bytes(const pd_arena *arena);

/* The beginning of the block. After the arena is placed. */
void *pd_arena_block(const pd_arena *arena);

#endif
