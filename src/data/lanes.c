#include "pneumo/data/lanes.h"

#include "pneumo/base/memory.h"
#include "pneumo/base/random.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* A stream of samples: those of one class, or all of a lane's when the classes do not take turns.
 */
typedef struct stream {
    int64_t *ids; /* borrowed from the lane, in lane order */
    size_t count;
    int64_t *order; /* the permutation of (epoch, round) */
    int64_t epoch, round;
} stream;

typedef struct lane {
    int64_t *ids; /* class by class */
    int64_t *order;
    size_t count;
    int stream_count;
    stream streams[PD_CLASSES_MAX];
} lane;

struct pd_lanes {
    pd_sampling sampling;
    uint64_t seed;
    int lane_samples; /* of one lane in one step */
    int64_t epoch_steps;
    lane *lanes;
};

/* Deals the samples of one class, shuffled, over the lanes in turn. */
static pd_status deal_class(pd_lanes *self, int class, const int64_t *ids, const int32_t *labels,
                            size_t count, int *turn)
{
    pd_status status = PD_OK;
    int64_t *own = NULL;
    size_t own_count = 0;
    PD_TRY(pd_alloc(&own, count, sizeof *own));
    for (size_t i = 0; i < count; i++)
        if (labels[i] == class)
            own[own_count++] = ids[i];
    pd_random random = pd_random_stream(self->seed, PD_PURPOSE_LANES, 0, (uint64_t) class);
    pd_random_shuffle(&random, own, own_count);
    bool take_turns = self->sampling.balance == PD_BALANCE_OVERSAMPLE;
    for (int i = 0; take_turns && i < self->sampling.lanes; i++) {
        lane *to = &self->lanes[i];
        to->streams[to->stream_count++] =
            (stream){.ids = to->ids + to->count, .order = to->order + to->count, .epoch = -1};
    }
    for (size_t i = 0; i < own_count; i++) {
        lane *to = &self->lanes[*turn];
        to->ids[to->count++] = own[i];
        if (take_turns)
            to->streams[to->stream_count - 1].count++;
        *turn = (*turn + 1) % self->sampling.lanes;
    }
cleanup:
    free(own);
    return status;
}

pd_status pd_lanes_create(pd_lanes **out, const pd_sampling *sampling, uint64_t seed, int classes,
                          const int64_t *ids, const int32_t *labels, size_t count)
{
    pd_status status = PD_OK;
    bool take_turns = sampling->balance == PD_BALANCE_OVERSAMPLE;
    pd_lanes *self = NULL;
    *out = NULL;
    PD_TRY(pd_alloc(&self, 1, sizeof *self));
    self->sampling = *sampling;
    self->seed = seed;
    self->lane_samples = sampling->batch / sampling->lanes;
    PD_TRY(pd_alloc(&self->lanes, (size_t)sampling->lanes, sizeof *self->lanes));
    size_t most = count / (size_t)sampling->lanes + (size_t)classes;
    for (int i = 0; i < sampling->lanes; i++) {
        PD_TRY(pd_alloc(&self->lanes[i].ids, most, sizeof *ids));
        PD_TRY(pd_alloc(&self->lanes[i].order, most, sizeof *ids));
    }
    int turn = 0; /* goes on from class to class, so that lanes differ by one sample at most */
    for (int class = 0; class < classes; class ++)
        PD_TRY(deal_class(self, class, ids, labels, count, &turn));
    for (int i = 0; i < sampling->lanes; i++) {
        lane *at = &self->lanes[i];
        if (!take_turns)
            at->streams[at->stream_count++] =
                (stream){.ids = at->ids, .order = at->order, .count = at->count, .epoch = -1};
        for (int j = 0; j < at->stream_count; j++) {
            if (at->streams[j].count > 0)
                continue;
            status = take_turns
                         ? pd_fail("the train fold has too few samples of class %d for %d lanes: "
                                   "lower train.lanes or set data.balance = none",
                                   j, sampling->lanes)
                         : pd_fail("the train fold has %zu samples, too few for %d lanes: lower "
                                   "train.lanes",
                                   count, sampling->lanes);
            goto cleanup;
        }
    }
    int64_t batch = (int64_t)sampling->lanes * self->lane_samples;
    int64_t images = sampling->epoch_images > 0 ? sampling->epoch_images : (int64_t)count;
    self->epoch_steps = (images + batch - 1) / batch;
    *out = self;
    self = NULL;
cleanup:
    pd_lanes_destroy(&self);
    return status;
}

void pd_lanes_destroy(pd_lanes **lanes)
{
    if (*lanes == NULL)
        return;
    for (int i = 0; (*lanes)->lanes != NULL && i < (*lanes)->sampling.lanes; i++) {
        free((*lanes)->lanes[i].ids);
        free((*lanes)->lanes[i].order);
    }
    free((*lanes)->lanes);
    free(*lanes);
    *lanes = NULL;
}

size_t pd_lanes_samples(const pd_lanes *lanes, int lane_number, const int64_t **ids)
{
    *ids = lanes->lanes[lane_number].ids;
    return lanes->lanes[lane_number].count;
}

int64_t pd_lanes_epoch_steps(const pd_lanes *lanes)
{
    return lanes->epoch_steps;
}

/* Makes from->order the permutation of that epoch and round. */
static void permute(const pd_lanes *self, stream *from, uint32_t epoch, int64_t round,
                    int lane_number, int stream_number)
{
    if (from->epoch == epoch && from->round == round)
        return;
    memcpy(from->order, from->ids, from->count * sizeof *from->order);
    uint64_t minor = (uint64_t)round << 32 | (uint64_t)lane_number << 8 | (uint64_t)stream_number;
    pd_random random = pd_random_stream(self->seed, PD_PURPOSE_ORDER, epoch, minor);
    pd_random_shuffle(&random, from->order, from->count);
    from->epoch = epoch;
    from->round = round;
}

pd_status pd_lanes_batch(pd_lanes *lanes, uint32_t epoch, int64_t step, int lane_number,
                         pd_pick *picks)
{
    if (step < 0 || step >= lanes->epoch_steps)
        return pd_fail("step %lld is beyond the epoch's %lld", (long long)step,
                       (long long)lanes->epoch_steps);
    lane *at = &lanes->lanes[lane_number];
    for (int i = 0; i < lanes->lane_samples; i++) {
        /* Starting at the lane's number, so that an odd number of samples favours no class. */
        int64_t place = step * lanes->lane_samples + i + lane_number % at->stream_count;
        int number = (int)(place % at->stream_count);
        stream *from = &at->streams[number];
        int64_t taken = place / at->stream_count;
        int64_t round = taken / (int64_t)from->count;
        permute(lanes, from, epoch, round, lane_number, number);
        picks[i] =
            (pd_pick){.id = from->order[taken % (int64_t)from->count], .repeat = (uint32_t)round};
    }
    return PD_OK;
}
