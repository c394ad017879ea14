#include "pneumo/train/benchmark.h"

#include "pneumo/base/clock.h"
#include "pneumo/base/random.h"

#include <math.h>

/* Small enough that no job diverges on random labels. */
static const double learning_rate = 1e-6;

void pd_benchmark_fill(pd_step *step)
{
    int first = pd_comm_first_lane(step->comm) * step->lane_samples;
    for (int i = 0; i < step->samples; i++) {
        pd_random random =
            pd_random_stream(step->job->seed, PD_PURPOSE_TEST, 0, (uint64_t)first + (uint64_t)i);
        for (size_t j = 0; j < step->sample_floats; j++)
            step->x[(size_t)i * step->sample_floats + j] = pd_random_normal(&random);
        step->labels[i] = (first + i) % step->task->classes;
        step->targets[i] = (float)step->labels[i];
        step->weights[i] = 1;
    }
}

pd_status pd_benchmark_step(pd_step *step, int number, pd_layer_times *times, double *seconds)
{
    double loss, norm;
    pd_comm_set_position(step->comm, "step %d", number + 1);
    pd_network_profile(step->network, times);
    double start = pd_clock_now();
    pd_status status = pd_step_take(step, number, learning_rate, &loss, &norm);
    double own = pd_clock_now() - start;
    if (status != PD_OK)
        return status;
    if (!isfinite(loss) || !isfinite(norm))
        return pd_fail("step %d: the loss or its gradient is not finite: the job's "
                       "initial weights do not suit its network",
                       number + 1);
    /* Synchronises the ranks before the next step. */
    return pd_comm_max(step->comm, own, seconds);
}
