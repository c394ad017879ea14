/* HDF5 attributes: numbers, texts and lists of texts. `object` is a handle for writing, a path in
 * the file for reading. */
#ifndef PNEUMO_IO_HDF5_ATTRIBUTE_H
#define PNEUMO_IO_HDF5_ATTRIBUTE_H

#include "hdf5.h"

#include <stdbool.h>

/* `type` is the H5T_NATIVE type of *value; the attribute is stored in that type. */
pd_status pd_hdf5_put_number(const pd_hdf5 *file, hid_t object, const char *name, hid_t type,
                             const void *value);
pd_status pd_hdf5_put_text(const pd_hdf5 *file, hid_t object, const char *name, const char *text);
/* Texts of fixed width, as Keras stores names. */
pd_status pd_hdf5_put_texts(const pd_hdf5 *file, hid_t object, const char *name,
                            const char *const *texts, int count);

bool pd_hdf5_has_attribute(const pd_hdf5 *file, const char *object, const char *name);

/* Reads a number of the class of `type`, the H5T_NATIVE type of *value. Fails if an integer
 * does not fit. */
pd_status pd_hdf5_get_number(const pd_hdf5 *file, const char *object, const char *name, hid_t type,
                             void *value);
/* Fails if the text with its final zero needs more than `size` bytes. */
pd_status pd_hdf5_get_text(const pd_hdf5 *file, const char *object, const char *name, char *text,
                           size_t size);
/* Reads a text of any length; *out is to be released with free(). */
pd_status pd_hdf5_get_long_text(const pd_hdf5 *file, const char *object, const char *name,
                                char **out);
/* Reads a list of texts. *out is one block of pointers and texts; release it with free(). */
pd_status pd_hdf5_get_texts(const pd_hdf5 *file, const char *object, const char *name, char ***out,
                            int64_t *count);

/* Reads texts of fixed or variable length: one if `rank` is 0, a list if it is 1. *out is one block
 * of pointers and texts; release it with free(). */
pd_status pd_hdf5_get_foreign_texts(const pd_hdf5 *file, const char *object, const char *name,
                                    int rank, char ***out, int64_t *count);

#endif
