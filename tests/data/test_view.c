/* Rendering a view: the plain view is a resize; each image can be normalised by itself. */
#include "data/random_image.h"
#include "pneumo/data/view.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static pd_input input_of(int size, int channels)
{
    return (pd_input){.height = SIDE,
                      .width = SIDE,
                      .mean = 100,
                      .deviation = 50,
                      .size = size,
                      .channels = channels};
}

static void the_plain_view_keeps_pixels(void **state)
{
    (void)state;
    float out[SIDE * SIDE * 3];
    pd_view view = pd_view_plain();
    pd_input input = input_of(SIDE, 3);
    pd_view_render(&view, &input, image, out, scratch);
    for (int i = 0; i < SIDE * SIDE; i++)
        for (int c = 0; c < 3; c++)
            assert_true(fabsf(out[3 * i + c] - ((float)image[i] - 100) / 50) < 1e-4f);
}

/* Halving the side averages 2 x 2 pixels, without aliasing. */
static void shrinking_averages_pixels(void **state)
{
    (void)state;
    float out[SIDE * SIDE / 4];
    pd_view view = pd_view_plain();
    pd_input input = input_of(SIDE / 2, 1);
    pd_view_render(&view, &input, image, out, scratch);
    for (int y = 0; y < SIDE / 2; y++)
        for (int x = 0; x < SIDE / 2; x++) {
            const uint8_t *p = image + 2 * y * SIDE + 2 * x;
            float mean = (float)(p[0] + p[1] + p[SIDE] + p[SIDE + 1]) / 4;
            assert_true(fabsf(out[y * SIDE / 2 + x] - (mean - 100) / 50) < 1e-4f);
        }
}

/* With scaling = image, every rendered view has mean 0 and deviation 1 at any exposure. */
static void own_scaling_removes_brightness_and_contrast(void **state)
{
    (void)state;
    float plain[SIDE * SIDE * 3], changed[SIDE * SIDE * 3];
    pd_input input = input_of(SIDE, 3);
    input.scaling = PD_GREY_IMAGE;
    pd_view view = pd_view_plain();
    pd_view_render(&view, &input, image, plain, scratch);
    view.gain = 0.5f;
    view.bias = 30;
    pd_view_render(&view, &input, image, changed, scratch);
    double sum = 0, squares = 0;
    for (int i = 0; i < SIDE * SIDE * 3; i++) {
        assert_true(fabsf(plain[i] - changed[i]) < 1e-4f && plain[i] == plain[i - i % 3]);
        sum += plain[i];
        squares += plain[i] * plain[i];
    }
    assert_true(fabs(sum) < 1e-2 && fabs(squares / (SIDE * SIDE * 3) - 1) < 1e-4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_plain_view_keeps_pixels),
        cmocka_unit_test(shrinking_averages_pixels),
        cmocka_unit_test(own_scaling_removes_brightness_and_contrast),
    };
    return cmocka_run_group_tests(tests, fill, NULL);
}
