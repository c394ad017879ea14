/* The facts that doctor collects on each rank. */
#ifndef PNEUMO_CLI_DOCTOR_FACTS_H
#define PNEUMO_CLI_DOCTOR_FACTS_H

#include "pneumo/base/host.h"
#include "pneumo/comm/comm.h"
#include "pneumo/train/footprint.h"

#include <sched.h>

/* Without pointers: ranks send it as bytes. */
typedef struct pd_facts {
    char host[128];
    char program[32]; /* version */
    uint64_t build;   /* digest of the program file */
    char mpi[128], threading[32], blas[64], hdf5[32];
    char core[32]; /* the processor type whose kernels OpenBLAS uses */
    /* OPENBLAS_CORETYPE for the newest instructions of the processor; "": none. */
    char possible[32];
    char better[32]; /* the same if OpenBLAS has chosen an older one, else "" */
    char instructions[32];
    int threads;
    cpu_set_t cores;  /* that the rank may run on */
    char advice[128]; /* how to give it as many as it has threads */
    pd_host limits;
    double gflops; /* of a matrix product on all threads */

    char data_error[256]; /* "" if the data set could be opened and read */
    char digest[33];      /* of the data set */
    double open;          /* seconds to open it */
    double read_bytes, read_seconds;
    char folder_error[256]; /* "" if rank 0's file in the run's folder could be read */

    char plan_error[256]; /* "" if the job can be planned */
    pd_footprint footprint;
} pd_facts;

/* Fills in everything except data set, folder and plan. Takes about a third of a second. Not
 * collective. */
void pd_facts_look(pd_facts *out, const pd_comm *comm, int threads);

/* Returns the largest number of ranks on a host, and sets *hosts to the number of hosts. */
int pd_facts_host_ranks(const pd_facts *facts, int ranks, int *hosts);

/* Whether two ranks are on one host, and whether `rank` is the first rank of its host. */
bool pd_facts_same_host(const pd_facts *facts, int rank, int other);
bool pd_facts_leads_host(const pd_facts *facts, int rank);

#endif
