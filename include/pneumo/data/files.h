/* The files that a command line names, directly or by their folders. */
#ifndef PNEUMO_DATA_FILES_H
#define PNEUMO_DATA_FILES_H

#include "pneumo/base/status.h"

#include <stddef.h>
#include <stdint.h>

typedef struct pd_files {
    char *text;         /* the paths, each terminated by a 0 byte */
    size_t size;        /* bytes of text */
    const char **paths; /* [count], into text */
    int64_t count;
} pd_files;

/* Lists names[count] in their order. A folder is replaced by the files in and below it, in byte
 * order of their paths. Any other name is listed unchanged, even if the file does not exist:
 * reading it fails later. Hidden files and folders, pipes, sockets and devices inside a folder are
 * skipped. Links are followed except in cycles. A folder that cannot be read is listed like a file.
 * *out is released with pd_files_free, also after a failure. */
pd_status pd_files_find(pd_files *out, const char *const *names, int count);

/* Sets `paths` and `count` from `text` and `size`, after these were received from another rank. */
pd_status pd_files_index(pd_files *files);

void pd_files_free(pd_files *files);

#endif
