/* The ranks that pack a folder together. */
#ifndef PNEUMO_DATA_TEAM_H
#define PNEUMO_DATA_TEAM_H

#include "pneumo/base/status.h"

#include <stddef.h>

/* This room knows nothing of MPI: the functions are those of pneumo/comm/comm.h. They are not
 * called if the size is 1. */
typedef struct pd_team {
    int rank, size;
    void *comm; /* passed to the functions */
    pd_status (*broadcast)(void *comm, void *bytes, size_t size, int root);
    pd_status (*gather)(void *comm, const void *bytes, size_t size, void **out, size_t *total);
    pd_status (*agree)(void *comm, pd_status status);
} pd_team;

#endif
