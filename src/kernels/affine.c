#include "pneumo/kernels/affine.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

/* Adds one sample of each pixel of an output row: at height v of the output, and at
 * (column + across) / out_w of its width. Free of branches, so that it vectorises. */
static void add_samples(const pd_affine *affine, float v, float across, float *out, int out_w)
{
    const int h = affine->h, w = affine->w;
    const float *image = affine->image, *map = affine->map;
    const float x_end = (float)(w - 1), y_end = (float)(h - 1), du = 1.0f / (float)out_w;
    const bool fills = !isnan(affine->fill);
    const float fill = fills ? affine->fill : 0.0f, weight_outside = fills ? 0.0f : 1.0f;
#pragma omp simd
    for (int column = 0; column < out_w; column++) {
        float u = ((float)column + across) * du;
        float x = (map[0] * u + map[1] * v + map[2]) * (float)w - 0.5f;
        float y = (map[3] * u + map[4] * v + map[5]) * (float)h - 0.5f;
        /* The weight of the image against fill. The image ends half a pixel beyond the centres of
         * its first and last pixels. */
        float weight = x < -0.5f ? weight_outside : 1.0f;
        weight = x > x_end + 0.5f ? weight_outside : weight;
        weight = y < -0.5f ? weight_outside : weight;
        weight = y > y_end + 0.5f ? weight_outside : weight;
        x = x > 0.0f ? x : 0.0f;
        x = x < x_end ? x : x_end;
        y = y > 0.0f ? y : 0.0f;
        y = y < y_end ? y : y_end;
        int left = (int)x, top = (int)y;
        int right = left + 1 < w ? left + 1 : w - 1, bottom = top + 1 < h ? top + 1 : h - 1;
        float fx = x - (float)left, fy = y - (float)top;
        float upper_left = image[top * w + left], upper_right = image[top * w + right];
        float lower_left = image[bottom * w + left], lower_right = image[bottom * w + right];
        float above = upper_left + fx * (upper_right - upper_left);
        float below = lower_left + fx * (lower_right - lower_left);
        out[column] += weight * (above + fy * (below - above)) + (1.0f - weight) * fill;
    }
}

void pd_affine_sample(const pd_affine *affine, float *out, int out_h, int out_w)
{
    const int points = affine->points;
    const float weight = 1.0f / (float)(points * points);
    for (int row = 0; row < out_h; row++, out += out_w) {
        memset(out, 0, (size_t)out_w * sizeof *out);
        for (int i = 0; i < points; i++) {
            float v = ((float)row + ((float)i + 0.5f) / (float)points) / (float)out_h;
            for (int j = 0; j < points; j++)
                add_samples(affine, v, ((float)j + 0.5f) / (float)points, out, out_w);
        }
        for (int column = 0; column < out_w; column++)
            out[column] *= weight;
    }
}
