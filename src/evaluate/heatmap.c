#include "pneumo/evaluate/heatmap.h"

#include "pneumo/base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- The map --- */

/* Equations 1 and 2 of the paper: the sum of the activation's channels, each weighted by the mean
 * of its gradient; negative values, evidence against pneumonia, become 0. */
static pd_status combine_channels(float *map, pd_shape shape, const float *activation,
                                  const float *gradient)
{
    size_t places = (size_t)shape.h * (size_t)shape.w, channels = (size_t)shape.c;
    double *weights;
    pd_status status = pd_alloc(&weights, channels, sizeof *weights);
    if (status != PD_OK)
        return status;
    for (size_t i = 0; i < places * channels; i++)
        weights[i % channels] += (double)gradient[i] / (double)places;
    for (size_t i = 0; i < places && status == PD_OK; i++) {
        double sum = 0;
        for (size_t c = 0; c < channels; c++)
            sum += weights[c] * (double)activation[i * channels + c];
        map[i] = sum > 0 ? (float)sum : 0;
        if (!isfinite(sum) || !isfinite(map[i]))
            status = pd_fail("the heat map is not finite; the network's weights are damaged");
    }
    free(weights);
    return status;
}

/* The share of cell i of n that is further than a tenth of the side from both ends. */
static double inner_share(int i, int n)
{
    double begin = fmax(0.1, (double)i / n), end = fmin(0.9, (double)(i + 1) / n);
    return end > begin ? (end - begin) * n : 0;
}

static double border_share(const pd_heatmap *map)
{
    double all = 0, inner = 0;
    for (int y = 0; y < map->height; y++)
        for (int x = 0; x < map->width; x++) {
            double value = map->values[y * map->width + x];
            all += value;
            inner += value * inner_share(y, map->height) * inner_share(x, map->width);
        }
    /* Rounding can make `inner` the larger one. */
    return all > 0 ? fmax(0, 1 - inner / all) : NAN;
}

static size_t largest_of(const float *values, size_t count)
{
    size_t largest = 0;
    for (size_t i = 1; i < count; i++)
        if (values[i] > values[largest])
            largest = i;
    return largest;
}

/* Resolution: a sixteenth of a cell. */
static pd_status find_peak(pd_heatmap *map)
{
    int height = 16 * map->height, width = 16 * map->width;
    size_t count = (size_t)height * (size_t)width;
    float *smooth;
    pd_status status = pd_alloc(&smooth, count, sizeof *smooth);
    if (status == PD_OK)
        status = pd_picture_smooth(smooth, height, width, map->values, map->height, map->width);
    if (status == PD_OK) {
        size_t peak = largest_of(smooth, count);
        bool any = smooth[peak] > 0;
        size_t row = peak / (size_t)width, column = peak % (size_t)width;
        map->peak_y = any ? ((double)row + 0.5) / height : NAN;
        map->peak_x = any ? ((double)column + 0.5) / width : NAN;
    }
    free(smooth);
    return status;
}

pd_status pd_heatmap_compute(pd_heatmap *out, pd_network *network, const pd_task *task, int threads,
                             const float *x)
{
    pd_status status = PD_OK;
    const pd_exec exec = {
        .keeps = true, .lanes = 1, .lane_samples = 1, .total_lanes = 1, .threads = threads};
    const float *logits, *activation, *gradient;
    float *dy = NULL;
    int last = pd_network_last_convolution(network);
    *out = (pd_heatmap){0};
    PD_TRY(pd_alloc(&dy, (size_t)task->outputs, sizeof *dy));
    PD_TRY(pd_network_forward(network, &exec, x, &logits));
    task->evidence_gradient(logits, dy);
    PD_TRY(pd_network_activation(network, &exec, x, dy, &activation, &gradient));
    pd_shape shape = pd_network_layer(network, last)->out;
    out->height = shape.h;
    out->width = shape.w;
    PD_TRY(pd_alloc(&out->values, (size_t)shape.h * (size_t)shape.w, sizeof *out->values));
    PD_TRY(combine_channels(out->values, shape, activation, gradient));
    out->border = border_share(out);
    PD_TRY(find_peak(out));
cleanup:
    free(dy);
    if (status != PD_OK)
        pd_heatmap_free(out);
    return status;
}

/* Adds `share` of a map to *out. */
static pd_status add_map(pd_heatmap *out, const pd_heatmap *map, double share)
{
    const float *values = map->values;
    float *smooth = NULL;
    pd_status status = PD_OK;
    size_t cells = (size_t)out->height * (size_t)out->width;
    if (map->height != out->height || map->width != out->width) {
        PD_TRY(pd_alloc(&smooth, cells, sizeof *smooth));
        PD_TRY(pd_picture_smooth(smooth, out->height, out->width, values, map->height, map->width));
        share *= (double)map->height * map->width / (double)cells;
        values = smooth;
    }
    for (size_t i = 0; i < cells; i++)
        out->values[i] += (float)(share * (double)values[i]);
cleanup:
    free(smooth);
    return status;
}

pd_status pd_heatmap_mean(pd_heatmap *out, const pd_heatmap *maps, const double *weights, int count)
{
    pd_status status = PD_OK;
    *out = (pd_heatmap){0};
    for (int i = 0; i < count; i++) {
        out->height = maps[i].height > out->height ? maps[i].height : out->height;
        out->width = maps[i].width > out->width ? maps[i].width : out->width;
    }
    PD_TRY(pd_alloc(&out->values, (size_t)out->height * (size_t)out->width, sizeof *out->values));
    for (int i = 0; i < count; i++)
        PD_TRY(add_map(out, &maps[i], weights[i] / count));
    out->border = border_share(out);
    PD_TRY(find_peak(out));
cleanup:
    if (status != PD_OK)
        pd_heatmap_free(out);
    return status;
}

void pd_heatmap_free(pd_heatmap *heatmap)
{
    free(heatmap->values);
    *heatmap = (pd_heatmap){0};
}

/* --- The picture --- */

typedef struct colour {
    float channel[3]; /* red, green, blue, 0 to 255 */
} colour;

/* "plasma" by Nathaniel Smith and Stefan van der Walt, perceptually uniform, CC0
 * (https://bids.github.io/colormap), at ninths. It contains no grey and ends in a yellow that is
 * visible on a white opacity. */
static colour colour_of(float value)
{
    static const colour ninths[] = {
        {{13, 8, 135}},   {{70, 3, 159}},   {{115, 1, 168}},  {{156, 23, 158}}, {{189, 55, 133}},
        {{216, 87, 108}}, {{237, 121, 83}}, {{250, 158, 59}}, {{253, 201, 38}}, {{240, 249, 33}}};
    int below = (int)(9 * value);
    if (below >= 9)
        return ninths[9];
    float share = 9 * value - (float)below;
    colour mixed;
    for (int i = 0; i < 3; i++)
        mixed.channel[i] = ninths[below].channel[i] +
                           share * (ninths[below + 1].channel[i] - ninths[below].channel[i]);
    return mixed;
}

static uint8_t *pixel_at(const pd_picture *picture, int row, int column)
{
    return picture->pixels + 3 * ((size_t)row * (size_t)picture->width + (size_t)column);
}

/* The opacity rises with the heat, so that cold regions show the image alone. `heat` is
 * [height][width] of the image. */
static void lay_over(const pd_picture *picture, const float *heat, const pd_image *image)
{
    const float cover = 0.6f;
    float largest = heat[largest_of(heat, (size_t)image->height * (size_t)image->width)];
    for (int row = 0; row < image->height; row++)
        for (int column = 0; column < image->width; column++) {
            size_t i = (size_t)row * (size_t)image->width + (size_t)column;
            float value = largest > 0 ? heat[i] / largest : 0, grey = image->pixels[i];
            colour tint = colour_of(value);
            for (int c = 0; c < 3; c++)
                pixel_at(picture, row, column)[c] =
                    (uint8_t)(grey + cover * value * (tint.channel[c] - grey) + 0.5f);
        }
}

/* The scale: a bar with a mark at each end, on black; bar, marks and gaps are equally wide. */
static int scale_unit(int height)
{
    return height < 96 ? 2 : height / 48;
}

static int scale_width(int height)
{
    return 4 * scale_unit(height);
}

/* From 1 at the top to 0 at the bottom, right of column `left`. */
static void draw_scale(const pd_picture *picture, int left)
{
    int unit = scale_unit(picture->height), bar = left + unit, mark = bar + unit;
    for (int row = 0; row < picture->height; row++) {
        colour tint = colour_of(1 - ((float)row + 0.5f) / (float)picture->height);
        bool at_end = row < (unit + 1) / 2 || row >= picture->height - (unit + 1) / 2;
        for (int column = bar; column < mark; column++)
            for (int i = 0; i < 3; i++)
                pixel_at(picture, row, column)[i] = (uint8_t)(tint.channel[i] + 0.5f);
        if (at_end)
            memset(pixel_at(picture, row, mark), 255, 3 * (size_t)unit);
    }
}

static pd_status allocate_pixels(pd_picture *picture)
{
    return pd_alloc(&picture->pixels, (size_t)picture->height * (size_t)picture->width, 3);
}

pd_status pd_heatmap_overlay(pd_picture *out, const pd_heatmap *heatmap, const pd_image *image)
{
    pd_status status = PD_OK;
    float *heat = NULL;
    *out =
        (pd_picture){.height = image->height, .width = image->width + scale_width(image->height)};
    PD_TRY(allocate_pixels(out));
    PD_TRY(pd_alloc(&heat, (size_t)image->height * (size_t)image->width, sizeof *heat));
    PD_TRY(pd_picture_smooth(heat, image->height, image->width, heatmap->values, heatmap->height,
                             heatmap->width));
    lay_over(out, heat, image);
    draw_scale(out, image->width);
cleanup:
    free(heat);
    if (status != PD_OK)
        pd_picture_free(out);
    return status;
}

/* `image` scaled down by a factor. */
static pd_status shrink(pd_image *out, const pd_image *image, double factor)
{
    out->height = (int)fmax(1, image->height * factor);
    out->width = (int)fmax(1, image->width * factor);
    pd_status status = pd_alloc(&out->pixels, (size_t)out->height * (size_t)out->width, 1);
    if (status == PD_OK)
        status = pd_image_resize(out->pixels, out->height, out->width, image);
    return status;
}

pd_status pd_heatmap_pair(pd_picture *out, const pd_heatmap *heatmap, const pd_image *image,
                          int side)
{
    pd_status status = PD_OK;
    pd_image small = {0};
    pd_picture overlay = {0};
    double factor =
        fmin((double)side / image->height, (double)(side - scale_width(side)) / image->width);
    *out = (pd_picture){0};
    if (factor < 1) {
        PD_TRY(shrink(&small, image, factor));
        image = &small;
    }
    PD_TRY(pd_heatmap_overlay(&overlay, heatmap, image));
    *out = (pd_picture){.height = image->height, .width = image->width + overlay.width};
    PD_TRY(allocate_pixels(out));
    for (int row = 0; row < image->height; row++) {
        const uint8_t *grey = image->pixels + (size_t)row * (size_t)image->width;
        for (int column = 0; column < image->width; column++)
            memset(pixel_at(out, row, column), grey[column], 3);
        memcpy(pixel_at(out, row, image->width), pixel_at(&overlay, row, 0),
               3 * (size_t)overlay.width);
    }
cleanup:
    pd_image_free(&small);
    pd_picture_free(&overlay);
    if (status != PD_OK)
        pd_picture_free(out);
    return status;
}
