/* Images and the tiles into which Winograd convolution cuts them. */
#ifndef PNEUMO_KERNELS_WINOGRAD_IMAGES_H
#define PNEUMO_KERNELS_WINOGRAD_IMAGES_H

#include "element.h"
#include "pneumo/base/number.h"
#include "winograd_transform.h"

/* Samples of one side of the convolution, [samples][h][w][c]. */
typedef struct pd_winograd_images {
    int h, w;
    ptrdiff_t c;
    pd_precision precision;
    const void *data;
    ptrdiff_t count; /* elements in all */
} pd_winograd_images;

static inline pd_winograd_images pd_winograd_images_make(int h, int w, ptrdiff_t c, int samples,
                                                         pd_precision precision, const void *data)
{
    return (pd_winograd_images){h, w, c, precision, data, (ptrdiff_t)samples * h * w * c};
}

/* The tiles into which the outputs of a sample are cut. */
typedef struct pd_winograd_grid {
    int rows, columns;
} pd_winograd_grid;

static inline pd_winograd_grid pd_winograd_grid_make(int out_h, int out_w)
{
    return (pd_winograd_grid){pd_divide_up(out_h, OUTPUT), pd_divide_up(out_w, OUTPUT)};
}

static inline int64_t pd_winograd_grid_tiles(const pd_winograd_grid *grid)
{
    return (int64_t)grid->rows * grid->columns;
}

/* The tiles of a block: `most`, or those that are left if they are fewer. */
static inline int pd_winograd_block_tiles(int most, int64_t left)
{
    return left < most ? (int)left : most;
}

/* The location of a tile: its sample and its first output. */
typedef struct pd_winograd_place {
    int sample, y, x;
} pd_winograd_place;

/* Of tile `tile`, counted over all samples. */
static inline pd_winograd_place pd_winograd_grid_place(const pd_winograd_grid *grid, int64_t tile)
{
    int64_t tiles = pd_winograd_grid_tiles(grid), in_sample = tile % tiles;
    return (pd_winograd_place){(int)(tile / tiles), (int)(in_sample / grid->columns * OUTPUT),
                               (int)(in_sample % grid->columns * OUTPUT)};
}

/* The offset of a vector of channels, from `channel` on, of the pixel at `place`. */
PD_INLINE ptrdiff_t pd_winograd_images_offset(const pd_winograd_images *images,
                                              const pd_winograd_place *place, ptrdiff_t channel)
{
    ptrdiff_t row = place->sample * (ptrdiff_t)images->h + place->y;
    return (row * images->w + place->x) * images->c + channel;
}

/* Copies the square of size x size pixels at `place`, whose first channel is element `first`, to
 * buffer[size * size][vector], with zeros around the image. */
PD_INLINE void pd_winograd_images_copy(pd_precision precision, const pd_winograd_images *images,
                                       const pd_winograd_place *place, ptrdiff_t first,
                                       int channels, const int size, float *buffer)
{
    const ptrdiff_t column = images->c, row = (ptrdiff_t)images->w * images->c;
    const ptrdiff_t end = images->count - PD_VECTOR_WIDTH;
    for (int i = 0; i < size; i++) {
        for (int j = 0; j < size; j++) {
            float *to = buffer + ((ptrdiff_t)i * size + j) * PD_VECTOR_WIDTH;
            ptrdiff_t pixel = first + i * row + j * column;
            int y = place->y + i, x = place->x + j;
            *(pd_vector *)to = (pd_vector){0};
            if (y < 0 || x < 0 || y >= images->h || x >= images->w)
                continue;
            if (pixel <= end)
                *(pd_vector *)to = pd_vector_load(precision, images->data, pixel);
            else
                for (int k = 0; k < channels; k++)
                    to[k] = pd_element_load(precision, images->data, (size_t)(pixel + k));
        }
    }
}

/* The channels from `channel` on of the square of size x size pixels at `place`. A vector that
 * extends past the last channel holds whatever follows in memory. The patch is in place if it holds
 * floats and lies within the image, else a copy in buffer[size * size][vector]. */
PD_INLINE pd_winograd_patch pd_winograd_images_patch(const pd_winograd_images *images,
                                                     const pd_winograd_place *place,
                                                     ptrdiff_t channel, const int size,
                                                     float *buffer)
{
    const int y = place->y, x = place->x;
    ptrdiff_t column = images->c, row = (ptrdiff_t)images->w * images->c;
    ptrdiff_t first = pd_winograd_images_offset(images, place, channel);
    ptrdiff_t end = images->count - PD_VECTOR_WIDTH;
    bool inside = y >= 0 && x >= 0 && y + size <= images->h && x + size <= images->w &&
                  first + (size - 1) * (row + column) <= end;
    if (inside && images->precision == PD_FLOAT32)
        return (pd_winograd_patch){(const float *)images->data + first, row, column};
    if (inside) {
        for (int i = 0; i < size; i++)
            for (int j = 0; j < size; j++)
                *(pd_vector *)(buffer + ((ptrdiff_t)i * size + j) * PD_VECTOR_WIDTH) =
                    pd_vector_load(PD_BF16, images->data, first + i * row + j * column);
    } else {
        ptrdiff_t left = images->c - channel;
        int channels = left < PD_VECTOR_WIDTH ? (int)left : PD_VECTOR_WIDTH;
        PD_WITH_PRECISION(
            images->precision,
            pd_winograd_images_copy(precision, images, place, first, channels, size, buffer));
    }
    return (pd_winograd_patch){buffer, (ptrdiff_t)size * PD_VECTOR_WIDTH, PD_VECTOR_WIDTH};
}

/* Prefetches a patch of rows x columns pixels at offset `first`, of which some may lie outside the
 * array: the hardware prefetcher does not recognise this two-dimensional pattern. */
PD_INLINE void pd_winograd_images_prefetch(const pd_winograd_images *images, ptrdiff_t first,
                                           const int rows, const int columns)
{
    const ptrdiff_t size = (ptrdiff_t)pd_precision_bytes(images->precision);
    const ptrdiff_t column = images->c * size, row = images->w * column;
    uintptr_t at = (uintptr_t)images->data + (uintptr_t)(first * size);
    for (int i = 0; i < rows; i++) {
        for (int j = 0; j < columns; j++)
            __builtin_prefetch((const void *)(at + (uintptr_t)(i * row + j * column)));
    }
}

/* Transforms the inputs of a tile, the square at `place`, for the channels from `channel` on, to
 * its positions, `step` floats apart. Prefetches the same of the next tile to the right. */
static inline void pd_winograd_images_transform(const pd_winograd_images *images,
                                                const pd_winograd_place *place, int channel,
                                                float *to, size_t step)
{
    _Alignas(64) float buffer[POSITIONS * PD_VECTOR_WIDTH];
    pd_winograd_patch patch = pd_winograd_images_patch(images, place, channel, INPUT, buffer);
    ptrdiff_t next =
        pd_winograd_images_offset(images, place, channel) + (ptrdiff_t)INPUT * images->c;
    pd_winograd_images_prefetch(images, next, INPUT, OUTPUT);
    pd_winograd_transform(pd_winograd_line_input, INPUT, INPUT, patch, to, step);
}

#endif
