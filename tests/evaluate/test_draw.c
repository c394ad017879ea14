#include "evaluate/draw.h"
#include "metrics/made_scores.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 600, PATIENTS = 200 };

/* Images of patients with one to five of them; some patients have both classes. */
static size_t make_samples(pd_score *samples, uint64_t number)
{
    pd_random random = pd_random_stream(5, PD_PURPOSE_TEST, 5, number);
    size_t count = 0;
    for (int32_t patient = 0; patient < PATIENTS && count + 5 < MOST; patient++) {
        int32_t positive = (int32_t)pd_random_below(&random, 2);
        bool mixed = pd_random_below(&random, 20) == 0;
        for (uint32_t i = 0, images = 1 + pd_random_below(&random, 5); i < images; i++)
            samples[count++] = (pd_score){.positive = mixed ? (int32_t)(i % 2) : positive,
                                          .patient = patient * 7 % PATIENTS};
    }
    shuffle_scores(samples, count, number);
    for (size_t i = 0; i < count; i++)
        samples[i].id = (int64_t)i;
    return count;
}

static void count_classes(int64_t counts[2], const pd_score *samples, size_t count)
{
    counts[0] = counts[1] = 0;
    for (size_t i = 0; i < count; i++)
        counts[samples[i].positive]++;
}

/* The requested number, in order, with all images of a patient or none. */
static void test_draw(void **state)
{
    (void)state;
    pd_score all[MOST], drawn[MOST], again[MOST];
    bool differs = false;
    for (uint64_t number = 0; number < 50; number++) {
        size_t count = make_samples(all, number), kept = count, kept_again = count;
        memcpy(drawn, all, sizeof all);
        memcpy(again, all, sizeof all);
        assert_int_equal(pd_draw_patients(drawn, &kept, 100, number), PD_OK);
        int64_t counts[2], images[PATIENTS] = {0}, taken[PATIENTS] = {0};
        count_classes(counts, drawn, kept);
        assert_int_equal(counts[0], 100);
        assert_int_equal(counts[1], 100);
        for (size_t i = 0; i < count; i++)
            images[all[i].patient]++;
        for (size_t i = 0; i < kept; i++) {
            assert_true(i == 0 || drawn[i].id > drawn[i - 1].id);
            taken[drawn[i].patient]++;
        }
        for (int p = 0; p < PATIENTS; p++)
            assert_true(taken[p] == 0 || taken[p] == images[p]);
        assert_int_equal(pd_draw_patients(again, &kept_again, 100, number + 1), PD_OK);
        differs = differs || memcmp(drawn, again, 20 * sizeof *drawn) != 0;
        /* All images fit and are taken. */
        count_classes(counts, all, count);
        kept_again = count;
        memcpy(again, all, sizeof all);
        if (counts[0] == counts[1]) {
            assert_int_equal(pd_draw_patients(again, &kept_again, counts[0], 1), PD_OK);
            assert_int_equal(kept_again, count);
        }
    }
    assert_true(differs);
}

static void test_draw_special(void **state)
{
    (void)state;
    pd_score samples[6] = {
        {.id = 0, .positive = 0, .patient = 1}, {.id = 1, .positive = 0, .patient = 1},
        {.id = 2, .positive = 1, .patient = 2}, {.id = 3, .positive = 1, .patient = 2},
        {.id = 4, .positive = 1, .patient = 2}, {.id = 5, .positive = 0, .patient = 3},
    };
    size_t count = 6;
    assert_int_equal(pd_draw_patients(samples, &count, 4, 1), PD_FAILED);
    assert_string_equal(pd_error_message(), "4 images of each class cannot be drawn: there are 3 "
                                            "normal and 3 pneumonia images");
    /* A patient with three images does not fit into two. */
    assert_int_equal(pd_draw_patients(samples, &count, 2, 1), PD_OK);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(samples[i].positive, 0);
}

/* Patients stay whole, parts have about equal shares of each class, and the samples outside of each
 * part have both. */
static void test_parts(void **state)
{
    (void)state;
    pd_score all[MOST];
    int part[MOST], parts;
    for (uint64_t number = 0; number < 50; number++) {
        size_t count = make_samples(all, number);
        assert_int_equal(pd_draw_parts(part, &parts, all, count, 10, number), PD_OK);
        assert_int_equal(parts, 10);
        int of_patient[PATIENTS];
        int64_t sizes[10][2] = {{0}}, totals[2];
        memset(of_patient, -1, sizeof of_patient);
        count_classes(totals, all, count);
        for (size_t i = 0; i < count; i++) {
            int *known = &of_patient[all[i].patient];
            assert_in_range(part[i], 0, 9);
            assert_true(*known == -1 || *known == part[i]);
            *known = part[i];
            sizes[part[i]][all[i].positive]++;
        }
        for (int p = 0; p < 10; p++)
            for (int label = 0; label < 2; label++)
                assert_true(llabs(sizes[p][label] - totals[label] / 10) <= 12 &&
                            sizes[p][label] < totals[label]);
    }
}

static void test_few_parts(void **state)
{
    (void)state;
    int part[8], parts;
    pd_score samples[8];
    for (int i = 0; i < 8; i++)
        samples[i] = (pd_score){.id = i, .positive = i < 5, .patient = i < 5 ? i : 5};
    /* All normal images are of one patient: cross-validation is not possible. */
    assert_int_equal(pd_draw_parts(part, &parts, samples, 8, 10, 1), PD_OK);
    assert_int_equal(parts, 1);
    samples[7].patient = 6;
    assert_int_equal(pd_draw_parts(part, &parts, samples, 8, 10, 1), PD_OK);
    assert_int_equal(parts, 2);
    assert_true(part[5] == part[6] && part[5] != part[7]);
    assert_int_equal(pd_draw_parts(part, &parts, samples, 5, 10, 1), PD_OK);
    assert_int_equal(parts, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_draw),
        cmocka_unit_test(test_draw_special),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_few_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
