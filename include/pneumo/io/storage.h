/* Probing a folder's disk: free space, write speed, file locks. */
#ifndef PNEUMO_IO_STORAGE_H
#define PNEUMO_IO_STORAGE_H

#include "pneumo/base/status.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct pd_storage {
    double free_bytes; /* available to this user */
    double flush;      /* seconds to write, flush and rename a 4 KiB file (pd_file_write) */
    double write;      /* bytes per second for a large file, flushed and renamed */
    bool locks;        /* those of pd_lock_take work */
} pd_storage;

/* Stores at *out (free()) `path` if it exists, else its nearest existing parent. */
pd_status pd_storage_folder(char **out, const char *path);

/* Writes files of 4 KiB and of `bytes` bytes (at most 64 MiB) to `folder`, which must exist, and
 * removes them. */
pd_status pd_storage_try(pd_storage *out, const char *folder, size_t bytes);

/* Version of the HDF5 library in use, for example "1.10.8". Static. */
const char *pd_storage_hdf5_version(void);

#endif
