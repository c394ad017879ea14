/* HDF5 datasets, called arrays here. Written in checksummed chunks. `object` is the path of an
 * array in the file. */
#ifndef PNEUMO_IO_HDF5_ARRAY_H
#define PNEUMO_IO_HDF5_ARRAY_H

#include "hdf5.h"

/* How an array is stored and how it lies in memory. */
typedef struct pd_hdf5_shape {
    hid_t stored, memory; /* types; borrowed */
    int rank;             /* 0: a scalar */
    const hsize_t *dims;  /* [rank] */
} pd_hdf5_shape;

/* Creates an empty array, in chunks of dims `chunk` with Fletcher32 checksums; shape->memory is not
 * used. The caller closes *out. */
pd_status pd_hdf5_create_array(hid_t *out, const pd_hdf5 *file, hid_t parent, const char *name,
                               const pd_hdf5_shape *shape, const hsize_t *chunk);

/* Writes a whole array from `data`. A scalar has no checksum. */
pd_status pd_hdf5_put_array(const pd_hdf5 *file, hid_t parent, const char *name,
                            const pd_hdf5_shape *shape, const void *data);

/* Stores the number of dimensions of an array. */
pd_status pd_hdf5_get_rank(const pd_hdf5 *file, const char *object, int *rank);

/* Opens an array of exactly `type` and `rank` whose items are all present in the file, and stores
 * its dims[rank]. The caller closes *out. */
pd_status pd_hdf5_open_array(hid_t *out, const pd_hdf5 *file, const char *object, hid_t type,
                             int rank, hsize_t *dims);

/* The same for an array of any type, which is opened in *type; the caller closes both. */
pd_status pd_hdf5_open_data(hid_t *out, hid_t *type, const pd_hdf5 *file, const char *object,
                            int rank, hsize_t *dims);

/* Reads a whole array of one dimension into *out (free()), a pointer to items of type `memory` and
 * of `size` bytes each. */
pd_status pd_hdf5_get_vector(const pd_hdf5 *file, const char *object, hid_t stored, hid_t memory,
                             size_t size, void *out, int64_t *count);

/* Reads an array of texts of rank 0 (one text) or 1. *out is one block of pointers and texts;
 * release it with free(). */
pd_status pd_hdf5_get_text_array(const pd_hdf5 *file, const char *object, int rank, char ***out,
                                 int64_t *count);

/* Positions in the file of an array's chunks, one per index of its first dimension. */
typedef struct pd_hdf5_layout {
    int64_t start; /* offset of chunk 0 if it were contiguous with the others */
    int64_t bytes; /* of a chunk with its checksum; 0 if the chunks are not contiguous */
    int64_t slack; /* a chunk begins at most this many bytes after its computed offset */
} pd_hdf5_layout;

/* The layout of such an array of `count` chunks. Takes time proportional to `count`. */
pd_hdf5_layout pd_hdf5_chunk_layout(hid_t array, int rank, int64_t count);

#endif
