/* Each rank creates a file in memory (memfd_create), which the other ranks of its group map as
 * well.
 *
 * MPI_Win_allocate_shared would serve, but Open MPI's allocates in /dev/shm, which is often small
 * in containers; when it is full the first rank fails while the others wait for it forever
 * (ompi/mca/osc/sm/osc_sm_component.c). A memfd has no such limit, and the kernel frees it when the
 * ranks exit, however they exit. */
#include "share.h"

#include "pneumo/base/clock.h"
#include "pneumo/base/memory.h"
#include "transport.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct segment {
    void *base;
    size_t bytes;
} segment;

struct pd_share {
    int group, member;
    int file;           /* descriptor of this rank's own segment; -1: none, or closed */
    segment segments[]; /* [group] */
};

/* Maps all of `file` as the segment of `member`. */
static pd_status map(pd_share *share, int member, int file, size_t bytes)
{
    void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (base == MAP_FAILED)
        return pd_fail("cannot share %.1f MiB of memory: %s", (double)bytes / 1048576.0,
                       strerror(errno));
    /* As in pd_alloc; most systems do not support it for shared memory, which only costs speed. */
    madvise(base, bytes, MADV_HUGEPAGE);
    share->segments[member] = (segment){base, bytes};
    return PD_OK;
}

/* Creates this rank's segment. It begins with `mark`, by which others recognise it. */
static pd_status make_own(pd_share *share, size_t bytes, uint64_t mark)
{
    share->file = memfd_create("pneumo-dist", MFD_CLOEXEC);
    if (share->file < 0)
        return pd_fail("cannot share memory: memfd_create: %s", strerror(errno));
    if (ftruncate(share->file, (off_t)bytes) != 0)
        return pd_fail("cannot share %.1f MiB of memory: %s", (double)bytes / 1048576.0,
                       strerror(errno));
    pd_status status = map(share, share->member, share->file, bytes);
    if (status == PD_OK)
        memcpy(share->segments[share->member].base, &mark, sizeof mark);
    return status;
}

/* Maps the segment of another member: descriptor `address` & 2^32 - 1 of process `address` >> 32.
 */
static pd_status map_other(pd_share *share, int member, uint64_t address, size_t bytes,
                           uint64_t mark)
{
    pd_status status = PD_OK;
    char path[64];
    struct stat about;
    snprintf(path, sizeof path, "/proc/%llu/fd/%llu", (unsigned long long)(address >> 32),
             (unsigned long long)(address & UINT32_MAX));
    int file = open(path, O_RDWR | O_CLOEXEC);
    if (file < 0 || fstat(file, &about) != 0) {
        status = pd_fail("cannot map the memory of another rank: %s: %s", path, strerror(errno));
        goto cleanup;
    }
    /* If ranks run in separate containers, the same process number may denote another process. */
    if ((size_t)about.st_size != bytes) {
        status = pd_fail("cannot map the memory of another rank: %s is a different file", path);
        goto cleanup;
    }
    PD_TRY(map(share, member, file, bytes));
    if (memcmp(share->segments[member].base, &mark, sizeof mark) != 0)
        status = pd_fail("cannot map the memory of another rank: %s belongs to another run", path);
cleanup:
    if (file >= 0)
        close(file);
    return status;
}

/* Maps the segments of the other members. Collective. */
static pd_status map_group(pd_share *share, pd_comm *comm, size_t bytes, uint64_t mark)
{
    pd_status status = PD_OK;
    const uint64_t *values;
    uint64_t addresses[share->group], sizes[share->group];
    int first = comm->rank - share->member;
    uint64_t own = (uint64_t)getpid() << 32 | (uint32_t)share->file;
    PD_TRY(pd_comm_allgather_u64(comm, own, &values));
    memcpy(addresses, values + first, sizeof addresses);
    PD_TRY(pd_comm_allgather_u64(comm, bytes, &values));
    memcpy(sizes, values + first, sizeof sizes);
    for (int i = 0; i < share->group && status == PD_OK; i++)
        if (i != share->member)
            status = map_other(share, i, addresses[i], sizes[i], mark);
    PD_TRY(pd_comm_agree(comm, status));
    /* All members have mapped it, so the mark can be cleared. */
    memset(share->segments[share->member].base, 0, sizeof mark);
    PD_TRY(pd_comm_barrier(comm));
cleanup:
    return status;
}

pd_status pd_share_create(pd_share **out, pd_comm *comm, size_t bytes)
{
    pd_status status = PD_OK;
    pd_share *share = NULL;
    const uint64_t *values;
    size_t group = (size_t)comm->group_size;
    bytes = bytes < sizeof(uint64_t) ? sizeof(uint64_t) : bytes; /* for the mark */
    *out = NULL;
    /* Identifies the run: the time and the process number of rank 0. */
    uint64_t mark = (uint64_t)(pd_clock_now() * 1e6) ^ (uint64_t)getpid() << 40;
    PD_TRY(pd_comm_allgather_u64(comm, mark, &values));
    mark = values[0];
    status = pd_alloc(&share, 1, sizeof *share + group * sizeof *share->segments);
    if (status == PD_OK) {
        share->group = comm->group_size;
        share->member = comm->rank % comm->group_size;
        share->file = -1;
        status = group == 1 ? pd_alloc(&share->segments[0].base, bytes, 1)
                            : make_own(share, bytes, mark);
    }
    PD_TRY(pd_comm_agree(comm, status));
    if (group > 1)
        PD_TRY(map_group(share, comm, bytes, mark));
    *out = share;
    share = NULL;
cleanup:
    pd_share_destroy(&share);
    if (*out != NULL && (*out)->file >= 0) {
        close((*out)->file);
        (*out)->file = -1;
    }
    return status;
}

void pd_share_destroy(pd_share **share)
{
    pd_share *gone = *share;
    if (gone == NULL)
        return;
    if (gone->group == 1)
        free(gone->segments[0].base);
    for (int i = 0; i < gone->group && gone->group > 1; i++)
        if (gone->segments[i].base != NULL)
            munmap(gone->segments[i].base, gone->segments[i].bytes);
    if (gone->file >= 0)
        close(gone->file);
    free(gone);
    *share = NULL;
}

void *pd_share_segment(const pd_share *share, int member)
{
    return share->segments[member].base;
}
