#include "joins.h"

#include "pneumo/base/memory.h"

#include <stdlib.h>

pd_status pd_joins_create(pd_joins *out, int32_t patients)
{
    pd_status status = pd_alloc(&out->parent, (size_t)patients, sizeof *out->parent);
    for (int32_t p = 0; p < patients && status == PD_OK; p++)
        out->parent[p] = p;
    return status;
}

void pd_joins_free(pd_joins *joins)
{
    free(joins->parent);
    joins->parent = NULL;
}

/* With path halving. */
int32_t pd_joins_find(pd_joins *joins, int32_t patient)
{
    int32_t *parent = joins->parent;
    while (parent[patient] != patient) {
        parent[patient] = parent[parent[patient]];
        patient = parent[patient];
    }
    return patient;
}

void pd_joins_join(pd_joins *joins, int32_t a, int32_t b)
{
    a = pd_joins_find(joins, a);
    b = pd_joins_find(joins, b);
    joins->parent[a > b ? a : b] = a < b ? a : b;
}
