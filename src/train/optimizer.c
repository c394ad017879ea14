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
    pd_job job;
    size_t count, state_count;
    float *weights, *state;         /* the network's */
    float *momentum, *mean;         /* [count]; NULL where the kind has none */
    float *variance;                /* [count]; likewise */
    float *average, *average_state; /* [count], [state_count]; NULL without a moving average */
    block *blocks;
    int block_count;
    double *partials; /* [block_count] */
};

/* Adds blocks for `count` floats from `offset`; with `blocks` NULL only counts them. */
static int cut_blocks(block *blocks, int used, size_t offset, size_t count, bool decays)
{
    for (size_t done = 0; done < count; done += BLOCK, used++) {
        size_t left = count - done;
        if (blocks)
            blocks[used] = (block){offset + done, left < BLOCK ? (int)left : BLOCK, decays};
    }
    return used;
}

/* Cuts the trainable tensors into blocks, none of them across two tensors. */
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

/* Which vectors a kind of optimiser has. */
static bool has_momentum(const pd_job *job)
{
    return (job->optimizer == PD_SGD || job->optimizer == PD_RMSPROP) && job->momentum > 0;
}

static bool has_mean(const pd_job *job)
{
    return job->optimizer == PD_ADAM || job->optimizer == PD_ADAMW;
}

static bool has_variance(const pd_job *job)
{
    return has_mean(job) || job->optimizer == PD_RMSPROP;
}

size_t pd_optimizer_floats(const pd_job *job, size_t weights, size_t state)
{
    size_t vectors = (size_t)has_momentum(job) + has_mean(job) + has_variance(job);
    return vectors * weights + (job->ema > 0 ? weights + state : 0);
}

pd_status pd_optimizer_create(pd_optimizer **out, const pd_job *job, pd_network *network)
{
    pd_optimizer *o = NULL;
    pd_status status;

    *out = NULL;
    PD_TRY(pd_alloc(&o, 1, sizeof(*o)));
    o->job = *job;
    o->weights = pd_network_weights(network, &o->count);
    o->state = pd_network_state(network, &o->state_count);
    o->block_count = cut_network(NULL, network);
    PD_TRY(pd_alloc(&o->blocks, (size_t)o->block_count, sizeof(block)));
    cut_network(o->blocks, network);
    PD_TRY(pd_alloc(&o->partials, (size_t)o->block_count, sizeof(double)));

    if (has_momentum(job))
        PD_TRY(pd_alloc(&o->momentum, o->count, sizeof(float)));
    if (has_mean(job))
        PD_TRY(pd_alloc(&o->mean, o->count, sizeof(float)));
    if (has_variance(job))
        PD_TRY(pd_alloc(&o->variance, o->count, sizeof(float)));
    if (job->ema > 0) {
        PD_TRY(copy_vector(&o->average, o->weights, o->count));
        PD_TRY(copy_vector(&o->average_state, o->state, o->state_count));
    }
    *out = o;
    o = NULL;

cleanup:
    pd_optimizer_destroy(&o);
    return status;
}

void pd_optimizer_destroy(pd_optimizer **optimizer)
{
    pd_optimizer *o = *optimizer;
    if (!o)
        return;
    free(o->momentum);
    free(o->mean);
    free(o->variance);
    free(o->average);
    free(o->average_state);
    free(o->blocks);
    free(o->partials);
    free(o);
    *optimizer = NULL;
}

/* --- Rules for n weights w with gradients g; `rate` is the learning rate. --- */

/* v = momentum v - rate g; w += v, or, looking ahead as Nesterov, w += momentum v - rate g. */
static void update_sgd(int n, float *restrict w, const float *restrict g, float *restrict v,
                       float rate, float momentum, bool nesterov)
{
    for (int i = 0; i < n; i++) {
        float velocity = momentum * v[i] - rate * g[i];
        v[i] = velocity;
        w[i] += nesterov ? momentum * velocity - rate * g[i] : velocity;
    }
}

static void update_plain(int n, float *restrict w, const float *restrict g, float rate)
{
    for (int i = 0; i < n; i++)
        w[i] -= rate * g[i];
}

/* One step's constants. `rate` and `root` hold the corrections of the mean and of the variance for
 * their start at 0; `keep` is what the decoupled decay leaves of a weight. */
typedef struct adam {
    float rate, root, keep, epsilon;
    float beta1, rest1; /* rest = 1 - beta, rounded once */
    float beta2, rest2;
} adam;

static void update_adam(int n, float *restrict w, const float *restrict g, float *restrict mean,
                        float *restrict variance, adam a)
{
    for (int i = 0; i < n; i++) {
        mean[i] = a.beta1 * mean[i] + a.rest1 * g[i];
        variance[i] = a.beta2 * variance[i] + a.rest2 * g[i] * g[i];
        w[i] = a.keep * w[i] - a.rate * mean[i] / (sqrtf(variance[i]) * a.root + a.epsilon);
    }
}

/* `v` is NULL without momentum. */
static void update_rmsprop(int n, float *restrict w, const float *restrict g, float *restrict v,
                           float *restrict variance, float rate, float momentum, float rho,
                           float rest, float epsilon)
{
    for (int i = 0; i < n; i++)
        variance[i] = rho * variance[i] + rest * g[i] * g[i];
    if (!v) {
        for (int i = 0; i < n; i++)
            w[i] -= rate * g[i] / (sqrtf(variance[i]) + epsilon);
        return;
    }
    for (int i = 0; i < n; i++) {
        v[i] = momentum * v[i] + g[i] / (sqrtf(variance[i]) + epsilon);
        w[i] -= rate * v[i];
    }
}

static void blend(size_t n, float *restrict average, const float *restrict now, float share)
{
    for (size_t i = 0; i < n; i++)
        average[i] += share * (now[i] - average[i]);
}

/* --- One step --- */

/* The block's gradient with that of l1 |w| + l2 w^2: in `room` where there is such a penalty. */
static const float *regularise_block(const pd_optimizer *o, const block *b, const float *gradient,
                                     float room[BLOCK])
{
    const float *restrict g = gradient + b->offset, *restrict w = o->weights + b->offset;
    float l1 = b->decays ? (float)o->job.l1 : 0.0f, l2 = b->decays ? (float)o->job.l2 : 0.0f;
    if (l1 == 0.0f && l2 == 0.0f)
        return g;
    for (int i = 0; i < b->count; i++)
        room[i] = g[i] + (l1 * (float)((w[i] > 0.0f) - (w[i] < 0.0f)) + 2.0f * l2 * w[i]);
    return room;
}

static double sum_squares(int n, const float *g)
{
    double sum = 0.0;
#pragma omp simd reduction(+ : sum)
    for (int i = 0; i < n; i++)
        sum += (double)g[i] * (double)g[i];
    return sum;
}

static double sum_partials(const pd_optimizer *o)
{
    double sum = 0.0;
    for (int i = 0; i < o->block_count; i++)
        sum += o->partials[i];
    return sum;
}

static adam adam_step(const pd_job *job, bool decays, double rate, int64_t step)
{
    double t = (double)step + 1.0;
    double decay = job->optimizer == PD_ADAMW && decays ? rate * job->weight_decay : 0.0;
    return (adam){
        .rate = (float)(rate / (1.0 - pow(job->beta1, t))),
        .root = (float)(1.0 / sqrt(1.0 - pow(job->beta2, t))),
        .keep = (float)(1.0 - decay),
        .epsilon = (float)job->epsilon,
        .beta1 = (float)job->beta1,
        .rest1 = (float)(1.0 - job->beta1),
        .beta2 = (float)job->beta2,
        .rest2 = (float)(1.0 - job->beta2),
    };
}

static void update_block(pd_optimizer *o, const block *b, const float *gradient, double scale,
                         double rate, int64_t step)
{
    const pd_job *job = &o->job;
    size_t at = b->offset;
    float *w = o->weights + at, room[BLOCK];
    const float *g = regularise_block(o, b, gradient, room);

    if (scale != 1.0) {
        for (int i = 0; i < b->count; i++)
            room[i] = g[i] * (float)scale;
        g = room;
    }
    switch (job->optimizer) {
    case PD_SGD:
        if (o->momentum)
            update_sgd(b->count, w, g, o->momentum + at, (float)rate, (float)job->momentum,
                       job->nesterov);
        else
            update_plain(b->count, w, g, (float)rate);
        break;
    case PD_ADAM:
    case PD_ADAMW:
        update_adam(b->count, w, g, o->mean + at, o->variance + at,
                    adam_step(job, b->decays, rate, step));
        break;
    case PD_RMSPROP:
        update_rmsprop(b->count, w, g, o->momentum ? o->momentum + at : NULL, o->variance + at,
                       (float)rate, (float)job->momentum, (float)job->beta2,
                       (float)(1.0 - job->beta2), (float)job->epsilon);
        break;
    }
}

void pd_optimizer_step(pd_optimizer *o, const float *gradient, double learning_rate, int64_t step,
                       double *norm)
{
    const pd_job *job = &o->job;

#pragma omp parallel for schedule(static)
    for (int i = 0; i < o->block_count; i++) {
        const block *b = &o->blocks[i];
        float room[BLOCK];
        o->partials[i] = sum_squares(b->count, regularise_block(o, b, gradient, room));
    }
    *norm = sqrt(sum_partials(o));
    if (!isfinite(*norm))
        return;

    double scale = job->clip_norm > 0 && *norm > job->clip_norm ? job->clip_norm / *norm : 1.0;
    double warm = (1.0 + (double)step) / (10.0 + (double)step);
    float share = (float)(1.0 - fmin(job->ema, warm));

#pragma omp parallel for schedule(static)
    for (int i = 0; i < o->block_count; i++) {
        const block *b = &o->blocks[i];
        update_block(o, b, gradient, scale, learning_rate, step);
        if (o->average)
            blend((size_t)b->count, o->average + b->offset, o->weights + b->offset, share);
    }
    if (o->average)
        blend(o->state_count, o->average_state, o->state, share);
}

int pd_optimizer_slots(pd_optimizer *o, pd_optimizer_slot slots[4])
{
    const pd_optimizer_slot all[] = {{"momentum", o->momentum, false},
                                     {"mean", o->mean, false},
                                     {"variance", o->variance, false},
                                     {"average", o->average, false},
                                     {"average_state", o->average_state, true}};
    int count = 0;
    for (int i = 0; i < 5; i++) {
        if (all[i].vector)
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

void pd_optimizer_swap_average(pd_optimizer *o)
{
    if (!o->average)
        return;
    swap_vectors(o->count, o->weights, o->average);
    swap_vectors(o->state_count, o->state, o->average_state);
}
