#include "pneumo/data/lanes.h"

#include "pneumo/base/memory.h"
#include "pneumo/base/random.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* The samples of a lane, or those of one class if the classes take turns. */
typedef struct pd_stream {
    int64_t *ids;    /* borrowed from the lane, in lane order */
    double *weights; /* of ids; NULL: equal */
    size_t count;
    int64_t *order; /* the permutation of (epoch, round) */
    int64_t epoch, round;
} pd_stream;

typedef struct pd_lane {
    int64_t *ids; /* class by class */
    int64_t *order;
    double *weights; /* of ids; NULL: equal */
    size_t count;
    int stream_count;
    pd_stream streams[PD_CLASSES_MAX];
} pd_lane;

struct pd_lanes {
    pd_sampling sampling;
    uint64_t seed;
    int lane_samples; /* of one lane in one step */
    int64_t epoch_steps;
    pd_lane *lanes;
};

bool pd_balance_takes_turns(pd_balance balance)
{
    return balance == PD_BALANCE_OVERSAMPLE || balance == PD_BALANCE_SHAPE;
}

/* Adds an empty stream behind the samples that the lane has. */
static void add_stream(pd_lane *lane)
{
    lane->streams[lane->stream_count++] =
        (pd_stream){.ids = lane->ids + lane->count,
                    .order = lane->order + lane->count,
                    .weights = lane->weights == NULL ? NULL : lane->weights + lane->count,
                    .epoch = -1};
}

/* Shuffles the samples of one class and deals them to the lanes in turn. */
static pd_status deal_class(pd_lanes *lanes, int label, const pd_lane_samples *samples, int *turn)
{
    pd_status status = PD_OK;
    int64_t *own = NULL; /* indices */
    size_t own_count = 0;
    PD_TRY(pd_alloc(&own, samples->count, sizeof *own));
    for (size_t i = 0; i < samples->count; i++)
        if (samples->labels[i] == label)
            own[own_count++] = (int64_t)i;
    pd_random random = pd_random_stream(lanes->seed, PD_PURPOSE_LANES, 0, (uint64_t)label);
    pd_random_shuffle(&random, own, own_count);
    bool take_turns = pd_balance_takes_turns(lanes->sampling.balance);
    for (int i = 0; i < lanes->sampling.lanes; i++)
        if (take_turns || label == 0)
            add_stream(&lanes->lanes[i]);
    for (size_t i = 0; i < own_count; i++) {
        pd_lane *to = &lanes->lanes[*turn];
        if (samples->weights != NULL)
            to->weights[to->count] = samples->weights[own[i]];
        to->ids[to->count++] = samples->ids[own[i]];
        to->streams[to->stream_count - 1].count++;
        *turn = (*turn + 1) % lanes->sampling.lanes;
    }
cleanup:
    free(own);
    return status;
}

/* Every stream needs a sample. */
static pd_status check_streams(const pd_lanes *lanes, size_t count)
{
    for (int i = 0; i < lanes->sampling.lanes; i++) {
        const pd_lane *at = &lanes->lanes[i];
        for (int j = 0; j < at->stream_count; j++) {
            if (at->streams[j].count > 0)
                continue;
            return pd_balance_takes_turns(lanes->sampling.balance)
                       ? pd_fail("the train fold has too few samples of class %d for %d lanes: "
                                 "lower train.lanes or set data.balance = none",
                                 j, lanes->sampling.lanes)
                       : pd_fail("the train fold has %zu samples, too few for %d lanes: lower "
                                 "train.lanes",
                                 count, lanes->sampling.lanes);
        }
    }
    return PD_OK;
}

pd_status pd_lanes_create(pd_lanes **out, const pd_sampling *sampling, uint64_t seed,
                          const pd_lane_samples *samples)
{
    pd_status status = PD_OK;
    pd_lanes *lanes = NULL;
    *out = NULL;
    PD_TRY(pd_alloc(&lanes, 1, sizeof *lanes));
    lanes->sampling = *sampling;
    lanes->seed = seed;
    lanes->lane_samples = sampling->batch / sampling->lanes;
    PD_TRY(pd_alloc(&lanes->lanes, (size_t)sampling->lanes, sizeof *lanes->lanes));
    size_t most = samples->count / (size_t)sampling->lanes + (size_t)samples->classes;
    for (int i = 0; i < sampling->lanes; i++) {
        pd_lane *lane = &lanes->lanes[i];
        PD_TRY(pd_alloc(&lane->ids, most, sizeof *lane->ids));
        PD_TRY(pd_alloc(&lane->order, most, sizeof *lane->order));
        if (samples->weights != NULL)
            PD_TRY(pd_alloc(&lane->weights, most, sizeof *lane->weights));
    }
    int turn = 0; /* continues from class to class, so that lanes differ by at most one sample */
    for (int label = 0; label < samples->classes; label++)
        PD_TRY(deal_class(lanes, label, samples, &turn));
    PD_TRY(check_streams(lanes, samples->count));
    int64_t batch = (int64_t)sampling->lanes * lanes->lane_samples;
    int64_t images = sampling->epoch_images > 0 ? sampling->epoch_images : (int64_t)samples->count;
    lanes->epoch_steps = (images + batch - 1) / batch;
    *out = lanes;
    lanes = NULL;
cleanup:
    pd_lanes_destroy(&lanes);
    return status;
}

void pd_lanes_destroy(pd_lanes **lanes)
{
    if (*lanes == NULL)
        return;
    for (int i = 0; (*lanes)->lanes != NULL && i < (*lanes)->sampling.lanes; i++) {
        free((*lanes)->lanes[i].ids);
        free((*lanes)->lanes[i].order);
        free((*lanes)->lanes[i].weights);
    }
    free((*lanes)->lanes);
    free(*lanes);
    *lanes = NULL;
}

size_t pd_lanes_samples(const pd_lanes *lanes, int lane, const int64_t **ids)
{
    *ids = lanes->lanes[lane].ids;
    return lanes->lanes[lane].count;
}

int64_t pd_lanes_epoch_steps(const pd_lanes *lanes)
{
    return lanes->epoch_steps;
}

/* Fills from->order with as many ids as the stream has, each as often as its weight over the mean,
 * rounded down or up. `offset` is in [0, 1). */
static void sample_systematically(pd_stream *from, double offset)
{
    double total = 0, sum = 0;
    size_t drawn = 0;
    for (size_t i = 0; i < from->count; i++)
        total += from->weights[i];
    for (size_t i = 0; i < from->count; i++) {
        sum += from->weights[i];
        while (drawn < from->count && ((double)drawn + offset) * total < sum * (double)from->count)
            from->order[drawn++] = from->ids[i];
    }
    while (drawn < from->count) /* left by rounding */
        from->order[drawn++] = from->ids[from->count - 1];
}

/* Sets from->order to the permutation of an epoch and round. */
static void permute(const pd_lanes *lanes, pd_stream *from, uint32_t epoch, int64_t round, int lane,
                    int stream)
{
    if (from->epoch == epoch && from->round == round)
        return;
    uint64_t minor = (uint64_t)round << 32 | (uint64_t)lane << 8 | (uint64_t)stream;
    pd_random random = pd_random_stream(lanes->seed, PD_PURPOSE_ORDER, epoch, minor);
    if (from->weights != NULL)
        sample_systematically(from, (double)pd_random_uniform(&random));
    else
        memcpy(from->order, from->ids, from->count * sizeof *from->order);
    pd_random_shuffle(&random, from->order, from->count);
    from->epoch = epoch;
    from->round = round;
}

pd_status pd_lanes_batch(pd_lanes *lanes, uint32_t epoch, int64_t step, int lane, pd_pick *picks)
{
    if (step < 0 || step >= lanes->epoch_steps)
        return pd_fail("step %lld is beyond the epoch's %lld", (long long)step,
                       (long long)lanes->epoch_steps);
    pd_lane *at = &lanes->lanes[lane];
    for (int i = 0; i < lanes->lane_samples; i++) {
        /* Offset by the lane, so that an odd number of samples does not favour a class. */
        int64_t place = step * lanes->lane_samples + i + lane % at->stream_count;
        int number = (int)(place % at->stream_count);
        pd_stream *from = &at->streams[number];
        int64_t taken = place / at->stream_count;
        int64_t round = taken / (int64_t)from->count;
        permute(lanes, from, epoch, round, lane, number);
        picks[i] = (pd_pick){.id = from->order[taken % (int64_t)from->count],
                             .repeat = (uint32_t)(from->weights != NULL ? taken : round)};
    }
    return PD_OK;
}
