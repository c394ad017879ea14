#include "pneumo/kernels/affine.h"

#include <math.h>

static float clamp(float value, float low, float high)
{
    return value < low ? low : value > high ? high : value;
}

/* The image at pixel coordinates (x, y), where (0, 0) is the centre of the first pixel. */
static float bilinear(const pd_affine *affine, float x, float y)
{
    const int h = affine->h, w = affine->w;
    x = clamp(x, 0.0f, (float)(w - 1));
    y = clamp(y, 0.0f, (float)(h - 1));
    int left = (int)x, top = (int)y;
    int right = left + 1 < w ? left + 1 : left;
    int bottom = top + 1 < h ? top + 1 : top;
    float fx = x - (float)left, fy = y - (float)top;
    const float *upper = affine->image + (long)top * w, *lower = affine->image + (long)bottom * w;
    float above = upper[left] + fx * (upper[right] - upper[left]);
    float below = lower[left] + fx * (lower[right] - lower[left]);
    return above + fy * (below - above);
}

void pd_affine_sample(const pd_affine *affine, float *out, int out_h, int out_w)
{
    const float *map = affine->map;
    const int points = affine->points;
    const float h = (float)affine->h, w = (float)affine->w;
    const float share = 1.0f / (float)(points * points);
    const float du = 1.0f / (float)(out_w * points), dv = 1.0f / (float)(out_h * points);
    const int fills = !isnan(affine->fill);
    for (int row = 0; row < out_h; row++) {
        for (int column = 0; column < out_w; column++) {
            float sum = 0;
            for (int i = 0; i < points; i++) {
                float v = ((float)(row * points + i) + 0.5f) * dv;
                for (int j = 0; j < points; j++) {
                    float u = ((float)(column * points + j) + 0.5f) * du;
                    float x = (map[0] * u + map[1] * v + map[2]) * w - 0.5f;
                    float y = (map[3] * u + map[4] * v + map[5]) * h - 0.5f;
                    if (fills && (x < -0.5f || y < -0.5f || x > w - 0.5f || y > h - 0.5f))
                        sum += affine->fill;
                    else
                        sum += bilinear(affine, x, y);
                }
            }
            *out++ = sum * share;
        }
    }
}
