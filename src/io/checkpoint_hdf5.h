/* A checkpoint as the content of an HDF5 file that is open. */
#ifndef PNEUMO_IO_CHECKPOINT_HDF5_H
#define PNEUMO_IO_CHECKPOINT_HDF5_H

#include "pneumo/io/checkpoint.h"
#include "pneumo/io/hdf5.h"

/* The attribute `format` of /, its version, and what to do about a file that is damaged. */
#define PD_CHECKPOINT_FORMAT "pneumo-dist checkpoint"
#define PD_CHECKPOINT_REMEDY "use another checkpoint, or the program version that wrote it"
enum { PD_CHECKPOINT_VERSION = 1 };

/* Creates the file in memory (pd_hdf5_create_in_memory) and fills it; it stays open. The caller
 * closes it and frees image->bytes, also after a failure. */
pd_status pd_checkpoint_put(pd_hdf5 *out, pd_hdf5_image *image, const char *path,
                            const pd_checkpoint *checkpoint);

/* Reads the file's content; the caller owns *out. */
pd_status pd_checkpoint_get(pd_checkpoint **out, const pd_hdf5 *file);

/* The attributes of the group /decision, of those that pd_checkpoint holds. */
pd_status pd_checkpoint_put_decision(const pd_hdf5 *file, const pd_checkpoint *checkpoint);
pd_status pd_checkpoint_get_decision(const pd_hdf5 *file, pd_checkpoint *checkpoint);

#endif
