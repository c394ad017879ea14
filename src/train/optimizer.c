#include "pneumo/train/optimizer.h"

#include "optimizer_update.h"
#include "pneumo/base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Work is split into blocks of at most this many floats. Sums are taken per block and then over
 * blocks in order, so that bits depend on neither the number of threads nor their timing. */
enum { BLOCK = 16384 };

typedef struct block {
    size_t offset; /* in the trained weights */
    int count;
    bool decays;    /* L1, L2 and weight decay apply */
    bool has_start; /* L2-SP applies */
    double rate;    /* factor on the learning rate */
    int64_t since;  /* the step from which the weights are trained */
} block;

/* Vectors hold the trained weights or state, which follow those of frozen layers. */
struct pd_optimizer {
    pd_optimizer_spec spec;
    size_t first, count; /* of the trained weights */
    size_t first_state, state_count;
    float *weights, *state; /* the network's, from the first trained ones on */
    float *momentum;        /* [count]; NULL if the kind has no such slot */
    float *mean, *variance; /* [count]; likewise */
    float *ema, *ema_state; /* [count], [state_count]; NULL without a moving average */
    float *start;           /* [start_count]; NULL without L2-SP */
    size_t start_count;
    size_t late_states;        /* number of first states that were frozen in the first stage */
    int64_t late_states_since; /* step from which these are averaged */
    block *blocks;
    int block_count;
    double *partials; /* [block_count] */
};

/* Appends blocks such as `like` for the floats of a tensor; with `blocks` NULL only counts them. */
static int cut_blocks(block *blocks, int used, const block *like, size_t count)
{
    for (size_t done = 0; done < count; done += BLOCK, used++) {
        size_t left = count - done;
        if (blocks == NULL)
            continue;
        blocks[used] = *like;
        blocks[used].offset += done;
        blocks[used].count = left < BLOCK ? (int)left : BLOCK;
    }
    return used;
}

/* Cuts the trained tensors into blocks; no block spans two tensors. groups[layers] are those of
 * pd_network_groups. */
static int cut_network(block *blocks, const pd_optimizer_spec *spec, const pd_network *network,
                       const int *groups)
{
    int used = 0;
    size_t first = pd_network_frozen(network).weights;
    for (int i = 0; i < pd_network_tensor_count(network); i++) {
        const pd_tensor *tensor = pd_network_tensor(network, i);
        const pd_param *param = tensor->param;
        if (!param->trainable || tensor->layer->frozen)
            continue;
        int group = groups[tensor->layer->index];
        block like = {.offset = tensor->offset - first,
                      .decays = param->decays,
                      .has_start = param->decays && group > 0 && spec->l2_sp > 0,
                      .rate = 1};
        for (int j = 0; j < group; j++)
            like.rate *= spec->rate_decay;
        used = cut_blocks(blocks, used, &like, tensor->size);
    }
    return used;
}

static pd_status make_blocks(pd_optimizer *optimizer, const pd_network *network)
{
    pd_status status = PD_OK;
    int *groups = NULL;
    PD_TRY(pd_alloc(&groups, (size_t)pd_network_layer_count(network), sizeof *groups));
    pd_network_groups(network, groups);
    optimizer->block_count = cut_network(NULL, &optimizer->spec, network, groups);
    PD_TRY(pd_alloc(&optimizer->blocks, (size_t)optimizer->block_count, sizeof(block)));
    cut_network(optimizer->blocks, &optimizer->spec, network, groups);
    PD_TRY(pd_alloc(&optimizer->partials, (size_t)optimizer->block_count, sizeof(double)));
cleanup:
    free(groups);
    return status;
}

/* Trained weights below the head, to which L2-SP applies. */
static size_t count_start(const pd_optimizer_spec *spec, const pd_network *network)
{
    const pd_layer *head = pd_network_layer(network, pd_network_head(network));
    size_t count = 0;
    for (int i = 0; i < head->index && spec->l2_sp > 0; i++)
        count += pd_layer_trainable(pd_network_layer(network, i));
    return count;
}

static pd_status copy_vector(float **out, const float *from, size_t count)
{
    pd_status status = pd_alloc(out, count, sizeof(float));
    if (status != PD_OK)
        return status;
    for (size_t i = 0; i < count; i++)
        (*out)[i] = from[i];
    return PD_OK;
}

static bool has_momentum(const pd_optimizer_spec *spec)
{
    return pd_optimizer_types[spec->kind].momentum && spec->momentum > 0;
}

size_t pd_optimizer_floats(const pd_optimizer_spec *spec, pd_network *network)
{
    const pd_optimizer_type *type = &pd_optimizer_types[spec->kind];
    size_t vectors = (size_t)has_momentum(spec) + type->mean + type->variance;
    size_t weights = pd_network_gradient_count(network), state;
    pd_network_state(network, &state);
    state -= pd_network_frozen(network).state;
    return vectors * weights + (spec->ema > 0 ? weights + state : 0) + count_start(spec, network);
}

pd_status pd_optimizer_create(pd_optimizer **out, const pd_optimizer_spec *spec,
                              pd_network *network)
{
    const pd_optimizer_type *type = &pd_optimizer_types[spec->kind];
    const pd_frozen frozen = pd_network_frozen(network);
    pd_optimizer *optimizer = NULL;
    pd_status status;

    *out = NULL;
    PD_TRY(pd_alloc(&optimizer, 1, sizeof *optimizer));
    optimizer->spec = *spec;
    optimizer->first = frozen.weights;
    optimizer->first_state = frozen.state;
    optimizer->weights = pd_network_weights(network, &optimizer->count) + frozen.weights;
    optimizer->count -= frozen.weights;
    optimizer->state = pd_network_state(network, &optimizer->state_count) + frozen.state;
    optimizer->state_count -= frozen.state;
    optimizer->start_count = count_start(spec, network);
    PD_TRY(make_blocks(optimizer, network));

    if (has_momentum(spec))
        PD_TRY(pd_alloc(&optimizer->momentum, optimizer->count, sizeof(float)));
    if (type->mean)
        PD_TRY(pd_alloc(&optimizer->mean, optimizer->count, sizeof(float)));
    if (type->variance)
        PD_TRY(pd_alloc(&optimizer->variance, optimizer->count, sizeof(float)));
    if (spec->ema > 0) {
        PD_TRY(copy_vector(&optimizer->ema, optimizer->weights, optimizer->count));
        PD_TRY(copy_vector(&optimizer->ema_state, optimizer->state, optimizer->state_count));
    }
    if (spec->l2_sp > 0)
        PD_TRY(copy_vector(&optimizer->start, optimizer->weights, optimizer->start_count));
    *out = optimizer;
    optimizer = NULL;

cleanup:
    pd_optimizer_destroy(&optimizer);
    return status;
}

/* Copies the last `count` elements of `to` [to_count]. Neither or both are NULL. */
static void take_over(float *to, size_t to_count, const float *from, size_t count)
{
    if (to != NULL)
        memcpy(to + (to_count - count), from, count * sizeof *to);
}

pd_status pd_optimizer_unfreeze(pd_optimizer **optimizer, pd_network *network, int64_t step)
{
    const pd_optimizer *old = *optimizer;
    pd_optimizer *now;
    pd_status status = pd_optimizer_create(&now, &old->spec, network);
    if (status != PD_OK)
        return status;
    take_over(now->momentum, now->count, old->momentum, old->count);
    take_over(now->mean, now->count, old->mean, old->count);
    take_over(now->variance, now->count, old->variance, old->count);
    take_over(now->ema, now->count, old->ema, old->count);
    take_over(now->ema_state, now->state_count, old->ema_state, old->state_count);
    take_over(now->start, now->start_count, old->start, old->start_count);
    for (int i = 0; i < now->block_count - old->block_count; i++)
        now->blocks[i].since = step;
    now->late_states = now->state_count - old->state_count;
    now->late_states_since = step;
    pd_optimizer_destroy(optimizer);
    *optimizer = now;
    return PD_OK;
}

void pd_optimizer_destroy(pd_optimizer **optimizer)
{
    if (*optimizer == NULL)
        return;
    free((*optimizer)->momentum);
    free((*optimizer)->mean);
    free((*optimizer)->variance);
    free((*optimizer)->ema);
    free((*optimizer)->ema_state);
    free((*optimizer)->start);
    free((*optimizer)->blocks);
    free((*optimizer)->partials);
    free(*optimizer);
    *optimizer = NULL;
}

static void blend(size_t n, float *restrict ema, const float *restrict now, float share)
{
    for (size_t i = 0; i < n; i++)
        ema[i] += share * (now[i] - ema[i]);
}

/* The part of a new value in the moving average, `step` steps after the average began. */
static float ema_share(const pd_optimizer_spec *spec, int64_t step)
{
    double warm = (1.0 + (double)step) / (10.0 + (double)step);
    return (float)(1.0 - fmin(spec->ema, warm));
}

static void blend_states(pd_optimizer *optimizer, int64_t step)
{
    size_t late = optimizer->late_states;
    blend(late, optimizer->ema_state, optimizer->state,
          ema_share(&optimizer->spec, step - optimizer->late_states_since));
    blend(optimizer->state_count - late, optimizer->ema_state + late, optimizer->state + late,
          ema_share(&optimizer->spec, step));
}

/* --- One step --- */

/* Adds the gradient of l2_sp (w - start)^2 to g[n]; `out` may be g. */
static void pull_to_start(int n, const float *g, const float *restrict w,
                          const float *restrict start, float factor, float *out)
{
    for (int i = 0; i < n; i++)
        out[i] = g[i] + factor * (w[i] - start[i]);
}

/* The block's gradient plus that of l1 |w| + l2 w^2 + l2_sp (w - start)^2. Written to `buffer` if
 * there is such a penalty. */
static const float *regularise_block(const pd_optimizer *optimizer, const block *b,
                                     const float *gradient, float buffer[BLOCK])
{
    const float *restrict g = gradient + b->offset, *restrict w = optimizer->weights + b->offset;
    float l1 = b->decays ? (float)optimizer->spec.l1 : 0.0f,
          l2 = b->decays ? (float)optimizer->spec.l2 : 0.0f;
    if (l1 != 0.0f || l2 != 0.0f) {
        for (int i = 0; i < b->count; i++)
            buffer[i] = g[i] + (l1 * (float)((w[i] > 0.0f) - (w[i] < 0.0f)) + 2.0f * l2 * w[i]);
        g = buffer;
    }
    if (b->has_start) {
        pull_to_start(b->count, g, w, optimizer->start + b->offset,
                      2.0f * (float)optimizer->spec.l2_sp, buffer);
        g = buffer;
    }
    return g;
}

static double sum_squares(int n, const float *g)
{
    double sum = 0.0;
#pragma omp simd reduction(+ : sum)
    for (int i = 0; i < n; i++)
        sum += (double)g[i] * (double)g[i];
    return sum;
}

static double sum_partials(const pd_optimizer *optimizer)
{
    double sum = 0.0;
    for (int i = 0; i < optimizer->block_count; i++)
        sum += optimizer->partials[i];
    return sum;
}

static float *slice(float *vector, size_t offset)
{
    return vector == NULL ? NULL : vector + offset;
}

static void update_block(pd_optimizer *optimizer, const block *b, const float *gradient,
                         double scale, double rate, int64_t step)
{
    float buffer[BLOCK];
    const float *g = regularise_block(optimizer, b, gradient, buffer);
    if (scale != 1.0) {
        for (int i = 0; i < b->count; i++)
            buffer[i] = g[i] * (float)scale;
        g = buffer;
    }
    pd_optimizer_types[optimizer->spec.kind].update(&(pd_optimizer_update){
        .spec = &optimizer->spec,
        .n = b->count,
        .w = optimizer->weights + b->offset,
        .g = g,
        .momentum = slice(optimizer->momentum, b->offset),
        .mean = slice(optimizer->mean, b->offset),
        .variance = slice(optimizer->variance, b->offset),
        .rate = rate * b->rate,
        .step = step - b->since,
        .decays = b->decays,
    });
}

void pd_optimizer_step(pd_optimizer *optimizer, const float *gradient, double learning_rate,
                       int64_t step, double *norm)
{
    const pd_optimizer_spec *spec = &optimizer->spec;

#pragma omp parallel for schedule(static)
    for (int i = 0; i < optimizer->block_count; i++) {
        const block *b = &optimizer->blocks[i];
        float buffer[BLOCK];
        optimizer->partials[i] =
            sum_squares(b->count, regularise_block(optimizer, b, gradient, buffer));
    }
    *norm = sqrt(sum_partials(optimizer));
    if (!isfinite(*norm))
        return;

    double scale = spec->clip_norm > 0 && *norm > spec->clip_norm ? spec->clip_norm / *norm : 1.0;
#pragma omp parallel for schedule(static)
    for (int i = 0; i < optimizer->block_count; i++) {
        const block *b = &optimizer->blocks[i];
        update_block(optimizer, b, gradient, scale, learning_rate, step);
        if (optimizer->ema != NULL)
            blend((size_t)b->count, optimizer->ema + b->offset, optimizer->weights + b->offset,
                  ema_share(spec, step - b->since));
    }
    if (optimizer->ema != NULL)
        blend_states(optimizer, step);
}

int pd_optimizer_slots(pd_optimizer *optimizer, pd_optimizer_slot slots[PD_OPTIMIZER_SLOTS_MAX])
{
    size_t first = optimizer->first, weights = optimizer->count;
    const pd_optimizer_slot all[] = {
        {"momentum", optimizer->momentum, first, weights, false},
        {"mean", optimizer->mean, first, weights, false},
        {"variance", optimizer->variance, first, weights, false},
        {"average", optimizer->ema, first, weights, false},
        {"average_state", optimizer->ema_state, optimizer->first_state, optimizer->state_count,
         true},
        {"start", optimizer->start, first, optimizer->start_count, false}};
    int count = 0;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (all[i].vector != NULL)
            slots[count++] = all[i];
    }
    return count;
}

float *pd_optimizer_slot_at(const pd_optimizer_slot *slot, const pd_tensor *tensor)
{
    if (tensor->param->trainable == slot->of_state || tensor->offset < slot->first ||
        tensor->offset >= slot->first + slot->count)
        return NULL;
    return slot->vector + (tensor->offset - slot->first);
}

static void swap_vectors(size_t n, float *restrict a, float *restrict b)
{
    for (size_t i = 0; i < n; i++) {
        float kept = a[i];
        a[i] = b[i];
        b[i] = kept;
    }
}

void pd_optimizer_swap_ema(pd_optimizer *optimizer)
{
    if (optimizer->ema == NULL)
        return;
    swap_vectors(optimizer->count, optimizer->weights, optimizer->ema);
    swap_vectors(optimizer->state_count, optimizer->state, optimizer->ema_state);
}
