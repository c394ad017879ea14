/* Shared by the tests of figures of merit: made-up scores, and comparing numbers. */
#ifndef TESTS_EVALUATE_MADE_SCORES_H
#define TESTS_EVALUATE_MADE_SCORES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pneumo/base/random.h"
#include "pneumo/metrics/scores.h"

#include <math.h>

/* A pd_score with the fields that figures of merit use: id, probability, truth; each of a patient
 * of its own. */
#define SCORE(i, p, y)                                                                             \
    {                                                                                              \
        .id = (i), .patient = (int32_t)(i), .probability = (p), .positive = (y)                    \
    }

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static inline void check_close(const char *what, double value, double expected, double tolerance)
{
    if (isnan(expected) ? !isnan(value)
                        : value != expected && !(fabs(value - expected) <= tolerance))
        fail_msg("%s is %.17g, expected %.17g", what, value, expected);
}

/* Between 2 and `most` scores of both classes. Few levels make many ties within and between them.
 */
static inline size_t make_scores(pd_score *scores, uint64_t number, size_t most, uint32_t levels)
{
    pd_random random = pd_random_stream(1, PD_PURPOSE_TEST, 1, number);
    size_t count = 2 + pd_random_below(&random, (uint32_t)most - 1);
    for (size_t i = 0; i < count; i++) {
        /* The first two make sure that both classes occur. */
        int32_t positive = i < 2 ? (int32_t)i : (int32_t)pd_random_below(&random, 2);
        uint32_t level = pd_random_below(&random, levels) + (uint32_t)positive;
        scores[i] = (pd_score)SCORE((int64_t)i, (double)level / levels, positive);
    }
    return count;
}

/* Another order of the same scores. */
static inline void shuffle_scores(pd_score *scores, size_t count, uint64_t number)
{
    pd_random random = pd_random_stream(2, PD_PURPOSE_TEST, 2, number);
    for (size_t i = count; i > 1; i--) {
        size_t j = pd_random_below(&random, (uint32_t)i);
        pd_score score = scores[i - 1];
        scores[i - 1] = scores[j];
        scores[j] = score;
    }
}

#endif
