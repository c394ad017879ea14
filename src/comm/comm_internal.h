/* For tests only. */
#ifndef PNEUMO_COMM_COMM_INTERNAL_H
#define PNEUMO_COMM_COMM_INTERNAL_H

#include "pneumo/comm/comm.h"

int pd_comm_lanes(const pd_comm *comm);

#endif
