/* HDF5 files in memory: those that are part of another file, and for writers that must be atomic:
 * HDF5 cannot recover from a full disk, so a file is completed in memory and its bytes are written
 * by pd_file_write. */
#ifndef PNEUMO_IO_HDF5_MEMORY_H
#define PNEUMO_IO_HDF5_MEMORY_H

#include "hdf5.h"

/* The bytes of a file in memory. */
typedef struct pd_hdf5_image {
    void *bytes; /* release with free() */
    size_t size;
} pd_hdf5_image;

/* Creates a file in memory. However it is closed, image->bytes then owns its memory; `image` is
 * borrowed until then. */
pd_status pd_hdf5_create_in_memory(pd_hdf5 *out, const char *path, pd_hdf5_image *image);

/* Closes the file and sets image->size to its size. */
pd_status pd_hdf5_close_in_memory(pd_hdf5 *file, pd_hdf5_image *image);

/* Opens bytes[size], which are copied, for reading. Fails as pd_hdf5_open does. */
pd_status pd_hdf5_open_in_memory(pd_hdf5 *out, const char *path, const char *remedy,
                                 const void *bytes, size_t size);

#endif
