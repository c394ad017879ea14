/* The communicator: the ranks, their lanes, and collective operations.
 *
 * A serial and an MPI implementation share this interface. The MPI one serves processes that an MPI
 * launcher (mpirun, srun --mpi) has started; all others get the serial one, and MPI is not
 * initialised. No other room uses MPI. */
#ifndef PNEUMO_COMM_COMM_H
#define PNEUMO_COMM_COMM_H

#include "pneumo/base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct pd_comm pd_comm;

/* Joins the other ranks. Collective; once per process. The caller owns *out. After a failure the
 * process must exit, which makes the launcher end the other ranks. */
pd_status pd_comm_create(pd_comm **out);

/* Leaves the communicator. Collective. NULL-safe; nulls the handle. */
void pd_comm_destroy(pd_comm **comm);

/* Ends all ranks at once with exit code `code`, after an error that only this rank has detected.
 * The serial implementation exits. Does not return. */
_Noreturn void pd_comm_abort(pd_comm *comm, int code);

/* --- Watchdog: every rank sends heartbeats, also while it computes. --- */

enum { PD_WATCHDOG_SECONDS = 60 };

/* Whether this rank has been asked to stop, for example by SIGTERM. */
typedef bool (*pd_comm_stop_query)(void);

/* Sets the time within which all ranks end, with a message, after one has stopped, died or lost its
 * connection; 0 turns this off. The default is PD_WATCHDOG_SECONDS. Launchers send SIGTERM to all
 * ranks when one has died: with `stop_requested` (may be NULL) a rank then names the ranks that no
 * longer respond. */
void pd_comm_set_watchdog(pd_comm *comm, double seconds, pd_comm_stop_query stop_requested);

/* Sets where this rank is in its work, such as "epoch 2, step 17", for messages of the watchdog and
 * of pd_comm_agree (printf style, short). */
void pd_comm_set_position(pd_comm *comm, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

int pd_comm_rank(const pd_comm *comm);
int pd_comm_size(const pd_comm *comm);
/* The number of ranks on this host, including this one. */
int pd_comm_local_size(const pd_comm *comm);
const char *pd_comm_host(const pd_comm *comm);

typedef struct pd_comm_cores {
    int usable;                         /* that this rank may run on */
    double share;                       /* of these, its part of what the host's ranks share */
    bool first_of_kind;                 /* no rank before this one has the same share */
    const struct pd_launcher *launcher; /* that started the ranks; NULL: none */
} pd_comm_cores;

pd_comm_cores pd_comm_get_cores(const pd_comm *comm);

/* Writes the name and version of the MPI library ("none" for the serial implementation) to
 * version[size] and returns the thread level that it provides, such as "MPI_THREAD_SERIALIZED". */
const char *pd_comm_library(const pd_comm *comm, char *version, size_t size);

/* --- Lanes --- */

/* Sets the number of lanes and gives each rank a contiguous run of them (pd_tree_slice). Fails if
 * there are more ranks than lanes. Collective. */
pd_status pd_comm_set_lanes(pd_comm *comm, int lanes);
int pd_comm_first_lane(const pd_comm *comm);
int pd_comm_lane_count(const pd_comm *comm);

/* The lane sum of a short vector: parts[this rank's lanes][count] -> total[count], with the same
 * bits on every rank and for every number of ranks. Overwrites parts. Collective. Its type fits
 * pd_exec.lane_sum, with the communicator as context. */
pd_status pd_comm_lane_sum(void *comm, double *parts, size_t count, double *total);

/* The number of pairwise exchanges that one pd_comm_lane_sum makes by recursive doubling:
 * log2(ranks) if each rank holds one node of the lane tree and all hold the same number of lanes;
 * otherwise 0, and pd_comm_lane_sum gathers all lanes on every rank instead. */
int pd_comm_doubling_rounds(int lanes, int ranks);

/* --- Collectives --- */

/* Copies `size` bytes from rank `root` to all ranks. Collective. */
pd_status pd_comm_broadcast(pd_comm *comm, void *bytes, size_t size, int root);

/* Copies rank root's `text` (ignored on other ranks) to *out on all ranks, to be released with
 * free(). *out is NULL if the root's text is NULL. Collective. */
pd_status pd_comm_broadcast_text(pd_comm *comm, char **out, const char *text, int root);

/* Gathers `size` bytes from each rank (sizes may differ) on rank 0, in rank order: *out, to be
 * released with free(), and *total bytes; NULL and 0 on other ranks. Collective. */
pd_status pd_comm_gather(pd_comm *comm, const void *bytes, size_t size, void **out, size_t *total);

/* Gathers one integer from each rank on all ranks, in rank order: *values [size], owned by `comm`
 * and valid until its next collective. Collective. */
pd_status pd_comm_allgather_u64(pd_comm *comm, uint64_t value, const uint64_t **values);

/* Bitwise or of `flags` over all ranks. Collective. */
pd_status pd_comm_bitwise_or(pd_comm *comm, uint32_t flags, uint32_t *all);

/* The largest `value` over all ranks; NaN if any is NaN. Collective. */
pd_status pd_comm_max(pd_comm *comm, double value, double *largest);

/* Agrees on the outcome of a step that may fail on some ranks: each rank passes its own status. If
 * all are PD_OK, returns PD_OK; otherwise returns, on all ranks, the status of the lowest rank that
 * failed and sets its message, which with several ranks names the rank and its position
 * (pd_comm_set_position). Collective. */
pd_status pd_comm_agree(pd_comm *comm, pd_status status);

/* Returns once all ranks have called it. Collective. */
pd_status pd_comm_barrier(pd_comm *comm);

#endif
