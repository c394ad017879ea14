/* Affine sampling against the definition in double precision, point by point. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernels/arrays.h"
#include "pneumo/kernels/affine.h"

#include <stdbool.h>
#include <string.h>

enum { H = 13, W = 9 };

/* Bilinear interpolation between the pixels' centres, as a sum of tent functions over all pixels.
 * Points outside are clamped to the border. */
static double surface(const float *image, double x, double y)
{
    double sum = 0;
    x = fmin(fmax(x, 0), W - 1);
    y = fmin(fmax(y, 0), H - 1);
    for (int row = 0; row < H; row++)
        for (int column = 0; column < W; column++)
            sum += (double)image[row * W + column] * fmax(0, 1 - fabs(x - column)) *
                   fmax(0, 1 - fabs(y - row));
    return sum;
}

static double sample(const pd_affine *affine, double u, double v)
{
    const float *m = affine->map;
    double x = ((double)m[0] * u + (double)m[1] * v + (double)m[2]) * W;
    double y = ((double)m[3] * u + (double)m[4] * v + (double)m[5]) * H;
    bool inside = x >= 0 && x <= W && y >= 0 && y <= H;
    return inside || isnan(affine->fill) ? surface(affine->image, x - 0.5, y - 0.5)
                                         : (double)affine->fill;
}

static double pixel(const pd_affine *affine, int out_h, int out_w, int row, int column)
{
    int n = affine->points;
    double sum = 0;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            sum += sample(affine, (column + (j + 0.5) / n) / out_w, (row + (i + 0.5) / n) / out_h);
    return sum / (n * n);
}

/* None of these maps samples exactly on the image's edge, where rounding would decide whether to
 * fill. */
static const float maps[][6] = {
    {1, 0, 0, 0, 1, 0},
    {-1, 0, 1, 0, 1, 0},
    {0.71f, 0, 0.137f, 0, 0.53f, 0.211f},
    {1.53f, 0, -0.266f, 0, 1.37f, -0.171f},
    {0.93f, -0.31f, 0.19f, 0.27f, 0.88f, -0.077f},
    {0, 1.1f, -0.053f, -0.9f, 0, 0.953f},
    {1, 0, 5.3f, 0, 1, -4.2f},
};

static void test_equals_the_definition(void **state)
{
    (void)state;
    const int outs[][2] = {{H, W}, {5, 4}, {31, 22}, {1, 1}};
    const float fills[] = {NAN, 0, 77};
    float *image = make_array(H * W, 4, 255);
    for (size_t m = 0; m < sizeof maps / sizeof *maps; m++)
        for (int c = 0; c < 4 * 3 * 3; c++) {
            pd_affine affine = {
                .image = image, .h = H, .w = W, .points = 1 + c / 12, .fill = fills[c % 3]};
            int out_h = outs[c / 3 % 4][0], out_w = outs[c / 3 % 4][1];
            memcpy(affine.map, maps[m], sizeof affine.map);
            float *out = make_result((size_t)out_h * (size_t)out_w);
            pd_affine_sample(&affine, out, out_h, out_w);
            for (int y = 0; y < out_h; y++)
                for (int x = 0; x < out_w; x++) {
                    double expected = pixel(&affine, out_h, out_w, y, x);
                    if (!(fabs((double)out[y * out_w + x] - expected) < 0.02))
                        fail_msg(
                            "map %zu, %d points, fill %g, (%d, %d) of %d x %d: %g, expected %g", m,
                            affine.points, (double)affine.fill, y, x, out_h, out_w,
                            (double)out[y * out_w + x], expected);
                }
            assert_true(isnan(out[out_h * out_w]));
            free(out);
        }
    free(image);
}

/* An image sampled at its own size is the image, or its mirror image. */
static void test_identity_and_mirror(void **state)
{
    (void)state;
    float *image = make_array(H * W, 5, 255), out[H * W];
    for (int m = 0; m < 2; m++) {
        pd_affine affine = {.image = image, .h = H, .w = W, .points = 1, .fill = 0};
        memcpy(affine.map, maps[m], sizeof affine.map);
        pd_affine_sample(&affine, out, H, W);
        for (int i = 0; i < H * W; i++) {
            int column = m == 0 ? i % W : W - 1 - i % W;
            assert_true(fabsf(out[i] - image[i / W * W + column]) < 1e-2f);
        }
    }
    free(image);
}

/* The area beyond the outer edge of the last pixel is filled as requested. */
static void test_fill(void **state)
{
    (void)state;
    const float image[] = {10, 20};
    float out[8];
    pd_affine affine = {
        .image = image, .h = 1, .w = 2, .map = {2, 0, -0.5f, 0, 1, 0}, .points = 1, .fill = 0};
    pd_affine_sample(&affine, out, 1, 8);
    const float black[] = {0, 0, 10, 12.5f, 17.5f, 20, 0, 0};
    for (int i = 0; i < 8; i++)
        assert_true(fabsf(out[i] - black[i]) < 1e-4f);
    affine.fill = NAN;
    pd_affine_sample(&affine, out, 1, 8);
    const float edge[] = {10, 10, 10, 12.5f, 17.5f, 20, 20, 20};
    for (int i = 0; i < 8; i++)
        assert_true(fabsf(out[i] - edge[i]) < 1e-4f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equals_the_definition),
        cmocka_unit_test(test_identity_and_mirror),
        cmocka_unit_test(test_fill),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
