#include "pneumo/kernels/affine.h"

#include <math.h>

static float clamp(float value, float low, float high)
{
    return value < low ? low : value > high ? high : value;
}

/* The image at pixel coordinates (x, y), where (0, 0) is the centre of the first pixel. */
static float bilinear(const uint8_t *image, int h, int w, float x, float y)
{
    x = clamp(x, 0.0f, (float)(w - 1));
    y = clamp(y, 0.0f, (float)(h - 1));
    int left = (int)x, top = (int)y;
    int right = left + 1 < w ? left + 1 : left;
    int bottom = top + 1 < h ? top + 1 : top;
    float fx = x - (float)left, fy = y - (float)top;
    const uint8_t *upper = image + (long)top * w, *lower = image + (long)bottom * w;
    float above = (float)upper[left] + fx * (float)(upper[right] - upper[left]);
    float below = (float)lower[left] + fx * (float)(lower[right] - lower[left]);
    return above + fy * (below - above);
}

void pd_affine_sample(const uint8_t *image, int h, int w, const float map[6], int points,
                      float gain, float bias, float mean, float deviation, float *out, int out_h,
                      int out_w, int channels)
{
    const float share = 1.0f / (float)(points * points), scale = 1.0f / deviation;
    const float du = 1.0f / (float)(out_w * points), dv = 1.0f / (float)(out_h * points);
    for (int row = 0; row < out_h; row++) {
        for (int column = 0; column < out_w; column++) {
            float sum = 0;
            for (int i = 0; i < points; i++) {
                float v = ((float)(row * points + i) + 0.5f) * dv;
                for (int j = 0; j < points; j++) {
                    float u = ((float)(column * points + j) + 0.5f) * du;
                    float x = (map[0] * u + map[1] * v + map[2]) * (float)w - 0.5f;
                    float y = (map[3] * u + map[4] * v + map[5]) * (float)h - 0.5f;
                    sum += bilinear(image, h, w, x, y);
                }
            }
            float value = (clamp(gain * sum * share + bias, 0.0f, 255.0f) - mean) * scale;
            for (int c = 0; c < channels; c++)
                *out++ = value;
        }
    }
}
