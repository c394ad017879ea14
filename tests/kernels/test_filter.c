/* The Gaussian filter against the sum over both dimensions that it separates. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernels/arrays.h"
#include "pneumo/kernels/filter.h"

static int clamp(int value, int high)
{
    return value < 0 ? 0 : value > high ? high : value;
}

/* One pixel of the filtered image, in double precision. */
static double reference(const float *image, int h, int w, double sigma, int row, int column)
{
    int reach = (int)ceil(4 * sigma);
    double sum = 0, weights = 0;
    reach = reach > PD_FILTER_REACH_MAX ? PD_FILTER_REACH_MAX : reach;
    for (int dy = -reach; dy <= reach; dy++)
        for (int dx = -reach; dx <= reach; dx++) {
            double weight = exp(-(dx * dx + dy * dy) / (2 * sigma * sigma));
            int y = clamp(row + dy, h - 1), x = clamp(column + dx, w - 1);
            sum += weight * (double)image[y * w + x];
            weights += weight;
        }
    return sum / weights;
}

static void test_equals_the_sum_over_both_dimensions(void **state)
{
    (void)state;
    const int sides[][2] = {{1, 1}, {1, 9}, {9, 1}, {7, 12}, {23, 17}};
    const float sigmas[] = {0.05f, 0.24f, 0.25f, 0.9f, 2.5f, 17.0f};
    for (int s = 0; s < 5; s++) {
        for (int i = 0; i < 6; i++) {
            int h = sides[s][0], w = sides[s][1];
            size_t pixels = (size_t)h * (size_t)w;
            float *image = make_array(pixels, 3, 255), *original = make_array(pixels, 3, 255);
            float *scratch = make_result(pixels);
            pd_filter_gaussian(image, h, w, sigmas[i], scratch);
            for (int y = 0; y < h; y++)
                for (int x = 0; x < w; x++) {
                    double expected = reference(original, h, w, (double)sigmas[i], y, x);
                    if (!(fabs((double)image[y * w + x] - expected) < 1e-3))
                        fail_msg("%d x %d, sigma %g: %g, expected %g", h, w, (double)sigmas[i],
                                 (double)image[y * w + x], expected);
                }
            assert_true(isnan(scratch[pixels]));
            free(image);
            free(original);
            free(scratch);
        }
    }
}

static void test_sigma_of_zero_changes_nothing(void **state)
{
    (void)state;
    const float sigmas[] = {0, -1, NAN};
    float image[] = {1, 2, 3, 4, 5, 6}, scratch[6];
    const float original[] = {1, 2, 3, 4, 5, 6};
    for (int i = 0; i < 3; i++) {
        pd_filter_gaussian(image, 2, 3, sigmas[i], scratch);
        assert_memory_equal(image, original, sizeof image);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equals_the_sum_over_both_dimensions),
        cmocka_unit_test(test_sigma_of_zero_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
