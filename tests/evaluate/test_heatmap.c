/* Grad-CAM against PyTorch for every convolutional model, the share near the border, and the
 * pictures of a map. */
#include "pneumo/base/memory.h"
#include "pneumo/evaluate/heatmap.h"
#include "pneumo/nn/model.h"

#include "golden/hashed.h"
#include "golden/hashed_weights.h"
#include "golden/heatmaps.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void check(pd_status status)
{
    if (status != PD_OK)
        print_error("%s\n", pd_error_message());
    assert_int_equal(status, PD_OK);
}

/* With dropout, which must be off, and room for more samples than one. */
static pd_network *build(const pd_model_spec *spec, bool training)
{
    const pd_plan plan = {.lanes = 1, .lane_samples = 3, .total_lanes = 1, .threads = 2};
    pd_model_spec with_dropout = *spec;
    pd_network *net;
    with_dropout.dropout = 0.5f;
    check(pd_model_build(&net, &with_dropout));
    check(pd_network_plan(net, &plan, 0, training));
    fill_weights(net);
    return net;
}

static pd_model_spec spec_of(const golden_heatmap *golden)
{
    pd_model_spec spec = {.input = {golden->size, golden->size, golden->channels},
                          .outputs = golden->outputs,
                          .hidden = 24,
                          .width = golden->width,
                          .head = golden->head,
                          .normalise = golden->normalise,
                          .norm_momentum = 0.9f};
    snprintf(spec.name, sizeof spec.name, "%s", golden->model);
    return spec;
}

static const pd_task *task_of(const pd_model_spec *spec)
{
    return &pd_tasks[spec->outputs == 1 ? PD_TASK_PNEUMONIA : PD_TASK_CAUSE];
}

static float *image_for(const pd_model_spec *spec)
{
    float *x;
    check(pd_alloc(&x, pd_shape_size(spec->input), sizeof *x));
    hashed(x, pd_shape_size(spec->input), 1000);
    return x;
}

static void maps_equal_pytorchs(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof golden_heatmaps / sizeof *golden_heatmaps; i++) {
        const golden_heatmap *golden = &golden_heatmaps[i];
        const pd_model_spec spec = spec_of(golden);
        pd_network *net = build(&spec, false);
        float *x = image_for(&spec);
        pd_heatmap map;
        check(pd_heatmap_compute(&map, net, task_of(&spec), 2, x));
        assert_int_equal(map.height, golden->rows);
        assert_int_equal(map.width, golden->columns);
        double largest = 0, worst = 0;
        for (int j = 0; j < map.height * map.width; j++) {
            largest = fmax(largest, golden->values[j]);
            worst = fmax(worst, fabs((double)map.values[j] - golden->values[j]));
        }
        if (!(worst < 2e-5 * largest))
            print_error("%s: %g off where the largest is %g\n", golden->model, worst, largest);
        assert_true(worst < 2e-5 * largest);
        pd_heatmap_free(&map);
        assert_null(map.values);
        free(x);
        pd_network_destroy(&net);
    }
}

/* Keeping the last convolution's activation must not change the output, and a map must not depend
 * on earlier computations. */
static void maps_disturb_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof golden_heatmaps / sizeof *golden_heatmaps; i++) {
        const pd_model_spec spec = spec_of(&golden_heatmaps[i]);
        const pd_exec exec = {.lanes = 1, .lane_samples = 1, .total_lanes = 1, .threads = 2};
        pd_network *net = build(&spec, false), *trained = build(&spec, true);
        float *x = image_for(&spec);
        size_t bytes = (size_t)spec.outputs * sizeof(float);
        const float *logits, *others;
        pd_heatmap first, second;
        check(pd_heatmap_compute(&first, net, task_of(&spec), 2, x));
        check(pd_network_forward(net, &exec, x, &logits));
        check(pd_network_forward(trained, &exec, x, &others));
        assert_memory_equal(logits, others, bytes);
        check(pd_heatmap_compute(&second, net, task_of(&spec), 1, x));
        assert_memory_equal(first.values, second.values,
                            (size_t)(first.height * first.width) * sizeof(float));
        pd_heatmap_free(&first);
        pd_heatmap_free(&second);
        free(x);
        pd_network_destroy(&net);
        pd_network_destroy(&trained);
    }
}

static void what_has_no_map_says_so(void **state)
{
    (void)state;
    const pd_model_spec mlp = {
        .name = "mlp2", .input = {8, 8, 1}, .outputs = 1, .hidden = 4, .width = 1};
    const pd_model_spec cnn = {
        .name = "cnn", .input = {8, 8, 1}, .outputs = 1, .hidden = 4, .width = 1};
    float *x = image_for(&cnn);
    pd_heatmap map;
    pd_network *net = build(&mlp, false);
    assert_int_equal(pd_heatmap_compute(&map, net, &pd_tasks[PD_TASK_PNEUMONIA], 1, x), PD_FAILED);
    assert_non_null(strstr(pd_error_message(), "no convolution"));
    assert_null(map.values);
    pd_network_destroy(&net);

    net = build(&cnn, true);
    assert_int_equal(pd_network_last_convolution(net), -1);
    assert_int_equal(pd_heatmap_compute(&map, net, &pd_tasks[PD_TASK_PNEUMONIA], 1, x), PD_FAILED);
    pd_network_destroy(&net);

    /* Damaged weights. */
    net = build(&cnn, false);
    pd_network_tensor(net, 0)->param->value[0] = INFINITY;
    assert_int_equal(pd_heatmap_compute(&map, net, &pd_tasks[PD_TASK_PNEUMONIA], 1, x), PD_FAILED);
    assert_non_null(strstr(pd_error_message(), "not finite"));
    assert_null(map.values);
    pd_network_destroy(&net);
    free(x);
}

/* A network of one channel whose map is its input: a 1 x 1 convolution of weight 1 and the mean. */
static void compute_copy(pd_heatmap *map, int side, const float *x)
{
    const pd_plan plan = {.lanes = 1, .lane_samples = 1, .total_lanes = 1, .threads = 1};
    pd_network *net;
    size_t count;
    check(pd_network_create(&net, (pd_shape){side, side, 1}));
    int conv = pd_network_add(
        net, "conv", "conv", PD_NETWORK_INPUT,
        (pd_layer_spec){.units = 1, .kernel_h = 1, .kernel_w = 1, .relu = true, .no_bias = true});
    int pool = pd_network_add(net, "globalpool", "pool", conv, (pd_layer_spec){0});
    pd_network_add(net, "dense", "end", pool, (pd_layer_spec){.units = 1, .no_bias = true});
    check(pd_network_plan(net, &plan, 0, false));
    float *weights = pd_network_weights(net, &count);
    assert_int_equal(count, 2);
    weights[0] = 1;
    weights[1] = (float)(side * side); /* the mean's gradient is 1 / places */
    check(pd_heatmap_compute(map, net, &pd_tasks[PD_TASK_PNEUMONIA], 1, x));
    pd_network_destroy(&net);
}

static void the_border_is_a_tenth_of_the_side(void **state)
{
    (void)state;
    float x[20 * 20];
    pd_heatmap map;
    for (int i = 0; i < 400; i++)
        x[i] = 3;
    for (int side = 1; side <= 20; side++) { /* whole cells or parts of them */
        compute_copy(&map, side, x);
        assert_true(fabs(map.border - 0.36) < 1e-6);
        assert_true(fabsf(map.values[side * side - 1] - 3) < 1e-5f);
        pd_heatmap_free(&map);
    }
    memset(x, 0, sizeof x);
    for (int i = 2; i < 18; i++) { /* one cell, far from the border */
        x[i * 20 + i] = 1;
        compute_copy(&map, 20, x);
        assert_true(map.border >= 0 && map.border < 1e-9);
        x[i * 20 + i] = 0;
        pd_heatmap_free(&map);
    }
    x[9 * 20 + 12] = 2;
    compute_copy(&map, 20, x);
    assert_true(fabs(map.border) < 1e-9);
    assert_true(fabs(map.peak_y - 9.5 / 20) < 0.002 && fabs(map.peak_x - 12.5 / 20) < 0.002);
    pd_heatmap_free(&map);
    x[19 * 20 + 12] = 6;
    compute_copy(&map, 20, x);
    assert_true(fabs(map.border - 0.75) < 1e-6);
    assert_true(map.peak_y > 0.95 && fabs(map.peak_x - 12.5 / 20) < 0.002);
    pd_heatmap_free(&map);
    x[8 * 20 + 4] = x[8 * 20 + 5] = x[9 * 20 + 4] = x[9 * 20 + 5] = 5; /* broad, but less high */
    compute_copy(&map, 20, x);
    assert_true(fabs(map.peak_y - 9.0 / 20) < 0.002 && fabs(map.peak_x - 5.0 / 20) < 0.002);
    pd_heatmap_free(&map);
    for (int i = 0; i < 400; i++)
        x[i] = -1;
    compute_copy(&map, 20, x);
    assert_true(isnan(map.border) && isnan(map.peak_y) && isnan(map.peak_x));
    assert_true(map.values[7] == 0);
    pd_heatmap_free(&map);
}

static const uint8_t *pixel(const pd_picture *picture, int row, int column)
{
    return picture->pixels + 3 * (row * picture->width + column);
}

static void assert_grey(const uint8_t *rgb, uint8_t grey)
{
    assert_true(rgb[0] == grey && rgb[1] == grey && rgb[2] == grey);
}

static pd_image make_image(int height, int width)
{
    pd_image image = {.height = height, .width = width};
    check(pd_alloc(&image.pixels, (size_t)(height * width), 1));
    for (int i = 0; i < height * width; i++)
        image.pixels[i] = (uint8_t)(i % 251);
    return image;
}

static void the_overlay_shows_heat_where_it_is(void **state)
{
    (void)state;
    float values[6] = {0, 0, 0, 0, 0, 0.5f}; /* hot at the bottom right */
    pd_heatmap map = {.height = 2, .width = 3, .values = values};
    pd_image image = make_image(100, 210);
    pd_picture overlay;
    check(pd_heatmap_overlay(&overlay, &map, &image));
    assert_int_equal(overlay.height, 100);
    assert_in_range(overlay.width, 210 + 4, 210 + 40);
    for (int row = 0; row < 100; row++) /* cold pixels are unchanged */
        for (int column = 0; column < 35; column++)
            assert_grey(pixel(&overlay, row, column), image.pixels[row * 210 + column]);
    const uint8_t *hot = pixel(&overlay, 99, 209);
    uint8_t grey = image.pixels[99 * 210 + 209];
    for (int i = 0; i < 3; i++) /* the largest heat, in whatever unit, is the top of the scale */
        assert_in_range(hot[i], (int)(0.4 * grey + 0.6 * (const int[]){240, 249, 33}[i]),
                        (int)(0.4 * grey + 0.6 * (const int[]){240, 249, 33}[i] + 1));
    /* The scale: yellow at the top, blue at the bottom, a white mark beside each. */
    int bar = -1, mark = -1;
    for (int column = 210; column < overlay.width; column++) {
        const uint8_t *top = pixel(&overlay, 0, column);
        if (top[0] == 255 && mark < 0)
            mark = column;
        if (top[0] > 200 && top[2] < 60 && bar < 0)
            bar = column;
    }
    assert_in_range(bar, 211, overlay.width);
    assert_in_range(mark, bar + 1, overlay.width);
    assert_true(pixel(&overlay, 99, bar)[2] > 100 && pixel(&overlay, 99, bar)[1] < 20);
    assert_grey(pixel(&overlay, 99, mark), 255);
    assert_grey(pixel(&overlay, 50, mark), 0);
    pd_picture_free(&overlay);
    assert_null(overlay.pixels);

    values[5] = 0; /* no evidence for pneumonia */
    check(pd_heatmap_overlay(&overlay, &map, &image));
    for (int column = 0; column < 210; column++)
        assert_grey(pixel(&overlay, 99, column), image.pixels[99 * 210 + column]);
    pd_picture_free(&overlay);
    pd_image_free(&image);
}

static void pictures_of_any_size_are_drawn(void **state)
{
    (void)state;
    static const int sizes[][2] = {{1, 1}, {1, 700}, {700, 1}, {3, 2}, {250, 40}, {64, 64}};
    float values[4] = {1, 2, 3, 1e-42f};
    const pd_heatmap map = {.height = 2, .width = 2, .values = values};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        pd_image image = make_image(sizes[i][0], sizes[i][1]);
        pd_picture picture;
        check(pd_heatmap_overlay(&picture, &map, &image));
        assert_int_equal(picture.height, image.height);
        pd_picture_free(&picture);
        check(pd_heatmap_pair(&picture, &map, &image, 128));
        assert_in_range(picture.height, 1, 128);
        assert_in_range(picture.width, 3, 2 * 128);
        if (image.width <= 100 && image.height <= 100) /* never enlarged; grey at the left */
            assert_grey(pixel(&picture, image.height - 1, image.width - 1),
                        image.pixels[image.height * image.width - 1]);
        pd_picture_free(&picture);
        pd_image_free(&image);
    }
}

static void a_png_reads_back(void **state)
{
    (void)state;
    pd_picture picture = {.height = 37, .width = 23};
    pd_image image;
    unsigned char *bytes;
    size_t size;
    check(pd_alloc(&picture.pixels, 37 * 23, 3));
    for (int i = 0; i < 37 * 23; i++)
        memset(picture.pixels + 3 * i, i * 7 % 256, 3);
    check(pd_picture_encode(&bytes, &size, &picture));
    check(pd_image_decode(&image, bytes, size));
    assert_int_equal(image.height, 37);
    assert_int_equal(image.width, 23);
    for (int i = 0; i < 37 * 23; i++)
        assert_int_equal(image.pixels[i], i * 7 % 256);
    pd_image_free(&image);
    free(bytes);

    /* The order of brightness: green is the lightest of the three, blue the darkest. */
    memset(picture.pixels, 0, 37 * 23 * 3);
    for (int i = 0; i < 3; i++)
        picture.pixels[3 * i + i] = 255;
    check(pd_picture_encode(&bytes, &size, &picture));
    check(pd_image_decode(&image, bytes, size));
    assert_true(image.pixels[1] > image.pixels[0] && image.pixels[0] > image.pixels[2]);
    assert_true(image.pixels[2] > 0 && image.pixels[3] == 0);
    pd_image_free(&image);
    free(bytes);
    pd_picture_free(&picture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(maps_equal_pytorchs),
        cmocka_unit_test(maps_disturb_nothing),
        cmocka_unit_test(what_has_no_map_says_so),
        cmocka_unit_test(the_border_is_a_tenth_of_the_side),
        cmocka_unit_test(the_overlay_shows_heat_where_it_is),
        cmocka_unit_test(pictures_of_any_size_are_drawn),
        cmocka_unit_test(a_png_reads_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
