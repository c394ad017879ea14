#include "pneumo/io/array.h"

#include <stdlib.h>
#include <string.h>

const pd_array *pd_array_find(const pd_array *arrays, int count, const char *layer,
                              const char *weight)
{
    for (int i = 0; i < count; i++) {
        if (strcmp(arrays[i].layer, layer) == 0 && strcmp(arrays[i].weight, weight) == 0)
            return &arrays[i];
    }
    return NULL;
}

void pd_array_free_all(pd_array *arrays, int count)
{
    for (int i = 0; i < count; i++) {
        free((void *)arrays[i].layer);
        free((void *)arrays[i].weight);
        free(arrays[i].data);
    }
    free(arrays);
}
