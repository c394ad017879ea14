/* Copying a group of a file that is not trusted. */
#ifndef PNEUMO_IO_HDF5_COPY_H
#define PNEUMO_IO_HDF5_COPY_H

#include "hdf5.h"

/* Copies the objects in the group `object` of `from` to the root of `to`; its attributes are left
 * out. Fails unless they are what this program writes: groups and arrays of fixed item size, no
 * larger than `from` together. Hard links to one object become several objects. */
pd_status pd_hdf5_copy_group(const pd_hdf5 *to, const pd_hdf5 *from, const char *object);

#endif
