/* HDF5 helpers shared by the data-set and the checkpoint file.
 *
 * Reading trusts nothing: every object must have exactly the type that this program writes, and
 * nothing is allocated that is larger than the file. Writing leaves out all that changes from one
 * run to the next (object times), so that the same content gives the same bytes. Failures name the
 * file. Private to the `io` room. */
#ifndef PNEUMO_IO_HDF5_H
#define PNEUMO_IO_HDF5_H

#include "pneumo/base/status.h"

#include <hdf5.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

typedef struct pd_hdf5 {
    hid_t id;                 /* H5I_INVALID_HID when not open */
    const char *path;         /* the name for messages; borrowed */
    const char *remedy;       /* reading: what to do about a damaged file; borrowed */
    int64_t size;             /* reading: bytes of the file */
    struct timespec modified; /* reading: its time of last change */
} pd_hdf5;

/* Switches off HDF5's own messages (a setting of each thread), its exit handler, which crashes on
 * files that could not be closed, and links to other files. The functions that open or create call
 * it; a function that may run on another thread than they did calls it again. */
void pd_hdf5_start(void);

/* Opens for reading, file locking off. Fails on what is not a readable HDF5 file. */
pd_status pd_hdf5_open(pd_hdf5 *out, const char *path, const char *remedy);

/* Fails if the file was written to or cut short since it was opened. HDF5 reads zeros behind the
 * end of a file, whose Fletcher32 checksum is zero, and so right. */
pd_status pd_hdf5_check_unchanged(const pd_hdf5 *file);

/* Where the items of an array lie that has a chunk for every step of its first dimension. */
typedef struct pd_hdf5_layout {
    int64_t start; /* byte of the file where chunk 0 would be in line with all others */
    int64_t bytes; /* of a chunk, its checksum included; 0: the chunks do not lie in line */
    int64_t slack; /* a chunk begins at most so many bytes later */
} pd_hdf5_layout;

/* The layout of such an array of `count` chunks. Takes time in proportion to `count`. */
pd_hdf5_layout pd_hdf5_chunk_layout(hid_t array, int rank, int64_t count);

/* Asks the system to read `size` bytes from `start` on ahead. A wish, which cannot fail. */
void pd_hdf5_prefetch(const pd_hdf5 *file, int64_t start, int64_t size);

/* Fails unless the attributes `format` and `format_version` of / are these. */
pd_status pd_hdf5_check_format(const pd_hdf5 *file, const char *format, int64_t version);

/* Creates the file `actual`; `path` stands for it in messages. */
pd_status pd_hdf5_create(pd_hdf5 *out, const char *path, const char *actual);

/* The bytes of a file in memory. */
typedef struct pd_hdf5_image {
    void *bytes; /* to be released with free() */
    size_t size;
} pd_hdf5_image;

/* Creates a file in memory. When it is closed, however that comes, image->bytes gets its memory;
 * `image` is borrowed until then. */
pd_status pd_hdf5_create_in_memory(pd_hdf5 *out, const char *path, pd_hdf5_image *image);

/* Closes it and sets image->size to the number of its bytes. */
pd_status pd_hdf5_close_in_memory(pd_hdf5 *file, pd_hdf5_image *image);

/* Writes the attributes `format`, `format_version` and `program_version` of /. */
pd_status pd_hdf5_put_format(const pd_hdf5 *file, const char *format, int64_t version,
                             const char *program);

/* Closes an object of any kind and sets *id to H5I_INVALID_HID, which is also let pass. Negative on
 * failure, which only matters for what was written to. */
herr_t pd_hdf5_close(hid_t *id);

/* Makes sure that the disk has room for all that is pending, and reserves at least `size` bytes.
 * Done before a file is closed, since HDF5 1.10 does not recover from a close without room. */
pd_status pd_hdf5_reserve(const pd_hdf5 *file, int64_t size);

/* Makes all that HDF5 still writes to the file go to memory instead. It insists on writing what it
 * holds before it closes, and could not close a file on a full disk otherwise. */
void pd_hdf5_abandon(const pd_hdf5 *file);

/* "<path>: cannot write: <reason>", the reason from errno: set it to 0 before the call to HDF5. */
pd_status pd_hdf5_fail_write(const pd_hdf5 *file);

/* "<path>: <text>; <remedy>" for a file that is not as it should be. */
pd_status pd_hdf5_fail_read(const pd_hdf5 *file, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* --- Types; each call makes one, to be closed. --- */

hid_t pd_hdf5_text_type(size_t width); /* UTF-8 of fixed width, padded with zeros */
hid_t pd_hdf5_enum_type(const char *const *names, int count); /* uint8, values from 0 */

/* --- Writing. `parent` is a file or group. --- */

/* Creates the group and the missing ones above it. The caller closes *out; out may be NULL. */
pd_status pd_hdf5_put_group(hid_t *out, const pd_hdf5 *file, hid_t parent, const char *name);

/* A number as attribute; `type` is the H5T_NATIVE_ type of *value. */
pd_status pd_hdf5_put_number(const pd_hdf5 *file, hid_t object, const char *name, hid_t type,
                             const void *value);
pd_status pd_hdf5_put_text(const pd_hdf5 *file, hid_t object, const char *name, const char *text);
/* An array of texts as attribute, as Keras keeps its names. */
pd_status pd_hdf5_put_texts(const pd_hdf5 *file, hid_t object, const char *name,
                            const char *const *texts, int count);

/* Creates an empty array of `type`, with Fletcher32 checksums in chunks of dims `chunk`. */
pd_status pd_hdf5_create_array(hid_t *out, const pd_hdf5 *file, hid_t parent, const char *name,
                               hid_t type, int rank, const hsize_t *dims, const hsize_t *chunk);

/* Writes a whole array with checksums; `memory` and `stored` are the types of `data` and of the
 * array. Rank 0 is a scalar, without checksum. */
pd_status pd_hdf5_put_array(const pd_hdf5 *file, hid_t parent, const char *name, hid_t stored,
                            int rank, const hsize_t *dims, hid_t memory, const void *data);

/* --- Reading. `object` is the path of a group or array in the file. --- */

pd_status pd_hdf5_get_number(const pd_hdf5 *file, const char *object, const char *name, hid_t type,
                             void *value);
/* Fails if the text and its final zero take more than `size` bytes. */
pd_status pd_hdf5_get_text(const pd_hdf5 *file, const char *object, const char *name, char *text,
                           size_t size);
/* Texts of rank 0 (one) or 1: *out is one block of pointers and texts, to be released with free().
 * `name` NULL reads the array `object` itself, else its attribute. */
pd_status pd_hdf5_get_texts(const pd_hdf5 *file, const char *object, const char *name, int rank,
                            char ***out, int64_t *count);

/* Stores the number of dimensions of an array. */
pd_status pd_hdf5_get_rank(const pd_hdf5 *file, const char *object, int *rank);

/* Opens an array of exactly `type` and `rank`; dims gets `rank` entries, all of whose items are
 * present. The caller closes *out. */
pd_status pd_hdf5_open_array(hid_t *out, const pd_hdf5 *file, const char *object, hid_t type,
                             int rank, hsize_t *dims);

/* Reads a whole array of one dimension into *out (free()). `memory` is the type of its items there,
 * `size` bytes each. */
pd_status pd_hdf5_get_vector(const pd_hdf5 *file, const char *object, hid_t stored, hid_t memory,
                             size_t size, void *out, int64_t *count);

#endif
