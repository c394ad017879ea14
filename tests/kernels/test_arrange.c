/* Padding and joining against plain loops. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pneumo/kernels/arrange.h"

#include <stdbool.h>
#include <stdlib.h>

#include "kernels/arrays.h"

static void test_pad_and_crop(void **state)
{
    (void)state;
    const pd_frame f = {.h = 3, .w = 4, .c = 5, .top = 1, .bottom = 2, .left = 0, .right = 3};
    enum { SAMPLES = 2, H = 6, W = 7, C = 5, IN = SAMPLES * 3 * 4 * C };
    float x[IN], dx[IN], *y = make_result(SAMPLES * H * W * C);
    for (int i = 0; i < IN; i++)
        x[i] = (float)(i + 1);
    pd_frame_pad(&f, SAMPLES, x, y, 2);
    for (int i = 0; i < SAMPLES * H * W * C; i++) {
        int j = i % C, ox = i / C % W, oy = i / (C * W) % H, n = i / (C * W * H);
        int ix = ox - f.left, iy = oy - f.top;
        bool inside = ix >= 0 && ix < f.w && iy >= 0 && iy < f.h;
        assert_true(y[i] == (inside ? x[((n * f.h + iy) * f.w + ix) * C + j] : 0));
    }
    pd_frame_crop(&f, SAMPLES, y, dx, 2);
    for (int i = 0; i < IN; i++)
        assert_true(dx[i] == x[i]);
    free(y);
}

static void test_join_and_split(void **state)
{
    (void)state;
    enum { PIXELS = 7, C = 3, D = 5 };
    float a[PIXELS * C], b[PIXELS * D], y[PIXELS * (C + D)], da[PIXELS * C], db[PIXELS * D];
    for (int i = 0; i < PIXELS * C; i++)
        a[i] = (float)(i + 1);
    for (int i = 0; i < PIXELS * D; i++)
        b[i] = -(float)(i + 1);
    pd_channels_join(PIXELS, a, C, b, D, y, 2);
    for (int i = 0; i < PIXELS * (C + D); i++) {
        int pixel = i / (C + D), j = i % (C + D);
        assert_true(y[i] == (j < C ? a[pixel * C + j] : b[pixel * D + j - C]));
    }
    pd_channels_split(PIXELS, y, da, C, NULL, D, 2);
    pd_channels_split(PIXELS, y, NULL, C, db, D, 2);
    for (int i = 0; i < PIXELS * C; i++)
        assert_true(da[i] == a[i]);
    for (int i = 0; i < PIXELS * D; i++)
        assert_true(db[i] == b[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pad_and_crop),
        cmocka_unit_test(test_join_and_split),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
