/* The rules of the watchdog: from the heartbeats of other ranks and the time that passes, it
 * decides whether a rank is missing. It has no clock, no communication and no threads: the
 * transport passes in the heartbeats that it receives and the time since the last call.
 *
 * Rank 0 receives the heartbeats of all others, which receive those of rank 0. Ranks send
 * heartbeats while they compute as well as while they wait, so a silent rank is stopped, dead or
 * disconnected, however long, say, a write to disk takes. */
#ifndef PNEUMO_COMM_WATCHDOG_H
#define PNEUMO_COMM_WATCHDOG_H

#include "pneumo/base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* After a rank dies, launchers send the others SIGTERM and about a second later SIGKILL. In a job
 * of up to 1,000 ranks, every live rank sends a heartbeat within this time. */
#define PD_WATCHDOG_STOP_SECONDS 0.6

/* Ends every message that ends a run: how to run it again. */
extern const char pd_watchdog_advice[];

enum { PD_HOST_MAX = 64 };

typedef char pd_host_name[PD_HOST_MAX];

/* A heartbeat: the state of the rank that sends it. */
typedef struct pd_beat {
    uint32_t completed; /* operations */
    bool waiting;       /* for other ranks */
    bool ending;        /* it has printed a message and is ending all ranks */
} pd_beat;

typedef struct pd_peer {
    pd_beat beat;   /* the last one */
    double silent;  /* seconds since then */
    double stalled; /* seconds since it last completed an operation, or began or ceased to wait */
} pd_peer;

typedef struct pd_watchdog {
    int rank, size;            /* rank -1: unknown; size 0: ranks have not joined */
    const char *host;          /* of this rank, borrowed */
    const pd_host_name *hosts; /* [size], borrowed */
    double period;             /* seconds between two heartbeats of a rank */
    double seconds;            /* limit within which all ranks end; 0: off */
    double stopping;           /* seconds since this rank was asked to stop */
    double blocked;            /* seconds for which an MPI call of this rank has not returned */
    pd_peer *peers;            /* [size], including this rank */
    bool resumed; /* this rank was stopped, and has not completed an operation since: the others may
                   * be ending because of it */
    bool was_stopping, warned_of_death, warned_of_delay, ending;
} pd_watchdog;

/* Where this rank is, for messages. */
typedef struct pd_place {
    const char *position; /* such as "epoch 2, step 17"; "" if unknown */
    const char *awaited;  /* what it waits for; NULL while it computes */
} pd_place;

typedef enum pd_verdict {
    PD_VERDICT_WELL,
    PD_VERDICT_WARN, /* print the message, once */
    PD_VERDICT_END   /* print the message and end all ranks */
} pd_verdict;

/* Begins before ranks have joined, with the number that the launcher gives this one (-1: unknown).
 */
void pd_watchdog_begin(pd_watchdog *watchdog, int rank, const char *host, double seconds);

/* From now on the watchdog has peers. The limit is off. */
pd_status pd_watchdog_join(pd_watchdog *watchdog, int rank, int size, const pd_host_name *hosts,
                           double period);
void pd_watchdog_release(pd_watchdog *watchdog);

/* Sets the limit, and raises it to 20 periods if it is shorter: a late heartbeat could not be told
 * from a missing rank. */
void pd_watchdog_set_limit(pd_watchdog *watchdog, double seconds);

/* Adds `seconds` to all times. `stop_requested`: this rank had been asked to stop by then.
 * `blocked`: an MPI call had not returned. Counts little more than a period, so that time during
 * which this rank itself was stopped does not count. */
void pd_watchdog_elapse(pd_watchdog *watchdog, double seconds, bool stop_requested, bool blocked);

/* Records a heartbeat of `rank`; this rank's own are recorded too. */
void pd_watchdog_receive(pd_watchdog *watchdog, int rank, pd_beat beat);

/* Decides what to do; unless that is nothing, writes the message, one line, to text[size]. After
 * PD_VERDICT_END there is no further message. */
pd_verdict pd_watchdog_judge(pd_watchdog *watchdog, pd_place place, char *text, size_t size);

#endif
