/* ZIP archives, stored without compression. */
#ifndef PNEUMO_EXCHANGE_ARCHIVE_H
#define PNEUMO_EXCHANGE_ARCHIVE_H

#include "pneumo/base/status.h"

#include <stddef.h>

typedef struct pd_archive_member {
    const char *name;
    const void *bytes; /* [size] */
    size_t size;
} pd_archive_member;

/* Makes an archive in memory: *bytes [*size], to be released with free(). Its members are dated
 * 1980, so that the same content gives the same bytes. Messages name `path`. */
pd_status pd_archive_make(void **bytes, size_t *size, const char *path,
                          const pd_archive_member *members, int count);

#endif
