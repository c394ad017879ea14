/* What a folder can bear: room, writing as checkpoints are written, and file locks. */
#ifndef PNEUMO_IO_STORAGE_H
#define PNEUMO_IO_STORAGE_H

#include "pneumo/base/status.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct pd_storage {
    double free_bytes; /* for this user */
    double flush;      /* seconds to write, flush and rename a file of 4 KiB (pd_file_write) */
    double write;      /* bytes per second of a large one, up to `bytes`, flushed and renamed */
    bool locks;        /* flock works */
} pd_storage;

/* Stores at *out (free()) `path` itself if it is there, else the folder nearest above it. */
pd_status pd_storage_folder(char **out, const char *path);

/* Tries out `folder`, which must exist; nothing is left behind. Fails with what cannot be done. */
pd_status pd_storage_try(pd_storage *out, const char *folder, size_t bytes);

/* The version of the HDF5 library that is in use, such as "1.10.8". Static. */
const char *pd_storage_hdf5_version(void);

#endif
