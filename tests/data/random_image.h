/* An image of random greys that tests of views share. */
#ifndef TESTS_DATA_RANDOM_IMAGE_H
#define TESTS_DATA_RANDOM_IMAGE_H

#include "pneumo/base/random.h"

#include <stdint.h>

enum { SIDE = 32 };

static uint8_t image[SIDE * SIDE];
static float scratch[3 * SIDE * SIDE];

static int fill(void **state)
{
    (void)state;
    pd_random random = pd_random_stream(5, PD_PURPOSE_TEST, 0, 0);
    for (int i = 0; i < SIDE * SIDE; i++)
        image[i] = (uint8_t)pd_random_below(&random, 256);
    return 0;
}

#endif
