#include "doctor_facts.h"

#include "peaks.h"
#include "pneumo/comm/launcher.h"
#include "pneumo/io/storage.h"
#include "pneumo/kernels/blas.h"
#include "pneumo/kernels/instructions.h"

#include <stdio.h>
#include <string.h>

/* FNV-1a (Fowler, Noll, Vo) of the program's own file: enough to distinguish builds. */
static uint64_t digest_program(void)
{
    uint64_t digest = 0xcbf29ce484222325u;
    FILE *in = fopen("/proc/self/exe", "rb");
    if (in == NULL)
        return 0;
    for (int byte; (byte = getc(in)) != EOF;)
        digest = (digest ^ (uint64_t)byte) * 0x100000001b3u;
    fclose(in);
    return digest;
}

static void copy(char *to, size_t size, const char *from)
{
    snprintf(to, size, "%s", from == NULL ? "" : from);
}

void pd_facts_look(pd_facts *out, const pd_comm *comm, int threads)
{
    memset(out, 0, sizeof *out);
    copy(out->host, sizeof out->host, pd_comm_host(comm));
    copy(out->program, sizeof out->program, PNEUMO_VERSION);
    out->build = digest_program();
    const char *threading = pd_comm_library(comm, out->mpi, sizeof out->mpi);
    copy(out->threading, sizeof out->threading, threading);
    copy(out->blas, sizeof out->blas, pd_blas_version());
    char *options = strchr(out->blas, ' '); /* "OpenBLAS 0.3.21 DYNAMIC_ARCH ..." */
    options = options == NULL ? NULL : strchr(options + 1, ' ');
    if (options != NULL)
        *options = '\0';
    copy(out->hdf5, sizeof out->hdf5, pd_storage_hdf5_version());
    copy(out->core, sizeof out->core, pd_blas_core());
    copy(out->possible, sizeof out->possible, pd_blas_possible_core());
    copy(out->better, sizeof out->better, pd_blas_better_core());
    copy(out->instructions, sizeof out->instructions, pd_instructions_name());
    out->threads = threads;
    pd_host_cores(&out->cores);
    pd_launcher_advise(out->advice, sizeof out->advice, pd_comm_get_cores(comm).launcher, threads);
    out->limits = pd_host_query("");
    enum { SIDE = 384 };
    out->gflops = pd_peaks_gflops(SIDE, threads);
}

bool pd_facts_leads_host(const pd_facts *facts, int rank)
{
    for (int i = 0; i < rank; i++)
        if (strcmp(facts[i].host, facts[rank].host) == 0)
            return false;
    return true;
}

bool pd_facts_same_host(const pd_facts *facts, int rank, int other)
{
    return strcmp(facts[rank].host, facts[other].host) == 0;
}

int pd_facts_host_ranks(const pd_facts *facts, int ranks, int *hosts)
{
    int most = 0;
    *hosts = 0;
    for (int leader = 0; leader < ranks; leader++) {
        if (!pd_facts_leads_host(facts, leader))
            continue;
        int count = 0;
        for (int rank = leader; rank < ranks; rank++)
            count += pd_facts_same_host(facts, leader, rank);
        *hosts += 1;
        most = count > most ? count : most;
    }
    return most;
}
