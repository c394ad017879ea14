/* Struct members stored as HDF5 attributes, described by a table. */
#ifndef PNEUMO_IO_FIELD_H
#define PNEUMO_IO_FIELD_H

#include "hdf5.h"

#include <stdbool.h>

typedef enum pd_field_kind {
    PD_FIELD_INTEGER,  /* int64_t */
    PD_FIELD_UNSIGNED, /* uint64_t */
    PD_FIELD_REAL,     /* double */
    PD_FIELD_TEXT      /* char[] */
} pd_field_kind;

typedef struct pd_field {
    const char *name; /* of the attribute */
    pd_field_kind kind;
    size_t offset, size; /* of the member */
    bool optional;       /* a file without it leaves the member as it is */
} pd_field;

/* The row for `member` of `type`, stored as attribute `name`. */
#define PD_FIELD(type, member, name, kind)                                                         \
    {                                                                                              \
        name, PD_FIELD_##kind, offsetof(type, member), sizeof(((type *)NULL)->member), false       \
    }

/* The same for an attribute that older files do not have. */
#define PD_FIELD_OPTIONAL(type, member, name, kind)                                                \
    {                                                                                              \
        name, PD_FIELD_##kind, offsetof(type, member), sizeof(((type *)NULL)->member), true        \
    }

/* Writes the fields of `object`, in order, as attributes of `group`. */
pd_status pd_fields_put(const pd_hdf5 *file, hid_t group, const pd_field *fields, int count,
                        const void *object);

/* Reads the fields of `object` from the attributes of the group with path `group`. */
pd_status pd_fields_get(const pd_hdf5 *file, const char *group, const pd_field *fields, int count,
                        void *object);

#endif
