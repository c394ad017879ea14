#include "network_slices.h"

#include "pneumo/base/memory.h"
#include "pneumo/base/number.h"

#include <stdlib.h>
#include <string.h>

/* Samples of a slice: one, so that its activations fit in a core's cache, unless each slice
 * prepares its layers anew, which costs more than the cache gains. Measured with cnn-deep,
 * Xception, VGG16. */
enum { SAMPLES_SHARED = 1, SAMPLES_ALONE = 2 };

static const size_t slices_bytes_max = (size_t)2 << 30;

/* --- Planning --- */

static pd_status plan_slice(pd_network **out, const pd_network *network, int samples)
{
    const pd_plan plan = {.lanes = 1, .lane_samples = samples, .total_lanes = 1, .threads = 1};
    pd_status status = pd_network_copy(out, network);
    return status == PD_OK ? pd_network_plan_slice(*out, &plan) : status;
}

/* Plans the first slice, and decides how many samples a slice has, at most `most`. */
static pd_status plan_first(pd_slices *slices, const pd_network *network, int most)
{
    pd_network **slice = &slices->networks[0];
    slices->each = SAMPLES_SHARED;
    pd_status status = plan_slice(slice, network, slices->each);
    if (status != PD_OK)
        return status;
    if ((*slice)->is_given_prepared)
        slices->shared = pd_slices_shared_floats(*slice);
    if ((*slice)->is_given_prepared || most < SAMPLES_ALONE)
        return PD_OK;
    pd_network_destroy(slice);
    slices->each = SAMPLES_ALONE;
    return plan_slice(slice, network, slices->each);
}

pd_status pd_slices_plan(pd_network *network, const pd_plan *plan)
{
    pd_status status = PD_OK;
    pd_slices *slices = &network->slices;
    int samples = plan->lanes * plan->lane_samples;
    slices->samples = samples;
    slices->count = samples < plan->threads ? samples : plan->threads;
    PD_TRY(pd_alloc(&slices->networks, (size_t)slices->count, sizeof *slices->networks));
    PD_TRY(plan_first(slices, network, pd_divide_up(samples, plan->threads)));
    if (pd_slices_bytes(slices) > slices_bytes_max)
        pd_slices_destroy(slices);
    for (int i = 1; i < slices->count; i++)
        PD_TRY(plan_slice(&slices->networks[i], network, slices->each));
cleanup:
    return status;
}

void pd_slices_destroy(pd_slices *slices)
{
    for (int i = 0; i < slices->count && slices->networks != NULL; i++)
        pd_network_destroy(&slices->networks[i]);
    free(slices->networks);
    free(slices->y);
    *slices = (pd_slices){0};
}

/* Floats that a layer prepares, rounded up to whole cache lines. */
static size_t shared_floats(const pd_node *node)
{
    const size_t line = 64 / sizeof(float);
    return (node->layer.prepared_floats + line - 1) / line * line;
}

size_t pd_slices_shared_floats(const pd_network *slice)
{
    size_t floats = 0;
    for (int i = 0; i < slice->count; i++)
        floats += shared_floats(&slice->nodes[i]);
    return floats;
}

size_t pd_slices_bytes(const pd_slices *slices)
{
    if (slices->count == 0)
        return 0;
    return (size_t)slices->count * pd_arena_bytes(slices->networks[0]->arena) +
           slices->shared * sizeof(float);
}

/* Points the nodes of a slice to what layers prepare. */
static void find_shared(pd_network *slice, float *shared)
{
    for (int i = 0; i < slice->count && slice->is_given_prepared; i++) {
        pd_node *node = &slice->nodes[i];
        node->shared = node->layer.type->prepare != NULL ? shared : NULL;
        shared += shared_floats(node);
    }
}

/* In the arena, what layers prepare comes first. */
pd_status pd_slices_place(pd_network *network)
{
    pd_slices *slices = &network->slices;
    for (int i = 0; i < slices->count; i++) {
        pd_network *slice = slices->networks[i];
        size_t offset = slices->shared * sizeof(float) + (size_t)i * pd_arena_bytes(slice->arena);
        pd_status status = pd_network_place_slice(slice, network, offset);
        if (status != PD_OK)
            return status;
        find_shared(slice, pd_arena_block(network->arena));
    }
    if (slices->count == 0)
        return PD_OK;
    return pd_alloc(&slices->y, (size_t)slices->samples * pd_shape_size(pd_network_output(network)),
                    sizeof *slices->y);
}

/* --- Forward --- */

bool pd_slices_take(const pd_network *network, const pd_exec *exec)
{
    return network->slices.count > 0 && !exec->training && !exec->keeps &&
           pd_exec_samples(exec) >= exec->threads;
}

/* The first layer whose output was not finite, in any slice. */
static void collect_bad_output(pd_network *network)
{
    for (int i = 0; i < network->slices.count; i++) {
        int bad = network->slices.networks[i]->bad_output;
        if (bad >= 0 && (network->bad_output < 0 || bad < network->bad_output))
            network->bad_output = bad;
    }
}

/* One forward of all samples. */
typedef struct sliced_forward {
    const pd_network *network;
    const pd_exec *exec;
    const float *x;
    int samples, each;
    pd_failure failure; /* of a slice */
} sliced_forward;

/* Prepares what all slices share of a layer. */
static void prepare_layer(void *context, int index, int worker)
{
    const sliced_forward *of = context;
    const pd_node *node = &of->network->slices.networks[0]->nodes[index];
    (void)worker;
    if (node->shared != NULL)
        node->layer.type->prepare(&node->layer, 1, node->shared);
}

/* Takes the samples of slice `index` through a network. */
static void forward_slice(void *context, int index, int worker)
{
    sliced_forward *of = context;
    const pd_network *network = of->network;
    size_t out = pd_shape_size(pd_network_output(network)), in = pd_shape_size(network->input);
    int first = index * of->each, left = of->samples - first;
    int count = left < of->each ? left : of->each;
    pd_exec own = *of->exec;
    const float *y;
    own.lanes = 1;
    own.lane_samples = count;
    own.threads = 1;
    pd_status status =
        pd_network_forward(network->slices.networks[worker], &own, of->x + (size_t)first * in, &y);
    if (status == PD_OK) {
        memcpy(network->slices.y + (size_t)first * out, y, (size_t)count * out * sizeof *y);
        return;
    }
    pd_failure_keep(&of->failure, status);
}

pd_status pd_slices_forward(pd_network *network, const pd_exec *exec, const float *x,
                            const float **y)
{
    pd_slices *slices = &network->slices;
    int samples = pd_exec_samples(exec), fair = pd_divide_up(samples, exec->threads);
    int threads = exec->threads < slices->count ? exec->threads : slices->count;
    sliced_forward of = {.network = network,
                         .exec = exec,
                         .x = x,
                         .samples = samples,
                         .each = fair < slices->each ? fair : slices->each};
    for (int i = 0; i < slices->count; i++)
        pd_network_check_finite(slices->networks[i], network->checks_finite);
    pd_crew_run(exec->crew, threads, network->count, prepare_layer, &of);
    pd_crew_run(exec->crew, threads, pd_divide_up(samples, of.each), forward_slice, &of);
    pd_status status = pd_failure_return(&of.failure);
    if (status != PD_OK)
        return status;
    collect_bad_output(network);
    *y = slices->y;
    return PD_OK;
}
