#include "hdf5_array.h"

#include "pneumo/base/memory.h"

#include "hdf5_text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Chunks of about this size share one checksum. */
enum { CHUNK_BYTES = 1 << 20 };
/* Scalars up to this size are stored in their object header, which has a checksum and room for
 * 64 KiB. */
enum { COMPACT_BYTES = 60000 };

pd_status pd_hdf5_create_array(hid_t *out, const pd_hdf5 *file, hid_t parent, const char *name,
                               const pd_hdf5_shape *shape, const hsize_t *chunk)
{
    hid_t space =
        shape->rank == 0 ? H5Screate(H5S_SCALAR) : H5Screate_simple(shape->rank, shape->dims, NULL);
    hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
    hid_t access = H5Pcreate(H5P_DATASET_ACCESS);
    H5Pset_obj_track_times(creation, false);
    /* Chunks cannot be empty and need at least one dimension. */
    if (shape->rank > 0 && H5Sget_simple_extent_npoints(space) > 0) {
        H5Pset_chunk(creation, shape->rank, chunk);
        H5Pset_fletcher32(creation);
    } else if (shape->rank == 0 && H5Tget_size(shape->stored) <= COMPACT_BYTES) {
        H5Pset_layout(creation, H5D_COMPACT);
    }
    /* Write chunks straight to the file, so that a failing write fails at once. */
    H5Pset_chunk_cache(access, 0, 0, 1.0);
    errno = 0;
    *out = H5Dcreate2(parent, name, shape->stored, space, H5P_DEFAULT, creation, access);
    pd_status status = *out < 0 ? pd_hdf5_fail_write(file) : PD_OK;
    pd_hdf5_close(&access);
    pd_hdf5_close(&creation);
    pd_hdf5_close(&space);
    return status;
}

pd_status pd_hdf5_put_array(const pd_hdf5 *file, hid_t parent, const char *name,
                            const pd_hdf5_shape *shape, const void *data)
{
    pd_status status = PD_OK;
    hid_t array = H5I_INVALID_HID;
    hsize_t chunk[H5S_MAX_RANK];
    hsize_t items = 1, limit = CHUNK_BYTES / H5Tget_size(shape->stored);
    for (int i = 0; i < shape->rank; i++)
        items *= chunk[i] = shape->dims[i];
    for (int i = 0; i < shape->rank; i++) {
        while (items > limit && chunk[i] > 1) {
            items = items / chunk[i] * ((chunk[i] + 1) / 2);
            chunk[i] = (chunk[i] + 1) / 2;
        }
    }
    PD_TRY(pd_hdf5_create_array(&array, file, parent, name, shape, chunk));
    errno = 0;
    if (H5Dwrite(array, shape->memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0)
        status = pd_hdf5_fail_write(file);

cleanup:
    if (pd_hdf5_close(&array) < 0 && status == PD_OK)
        status = pd_hdf5_fail_write(file);
    return status;
}

/* The product of dims and item size, or -1 if it exceeds `limit`. */
static int64_t bytes_within(int rank, const hsize_t *dims, size_t item, int64_t limit)
{
    hsize_t bytes = item;
    for (int i = 0; i < rank; i++) {
        if (__builtin_mul_overflow(bytes, dims[i], &bytes))
            return -1;
    }
    return bytes > (hsize_t)limit ? -1 : (int64_t)bytes;
}

/* Whether a filter other than the checksum changes what is stored: small files could then claim
 * arrays of any size. */
static bool is_compressed(hid_t array)
{
    unsigned flags, config;
    hid_t creation = H5Dget_create_plist(array);
    int filters = creation < 0 ? 0 : H5Pget_nfilters(creation);
    bool compressed = false;
    for (int i = 0; i < filters; i++) {
        size_t values = 0;
        compressed = compressed || H5Pget_filter2(creation, (unsigned)i, &flags, &values, NULL, 0,
                                                  NULL, &config) != H5Z_FILTER_FLETCHER32;
    }
    pd_hdf5_close(&creation);
    return compressed;
}

/* Whether all chunks of an array with these dims are stored, and none is larger than the file.
 * Their bytes do not tell: checksums, and what of a chunk is outside of the array, take room, too.
 */
static bool has_all_chunks(const pd_hdf5 *file, hid_t array, hid_t creation, size_t item, int rank,
                           const hsize_t *dims)
{
    hsize_t chunk[H5S_MAX_RANK], wanted = 1, found = 0;
    if (H5Pget_chunk(creation, rank, chunk) != rank ||
        bytes_within(rank, chunk, item, file->size) < 0)
        return false;
    for (int i = 0; i < rank; i++)
        wanted *= (dims[i] + chunk[i] - 1) / chunk[i];
    hid_t space = H5Dget_space(array); /* HDF5 1.10 does not take H5S_ALL for it */
    bool all = H5Dget_num_chunks(array, space, &found) >= 0 && found == wanted;
    pd_hdf5_close(&space);
    return all;
}

/* Whether all items of an array that is not compressed are stored in this file, and no chunk is
 * larger than the file. */
static bool is_all_present(const pd_hdf5 *file, hid_t array, size_t item, int rank,
                           const hsize_t *dims)
{
    int64_t bytes = bytes_within(rank, dims, item, file->size);
    hid_t creation = H5Dget_create_plist(array);
    H5D_layout_t layout = H5Pget_layout(creation);
    bool present = creation >= 0 && bytes >= 0;
    if (layout == H5D_CHUNKED)
        present = present && has_all_chunks(file, array, creation, item, rank, dims);
    else
        present = present && (layout == H5D_COMPACT || layout == H5D_CONTIGUOUS) &&
                  H5Pget_external_count(creation) == 0 &&
                  H5Dget_storage_size(array) >= (hsize_t)bytes;
    pd_hdf5_close(&creation);
    return present;
}

pd_status pd_hdf5_open_data(hid_t *out, hid_t *type, const pd_hdf5 *file, const char *object,
                            int rank, hsize_t *dims)
{
    *type = H5I_INVALID_HID;
    hid_t access = H5Pcreate(H5P_DATASET_ACCESS);
    /* No chunk cache: every chunk is read once. */
    H5Pset_chunk_cache(access, 0, 0, 1.0);
    *out = H5Dopen2(file->id, object, access);
    pd_hdf5_close(&access);
    if (*out < 0)
        return pd_hdf5_fail_read(file, "array '%s' is missing or damaged", object);
    *type = H5Dget_type(*out);
    hid_t space = H5Dget_space(*out);
    bool shaped = *type >= 0 && H5Sget_simple_extent_ndims(space) == rank &&
                  H5Sget_simple_extent_type(space) == (rank == 0 ? H5S_SCALAR : H5S_SIMPLE) &&
                  H5Sget_simple_extent_dims(space, dims, NULL) == rank;
    pd_hdf5_close(&space);
    if (!shaped)
        return pd_hdf5_fail_read(file, "array '%s' has the wrong shape", object);
    if (is_compressed(*out))
        return pd_fail("%s: array '%s' is compressed, which is not supported; save it without "
                       "compression (h5repack -f NONE)",
                       file->path, object);
    if (!is_all_present(file, *out, H5Tget_size(*type), rank, dims))
        return pd_hdf5_fail_read(file, "array '%s' is incomplete", object);
    return PD_OK;
}

pd_status pd_hdf5_get_rank(const pd_hdf5 *file, const char *object, int *rank)
{
    hid_t array = H5Dopen2(file->id, object, H5P_DEFAULT);
    hid_t space = array < 0 ? H5I_INVALID_HID : H5Dget_space(array);
    *rank = space < 0 ? -1 : H5Sget_simple_extent_ndims(space);
    pd_hdf5_close(&space);
    pd_hdf5_close(&array);
    if (*rank < 0)
        return pd_hdf5_fail_read(file, "array '%s' is missing or damaged", object);
    return PD_OK;
}

pd_status pd_hdf5_open_array(hid_t *out, const pd_hdf5 *file, const char *object, hid_t type,
                             int rank, hsize_t *dims)
{
    pd_status status = PD_OK;
    hid_t stored;
    PD_TRY(pd_hdf5_open_data(out, &stored, file, object, rank, dims));
    if (H5Tequal(stored, type) <= 0)
        status = pd_hdf5_fail_read(file, "array '%s' has the wrong type", object);

cleanup:
    pd_hdf5_close(&stored);
    if (status != PD_OK)
        pd_hdf5_close(out);
    return status;
}

pd_status pd_hdf5_get_vector(const pd_hdf5 *file, const char *object, hid_t stored, hid_t memory,
                             size_t size, void *out, int64_t *count)
{
    pd_status status = PD_OK;
    hid_t array;
    hsize_t items = 0;
    void *block = NULL;
    PD_TRY(pd_hdf5_open_array(&array, file, object, stored, 1, &items));
    PD_TRY(pd_alloc(&block, (size_t)items, size));
    if (H5Dread(array, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, block) < 0) {
        status = pd_hdf5_fail_read(file, "array '%s' is damaged", object);
        goto cleanup;
    }
    memcpy(out, &block, sizeof block);
    *count = (int64_t)items;
    block = NULL;

cleanup:
    free(block);
    pd_hdf5_close(&array);
    return status;
}

pd_status pd_hdf5_get_text_array(const pd_hdf5 *file, const char *object, int rank, char ***out,
                                 int64_t *count)
{
    pd_status status = PD_OK;
    hid_t array, stored, memory = H5I_INVALID_HID;
    hsize_t items = 1;
    char **texts = NULL;
    *out = NULL;
    PD_TRY(pd_hdf5_open_data(&array, &stored, file, object, rank, &items));
    if (!pd_hdf5_is_fixed_text(stored)) {
        status = pd_hdf5_fail_read(file, "array '%s' is not text of fixed width", object);
        goto cleanup;
    }
    PD_TRY(pd_hdf5_alloc_texts(&texts, (size_t)items, H5Tget_size(stored)));
    memory = pd_hdf5_memory_text_type(stored, H5Tget_size(stored));
    if (items > 0 && H5Dread(array, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, texts[0]) < 0) {
        status = pd_hdf5_fail_read(file, "array '%s' is damaged", object);
        goto cleanup;
    }
    *out = texts;
    *count = (int64_t)items;
    texts = NULL;

cleanup:
    free(texts);
    pd_hdf5_close(&memory);
    pd_hdf5_close(&stored);
    pd_hdf5_close(&array);
    return status;
}

pd_hdf5_layout pd_hdf5_chunk_layout(hid_t array, int rank, int64_t count)
{
    hsize_t place[H5S_MAX_RANK] = {0}, bytes = 0, last_bytes = 0;
    haddr_t address = 0, last = 0;
    unsigned skipped;
    pd_hdf5_layout layout = {0};
    int64_t span;
    /* Query two chunks only, since HDF5 1.10 walks all chunks up to the requested one. Not the
     * first: HDF5 stores the chunk index behind it. */
    if (rank > H5S_MAX_RANK || count < 2)
        return layout;
    place[0] = 1;
    if (H5Dget_chunk_info_by_coord(array, place, &skipped, &address, &bytes) < 0)
        return layout;
    place[0] = (hsize_t)count - 1;
    if (H5Dget_chunk_info_by_coord(array, place, &skipped, &last, &last_bytes) < 0 ||
        last_bytes != bytes || __builtin_mul_overflow(count - 2, bytes, &span))
        return layout;
    /* Chunks do not overlap, so the rest of the span is gaps between them. */
    int64_t slack = (int64_t)(last - address) - span;
    if (slack >= 0 && slack <= (int64_t)bytes)
        layout = (pd_hdf5_layout){
            .start = (int64_t)(address - bytes), .bytes = (int64_t)bytes, .slack = slack};
    return layout;
}
