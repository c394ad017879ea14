/* The global heaps of an HDF5 file, which hold texts of variable length. */
#ifndef PNEUMO_IO_HDF5_HEAP_H
#define PNEUMO_IO_HDF5_HEAP_H

#include "hdf5.h"

#include <stddef.h>

/* Fails if a heap is damaged: libhdf5 1.10 does not return from reading one with an object of no
 * size, and reads past the end of one whose objects are larger than it. Heaps that are together
 * larger than the file, and so overlap, count as damaged. The file's content is `bytes`
 * [file->size], or what is at file->path if NULL. A heap that is no longer used counts, too.
 * Layout: HDF5 File Format Specification 3.0, III.E. */
pd_status pd_hdf5_check_heaps(const pd_hdf5 *file, const void *bytes);

#endif
