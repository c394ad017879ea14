/* What the files of the command bench share: bench.c; bench_measure.c, which times steps;
 * bench_print.c; and bench_inference.c. */
#ifndef PNEUMO_CLI_BENCH_H
#define PNEUMO_CLI_BENCH_H

#include "pneumo/train/step.h"

#include <stdbool.h>

/* The work of a layer in one direction, of the whole batch. */
typedef struct pd_bench_work {
    double seconds; /* mean over the ranks */
    double flops, bytes;
} pd_bench_work;

/* A layer, the layers of one type, or the row "lane fold". */
typedef struct pd_bench_row {
    const char *name, *kind; /* of a layer; for several, both are the type's name */
    int layers;
    pd_bench_work forward, backward;
} pd_bench_row;

/* The results, set on rank 0. Parts, layers and kinds are those of the median step. */
typedef struct pd_bench {
    double seconds, fastest, slowest; /* of a step on its slowest rank */
    double parts[PD_STEP_PARTS];      /* mean over the ranks */
    double least[PD_STEP_PARTS], most[PD_STEP_PARTS];
    pd_bench_row *layers; /* [layer_count] */
    pd_bench_row *kinds;  /* [kind_count] */
    int layer_count, kind_count;
    double peak_mib; /* of the largest rank */
    bool has_peaks;
    double peak_gflops, peak_gbytes; /* per second, of all ranks together */
} pd_bench;

/* Times `steps` steps after one for warming up. With `peaks`, first measures how fast all ranks
 * together multiply matrices and read and write memory. The step's batch must be filled. *out is
 * released by pd_bench_free, also after a failure. Collective. */
pd_status pd_bench_measure(pd_bench *out, pd_step *step, int steps, bool peaks);
void pd_bench_free(pd_bench *bench);

/* Prints tables, or one line of JSON. The layers are listed if there are peaks. */
void pd_bench_print(const pd_bench *bench, const pd_step *step, int steps);
void pd_bench_print_json(const pd_bench *bench, const pd_step *step, int steps);

/* Times `rounds` passes of the job's network in inference over a batch of random images, after one
 * for warming up, and prints the median. */
pd_status pd_bench_inference(const pd_job *job, int threads, int rounds, bool json);

#endif
