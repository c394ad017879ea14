#include "pneumo/train/forecast.h"

#include "pneumo/base/number.h"
#include "pneumo/comm/comm.h"
#include "pneumo/kernels/tree.h"

#include <math.h>

const char *const pd_forecast_part_names[PD_FORECAST_PARTS] = {
    [PD_FORECAST_COMPUTE] = "compute",       [PD_FORECAST_MESSAGES] = "messages",
    [PD_FORECAST_LOCAL] = "local",           [PD_FORECAST_NETWORK] = "network",
    [PD_FORECAST_STATISTICS] = "statistics", [PD_FORECAST_FOLD] = "fold",
    [PD_FORECAST_STRAGGLERS] = "stragglers", [PD_FORECAST_UPDATE] = "update",
    [PD_FORECAST_CHECKPOINT] = "checkpoint"};

/* The ranks that a rank exchanges messages with: all ranks, or one of each group. */
typedef struct neighbours {
    double ranks;       /* this one included */
    double host;        /* of them on a full host, this one included */
    double sharing;     /* ranks of the host that communicate at the same time */
    double near, far;   /* others on the same host, and on others */
    double latency;     /* of the slowest message */
    double per_message; /* mean CPU seconds per message */
} neighbours;

/* Ranks of a group, as pd_comm_set_group_size chooses them: a divisor of the number of ranks of a
 * host, if all hosts have the same number. */
static int group_of(const pd_forecast_model *model, int ranks)
{
    int host = model->host_ranks < ranks ? model->host_ranks : ranks;
    int group = model->group < host ? model->group : host;
    if (ranks % host != 0)
        return 1;
    return pd_largest_divisor(host, group);
}

static neighbours look_around(const pd_forecast_model *model, int ranks, int group)
{
    double host = fmin(model->host_ranks, ranks);
    int groups = ranks / group;
    neighbours n = {.ranks = groups, .host = host / group, .sharing = host};
    n.near = n.host - 1;
    n.far = n.ranks - n.host;
    if (n.ranks == 1)
        return n;
    n.latency = n.far > 0 ? model->network.latency : model->local.latency;
    n.per_message =
        (n.near * model->local.overhead + n.far * model->network.overhead) / (n.near + n.far);
    return n;
}

/* Seconds for `bytes` that every rank sends to its neighbours, an equal part to each. The parts for
 * other hosts go through the one link of the host, one rank after another. */
static double network_seconds(const pd_forecast_model *model, const neighbours *n, double bytes)
{
    return n->far == 0 ? 0
                       : n->sharing * bytes * n->far / (n->ranks - 1) / model->network.bandwidth;
}

/* The same for the parts within the host, copied through shared memory. */
static double local_seconds(const pd_forecast_model *model, const neighbours *n, double bytes)
{
    return n->near == 0 ? 0
                        : n->sharing * bytes * n->near / (n->ranks - 1) / model->local.bandwidth;
}

static double total_weights(const pd_forecast_model *model)
{
    double weights = 0;
    for (int i = 0; i < model->layer_count; i++)
        weights += model->layers[i].weights;
    return weights;
}

static double total_backward(const pd_forecast_model *model)
{
    double seconds = 0;
    for (int i = 0; i < model->layer_count; i++)
        seconds += model->layers[i].backward;
    return seconds;
}

/* The sum of the gradient as in src/comm/reduction.c. */
typedef struct summing {
    neighbours column; /* the ranks of other groups that this one communicates with */
    double group;      /* ranks that share one copy of the group's sum */
    double bucket;     /* weights */
} summing;

static summing sum_gradient(const pd_forecast_model *model, int ranks)
{
    int group = group_of(model, ranks);
    return (summing){.column = look_around(model, ranks, group),
                     .group = group,
                     .bucket = fmax(model->bucket, model->slice * ranks)};
}

/* Bytes that a rank sends for `weights` floats: its slice of them to the all-to-all among G groups,
 * and its piece of the total to all others in the all-gather, (G - 1) / G of the slice each
 * (Thakur, Rabenseifner, Gropp, IJHPCA 2005, section 4). */
static double gradient_bytes(const summing *s, double weights)
{
    double groups = s->column.ranks;
    return 2 * sizeof(float) * weights / s->group * (groups - 1) / groups;
}

/* A rank reads its slice from every rank of its group, in total as much as the vector, and its
 * piece from every group, in total as much as the slice. */
static double fold_seconds(const pd_forecast_model *model, const summing *s)
{
    double bytes = sizeof(float) * total_weights(model);
    return model->fold * bytes *
           ((s->group > 1 ? 1 : 0) + (s->column.ranks > 1 ? 1 / s->group : 0));
}

/* A bucket costs two messages to every other rank of the column: Open MPI's non-blocking all-to-all
 * and all-gather are linear (ompi/mca/coll/libnbc, nbc_ialltoallv.c and nbc_iallgatherv.c). Ranks
 * start and finish them themselves, and with TCP copy every byte, so this time does not overlap
 * with computation. */
static double message_seconds(const pd_forecast_model *model, const summing *s)
{
    double buckets = ceil(total_weights(model) / s->bucket);
    double seconds = 2 * buckets * (s->column.ranks - 1) * s->column.per_message;
    if (s->column.far > 0)
        seconds += gradient_bytes(s, total_weights(model)) * s->column.far / (s->column.ranks - 1) *
                   model->network.work;
    return seconds;
}

/* The transfer time of the gradient that remains after a backward pass of `backward` seconds. A
 * bucket starts when the gradient of its last layer is complete, and the link transfers one after
 * another: end[i] = max(end[i - 1], ready[i]) + bytes / bandwidth, as in wait-free
 * backpropagation (Zhang et al., USENIX ATC 2017, section 3). The last one ends two latencies
 * later. */
static double exposed_seconds(const pd_forecast_model *model, const summing *s, double backward)
{
    double measured = total_backward(model), scale = measured > 0 ? backward / measured : 0;
    double bucket = s->bucket;
    double ready = 0, end = 0, waiting = 0; /* weights in the bucket that is not yet full */
    if (s->column.far == 0)
        return 0;
    for (int i = 0; i < model->layer_count; i++) {
        ready += scale * model->layers[i].backward;
        waiting += model->layers[i].weights;
        bool last = i == model->layer_count - 1;
        double leaving = last ? waiting : floor(waiting / bucket) * bucket;
        waiting -= leaving;
        end = fmax(end, ready) + network_seconds(model, &s->column, gradient_bytes(s, leaving));
    }
    return fmax(end - backward, 0) + 2 * model->network.latency;
}

/* The lane sums of short vectors (pd_comm_lane_sum) do not overlap with computation. Ranks that
 * hold nodes of the lane tree exchange their sums level by level, the nearest first; all ranks of a
 * host share its link (recursive doubling: Thakur, Rabenseifner, Gropp, IJHPCA 2005, section 4). */
static double swapping_seconds(const pd_forecast_model *model, const neighbours *n, int64_t lanes,
                               int swaps)
{
    double bytes = 8 * model->sum_numbers, distance = 1;
    double seconds = bytes * (double)lanes / n->ranks * model->fold;
    for (int i = 0; i < swaps; i++, distance *= 2) {
        const pd_link *link = distance < n->host ? &model->local : &model->network;
        seconds += model->sums * (link->latency + link->overhead) +
                   n->sharing * bytes / link->bandwidth + bytes * model->fold;
    }
    return seconds;
}

/* With other numbers of ranks, each gathers the numbers of every lane, linearly, and sums them. */
static double statistics_seconds(const pd_forecast_model *model, const neighbours *n, int64_t lanes)
{
    int swaps = pd_comm_doubling_rounds((int)lanes, (int)n->ranks);
    if (swaps > 0)
        return swapping_seconds(model, n, lanes, swaps);
    double all = 8 * (double)lanes * model->sum_numbers;
    double sent = all * (n->ranks - 1) / n->ranks; /* by a rank: its lanes, to each other one */
    return model->sums * (n->latency + (n->ranks - 1) * n->per_message) +
           network_seconds(model, n, sent) + local_seconds(model, n, sent) + all * model->fold;
}

double pd_forecast_expected_maximum(int ranks)
{
    /* The mean of a distribution F is the integral of 1 - F above 0 less that of F below; that of
     * the largest of R is the R-th power of the normal one (David, Nagaraja, Order Statistics,
     * 2003, section 3.1). Midpoint rule; the integrand vanishes beyond 9
     * standard deviations. */
    const double limit = 9, width = 0.01;
    double mean = 0;
    for (double x = width / 2; x < limit; x += width) {
        double above = pow(0.5 * erfc(-x / sqrt(2.0)), ranks);
        double below = pow(0.5 * erfc(x / sqrt(2.0)), ranks);
        mean += width * (1 - above - below);
    }
    return mean;
}

bool pd_forecast_grow(const pd_forecast_model *model, int ranks, bool strong, pd_forecast_case *out)
{
    *out = (pd_forecast_case){.ranks = ranks, .batch = model->batch, .lanes = model->lanes};
    if (ranks < 1 || ranks > PD_LANES_MAX)
        return false;
    if (!strong) {
        out->lanes = ranks;
        out->batch = ranks * (int64_t)fmax(1, round(model->samples)); /* whole lanes */
        return true;
    }
    while (out->lanes <= out->batch && (out->lanes < ranks || out->batch % out->lanes != 0))
        out->lanes++;
    return out->lanes <= out->batch && out->lanes <= PD_LANES_MAX;
}

/* The time of each part of a step of `of`. */
static void predict_parts(const pd_forecast_model *model, const pd_forecast_case *of,
                          double parts[PD_FORECAST_PARTS])
{
    const neighbours all = look_around(model, of->ranks, 1);
    const summing s = sum_gradient(model, of->ranks);
    double lanes = ceil((double)of->lanes / of->ranks); /* of the rank with the most */
    double scale = lanes * (double)of->batch / (double)of->lanes / model->samples;
    double backward = scale * total_backward(model);
    double bytes = gradient_bytes(&s, total_weights(model));
    parts[PD_FORECAST_COMPUTE] = scale * model->forward + backward;
    parts[PD_FORECAST_MESSAGES] = message_seconds(model, &s);
    parts[PD_FORECAST_LOCAL] = local_seconds(model, &s.column, bytes);
    parts[PD_FORECAST_FOLD] = fold_seconds(model, &s);
    /* Messages are started and progressed during the backward pass, which they prolong. */
    parts[PD_FORECAST_NETWORK] = exposed_seconds(
        model, &s, backward + parts[PD_FORECAST_MESSAGES] + parts[PD_FORECAST_LOCAL]);
    parts[PD_FORECAST_STATISTICS] = statistics_seconds(model, &all, of->lanes);
    parts[PD_FORECAST_STRAGGLERS] =
        model->spread * pd_forecast_expected_maximum(of->ranks) * parts[PD_FORECAST_COMPUTE];
    parts[PD_FORECAST_UPDATE] = model->update;
    parts[PD_FORECAST_CHECKPOINT] = model->checkpoint / model->epoch_steps;
}

static double sum(const double parts[PD_FORECAST_PARTS])
{
    double all = 0;
    for (int i = 0; i < PD_FORECAST_PARTS; i++)
        all += parts[i];
    return all;
}

void pd_forecast_compute(const pd_forecast_model *model, const pd_forecast_case *of, bool strong,
                         pd_forecast *out)
{
    pd_forecast_case alone = {.ranks = 1, .batch = of->batch, .lanes = of->lanes};
    double one[PD_FORECAST_PARTS], most = 0;
    if (!strong) {
        alone.lanes = 1;
        alone.batch = of->batch / of->ranks;
    }
    predict_parts(model, of, out->parts);
    predict_parts(model, &alone, one);
    out->seconds = sum(out->parts);
    /* The fraction of the work of the single rank that each of the ranks does. */
    double fraction = (double)of->batch / (double)alone.batch / of->ranks;
    out->efficiency = fraction * sum(one) / out->seconds;
    out->limit = PD_FORECAST_COMPUTE;
    for (int i = 0; i < PD_FORECAST_PARTS; i++) {
        double lost = out->parts[i] - fraction * one[i];
        if (lost > most) {
            most = lost;
            out->limit = (pd_forecast_part)i;
        }
    }
    out->start = of->ranks * model->open + model->read;
}
