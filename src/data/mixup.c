#include "pneumo/data/mixup.h"

#include "pneumo/base/random.h"

#include <math.h>

/* Beta(alpha, alpha) by Johnk's method (Metrika 8, 5-15, 1964). */
static float draw_beta(pd_random *random, double alpha)
{
    for (;;) {
        double u = (double)pd_random_uniform(random), v = (double)pd_random_uniform(random);
        double x = pow(u, 1 / alpha), y = pow(v, 1 / alpha);
        if (x + y > 0 && x + y <= 1)
            return (float)(x / (x + y));
        /* Both powers underflow: the larger one dominates. */
        if (x + y <= 0 && u != v)
            return u > v ? 1 : 0;
    }
}

void pd_mixup_draw(pd_mixup_pair *pairs, int64_t *order, int count, double alpha, uint64_t seed,
                   int64_t step, int lane)
{
    pd_random random = pd_random_stream(seed, PD_PURPOSE_MIXUP, (uint32_t)lane, (uint64_t)step);
    for (int i = 0; i < count; i++)
        order[i] = i;
    pd_random_shuffle(&random, order, (size_t)count);
    for (int i = 0; i < count / 2; i++) {
        float share = draw_beta(&random, alpha);
        pairs[i] = (pd_mixup_pair){.a = (int)order[(ptrdiff_t)2 * i],
                                   .b = (int)order[(ptrdiff_t)2 * i + 1],
                                   .share = share < 0.5f ? 1 - share : share};
    }
}

void pd_mixup_blend(float *a, float *b, int64_t size, float share)
{
    for (int64_t i = 0; i < size; i++) {
        float x = a[i], y = b[i];
        a[i] = share * x + (1 - share) * y;
        b[i] = share * y + (1 - share) * x;
    }
}

void pd_mixup_blend_targets(pd_mixup_target a, pd_mixup_target b, float share)
{
    float total_a = *a.target * *a.weight, total_b = *b.target * *b.weight;
    pd_mixup_blend(&total_a, &total_b, 1, share);
    pd_mixup_blend(a.weight, b.weight, 1, share);
    *a.target = total_a / *a.weight;
    *b.target = total_b / *b.weight;
}
