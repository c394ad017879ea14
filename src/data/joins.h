/* Groups of patients that are joined one by one (union-find). */
#ifndef PNEUMO_DATA_JOINS_H
#define PNEUMO_DATA_JOINS_H

#include "pneumo/base/status.h"

#include <stdint.h>

typedef struct pd_joins {
    int32_t *parent; /* [patients] */
} pd_joins;

/* Starts with every patient in [0, patients) alone. *out is released with pd_joins_free, also after
 * a failure. */
pd_status pd_joins_create(pd_joins *out, int32_t patients);
void pd_joins_free(pd_joins *joins);

/* The lowest patient of the group. */
int32_t pd_joins_find(pd_joins *joins, int32_t patient);

/* Joins the groups of two patients. */
void pd_joins_join(pd_joins *joins, int32_t a, int32_t b);

#endif
