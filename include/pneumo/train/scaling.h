/* How long a training step takes on more ranks: a model of its parts, fed with measured times.
 *
 * Every rank computes the gradient of its own samples, sends messages, adds up slices, waits for
 * what is not there yet, and updates all weights by itself. The parts are added up; the formula of
 * each is beside it in src/train/scaling.c. Pure functions, no clock and no ranks. */
#ifndef PNEUMO_TRAIN_SCALING_H
#define PNEUMO_TRAIN_SCALING_H

#include <stdbool.h>
#include <stdint.h>

/* What carries messages, in the terms of LogGP (Alexandrov et al., SPAA 1995) and LogGOPS (Hoefler
 * et al., HPDC 2010), which adds work per byte. */
typedef struct pd_link {
    double latency;   /* seconds from one rank to another, beyond the work on either side */
    double overhead;  /* seconds that a rank works on a message, sending one and receiving one */
    double bandwidth; /* bytes per second each way, shared by the ranks of a host */
    double work; /* seconds that a rank's processor works per byte that it sends, and receives as
                    many; 0 where the network does it all by itself */
} pd_link;

/* A layer with weights. */
typedef struct pd_scaling_layer {
    double weights;  /* trainable floats */
    double backward; /* seconds of the backward pass from the layer before in this list until the
                        gradient of this one is there */
} pd_scaling_layer;

typedef struct pd_scaling {
    /* One rank, measured on `samples` samples per step. */
    double samples;
    double forward;                 /* seconds, the loss included */
    const pd_scaling_layer *layers; /* [layer_count], in the order of the backward pass; borrowed */
    int layer_count;
    double update; /* seconds; of all weights, whatever the number of samples */
    double spread; /* standard deviation of the ranks' computing time, as a share of it; a rank that
                      is slow is taken to be slow for the whole step */
    double fold;   /* seconds per byte that is added up */

    /* The job. */
    int64_t batch, lanes;
    double bucket;      /* weights that travel together, */
    double slice;       /* but no fewer than so many for each rank */
    double sums;        /* lane sums of short vectors in one step, */
    double sum_numbers; /* and how many numbers of 8 bytes they have together */
    double epoch_steps; /* of an epoch, at least 1: where the batch grows, the data set does too */
    double checkpoint;  /* seconds in which rank 0 writes one, once an epoch, while all wait */
    double open;        /* seconds to open the data set, served to one rank after the other */
    double read;        /* seconds to read all its images, at what the storage gives to all */

    /* The machine. */
    int host_ranks; /* ranks on a host, */
    int group;      /* of which so many, at most, add up gradients in shared memory; at least 1 */
    pd_link local, network;
} pd_scaling;

/* Where the time of a step goes, in this order. */
typedef enum pd_scaling_part {
    PD_SCALING_COMPUTE,    /* forward and backward of the rank with most lanes */
    PD_SCALING_MESSAGES,   /* a rank's own work on the messages of the gradient's sum */
    PD_SCALING_LOCAL,      /* copying the gradient between groups of one host */
    PD_SCALING_NETWORK,    /* waiting for the gradient's bytes after the backward pass */
    PD_SCALING_STATISTICS, /* lane sums of short vectors: batch normalisation, loss, flags */
    PD_SCALING_FOLD,       /* adding up slices of the gradient */
    PD_SCALING_STRAGGLERS, /* waiting for the slowest rank */
    PD_SCALING_UPDATE,
    PD_SCALING_CHECKPOINT, /* of one, shared by the steps of an epoch */
    PD_SCALING_PARTS
} pd_scaling_part;

/* Short names of the parts: "compute", "messages", ... */
extern const char *const pd_scaling_part_names[PD_SCALING_PARTS];

/* A job on a number of ranks. */
typedef struct pd_scaling_case {
    int ranks;
    int64_t batch, lanes;
} pd_scaling_case;

typedef struct pd_prediction {
    double parts[PD_SCALING_PARTS]; /* seconds */
    double seconds;                 /* of a step: their sum */
    double efficiency;              /* images per second over `ranks` times those of one rank */
    pd_scaling_part limit;          /* the part that costs the most efficiency */
    double start;                   /* seconds until all ranks have opened and read the data set */
} pd_prediction;

/* The job on `ranks` ranks. Weak scaling: every rank has one lane of `samples` samples, so that the
 * batch grows with the ranks. With `strong` the batch stays, and so do the lanes where they are
 * enough; else they become the smallest divisor of the batch that is. Returns false where that is
 * not possible: more ranks than PD_LANES_MAX, or than images in a batch. */
bool pd_scaling_grow(const pd_scaling *model, int ranks, bool strong, pd_scaling_case *out);

/* What a step takes, and how well `of` uses its ranks, against one rank that does the share of one
 * rank (with `strong`: that does the whole batch). */
void pd_scaling_predict(const pd_scaling *model, const pd_scaling_case *of, bool strong,
                        pd_prediction *out);

/* The expected largest of `ranks` independent standard normal numbers: 0 of one, 0.564 of two. */
double pd_scaling_slowest(int ranks);

#endif
