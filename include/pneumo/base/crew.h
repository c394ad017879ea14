/* Threads that share out items of work. Unlike those of OpenMP they sleep as soon as they have
 * nothing to do, which leaves the cores to threads that have, such as those that decode images. */
#ifndef PNEUMO_BASE_CREW_H
#define PNEUMO_BASE_CREW_H

#include "pneumo/base/status.h"

typedef struct pd_crew pd_crew;

/* A crew of `threads` threads, one of which is the caller of pd_crew_run. Release *out with
 * pd_crew_destroy. */
pd_status pd_crew_create(pd_crew **out, int threads);
void pd_crew_destroy(pd_crew **crew);

/* Calls work(context, item, worker) once for each item in [0, count), and returns when all are
 * done. Workers are numbered from 0 to threads - 1 and take the items in order; calls with the same
 * number are never at the same time. One caller at a time. With crew NULL, OpenMP's threads do the
 * work; else `threads` is at most the crew's. */
void pd_crew_run(pd_crew *crew, int threads, int count,
                 void (*work)(void *context, int item, int worker), void *context);

#endif
