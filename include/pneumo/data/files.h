/* The files that a command line names, one by one or by the folders that hold them. */
#ifndef PNEUMO_DATA_FILES_H
#define PNEUMO_DATA_FILES_H

#include "pneumo/base/status.h"

#include <stddef.h>
#include <stdint.h>

typedef struct pd_files {
    char *text;         /* the paths one after the other, each with its 0 byte */
    size_t size;        /* bytes of text */
    const char **paths; /* [count], into text */
    int64_t count;
} pd_files;

/* Lists names[count] in their order: a folder by the files in it and below it, in the byte order of
 * their paths; anything else as it is, even if there is no such file: whoever reads it will say so.
 * Of what lies in folders, hidden files and folders are left out, and so are pipes, sockets and
 * devices. Links are followed, but no folder into itself. A folder that cannot be read is listed
 * like a file. *out is released with pd_files_free, also after a failure. */
pd_status pd_files_find(pd_files *out, const char *const *names, int count);

/* Fills `paths` and `count` from `text` and `size`, for a text that came from another rank. */
pd_status pd_files_index(pd_files *files);

void pd_files_free(pd_files *files);

#endif
