#include "pneumo/train/optimizer.h"

#include "pneumo/base/memory.h"

#include <math.h>
#include <stdlib.h>

/* Work is split into blocks of at most this many floats. Sums are taken per block and then over
 * blocks in order, so that bits depend on neither the number of threads nor their timing. */
enum { BLOCK = 16384 };

typedef struct block {
    size_t offset;
    int count;
    bool decays; /* L1, L2 and weight decay apply */
} block;

struct pd_optimizer {
    pd_optimizer_spec spec;
    size_t count, state_count;
    float *weights, *state;         /* the network's */
    float *momentum;                /* [count]; NULL if the kind has no such slot */
    float *mean, *variance;         /* [count]; likewise */
    float *average, *average_state; /* [count], [state_count]; NULL without a moving average */
    block *blocks;
    int block_count;
    double *partials; /* [block_count] */
};

/* Appends blocks for `count` floats from `offset`; with `blocks` NULL only counts them. */
static int cut_blocks(block *blocks, int used, size_t offset, size_t count, bool decays)
{
    for (size_t done = 0; done < count; done += BLOCK, used++) {
        size_t left = count - done;
        if (blocks != NULL)
            blocks[used] = (block){offset + done, left < BLOCK ? (int)left : BLOCK, decays};
    }
    return used;
}

/* Cuts the trainable tensors into blocks; no block spans two tensors. */
static int cut_network(block *blocks, const pd_network *network)
{
    int used = 0;
    for (int i = 0; i < pd_network_tensor_count(network); i++) {
        const pd_tensor *tensor = pd_network_tensor(network, i);
        if (tensor->param->trainable)
            used = cut_blocks(blocks, used, tensor->offset, tensor->size, tensor->param->decays);
    }
    return used;
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

size_t pd_optimizer_floats(const pd_optimizer_spec *spec, size_t weights, size_t state)
{
    const pd_optimizer_type *type = &pd_optimizer_types[spec->kind];
    size_t vectors = (size_t)has_momentum(spec) + type->mean + type->variance;
    return vectors * weights + (spec->ema > 0 ? weights + state : 0);
}

pd_status pd_optimizer_create(pd_optimizer **out, const pd_optimizer_spec *spec,
                              pd_network *network)
{
    const pd_optimizer_type *type = &pd_optimizer_types[spec->kind];
    pd_optimizer *optimizer = NULL;
    pd_status status;

    *out = NULL;
    PD_TRY(pd_alloc(&optimizer, 1, sizeof *optimizer));
    optimizer->spec = *spec;
    optimizer->weights = pd_network_weights(network, &optimizer->count);
    optimizer->state = pd_network_state(network, &optimizer->state_count);
    optimizer->block_count = cut_network(NULL, network);
    PD_TRY(pd_alloc(&optimizer->blocks, (size_t)optimizer->block_count, sizeof(block)));
    cut_network(optimizer->blocks, network);
    PD_TRY(pd_alloc(&optimizer->partials, (size_t)optimizer->block_count, sizeof(double)));

    if (has_momentum(spec))
        PD_TRY(pd_alloc(&optimizer->momentum, optimizer->count, sizeof(float)));
    if (type->mean)
        PD_TRY(pd_alloc(&optimizer->mean, optimizer->count, sizeof(float)));
    if (type->variance)
        PD_TRY(pd_alloc(&optimizer->variance, optimizer->count, sizeof(float)));
    if (spec->ema > 0) {
        PD_TRY(copy_vector(&optimizer->average, optimizer->weights, optimizer->count));
        PD_TRY(copy_vector(&optimizer->average_state, optimizer->state, optimizer->state_count));
    }
    *out = optimizer;
    optimizer = NULL;

cleanup:
    pd_optimizer_destroy(&optimizer);
    return status;
}

void pd_optimizer_destroy(pd_optimizer **optimizer)
{
    if (*optimizer == NULL)
        return;
    free((*optimizer)->momentum);
    free((*optimizer)->mean);
    free((*optimizer)->variance);
    free((*optimizer)->average);
    free((*optimizer)->average_state);
    free((*optimizer)->blocks);
    free((*optimizer)->partials);
    free(*optimizer);
    *optimizer = NULL;
}

/* --- The update rules --- */

/* One block of n weights w with gradients g. */
typedef struct pd_optimizer_update {
    const pd_optimizer_spec *spec;
    int n;
    float *w;
    const float *g;
    float *momentum, *mean, *variance; /* the block's part of each slot; NULL without that slot */
    double rate;                       /* the learning rate */
    int64_t step;
    bool decays; /* weight decay applies */
} update;

/* v = momentum v - rate g; w += v, or with Nesterov's look-ahead w += momentum v - rate g. */
static void momentum_rule(int n, float *restrict w, const float *restrict g, float *restrict v,
                          float rate, float momentum, bool nesterov)
{
    for (int i = 0; i < n; i++) {
        float velocity = momentum * v[i] - rate * g[i];
        v[i] = velocity;
        w[i] += nesterov ? momentum * velocity - rate * g[i] : velocity;
    }
}

static void plain_rule(int n, float *restrict w, const float *restrict g, float rate)
{
    for (int i = 0; i < n; i++)
        w[i] -= rate * g[i];
}

static void update_sgd(const update *u)
{
    if (u->momentum != NULL)
        momentum_rule(u->n, u->w, u->g, u->momentum, (float)u->rate, (float)u->spec->momentum,
                      u->spec->nesterov);
    else
        plain_rule(u->n, u->w, u->g, (float)u->rate);
}

/* One step's constants. `rate` and `root` include the corrections of the mean and the variance for
 * their start at 0; `keep` is the factor that the decoupled decay puts on a weight. */
typedef struct adam {
    float rate, root, keep, epsilon;
    float beta1, rest1; /* rest = 1 - beta, rounded once */
    float beta2, rest2;
} adam;

static void adam_rule(int n, float *restrict w, const float *restrict g, float *restrict mean,
                      float *restrict variance, adam a)
{
    for (int i = 0; i < n; i++) {
        mean[i] = a.beta1 * mean[i] + a.rest1 * g[i];
        variance[i] = a.beta2 * variance[i] + a.rest2 * g[i] * g[i];
        w[i] = a.keep * w[i] - a.rate * mean[i] / (sqrtf(variance[i]) * a.root + a.epsilon);
    }
}

static void update_adam_decayed(const update *u, double decay)
{
    const pd_optimizer_spec *spec = u->spec;
    double t = (double)u->step + 1.0;
    const adam constants = {
        .rate = (float)(u->rate / (1.0 - pow(spec->beta1, t))),
        .root = (float)(1.0 / sqrt(1.0 - pow(spec->beta2, t))),
        .keep = (float)(1.0 - decay),
        .epsilon = (float)spec->epsilon,
        .beta1 = (float)spec->beta1,
        .rest1 = (float)(1.0 - spec->beta1),
        .beta2 = (float)spec->beta2,
        .rest2 = (float)(1.0 - spec->beta2),
    };
    adam_rule(u->n, u->w, u->g, u->mean, u->variance, constants);
}

static void update_adam(const update *u)
{
    update_adam_decayed(u, 0.0);
}

static void update_adamw(const update *u)
{
    update_adam_decayed(u, u->decays ? u->rate * u->spec->weight_decay : 0.0);
}

/* variance = rho variance + (1 - rho) g^2; then scaled gradients, through a momentum if there is
 * one. */
static void update_rmsprop(const update *u)
{
    const float *restrict g = u->g;
    float *restrict w = u->w, *restrict v = u->momentum, *restrict variance = u->variance;
    float rate = (float)u->rate, momentum = (float)u->spec->momentum;
    float rho = (float)u->spec->beta2, rest = (float)(1.0 - u->spec->beta2);
    float epsilon = (float)u->spec->epsilon;
    for (int i = 0; i < u->n; i++)
        variance[i] = rho * variance[i] + rest * g[i] * g[i];
    if (v == NULL) {
        for (int i = 0; i < u->n; i++)
            w[i] -= rate * g[i] / (sqrtf(variance[i]) + epsilon);
        return;
    }
    for (int i = 0; i < u->n; i++) {
        v[i] = momentum * v[i] + g[i] / (sqrtf(variance[i]) + epsilon);
        w[i] -= rate * v[i];
    }
}

const pd_optimizer_type pd_optimizer_types[PD_OPTIMIZERS] = {
    [PD_SGD] = {"sgd", .momentum = true, .update = update_sgd},
    [PD_ADAM] = {"adam", .mean = true, .variance = true, .update = update_adam},
    [PD_ADAMW] = {"adamw", .mean = true, .variance = true, .decouples_decay = true,
                  .update = update_adamw},
    [PD_RMSPROP] = {"rmsprop", .momentum = true, .variance = true, .update = update_rmsprop},
};

static void blend(size_t n, float *restrict average, const float *restrict now, float share)
{
    for (size_t i = 0; i < n; i++)
        average[i] += share * (now[i] - average[i]);
}

/* --- One step --- */

/* The block's gradient plus that of l1 |w| + l2 w^2. Written to `buffer` if there is such a
 * penalty. */
static const float *regularise_block(const pd_optimizer *optimizer, const block *b,
                                     const float *gradient, float buffer[BLOCK])
{
    const float *restrict g = gradient + b->offset, *restrict w = optimizer->weights + b->offset;
    float l1 = b->decays ? (float)optimizer->spec.l1 : 0.0f,
          l2 = b->decays ? (float)optimizer->spec.l2 : 0.0f;
    if (l1 == 0.0f && l2 == 0.0f)
        return g;
    for (int i = 0; i < b->count; i++)
        buffer[i] = g[i] + (l1 * (float)((w[i] > 0.0f) - (w[i] < 0.0f)) + 2.0f * l2 * w[i]);
    return buffer;
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
    pd_optimizer_types[optimizer->spec.kind].update(&(update){
        .spec = &optimizer->spec,
        .n = b->count,
        .w = optimizer->weights + b->offset,
        .g = g,
        .momentum = slice(optimizer->momentum, b->offset),
        .mean = slice(optimizer->mean, b->offset),
        .variance = slice(optimizer->variance, b->offset),
        .rate = rate,
        .step = step,
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
    double warm = (1.0 + (double)step) / (10.0 + (double)step);
    float share = (float)(1.0 - fmin(spec->ema, warm));

#pragma omp parallel for schedule(static)
    for (int i = 0; i < optimizer->block_count; i++) {
        const block *b = &optimizer->blocks[i];
        update_block(optimizer, b, gradient, scale, learning_rate, step);
        if (optimizer->average != NULL)
            blend((size_t)b->count, optimizer->average + b->offset, optimizer->weights + b->offset,
                  share);
    }
    if (optimizer->average != NULL)
        blend(optimizer->state_count, optimizer->average_state, optimizer->state, share);
}

int pd_optimizer_slots(pd_optimizer *optimizer, pd_optimizer_slot slots[PD_OPTIMIZER_SLOTS_MAX])
{
    const pd_optimizer_slot all[] = {{"momentum", optimizer->momentum, false},
                                     {"mean", optimizer->mean, false},
                                     {"variance", optimizer->variance, false},
                                     {"average", optimizer->average, false},
                                     {"average_state", optimizer->average_state, true}};
    int count = 0;
    for (int i = 0; i < 5; i++) {
        if (all[i].vector != NULL)
            slots[count++] = all[i];
    }
    return count;
}

static void swap_vectors(size_t n, float *restrict a, float *restrict b)
{
    for (size_t i = 0; i < n; i++) {
        float kept = a[i];
        a[i] = b[i];
        b[i] = kept;
    }
}

void pd_optimizer_swap_average(pd_optimizer *optimizer)
{
    if (optimizer->average == NULL)
        return;
    swap_vectors(optimizer->count, optimizer->weights, optimizer->average);
    swap_vectors(optimizer->state_count, optimizer->state, optimizer->average_state);
}
