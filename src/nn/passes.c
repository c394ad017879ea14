#include "passes.h"

#include "pneumo/base/memory.h"

#include <stdbool.h>
#include <stdlib.h>

/* Piece `index` of `subtree`, if pieces have up to 2^level lanes. */
static pd_piece piece_make(const pd_subtree *subtree, int number, int level, int index)
{
    int first = index << level, left = subtree->count - first;
    int width = left < 1 << level ? left : 1 << level;
    pd_piece piece = {.lanes = {subtree->first + first, width, level},
                      .subtree = number,
                      .height = __builtin_popcount((unsigned)index)};
    /* A piece completes as many nodes as its index has trailing ones; the last piece completes all
     * open ones. */
    bool last = width == left;
    piece.merges = last ? piece.height : __builtin_ctz(~(unsigned)index);
    return piece;
}

static void cut_pieces(pd_passes *out, const pd_subtree *subtrees, int count, int lanes)
{
    for (int i = 0; i < count; i++) {
        int level = 0;
        while (level < subtrees[i].level && 2 << level <= lanes)
            level++;
        for (int index = 0; index << level < subtrees[i].count; index++) {
            pd_piece piece = piece_make(&subtrees[i], i, level, index);
            if (piece.merges == 0 && piece.height > out->depth)
                out->depth = piece.height;
            out->pieces[out->piece_count++] = piece;
        }
    }
}

static void cut_passes(pd_passes *out, int lanes)
{
    for (int i = 0; i < out->piece_count; i++) {
        const pd_subtree *piece = &out->pieces[i].lanes;
        if (i == 0 || out->passes[out->pass_count - 1].lanes + piece->count > lanes)
            out->passes[out->pass_count++] =
                (pd_pass){.first_piece = i, .first_lane = piece->first};
        pd_pass *pass = &out->passes[out->pass_count - 1];
        pass->pieces++;
        pass->lanes += piece->count;
        if (pass->lanes > out->largest)
            out->largest = pass->lanes;
    }
}

pd_status pd_passes_cut(pd_passes *out, const pd_subtree *subtrees, int count, int lanes)
{
    pd_status status = PD_OK;
    size_t most = 0;
    *out = (pd_passes){0};
    for (int i = 0; i < count; i++)
        most += (size_t)subtrees[i].count;
    PD_TRY(pd_alloc(&out->pieces, most, sizeof *out->pieces));
    PD_TRY(pd_alloc(&out->passes, most, sizeof *out->passes));
    cut_pieces(out, subtrees, count, lanes);
    cut_passes(out, lanes);
cleanup:
    return status;
}

void pd_passes_release(pd_passes *passes)
{
    free(passes->pieces);
    free(passes->passes);
    *passes = (pd_passes){0};
}
