/* Locks of folders and files: one process at a time writes into a run or to an output. */
#ifndef PNEUMO_IO_LOCK_H
#define PNEUMO_IO_LOCK_H

#include "pneumo/base/status.h"

#include <stdbool.h>

/* Locks `folder`, which must exist, for this process until it ends or calls pd_lock_release_all;
 * does nothing if this process has it. If another process has it, on this host or another, fails
 * with a message that says which, since when, and `remedy`. Not for several threads.
 *
 * The lock is an open file description lock (fcntl, F_OFD_SETLK) on folder/run.lock, which names
 * the command, the host, the process and the time. The kernel drops it when the process ends in any
 * way; NFS passes it on to the server, which drops it when the host of the process restarts or,
 * from version 4 on, is gone for longer than its lease. (flock is local to a host on other network
 * file systems, and a process loses its plain fcntl locks when it closes any descriptor of the
 * file.) On a file system without locks, warns and continues. */
pd_status pd_lock_take(const char *folder, const char *remedy);

/* The same for the folder of the file `path`, of a link for that of its target, if a process has
 * ever locked that folder and not released it: files elsewhere need no lock. */
pd_status pd_lock_take_beside(const char *path, const char *remedy);

/* The same for the file `path`, by the file path.lock beside it. Creates the folder. */
pd_status pd_lock_take_file(const char *path, const char *remedy);

/* The same, but waits until the other process has ended, for at most `seconds`: says once for whom,
 * and shows that it waits. Signals are obeyed as at any other time. */
pd_status pd_lock_wait_file(const char *path, double seconds, const char *remedy);

/* Releases the lock of the file `path` if this process has it. */
void pd_lock_release_file(const char *path);

/* Who locks a folder, or did. */
typedef struct pd_lock_holder {
    bool exists;     /* there is a lock file; of a process that was killed, it stays */
    bool held;       /* by a process that lives */
    bool writes_run; /* it took the lock by pd_lock_take, not for a file in the folder */
    bool named;      /* the following are known: */
    char command[256], host[256], since[64];
    long process;
} pd_lock_holder;

/* Looks at the lock of `folder` without taking it. Fails if the file cannot be read. */
pd_status pd_lock_query(pd_lock_holder *out, const char *folder);

/* Releases all locks of this process and removes their files. */
void pd_lock_release_all(void);

#endif
