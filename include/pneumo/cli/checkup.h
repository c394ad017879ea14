/* What doctor checks: facts that every rank tells of itself, and rank 0's judgement of them, a line
 * each. */
#ifndef PNEUMO_CLI_CHECKUP_H
#define PNEUMO_CLI_CHECKUP_H

#include "pneumo/base/host.h"
#include "pneumo/comm/comm.h"
#include "pneumo/train/footprint.h"
#include "pneumo/train/job.h"

#include <sched.h>

typedef enum pd_check_state { PD_CHECK_OK, PD_CHECK_WARN, PD_CHECK_FAIL } pd_check_state;

enum { PD_CHECKS_MAX = 64, PD_CHECK_TEXT = 768 };

typedef struct pd_check {
    const char *name;
    pd_check_state state;
    char text[PD_CHECK_TEXT]; /* what is, and where that is bad, what mends it */
} pd_check;

typedef struct pd_checkup {
    bool silent; /* else each line is printed as soon as it is known */
    int count, warnings, failures;
    pd_check checks[PD_CHECKS_MAX];
} pd_checkup;

void pd_checkup_add(pd_checkup *checkup, pd_check_state state, const char *name, const char *format,
                    ...) __attribute__((format(printf, 4, 5)));

/* What a rank knows by itself. Travels as bytes. */
typedef struct pd_facts {
    char host[128];
    char program[32]; /* version */
    uint64_t build;   /* digest of the program file */
    char mpi[128], threading[32], blas[64], hdf5[32];
    char core[32];     /* whose kernels OpenBLAS uses */
    char possible[32]; /* the OPENBLAS_CORETYPE for the newest instructions; "" without any */
    char better[32];   /* the same where OpenBLAS' choice is an old one */
    char instructions[32];
    int threads;
    cpu_set_t cores; /* that it may run on */
    pd_host left;
    double gflops; /* of a matrix product on all threads */

    char data_error[256]; /* "" if the data set could be opened and read */
    char digest[33];      /* of the data set */
    double open;          /* seconds to open it */
    double read_bytes, read_seconds;
    char folder_error[256]; /* "" if rank 0's file in the run's folder could be read */

    char plan_error[256]; /* "" if the job can be planned */
    pd_footprint footprint;
} pd_facts;

/* Fills in what this rank can tell at once: all but data set, folder and plan. Takes about a third
 * of a second. Not collective. */
void pd_facts_look(pd_facts *out, const pd_comm *comm, int threads);

/* The most ranks that any host has, and the number of hosts. */
int pd_facts_host_ranks(const pd_facts *facts, int ranks, int *hosts);

/* The judgements of facts[ranks], in rank order. */
void pd_check_programs(pd_checkup *checkup, const pd_facts *facts, int ranks);
void pd_check_processors(pd_checkup *checkup, const pd_facts *facts, int ranks);
void pd_check_binding(pd_checkup *checkup, const pd_facts *facts, int ranks);
void pd_check_lanes(pd_checkup *checkup, const pd_facts *facts, int ranks, const pd_job *job);
void pd_check_data(pd_checkup *checkup, const pd_facts *facts, int ranks, const pd_job *job,
                   const pd_dataset_info *info);
void pd_check_memory(pd_checkup *checkup, const pd_facts *facts, int ranks);
void pd_check_products(pd_checkup *checkup, const pd_facts *facts, int ranks);

/* Writes "12.3 GiB" and the like, and returns `text`. */
char *pd_check_bytes(char text[16], double bytes);

#endif
