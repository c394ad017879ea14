/* HDF5 files: opening, creating, reserving space, failing.
 *
 * Readers trust nothing: every object must have exactly the expected type, and no allocation is
 * larger than the file. Writers omit everything that changes from run to run (object times), so the
 * same content gives the same bytes. Error messages name the file. */
#ifndef PNEUMO_IO_HDF5_H
#define PNEUMO_IO_HDF5_H

#include "pneumo/base/status.h"

#include <hdf5.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

typedef struct pd_hdf5 {
    hid_t id;                 /* H5I_INVALID_HID if not open */
    const char *path;         /* name in messages; borrowed */
    const char *remedy;       /* reading: advice for a damaged file; borrowed */
    int64_t size;             /* reading: size of the file in bytes */
    struct timespec modified; /* reading: modification time */
} pd_hdf5;

/* Disables HDF5's own error output (a per-thread setting), its exit handler, which crashes on files
 * that could not be closed, and external links. Functions that open or create a file call it; so
 * must a function that may run on another thread. */
void pd_hdf5_start(void);

/* Opens for reading, with file locking off. Fails if `path` is not a readable HDF5 file; the
 * message tells a damaged file from one that another program writes, or wrote when it crashed. */
pd_status pd_hdf5_open(pd_hdf5 *out, const char *path, const char *remedy);

/* Fails if the file was modified or truncated since it was opened. HDF5 reads zeros past the end of
 * a file, and their Fletcher32 checksum, zero, is valid. */
pd_status pd_hdf5_check_unchanged(const pd_hdf5 *file);

/* Asks the system to read ahead `size` bytes from offset `start`. Advisory: cannot fail. */
void pd_hdf5_prefetch(const pd_hdf5 *file, int64_t start, int64_t size);

/* Creates the file `actual`; messages name `path`. */
pd_status pd_hdf5_create(pd_hdf5 *out, const char *path, const char *actual);

/* A property list for file access: a fixed format version, which newer libraries write alike and
 * which has metadata checksums; no locking; closing a file closes its objects. The caller closes
 * it. */
hid_t pd_hdf5_file_access(void);

/* The same with the property list `access`, which the function closes. */
pd_status pd_hdf5_create_with(pd_hdf5 *out, const char *path, const char *actual, hid_t access);

/* Creates a group. The caller closes *out; with out NULL the group is closed. */
pd_status pd_hdf5_put_group(hid_t *out, const pd_hdf5 *file, hid_t parent, const char *name);

/* Calls `visit` for `object` and every object below it, once each, by their names relative to it;
 * negative if a call is, or on damage. */
herr_t pd_hdf5_visit(hid_t file, const char *object, H5O_iterate_t visit, void *context);

/* Closes an object of any kind and sets *id to H5I_INVALID_HID; does nothing for H5I_INVALID_HID.
 * Returns a negative value on failure, which matters only for objects that were written to. */
herr_t pd_hdf5_close(hid_t *id);

/* Ensures that the disk has room for all pending data, and reserves at least `size` bytes. Call it
 * before closing a file: HDF5 1.10 does not recover from a close on a full disk. */
pd_status pd_hdf5_reserve(const pd_hdf5 *file, int64_t size);

/* Redirects all further writes of HDF5 to this file to memory. HDF5 must flush its buffers before
 * it closes a file, which fails on a full disk. */
void pd_hdf5_abandon(const pd_hdf5 *file);

/* "<path>: cannot write: <reason>", with the reason from errno; set errno to 0 before the HDF5
 * call. */
pd_status pd_hdf5_fail_write(const pd_hdf5 *file);

/* "<path>: <text>; <remedy>", for a file with unexpected content. */
pd_status pd_hdf5_fail_read(const pd_hdf5 *file, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
