/* Weights for tests of whole networks that do not depend on an initialisation. */
#ifndef PNEUMO_TESTS_GOLDEN_HASHED_WEIGHTS_H
#define PNEUMO_TESTS_GOLDEN_HASHED_WEIGHTS_H

#include "golden/hashed.h"
#include "pneumo/nn/network.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

/* Sets all weights and moving statistics of a planned network. */
static inline void fill_weights(pd_network *net)
{
    for (int i = 0; i < pd_network_tensor_count(net); i++) {
        const pd_tensor *tensor = pd_network_tensor(net, i);
        const pd_param *param = tensor->param;
        bool around_one =
            strcmp(param->name, "gamma") == 0 || strcmp(param->name, "moving_variance") == 0;
        float scale = param->decays ? (float)sqrt(6.0 / (double)param->fan_in) : 0.25f;
        hashed(param->value, tensor->size, (uint32_t)i + 1);
        for (size_t j = 0; j < tensor->size; j++)
            param->value[j] = (around_one ? 1.0f : 0.0f) + param->value[j] * scale;
    }
}

#endif
