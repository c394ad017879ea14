#include "optimizer_update.h"
#include "pneumo/train/optimizer.h"

#include <math.h>

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

static void update_sgd(const pd_optimizer_update *u)
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

static void update_adam_decayed(const pd_optimizer_update *u, double decay)
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

static void update_adam(const pd_optimizer_update *u)
{
    update_adam_decayed(u, 0.0);
}

static void update_adamw(const pd_optimizer_update *u)
{
    update_adam_decayed(u, u->decays ? u->rate * u->spec->weight_decay : 0.0);
}

/* variance = rho variance + (1 - rho) g^2; then scaled gradients, through a momentum if there is
 * one. */
static void update_rmsprop(const pd_optimizer_update *u)
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
