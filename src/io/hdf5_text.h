/* HDF5 texts of fixed width. */
#ifndef PNEUMO_IO_HDF5_TEXT_H
#define PNEUMO_IO_HDF5_TEXT_H

#include "pneumo/base/status.h"

#include <hdf5.h>
#include <stdbool.h>
#include <stddef.h>

/* UTF-8 of `width` bytes, padded with zeros. The caller closes it. */
hid_t pd_hdf5_text_type(size_t width);

/* Whether `type` is text of fixed width. */
bool pd_hdf5_is_fixed_text(hid_t type);

/* The type in memory of a stored text type: `width` bytes and a final zero, in the same encoding.
 * The caller closes it. */
hid_t pd_hdf5_memory_text_type(hid_t stored, size_t width);

/* Allocates one block (free()) of `count` pointers and the texts that they point to, each of
 * `width` bytes and a final zero. The texts are contiguous. */
pd_status pd_hdf5_alloc_texts(char ***out, size_t count, size_t width);

#endif
