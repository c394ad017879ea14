/* How well shapes separate the classes, compared with counting all pairs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pneumo/base/random.h"
#include "pneumo/data/shape.h"

#include <math.h>
#include <stdlib.h>

enum { MOST = 60 };

static pd_sample make_sample(pd_label label, int height, int width)
{
    return (pd_sample){.label = label, .height = (uint16_t)height, .width = (uint16_t)width};
}

static pd_shapes compare(const pd_sample *samples, int64_t count)
{
    pd_shapes shapes;
    assert_int_equal(pd_shapes_compare(&shapes, samples, count), PD_OK);
    return shapes;
}

/* The fraction of pairs in which the pneumonia image has the higher value. */
static double count_pairs(pd_shape_measure measure, const pd_sample *samples, int count)
{
    double wins = 0, pairs = 0;
    for (int i = 0; i < count; i++) {
        for (int j = 0; j < count; j++) {
            if (samples[i].label != PD_PNEUMONIA || samples[j].label != PD_NORMAL)
                continue;
            double a = pd_shape_value(measure, &samples[i]);
            double b = pd_shape_value(measure, &samples[j]);
            wins += a > b ? 1 : a == b ? 0.5 : 0;
            pairs++;
        }
    }
    return wins / pairs;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median_of(pd_shape_measure measure, pd_label label, const pd_sample *samples,
                        int count)
{
    double values[MOST];
    int members = 0;
    for (int i = 0; i < count; i++)
        if (samples[i].label == label)
            values[members++] = pd_shape_value(measure, &samples[i]);
    qsort(values, (size_t)members, sizeof *values, compare_doubles);
    return members % 2 ? values[members / 2] : (values[members / 2 - 1] + values[members / 2]) / 2;
}

/* Few different sides give many ties, also between shapes such as 10 x 20 and 20 x 40. */
static void test_against_all_pairs(void **state)
{
    (void)state;
    pd_sample samples[MOST];
    int higher[PD_LABELS] = {0};
    for (uint64_t number = 0; number < 300; number++) {
        pd_random random = pd_random_stream(3, PD_PURPOSE_TEST, 3, number);
        int count = 3 + (int)pd_random_below(&random, MOST - 2);
        for (int i = 0; i < count; i++)
            samples[i] = make_sample(i < 2 ? (pd_label)i : (pd_label)pd_random_below(&random, 2),
                                     10 + 10 * (int)pd_random_below(&random, 4),
                                     i ? 10 + 10 * (int)pd_random_below(&random, 4) : 15);
        samples[1].width = 20; /* not all the same */
        pd_shapes shapes = compare(samples, count);
        assert_true(shapes.known && !shapes.same);
        for (int measure = 0; measure < PD_SHAPE_MEASURES; measure++) {
            const pd_shape_separation *s = &shapes.separations[measure];
            double auc = count_pairs((pd_shape_measure)measure, samples, count);
            assert_true(fabs(s->auc - fmax(auc, 1 - auc)) < 1e-15);
            assert_int_equal(s->higher, auc > 0.5 ? PD_PNEUMONIA : PD_NORMAL);
            higher[s->higher]++;
            for (int label = 0; label < PD_LABELS; label++)
                assert_true(s->medians[label] ==
                            median_of((pd_shape_measure)measure, (pd_label)label, samples, count));
        }
    }
    assert_true(higher[PD_NORMAL] > 100 && higher[PD_PNEUMONIA] > 100);
}

/* Neither an insignificant difference nor a significant but small one is a shortcut. Newcombe's
 * lower limit is 0.582 for 4 + 4 fully separated images and 0.642 for 5 + 5. */
static void test_shortcuts(void **state)
{
    (void)state;
    const struct {
        int images, normal_width, pneumonia_width, every;
        bool is_shortcut;
    } cases[] = {
        {4, 10, 20, 1, false},   {5, 10, 20, 1, true},
        {5, 20, 10, 1, true},    {3000, 10, 20, 6, false}, /* AUC 1/2 + 1/12 */
        {3000, 10, 20, 4, true},                           /* AUC 1/2 + 1/8 */
        {30, 10, 20, 4, false},                            /* the same with few images */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int count = 2 * cases[i].images;
        pd_sample *samples = calloc((size_t)count, sizeof *samples);
        assert_non_null(samples);
        /* One in `every` pneumonia images has a different width. */
        for (int j = 0; j < count; j++)
            samples[j] = make_sample(j % 2 ? PD_PNEUMONIA : PD_NORMAL, 10,
                                     j % 2 && j / 2 % cases[i].every == 0 ? cases[i].pneumonia_width
                                                                          : cases[i].normal_width);
        pd_shapes shapes = compare(samples, count);
        for (int measure = 0; measure < PD_SHAPE_MEASURES; measure++)
            assert_int_equal(shapes.separations[measure].is_shortcut, cases[i].is_shortcut);
        free(samples);
    }
}

static void test_nothing_to_compare(void **state)
{
    (void)state;
    pd_sample samples[3] = {make_sample(PD_NORMAL, 30, 40), make_sample(PD_PNEUMONIA, 30, 40),
                            make_sample(PD_NORMAL, 30, 40)};
    pd_shapes shapes = compare(samples, 3);
    assert_true(shapes.known && shapes.same);
    assert_int_equal(shapes.height, 30);
    assert_int_equal(shapes.width, 40);
    samples[2].width = 30;
    assert_true(compare(samples, 3).known && !compare(samples, 3).same);
    samples[1].label = PD_NORMAL;
    assert_false(compare(samples, 3).known);
    samples[1].label = PD_PNEUMONIA;
    samples[2].height = samples[2].width = 0;
    assert_false(compare(samples, 3).known);
    assert_false(compare(samples, 0).known);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_all_pairs),
        cmocka_unit_test(test_shortcuts),
        cmocka_unit_test(test_nothing_to_compare),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
