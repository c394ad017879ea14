/* Weights that even out shape and size of the classes, compared with a slow reference. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pneumo/base/random.h"
#include "pneumo/data/shape_weights.h"

#include <math.h>
#include <string.h>

enum { COUNT = 900, CLASSES = 3 };

static pd_sample samples[COUNT];
static int64_t ids[COUNT];
static int32_t classes[COUNT];
static double weights[COUNT];

/* The sum of three uniform numbers, from 0 to 3: like real shapes, most are near the middle. */
static double draw_bell(pd_random *random)
{
    double sum = 0;
    for (int i = 0; i < 3; i++)
        sum += (double)pd_random_uniform(random);
    return sum;
}

/* Images of which pneumonias are wider and smaller, as in the public data; two causes. */
static void draw(uint64_t seed, double difference)
{
    pd_random random = pd_random_stream(seed, PD_PURPOSE_TEST, 0, 0);
    for (int i = 0; i < COUNT; i++) {
        bool ill = i % 4 != 0;
        double aspect = 1.1 + (ill ? difference : 0) + 0.3 * draw_bell(&random);
        double height = 700 - (ill ? 1600 * difference : 0) + 400 * draw_bell(&random);
        samples[i] = (pd_sample){.label = ill ? PD_PNEUMONIA : PD_NORMAL,
                                 .height = (uint16_t)height,
                                 .width = (uint16_t)(height * aspect)};
        ids[i] = i;
        classes[i] = ill ? 1 + i % 2 : 0;
    }
}

static pd_shape_balance set(int class_count)
{
    pd_shape_balance balance;
    assert_int_equal(
        pd_shape_weights_set(weights, &balance, samples, ids, classes, COUNT, class_count), PD_OK);
    return balance;
}

/* The weighted fraction of pairs in which the pneumonia image has the higher value, folded. */
static double count_pairs(pd_shape_measure measure, bool weighted)
{
    double wins = 0, pairs = 0;
    for (int i = 0; i < COUNT; i++)
        for (int j = 0; j < COUNT; j++) {
            if (samples[i].label != PD_PNEUMONIA || samples[j].label != PD_NORMAL)
                continue;
            double a = pd_shape_value(measure, &samples[i]);
            double b = pd_shape_value(measure, &samples[j]);
            double weight = weighted ? weights[i] * weights[j] : 1;
            wins += weight * (a > b ? 1 : a == b ? 0.5 : 0);
            pairs += weight;
        }
    return fmax(wins / pairs, 1 - wins / pairs);
}

static void shapes_no_longer_tell_the_classes_apart(void **state)
{
    (void)state;
    draw(1, 0.1);
    pd_shape_balance balance = set(CLASSES);
    assert_true(balance.applies);
    for (int measure = 0; measure < PD_SHAPE_MEASURES; measure++) {
        double before = count_pairs((pd_shape_measure)measure, false);
        double after = count_pairs((pd_shape_measure)measure, true);
        assert_true(fabs(before - balance.before[measure]) < 1e-9);
        assert_true(fabs(after - balance.after[measure]) < 1e-9);
        assert_true(before > 0.6 && after - 0.5 < (before - 0.5) / 3);
    }
}

/* The share of the class's weight below each class-balanced quantile is that quantile, where no
 * weight reaches a limit. */
static void classes_have_the_mean_distribution(void **state)
{
    (void)state;
    draw(2, 0.05);
    set(CLASSES);
    double sums[CLASSES] = {0}, counts[CLASSES] = {0};
    for (int i = 0; i < COUNT; i++) {
        sums[classes[i]] += weights[i];
        counts[classes[i]]++;
        assert_true(weights[i] > PD_SHAPE_WEIGHT_LEAST && weights[i] < PD_SHAPE_WEIGHT_MOST);
    }
    for (int label = 0; label < CLASSES; label++)
        assert_true(fabs(sums[label] / counts[label] - 1) < 1e-9);
    for (int i = 0; i < COUNT; i += 50) { /* at the aspect of image i */
        double below[CLASSES] = {0}, plain[CLASSES] = {0},
               limit = pd_shape_value(PD_SHAPE_ASPECT, &samples[i]);
        for (int j = 0; j < COUNT; j++)
            if (pd_shape_value(PD_SHAPE_ASPECT, &samples[j]) < limit) {
                below[classes[j]] += weights[j] / sums[classes[j]];
                plain[classes[j]] += 1 / counts[classes[j]];
            }
        double mean = (plain[0] + plain[1] + plain[2]) / CLASSES;
        /* Within a bin of a fifth, shapes may differ. */
        for (int label = 0; label < CLASSES; label++)
            assert_true(fabs(below[label] - mean) < 0.06);
    }
}

/* Few images never stand for a class, even if the shapes tell the classes apart completely. */
static void weights_are_limited(void **state)
{
    (void)state;
    draw(3, 0.45);
    set(CLASSES);
    double least = 1e9, most = 0, sum = 0;
    for (int i = 0; i < COUNT; i++) {
        least = fmin(least, weights[i]);
        most = fmax(most, weights[i]);
        sum += weights[i];
        assert_true(isfinite(weights[i]) && weights[i] > 0);
    }
    assert_true(most / least <= PD_SHAPE_WEIGHT_MOST / PD_SHAPE_WEIGHT_LEAST * 3);
    assert_true(fabs(sum - COUNT) < 1e-6);
}

static void one_shape_or_none_does_not_apply(void **state)
{
    (void)state;
    draw(4, 0.1);
    samples[17].height = 0;
    assert_false(set(CLASSES).applies);
    for (int i = 0; i < COUNT; i++)
        samples[i].height = samples[i].width = 224;
    assert_false(set(CLASSES).applies);
    samples[3].width = 225;
    assert_true(set(CLASSES).applies);
}

/* A subset of the samples, in another order: as if only these existed. */
static void only_the_given_samples_count(void **state)
{
    (void)state;
    draw(5, 0.15);
    set(CLASSES);
    static double all[COUNT];
    memcpy(all, weights, sizeof all);
    for (int i = 0; i < COUNT; i++) {
        ids[i] = COUNT - 1 - i;
        classes[i] = samples[ids[i]].label == PD_NORMAL ? 0 : 1 + (int32_t)(ids[i] % 2);
    }
    set(CLASSES);
    for (int i = 0; i < COUNT; i++)
        assert_true(fabs(weights[i] - all[COUNT - 1 - i]) < 1e-9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes_no_longer_tell_the_classes_apart),
        cmocka_unit_test(classes_have_the_mean_distribution),
        cmocka_unit_test(weights_are_limited),
        cmocka_unit_test(one_shape_or_none_does_not_apply),
        cmocka_unit_test(only_the_given_samples_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
