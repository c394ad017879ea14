#include "pneumo/kernels/filter.h"

#include <math.h>

/* Fills weights[reach + 1], from the centre outwards, and returns the reach. */
static int gaussian_weights(float *weights, float sigma)
{
    int reach = (int)ceilf(4.0f * sigma);
    reach = reach > PD_FILTER_REACH_MAX ? PD_FILTER_REACH_MAX : reach;
    double sum = 0;
    for (int i = -reach; i <= reach; i++)
        sum += exp(-0.5 * i * i / ((double)sigma * (double)sigma));
    for (int i = 0; i <= reach; i++)
        weights[i] = (float)(exp(-0.5 * i * i / ((double)sigma * (double)sigma)) / sum);
    return reach;
}

static int clamp(int value, int high)
{
    return value < 0 ? 0 : value > high ? high : value;
}

/* Convolves along columns: out = the weighted sum of the rows around each row. */
static void filter_columns(const float *image, int h, int w, const float *weights, int reach,
                           float *out)
{
    for (int y = 0; y < h; y++) {
        float *to = out + (long)y * w;
        const float *centre = image + (long)y * w;
        for (int x = 0; x < w; x++)
            to[x] = weights[0] * centre[x];
        for (int i = 1; i <= reach; i++) {
            const float *above = image + (long)clamp(y - i, h - 1) * w;
            const float *below = image + (long)clamp(y + i, h - 1) * w;
            for (int x = 0; x < w; x++)
                to[x] += weights[i] * (above[x] + below[x]);
        }
    }
}

/* The same along rows. Each row is first copied and extended by its repeated end pixels, so that
 * the loop over pixels has no branches. */
static void filter_rows(const float *image, int h, int w, const float *weights, int reach,
                        float *out)
{
    float padded[w + 2 * PD_FILTER_REACH_MAX];
    const float *centre = padded + reach;
    for (int y = 0; y < h; y++) {
        const float *from = image + (long)y * w;
        float *to = out + (long)y * w;
        for (int x = -reach; x < w + reach; x++)
            padded[reach + x] = from[clamp(x, w - 1)];
        for (int x = 0; x < w; x++)
            to[x] = weights[0] * centre[x];
        for (int i = 1; i <= reach; i++)
            for (int x = 0; x < w; x++)
                to[x] += weights[i] * (centre[x - i] + centre[x + i]);
    }
}

void pd_filter_gaussian(float *image, int h, int w, float sigma, float *scratch)
{
    float weights[PD_FILTER_REACH_MAX + 1];
    if (!(sigma > 0))
        return;
    int reach = gaussian_weights(weights, sigma);
    filter_columns(image, h, w, weights, reach, scratch);
    filter_rows(scratch, h, w, weights, reach, image);
}
