/* The communicator: ranks, lanes, and everything that ranks say to each other.
 *
 * One serial and one MPI implementation behind this header. Under a launcher (mpirun, srun) the MPI
 * one is used; without, the serial one, and MPI is not started. All of MPI stays in this room. */
#ifndef PNEUMO_COMM_COMM_H
#define PNEUMO_COMM_COMM_H

#include "pneumo/base/status.h"
#include "pneumo/kernels/tree.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct pd_comm pd_comm;

/* Joins the other ranks. Collective; once per process. The caller owns *out. On failure the process
 * must end, which makes the launcher end the other ranks. */
pd_status pd_comm_create(pd_comm **out);

/* Leaves. Collective. NULL-safe; nulls the handle. */
void pd_comm_destroy(pd_comm **comm);

/* Ends all ranks at once with exit code `code` after an error that the others cannot know of. The
 * serial one exits. Does not return. */
_Noreturn void pd_comm_abort(pd_comm *comm, int code);

/* --- The watchdog. Ranks tell each other that they live, at work too. --- */

enum { PD_WATCHDOG_SECONDS = 60 };

/* Whether this rank has been told to end, such as by SIGTERM. */
typedef bool (*pd_comm_stop_query)(void);

/* Ends all ranks with a message within `seconds` after one has stopped, died or been cut off; 0:
 * never. From pd_comm_create on it is PD_WATCHDOG_SECONDS. `told` (NULL: none) lets a rank that is
 * told to end say which others are silent: launchers end all ranks when one has died. */
void pd_comm_set_watchdog(pd_comm *comm, double seconds, pd_comm_stop_query told);

/* Says where this rank is, such as "epoch 2, step 17", for messages of the watchdog and of
 * pd_comm_agree (printf style, short). */
void pd_comm_set_position(pd_comm *comm, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

int pd_comm_rank(const pd_comm *comm);
int pd_comm_size(const pd_comm *comm);
/* Ranks on this host, this one included. */
int pd_comm_local_size(const pd_comm *comm);
const char *pd_comm_host(const pd_comm *comm);

/* Fixes the number of lanes and the slice of them that each rank owns (pd_tree_slice). More ranks
 * than lanes is an error that says to raise `lanes`. Collective. */
pd_status pd_comm_set_lanes(pd_comm *comm, int lanes);
int pd_comm_lanes(const pd_comm *comm);
int pd_comm_first_lane(const pd_comm *comm);
int pd_comm_lane_count(const pd_comm *comm);

/* Lets groups of ranks of one host add up large vectors in memory that they share, so that only one
 * copy of a sum passes between groups. A group has as many ranks as the host, or a divisor of that,
 * and at most `most` of them (0: as many as possible). Groups have 1 rank where hosts have
 * different numbers of ranks, where the ranks of a host do not follow one another, or where they
 * cannot share memory. Bits do not depend on groups. Collective; before pd_reduction_create. */
pd_status pd_comm_set_group_size(pd_comm *comm, int most);
int pd_comm_group_size(const pd_comm *comm);
/* Why groups are smaller than asked for; "" if they are not. */
const char *pd_comm_group_obstacle(const pd_comm *comm);

/* The lane sum of a short vector: parts[lane held here][count] -> total[count], the same bits on
 * every rank and for every number of ranks. parts may be overwritten. Collective. Its type fits
 * pd_exec.lane_sum with the communicator as context. */
pd_status pd_comm_lane_sum(void *comm, double *parts, size_t count, double *total);

/* How often ranks swap sums in pd_comm_lane_sum, once for every level of the lane tree above those
 * that a rank holds: log2(ranks), where each holds one node of the tree and all the same number of
 * lanes. 0: every rank gathers all lanes instead. */
int pd_comm_doubling_rounds(int lanes, int ranks);

/* Copies root's bytes to every rank. Collective. */
pd_status pd_comm_broadcast(pd_comm *comm, void *bytes, size_t size, int root);

/* Copies root's text (ignored on other ranks) to every rank as *out (free()). Where root's is NULL,
 * *out is NULL. Collective. */
pd_status pd_comm_broadcast_text(pd_comm *comm, char **out, const char *text, int root);

/* Gathers `size` bytes of each rank (sizes may differ) on rank 0, in rank order: *out (free()) and
 * *total bytes; NULL and 0 on other ranks. 2 GiB or more in all is an error. Collective. */
pd_status pd_comm_gather(pd_comm *comm, const void *bytes, size_t size, void **out, size_t *total);

/* Bitwise or of `flags` over all ranks. Collective. */
pd_status pd_comm_bitwise_or(pd_comm *comm, uint32_t flags, uint32_t *all);

/* Every rank's word, in rank order: *words [size], owned by `comm` and valid until its next call.
 * Collective. */
pd_status pd_comm_allgather_u64(pd_comm *comm, uint64_t word, const uint64_t **words);

/* The largest of `value` over all ranks; NaN if any is NaN. Collective. */
pd_status pd_comm_max(pd_comm *comm, double value, double *largest);

/* Agreement on errors: every rank calls it with its own status. If all are PD_OK, returns PD_OK;
 * else every rank returns the status of the lowest rank that failed, with that rank's message,
 * which names the rank and where it is (pd_comm_set_position) when there are several. Collective.
 */
pd_status pd_comm_agree(pd_comm *comm, pd_status status);

pd_status pd_comm_barrier(pd_comm *comm);

/* --- The lane sum of a large vector, overlapped with the computation that makes it. --- */

typedef enum pd_reduction_kind {
    PD_REDUCTION_EXACT =
        0,                /* all-to-all, fold in tree order, all-gather: same bits for any ranks */
    PD_REDUCTION_MPI = 1, /* MPI_Iallreduce of each rank's own fold */
    PD_REDUCTIONS
} pd_reduction_kind;

/* "exact", "mpi" */
extern const char *const pd_reduction_names[PD_REDUCTIONS];

typedef struct pd_reduction pd_reduction;

/* For vectors of `count` floats, moved in buckets of `bucket` floats (0: a default of 1 MiB; at
 * most 2^24). After pd_comm_set_lanes. Allocates all that sums need: the parts, and what of up to
 * 64 buckets comes from other groups. Collective. The caller owns *out and destroys it before the
 * communicator. */
pd_status pd_reduction_create(pd_reduction **out, pd_comm *comm, pd_reduction_kind kind,
                              size_t count, size_t bucket);
void pd_reduction_destroy(pd_reduction **reduction);

/* The subtrees of the lanes held here, in lane order; as pd_tree_subtrees. */
int pd_reduction_subtrees(const pd_reduction *reduction);

/* What this rank has to add: one vector [count] per subtree, at parts + i * count. The reduction's,
 * zeroed at first. Written between pd_reduction_begin and pd_reduction_ready. */
float *pd_reduction_parts(pd_reduction *reduction);

/* Starts one sum; waits until the group has no more use for the result of the one before. One sum
 * at a time is in flight per communicator; its other functions may be called meanwhile. A rank that
 * fails between here and pd_reduction_finish cannot leave its part out: it must call
 * pd_comm_abort. Collective. */
pd_status pd_reduction_begin(pd_reduction *reduction);

/* Says that [offset, offset + count) is final in every part. Offsets fall from call to call, the
 * ranges adjacent, starting from the vector's end. Full buckets start to travel; earlier ones are
 * moved on. Every rank makes the same calls in the same order. Its type fits pd_gradient_ready. */
pd_status pd_reduction_ready(void *reduction, size_t offset, size_t count);

/* Waits until the whole sum is there; the parts have been overwritten. Collective. */
pd_status pd_reduction_finish(pd_reduction *reduction);

/* The sum [count], from pd_reduction_finish until pd_reduction_begin. The reduction's. The group
 * shares it, so it is not to be written. */
const float *pd_reduction_result(const pd_reduction *reduction);

/* Seconds this rank has waited in pd_reduction_finish and spent in folding, since the last call. */
void pd_reduction_seconds(pd_reduction *reduction, double *waiting, double *folding);

/* --- What carries it all. --- */

/* Writes the name and version of the MPI library, "none" without a launcher, and returns the level
 * of threading that it has granted ("MPI_THREAD_FUNNELED"). */
const char *pd_comm_library(const pd_comm *comm, char *version, size_t size);

#endif
