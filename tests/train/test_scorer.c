/* Scoring with several views: which they are, and that probabilities come from their mean. */
#include "pneumo/base/random.h"
#include "pneumo/train/inference.h"
#include "pneumo/train/scorer.h"
#include "pneumo/train/setup.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SIDE = 20, PIXELS = SIDE * SIDE, IMAGES = 3 };

static uint8_t images[IMAGES][PIXELS];
static float kernel[PIXELS];
static pd_network *network;
static pd_input input;

/* A network of one weight per pixel, which distinguishes sides and edges. */
static int set_up(void **state)
{
    (void)state;
    pd_job job;
    const pd_dataset_info info = {.height = SIDE, .width = SIDE, .mean = 120, .deviation = 50};
    const pd_plan plan = {.lanes = 1, .lane_samples = IMAGES, .total_lanes = 1, .threads = 2};
    pd_random random = pd_random_stream(1, PD_PURPOSE_TEST, 0, 0);
    const char text[] = "[data]\nsize = 20\n[model]\nname = dense1\n";
    assert_int_equal(pd_job_parse(&job, "views.ini", text, NULL, 0), PD_OK);
    assert_int_equal(pd_setup_network(&network, &input, &job, &info), PD_OK);
    assert_int_equal(pd_network_plan(network, &plan, 0, false), PD_OK);
    for (int p = 0; p < PIXELS; p++)
        kernel[p] = pd_random_between(&random, -0.1f, 0.1f);
    for (int i = 0; i < IMAGES; i++)
        for (int p = 0; p < PIXELS; p++)
            images[i][p] = (uint8_t)pd_random_below(&random, 256);
    memcpy(pd_network_tensor(network, 0)->param->value, kernel, sizeof kernel);
    pd_network_tensor(network, 1)->param->value[0] = 0;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pd_network_destroy(&network);
    return 0;
}

/* The grey value of the image at (x, y) in pixels, whose centres are integers; beyond the edge that
 * of the nearest pixel. */
static double grey(const uint8_t *image, double x, double y)
{
    x = fmin(fmax(x, 0), SIDE - 1);
    y = fmin(fmax(y, 0), SIDE - 1);
    int left = (int)x, top = (int)y;
    int right = left + 1 < SIDE ? left + 1 : left, bottom = top + 1 < SIDE ? top + 1 : top;
    double fx = x - left, fy = y - top;
    return (1 - fy) * ((1 - fx) * image[top * SIDE + left] + fx * image[top * SIDE + right]) +
           fy * ((1 - fx) * image[bottom * SIDE + left] + fx * image[bottom * SIDE + right]);
}

/* The logit of the field of that width and height around the centre of the image, sampled at 2 x 2
 * points per pixel if the field is reduced. */
static double logit_by_hand(const uint8_t *image, double field, bool mirror)
{
    double sum = 0, middle = (SIDE - 1) / 2.0;
    int points = field > 1 ? 2 : 1;
    for (int p = 0; p < PIXELS; p++) {
        double mean = 0;
        for (int i = 0; i < points * points; i++) {
            double x = p % SIDE + (i % points + 0.5) / points - 0.5;
            double y = p / SIDE + (i / points + 0.5) / points - 0.5;
            x = mirror ? SIDE - 1 - x : x;
            mean += grey(image, middle + field * (x - middle), middle + field * (y - middle));
        }
        sum += (double)kernel[p] * (mean / (points * points) - 120) / 50;
    }
    return sum;
}

static void views_are_those_documented(void **state)
{
    (void)state;
    const double fields[PD_VIEWS_MAX] = {1, 1, 0.9, 0.9, 1.1, 1.1};
    const uint8_t *pixels[IMAGES] = {images[0], images[1], images[2]};
    for (int views = 1; views <= PD_VIEWS_MAX; views++) {
        pd_inference inference = {.network = network,
                                  .task = &pd_tasks[PD_TASK_PNEUMONIA],
                                  .input = input,
                                  .views = views,
                                  .threads = 2};
        pd_score scores[IMAGES] = {0};
        assert_int_equal(pd_inference_prepare(&inference, IMAGES), PD_OK);
        assert_int_equal(pd_inference_run(&inference, pixels, IMAGES, scores), PD_OK);
        for (int i = 0; i < IMAGES; i++) {
            double mean = 0;
            for (int v = 0; v < PD_VIEWS_MAX; v++) {
                double expected = logit_by_hand(images[i], fields[v], v % 2 == 1);
                mean += v < views ? expected / views : 0;
                if (v < views ? !(fabs(scores[i].views[v] - expected) < 2e-4)
                              : !isnan(scores[i].views[v]))
                    fail_msg("view %d of %d: %g instead of %g", v, views, scores[i].views[v],
                             expected);
            }
            assert_true(scores[i].logit == scores[i].views[0]);
            assert_int_equal(scores[i].predicted, scores[i].logit >= 0);
            assert_true(fabs(pd_score_logit(&scores[i], views) - mean) < 2e-4);
            pd_scores_decide(&scores[i], 1, 1.7, views);
            assert_true(fabs(scores[i].probability - 1 / (1 + exp(-mean / 1.7))) < 1e-4);
        }
        pd_inference_free(&inference);
    }
}

/* The views differ; otherwise the test above could not distinguish them. */
static void views_differ(void **state)
{
    (void)state;
    double plain = logit_by_hand(images[0], 1, false);
    assert_true(fabs(plain - logit_by_hand(images[0], 1, true)) > 0.01);
    assert_true(fabs(plain - logit_by_hand(images[0], 0.9, false)) > 0.01);
    assert_true(fabs(plain - logit_by_hand(images[0], 1.1, false)) > 0.01);
}

static void choices_need_so_many_views(void **state)
{
    (void)state;
    assert_int_equal(pd_views_count(PD_VIEWS_PLAIN), 1);
    assert_int_equal(pd_views_count(PD_VIEWS_MIRROR), 2);
    assert_int_equal(pd_views_count(PD_VIEWS_ZOOM), PD_VIEWS_MAX);
    assert_int_equal(pd_views_count(PD_VIEWS_AUTO), PD_VIEWS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(views_are_those_documented),
        cmocka_unit_test(views_differ),
        cmocka_unit_test(choices_need_so_many_views),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
