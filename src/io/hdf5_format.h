/* The attributes of / by which the program marks its own files: format, version, program. */
#ifndef PNEUMO_IO_HDF5_FORMAT_H
#define PNEUMO_IO_HDF5_FORMAT_H

#include "hdf5.h"

/* Writes the attributes `format`, `format_version` and `program_version` of /. */
pd_status pd_hdf5_put_format(const pd_hdf5 *file, const char *format, int64_t version,
                             const char *program);

/* Fails unless the attributes `format` and `format_version` of / have these values. */
pd_status pd_hdf5_check_format(const pd_hdf5 *file, const char *format, int64_t version);

/* Stores at *is whether the attribute `format` of / in the file at `path` is `format`. Fails as
 * pd_hdf5_open does. */
pd_status pd_hdf5_recognise(bool *is, const char *path, const char *remedy, const char *format);

/* Fails if a file at `path` that a new file of this format would replace is of another kind, such
 * as an image. An empty file may be replaced. */
pd_status pd_hdf5_check_replaced(const char *path, const char *format);

#endif
