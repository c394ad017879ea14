#include "network_internal.h"

#include "pneumo/base/random.h"

#include <math.h>

static void initialise_tensor(const pd_tensor *tensor, pd_random random)
{
    const pd_param *param = tensor->param;
    pd_init init = param->init;
    if (init == PD_INIT_DEFAULT)
        init = tensor->layer->spec.relu ? PD_INIT_HE_NORMAL : PD_INIT_GLOROT_UNIFORM;
    double he = sqrt(2.0 / param->fan_in);
    double glorot = sqrt(2.0 / (param->fan_in + param->fan_out));
    bool is_he = init == PD_INIT_HE_NORMAL || init == PD_INIT_HE_UNIFORM;
    float deviation = (float)(is_he ? he : glorot);
    float limit = deviation * sqrtf(3.0f); /* uniform in [-limit, limit) has that deviation */
    for (size_t i = 0; i < tensor->size; i++) {
        switch (init) {
        case PD_INIT_ZEROS:
            param->value[i] = 0;
            break;
        case PD_INIT_ONES:
            param->value[i] = 1;
            break;
        case PD_INIT_HE_UNIFORM:
        case PD_INIT_GLOROT_UNIFORM:
            param->value[i] = pd_random_between(&random, -limit, limit);
            break;
        default:
            param->value[i] = deviation * pd_random_normal(&random);
            break;
        }
    }
}

void pd_network_initialise(pd_network *network, uint64_t seed)
{
    for (int i = 0; i < network->tensor_count; i++)
        initialise_tensor(&network->tensors[i],
                          pd_random_stream(seed, PD_PURPOSE_INIT, (uint32_t)i, 0));
}
