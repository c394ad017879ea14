/* A model of the time of a training step on more ranks, from measured times of its parts.
 *
 * Each rank computes the gradient of its own samples, sends messages, sums slices, waits for
 * messages, and updates all weights. The time of a step is the sum of its parts;
 * src/train/forecast.c has the formula of each. Pure functions: no clock, no communication. */
#ifndef PNEUMO_TRAIN_FORECAST_H
#define PNEUMO_TRAIN_FORECAST_H

#include <stdbool.h>
#include <stdint.h>

/* A connection between ranks, with the parameters of LogGP (Alexandrov et al., SPAA 1995) and
 * LogGOPS (Hoefler et al., HPDC 2010), which adds work per byte. */
typedef struct pd_link {
    double latency;   /* seconds from one rank to another, without the CPU time on either side */
    double overhead;  /* seconds of CPU time per message, to send one and to receive one */
    double bandwidth; /* bytes per second each way, shared by the ranks of a host */
    double work; /* seconds of CPU time per byte sent while as many are received; 0 if the network
                    card does all the work */
} pd_link;

/* A layer with weights. */
typedef struct pd_forecast_layer {
    double weights;  /* trainable floats */
    double backward; /* seconds of the backward pass between the gradient of the previous layer in
                        this list and that of this layer */
} pd_forecast_layer;

typedef struct pd_forecast_model {
    /* One rank, measured on `samples` samples per step. */
    double samples;
    double forward; /* seconds, with the loss */
    /* [layer_count], in the order of the backward pass; borrowed */
    const pd_forecast_layer *layers;
    int layer_count;
    double update; /* seconds; of all weights, whatever the number of samples */
    double spread; /* standard deviation of the ranks' computing time, as a fraction of it; a slow
                      rank is assumed to be slow for the whole step */
    double fold;   /* seconds per byte summed */

    /* The job. */
    int64_t batch, lanes;
    double bucket;      /* weights per message to all ranks, */
    double slice;       /* at least this many for each rank */
    double sums;        /* lane sums of short vectors in one step, */
    double sum_numbers; /* and their total length, in numbers of 8 bytes */
    /* Of an epoch, at least 1; the data set is assumed to grow with the batch. */
    double epoch_steps;
    double checkpoint; /* seconds to write one on rank 0, once an epoch, while the others wait */
    double open;       /* seconds to open the data set; ranks open it one after another */
    double read;       /* seconds to read all its images at the total bandwidth of the storage */

    /* The machine. */
    int host_ranks; /* ranks on a host, */
    int group;      /* most of them that sum gradients in shared memory; at least 1 */
    pd_link local, network;
} pd_forecast_model;

/* The parts of a step. */
typedef enum pd_forecast_part {
    PD_FORECAST_COMPUTE,    /* forward and backward of the rank with the most lanes */
    PD_FORECAST_MESSAGES,   /* CPU time of a rank for the messages of the gradient's sum */
    PD_FORECAST_LOCAL,      /* copying the gradient between groups of one host */
    PD_FORECAST_NETWORK,    /* waiting for the gradient's bytes after the backward pass */
    PD_FORECAST_STATISTICS, /* lane sums of short vectors: batch normalisation, loss, flags */
    PD_FORECAST_FOLD,       /* summing slices of the gradient */
    PD_FORECAST_STRAGGLERS, /* waiting for the slowest rank */
    PD_FORECAST_UPDATE,
    PD_FORECAST_CHECKPOINT, /* one, divided by the steps of an epoch */
    PD_FORECAST_PARTS
} pd_forecast_part;

/* Short names of the parts: "compute", "messages", ... */
extern const char *const pd_forecast_part_names[PD_FORECAST_PARTS];

/* A job on a number of ranks. */
typedef struct pd_forecast_case {
    int ranks;
    int64_t batch, lanes;
} pd_forecast_case;

typedef struct pd_forecast {
    double parts[PD_FORECAST_PARTS]; /* seconds */
    double seconds;                  /* of a step: their sum */
    double efficiency;               /* images per second over `ranks` times those of one rank */
    pd_forecast_part limit;          /* the part that reduces the efficiency most */
    double start;                    /* seconds until all ranks have opened and read the data set */
} pd_forecast;

/* The job on `ranks` ranks. Weak scaling: every rank has one lane of `samples` samples, rounded to
 * a whole number, so that the batch grows with the ranks. With `strong` the batch stays the same;
 * the number of lanes does, too, or becomes the smallest sufficient divisor of the batch. Returns
 * false if that is impossible: more ranks than PD_LANES_MAX or than images in a batch. */
bool pd_forecast_grow(const pd_forecast_model *model, int ranks, bool strong,
                      pd_forecast_case *out);

/* The time of a step, and the efficiency of `of` compared with one rank that computes the slice of
 * one rank (with `strong`: the whole batch). */
void pd_forecast_compute(const pd_forecast_model *model, const pd_forecast_case *of, bool strong,
                         pd_forecast *out);

/* The expected maximum of `ranks` independent standard normal variables: 0 for one, 0.564 for two.
 */
double pd_forecast_expected_maximum(int ranks);

#endif
