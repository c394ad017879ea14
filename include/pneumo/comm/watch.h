/* The watchdog's judgement: what a rank knows of the others by their beats, and when that means
 * that somebody is gone. No clock, no messages and no threads: the transport hands over what was
 * heard and how much time has passed. Internal to the room `comm`.
 *
 * Rank 0 hears all others, and they hear rank 0. A rank beats while it works as well as while it
 * waits, so what is silent is stopped, dead or cut off, however long a file may take to write. */
#ifndef PNEUMO_COMM_WATCH_H
#define PNEUMO_COMM_WATCH_H

#include "pneumo/base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Launchers kill the ranks that a death leaves behind about a second after telling them to end. By
 * then a rank that is alive has beaten. */
#define PD_WATCH_TOLD_SECONDS 0.6

/* The end of every message that ends a run. */
extern const char pd_watch_again[];

enum { PD_HOST_MAX = 64 };

typedef char pd_host_name[PD_HOST_MAX];

/* What a rank says of itself. */
typedef struct pd_beat {
    uint32_t moves; /* operations that it has completed */
    bool waiting;   /* for other ranks */
    bool ending;    /* all ranks: it has said why */
} pd_beat;

typedef struct pd_peer {
    pd_beat beat;  /* the last one */
    double silent; /* seconds since then */
    double
        standing; /* seconds since it last completed an operation, or turned to work or waiting */
} pd_peer;

typedef struct pd_watch {
    int rank, size;
    const pd_host_name *hosts; /* [size], borrowed */
    double seconds;       /* within which all ranks end; 0: off */
    double told;          /* seconds since this rank was told to end */
    pd_peer *peers;       /* [size]; this rank is one of them */
    bool was_told, warned_of_end, warned_of_work, ending;
} pd_watch;

/* Where this rank is, for messages. */
typedef struct pd_place {
    const char *at;     /* such as "epoch 2, step 17"; "" if unknown */
    const char *awaits; /* what it waits for; NULL while it works */
} pd_place;

typedef enum pd_verdict {
    PD_VERDICT_WELL,
    PD_VERDICT_WARN, /* there is a message, once */
    PD_VERDICT_END   /* all ranks must be ended, with the message */
} pd_verdict;

pd_status pd_watch_create(pd_watch *watch, int rank, int size, const pd_host_name *hosts);
void pd_watch_release(pd_watch *watch);

/* `seconds` have passed; with `told`, this rank has been told to end before them. Time in which
 * this rank itself was stopped does not count. */
void pd_watch_pass(pd_watch *watch, double seconds, bool told);

/* A beat of `rank` has come; this rank's own are heard too. */
void pd_watch_hear(pd_watch *watch, int rank, pd_beat beat);

/* What is to be done; unless that is nothing, writes one line for people to text[size]. */
pd_verdict pd_watch_judge(pd_watch *watch, pd_place place, char *text, size_t size);

#endif
