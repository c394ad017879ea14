/* Every rank makes a file in memory (memfd_create), and the others of its group map it, too.
 *
 * MPI_Win_allocate_shared would do the same, but Open MPI's takes its memory from /dev/shm, which
 * containers often keep small, and when that is full its first rank fails while the others wait for
 * it for ever (ompi/mca/osc/sm/osc_sm_component.c). Files in memory have no such bound, and none is
 * left behind when a rank dies. */
#include "pneumo/comm/share.h"

#include "pneumo/base/clock.h"
#include "pneumo/base/memory.h"
#include "pneumo/comm/transport.h"

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
    int file;           /* of this rank's own segment; -1: none, or closed */
    segment segments[]; /* [group] */
};

/* Maps the whole of `file` as the segment of `member`. */
static pd_status map(pd_share *share, int member, int file, size_t bytes)
{
    void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (base == MAP_FAILED)
        return pd_fail("cannot share %.1f MiB of memory: %s", (double)bytes / 1048576.0,
                       strerror(errno));
    /* As in pd_alloc; most systems refuse it for shared memory. */
    madvise(base, bytes, MADV_HUGEPAGE);
    share->segments[member] = (segment){base, bytes};
    return PD_OK;
}

/* This rank's own segment. It begins with `mark`, by which others know it. */
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
        memcpy(share->segments[share->member].base, &mark, sizeof(mark));
    return status;
}

/* The segment of another member, which is file `place` & 2^32 - 1 of process `place` >> 32. */
static pd_status map_other(pd_share *share, int member, uint64_t place, size_t bytes, uint64_t mark)
{
    pd_status status = PD_OK;
    char path[64];
    struct stat about;
    snprintf(path, sizeof(path), "/proc/%llu/fd/%llu", (unsigned long long)(place >> 32),
             (unsigned long long)(place & UINT32_MAX));
    int file = open(path, O_RDWR | O_CLOEXEC);
    if (file < 0 || fstat(file, &about) != 0) {
        status = pd_fail("cannot see the memory of another rank: %s: %s", path, strerror(errno));
        goto cleanup;
    }
    /* Where ranks are in containers of their own the number of a process may mean another one. */
    if ((size_t)about.st_size != bytes) {
        status = pd_fail("cannot see the memory of another rank: %s is something else", path);
        goto cleanup;
    }
    PD_TRY(map(share, member, file, bytes));
    if (memcmp(share->segments[member].base, &mark, sizeof(mark)) != 0)
        status = pd_fail("cannot see the memory of another rank: %s is of another program", path);
cleanup:
    if (file >= 0)
        close(file);
    return status;
}

/* Maps the segments of the others. Collective. */
static pd_status map_group(pd_share *share, pd_comm *comm, size_t bytes, uint64_t mark)
{
    pd_status status = PD_OK;
    const uint64_t *words;
    uint64_t places[share->group], sizes[share->group];
    int first = comm->rank - share->member;
    uint64_t own = (uint64_t)getpid() << 32 | (uint32_t)share->file;
    PD_TRY(pd_comm_allgather_u64(comm, own, &words));
    memcpy(places, words + first, sizeof(places));
    PD_TRY(pd_comm_allgather_u64(comm, bytes, &words));
    memcpy(sizes, words + first, sizeof(sizes));
    for (int i = 0; i < share->group && status == PD_OK; i++)
        if (i != share->member)
            status = map_other(share, i, places[i], sizes[i], mark);
    PD_TRY(pd_comm_agree(comm, status));
    /* All have mapped it. The mark is gone before anybody uses the memory. */
    memset(share->segments[share->member].base, 0, sizeof(mark));
    PD_TRY(pd_comm_barrier(comm));
cleanup:
    return status;
}

pd_status pd_share_create(pd_share **out, pd_comm *comm, size_t bytes)
{
    pd_status status = PD_OK;
    pd_share *share = NULL;
    const uint64_t *words;
    size_t group = (size_t)comm->group;
    bytes = bytes < sizeof(uint64_t) ? sizeof(uint64_t) : bytes;
    *out = NULL;
    /* Of this run and no other: when it was, and the process of rank 0. */
    uint64_t mark = (uint64_t)(pd_clock_now() * 1e6) ^ (uint64_t)getpid() << 40;
    PD_TRY(pd_comm_allgather_u64(comm, mark, &words));
    mark = words[0];
    status = pd_alloc(&share, 1, sizeof(*share) + group * sizeof(*share->segments));
    if (status == PD_OK) {
        share->group = comm->group;
        share->member = comm->rank % comm->group;
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

void *pd_share_at(const pd_share *share, int member)
{
    return share->segments[member].base;
}
