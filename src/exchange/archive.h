/* ZIP archives: written without compression, read with any. */
#ifndef PNEUMO_EXCHANGE_ARCHIVE_H
#define PNEUMO_EXCHANGE_ARCHIVE_H

#include "pneumo/base/status.h"

#include <stdbool.h>
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

typedef struct pd_archive pd_archive;

/* Opens an archive for reading. The caller owns *out. */
pd_status pd_archive_open(pd_archive **out, const char *path);

/* NULL-safe; nulls the handle. */
void pd_archive_close(pd_archive **archive);

bool pd_archive_has(const pd_archive *archive, const char *member);

/* Reads a member into *bytes (free()), followed by a zero byte. Fails if its checksum is wrong, or
 * it is more than
 * PD_ARCHIVE_RATIO_MAX times as large as the whole file: weights hardly shrink. */
enum { PD_ARCHIVE_RATIO_MAX = 16 };
pd_status pd_archive_read(unsigned char **bytes, size_t *size, pd_archive *archive,
                          const char *member);

#endif
