#include "registry.h"

#include <string.h>

#define ADDRESS(name) &pd_layer_##name,
static const pd_layer_type *const types[] = {PD_LAYER_TYPES(ADDRESS)};
#undef ADDRESS

const pd_layer_type *pd_layer_type_find(const char *name)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(types[i]->name, name) == 0)
            return types[i];
    return NULL;
}
