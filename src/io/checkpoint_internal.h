/* A checkpoint as content of an open HDF5 file: a file of its own, or a member of an ensemble. */
#ifndef PNEUMO_IO_CHECKPOINT_INTERNAL_H
#define PNEUMO_IO_CHECKPOINT_INTERNAL_H

#include "pneumo/io/checkpoint.h"

#include "hdf5_memory.h"

/* Creates a file in memory (pd_hdf5_create_in_memory), writes the checkpoint and leaves the file
 * open. The caller closes it and frees image->bytes, also after a failure. */
pd_status pd_checkpoint_put(pd_hdf5 *out, pd_hdf5_image *image, const char *path,
                            const pd_checkpoint *checkpoint);

/* Reads the file's content; the caller owns *out. All arrays take at most *budget bytes, from which
 * it subtracts what they take: several checkpoints of one file are together no larger than it. */
pd_status pd_checkpoint_get(pd_checkpoint **out, const pd_hdf5 *file, int64_t *budget);

#endif
