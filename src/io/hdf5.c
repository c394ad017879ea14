#include "pneumo/io/hdf5.h"

#include "pneumo/base/memory.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Chunks of about this size share one checksum. */
enum { CHUNK_BYTES = 1 << 20 };
/* More than HDF5 may add to a file when it is closed. */
enum { PENDING_BYTES = 1 << 16 };
/* Scalars up to this size live in their checksummed header, which has room for 64 KiB. */
enum { COMPACT_BYTES = 60000 };

void pd_hdf5_start(void)
{
    static bool started;
    if (!started) {
        H5dont_atexit();
        H5open();
        H5Lunregister(H5L_TYPE_EXTERNAL);
        started = true;
    }
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

herr_t pd_hdf5_close(hid_t *id)
{
    herr_t result = 0;
    if (*id < 0)
        return 0;
    switch (H5Iget_type(*id)) {
    case H5I_FILE:
        result = H5Fclose(*id);
        break;
    case H5I_GROUP:
        result = H5Gclose(*id);
        break;
    case H5I_DATASET:
        result = H5Dclose(*id);
        break;
    case H5I_ATTR:
        result = H5Aclose(*id);
        break;
    case H5I_DATATYPE:
        result = H5Tclose(*id);
        break;
    case H5I_DATASPACE:
        result = H5Sclose(*id);
        break;
    default:
        result = H5Pclose(*id);
        break;
    }
    *id = H5I_INVALID_HID;
    return result;
}

/* The file descriptor below an open file, or -1. */
static int descriptor(const pd_hdf5 *file)
{
    void *handle = NULL;
    return H5Fget_vfd_handle(file->id, H5P_DEFAULT, &handle) < 0 ? -1 : *(int *)handle;
}

pd_status pd_hdf5_reserve(const pd_hdf5 *file, int64_t size)
{
    hsize_t used = 0;
    struct stat about;
    int handle = descriptor(file);
    errno = 0;
    if (H5Fget_filesize(file->id, &used) < 0 || fstat(handle, &about) != 0)
        return pd_hdf5_fail_write(file);
    int64_t wanted = size > (int64_t)used ? size : (int64_t)used;
    int64_t kept = size > (int64_t)about.st_size ? size : (int64_t)about.st_size;
    int problem = posix_fallocate(handle, 0, wanted + PENDING_BYTES);
    /* HDF5 does not know of the bytes behind, and might leave them in the file. */
    if (ftruncate(handle, kept) != 0 && problem == 0)
        problem = errno;
    /* File systems that cannot reserve are taken as they are. */
    if (problem == 0 || problem == EINVAL || problem == EOPNOTSUPP)
        return PD_OK;
    errno = problem;
    return pd_hdf5_fail_write(file);
}

void pd_hdf5_abandon(const pd_hdf5 *file)
{
    int nowhere = memfd_create("abandoned", MFD_CLOEXEC);
    int handle = descriptor(file);
    if (nowhere >= 0 && handle >= 0)
        dup3(nowhere, handle, O_CLOEXEC);
    if (nowhere >= 0)
        close(nowhere);
}

pd_status pd_hdf5_fail_write(const pd_hdf5 *file)
{
    return pd_fail("%s: cannot write: %s", file->path,
                   errno == 0 ? "the HDF5 library refused" : strerror(errno));
}

pd_status pd_hdf5_fail_read(const pd_hdf5 *file, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return pd_fail("%s: %s; %s", file->path, text, file->remedy);
}

/* A fixed format, which newer libraries write alike, and which has checksums of its metadata. */
static hid_t file_access(void)
{
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_libver_bounds(access, H5F_LIBVER_V110, H5F_LIBVER_V110);
    H5Pset_fclose_degree(access, H5F_CLOSE_STRONG);
    H5Pset_file_locking(access, false, true);
    return access;
}

/* Looks at the file before HDF5 does, which cannot say why it fails. */
static pd_status check_file(pd_hdf5 *file)
{
    static const unsigned char signature[8] = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'};
    unsigned char head[8] = {0};
    struct stat about;
    pd_status status = PD_OK;

    /* Non-blocking: opening a pipe must not wait for its writer. */
    int handle = open(file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (handle < 0)
        return pd_fail("%s: cannot open: %s", file->path, strerror(errno));
    if (fstat(handle, &about) != 0 || !S_ISREG(about.st_mode))
        status = pd_fail("%s: is not a regular file", file->path);
    else if (pread(handle, head, sizeof head, 0) != sizeof head ||
             memcmp(head, signature, sizeof head) != 0)
        status = pd_hdf5_fail_read(file, "is not an HDF5 file");
    file->size = status == PD_OK ? (int64_t)about.st_size : 0;
    file->modified = status == PD_OK ? about.st_mtim : (struct timespec){0};
    close(handle);
    return status;
}

pd_status pd_hdf5_open(pd_hdf5 *out, const char *path, const char *remedy)
{
    pd_status status = PD_OK;
    *out = (pd_hdf5){.id = H5I_INVALID_HID, .path = path, .remedy = remedy};
    pd_hdf5_start();
    PD_TRY(check_file(out));
    hid_t access = file_access();
    out->id = H5Fopen(path, H5F_ACC_RDONLY, access);
    pd_hdf5_close(&access);
    if (out->id < 0)
        status = pd_hdf5_fail_read(out, "is damaged or cut short");

cleanup:
    return status;
}

pd_status pd_hdf5_check_unchanged(const pd_hdf5 *file)
{
    struct stat about;
    if (fstat(descriptor(file), &about) != 0)
        return pd_fail("%s: cannot read: %s", file->path, strerror(errno));
    if ((int64_t)about.st_size == file->size && about.st_mtim.tv_sec == file->modified.tv_sec &&
        about.st_mtim.tv_nsec == file->modified.tv_nsec)
        return PD_OK;
    return pd_fail("%s: was changed while it was in use; start again with the file as it is to be",
                   file->path);
}

pd_hdf5_layout pd_hdf5_chunk_layout(hid_t array, int rank, int64_t count)
{
    hsize_t place[H5S_MAX_RANK] = {0}, bytes = 0, last_bytes = 0;
    haddr_t address = 0, last = 0;
    unsigned skipped;
    pd_hdf5_layout layout = {0};
    int64_t span;
    /* HDF5 1.10 walks through all chunks up to the wanted one, so only two are asked for. The first
     * chunk is none of them: HDF5 puts their index behind it. */
    if (rank > H5S_MAX_RANK || count < 2)
        return layout;
    place[0] = 1;
    if (H5Dget_chunk_info_by_coord(array, place, &skipped, &address, &bytes) < 0)
        return layout;
    place[0] = (hsize_t)count - 1;
    if (H5Dget_chunk_info_by_coord(array, place, &skipped, &last, &last_bytes) < 0 ||
        last_bytes != bytes || __builtin_mul_overflow(count - 2, bytes, &span))
        return layout;
    /* Chunks never overlap: what their bytes do not fill lies between them. */
    int64_t slack = (int64_t)(last - address) - span;
    if (slack >= 0 && slack <= (int64_t)bytes)
        layout = (pd_hdf5_layout){
            .start = (int64_t)(address - bytes), .bytes = (int64_t)bytes, .slack = slack};
    return layout;
}

void pd_hdf5_prefetch(const pd_hdf5 *file, int64_t start, int64_t size)
{
    posix_fadvise(descriptor(file), start, size, POSIX_FADV_WILLNEED);
}

/* Takes over `access` and closes it. */
static pd_status create(pd_hdf5 *out, const char *path, const char *actual, hid_t access)
{
    *out = (pd_hdf5){.id = H5I_INVALID_HID, .path = path};
    hid_t creation = H5Pcreate(H5P_FILE_CREATE);
    H5Pset_obj_track_times(creation, false);
    errno = 0;
    out->id = H5Fcreate(actual, H5F_ACC_TRUNC, creation, access);
    pd_status status = out->id < 0 ? pd_hdf5_fail_write(out) : PD_OK;
    pd_hdf5_close(&creation);
    pd_hdf5_close(&access);
    return status;
}

pd_status pd_hdf5_create(pd_hdf5 *out, const char *path, const char *actual)
{
    pd_hdf5_start();
    return create(out, path, actual, file_access());
}

/* HDF5's memory for a file, which is kept when the file is closed. H5Fget_file_image would copy it
 * instead, and up to HDF5 1.14.6 gets the superblock's checksum wrong (HDFGroup/hdf5#1915). */
static void *image_malloc(size_t size, H5FD_file_image_op_t operation, void *image)
{
    (void)operation;
    (void)image;
    return calloc(1, size);
}

static void *image_realloc(void *bytes, size_t size, H5FD_file_image_op_t operation, void *image)
{
    (void)operation;
    pd_hdf5_image *kept = image;
    unsigned char *grown = realloc(bytes, size);
    /* Gaps of the file are to have the same bytes every time. */
    if (grown != NULL && size > kept->size)
        memset(grown + kept->size, 0, size - kept->size);
    if (grown != NULL)
        kept->size = size;
    return grown;
}

static herr_t image_free(void *bytes, H5FD_file_image_op_t operation, void *image)
{
    pd_hdf5_image *kept = image;
    if (operation == H5FD_FILE_IMAGE_OP_FILE_CLOSE) {
        free(kept->bytes); /* of a file that HDF5 opened on its way to this one */
        kept->bytes = bytes;
    } else {
        free(bytes);
    }
    return 0;
}

/* All copies of HDF5's settings share the caller's image. */
static void *image_share(void *image)
{
    return image;
}

static herr_t image_unshare(void *image)
{
    (void)image;
    return 0;
}

pd_status pd_hdf5_create_in_memory(pd_hdf5 *out, const char *path, pd_hdf5_image *image)
{
    H5FD_file_image_callbacks_t callbacks = {.image_malloc = image_malloc,
                                             .image_memcpy = NULL,
                                             .image_realloc = image_realloc,
                                             .image_free = image_free,
                                             .udata_copy = image_share,
                                             .udata_free = image_unshare,
                                             .udata = image};
    *image = (pd_hdf5_image){.bytes = NULL};
    pd_hdf5_start();
    hid_t access = file_access();
    H5Pset_fapl_core(access, 4 * CHUNK_BYTES, false);
    H5Pset_file_image_callbacks(access, &callbacks);
    /* Creating a file, HDF5 first reads one of that name into memory: so take a name that is free. */
    char *free_name;
    pd_status status = pd_format(&free_name, "%s.in-memory", path);
    if (status == PD_OK)
        status = create(out, path, free_name, access);
    else
        pd_hdf5_close(&access);
    free(free_name);
    return status;
}

pd_status pd_hdf5_close_in_memory(pd_hdf5 *file, pd_hdf5_image *image)
{
    uint64_t end = 0;
    errno = 0;
    if (pd_hdf5_close(&file->id) < 0 || image->bytes == NULL)
        return pd_hdf5_fail_write(file);
    /* The memory is larger than the file. Where that ends is only settled at its close, and then
     * stands in its superblock: HDF5 file format 3.0, II.A, "End of File Address". */
    memcpy(&end, (unsigned char *)image->bytes + 28, sizeof end);
    image->size = le64toh(end);
    return PD_OK;
}

pd_status pd_hdf5_put_format(const pd_hdf5 *file, const char *format, int64_t version,
                             const char *program)
{
    pd_status status = PD_OK;
    PD_TRY(pd_hdf5_put_text(file, file->id, "format", format));
    PD_TRY(pd_hdf5_put_number(file, file->id, "format_version", H5T_NATIVE_INT64, &version));
    PD_TRY(pd_hdf5_put_text(file, file->id, "program_version", program));

cleanup:
    return status;
}

pd_status pd_hdf5_check_format(const pd_hdf5 *file, const char *format, int64_t version)
{
    pd_status status = PD_OK;
    char found[64];
    int64_t number;
    if (H5Aexists_by_name(file->id, "/", "format", H5P_DEFAULT) <= 0)
        return pd_hdf5_fail_read(file, "is an HDF5 file, but not a %s", format);
    PD_TRY(pd_hdf5_get_text(file, "/", "format", found, sizeof found));
    if (strcmp(found, format) != 0) {
        status = pd_hdf5_fail_read(file, "is a %s, not a %s", found, format);
        goto cleanup;
    }
    PD_TRY(pd_hdf5_get_number(file, "/", "format_version", H5T_NATIVE_INT64, &number));
    if (number != version)
        status = pd_hdf5_fail_read(file, "has format version %lld, but this program reads %lld",
                                   (long long)number, (long long)version);

cleanup:
    return status;
}

hid_t pd_hdf5_text_type(size_t width)
{
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, width);
    H5Tset_strpad(type, H5T_STR_NULLPAD);
    H5Tset_cset(type, H5T_CSET_UTF8);
    return type;
}

hid_t pd_hdf5_enum_type(const char *const *names, int count)
{
    hid_t type = H5Tenum_create(H5T_STD_U8LE);
    for (int i = 0; i < count; i++) {
        uint8_t value = (uint8_t)i;
        H5Tenum_insert(type, names[i], &value);
    }
    return type;
}

pd_status pd_hdf5_put_group(hid_t *out, const pd_hdf5 *file, hid_t parent, const char *name)
{
    errno = 0;
    hid_t creation = H5Pcreate(H5P_GROUP_CREATE);
    H5Pset_obj_track_times(creation, false);
    hid_t group = H5Gcreate2(parent, name, H5P_DEFAULT, creation, H5P_DEFAULT);
    pd_status status = group < 0 ? pd_hdf5_fail_write(file) : PD_OK;
    pd_hdf5_close(&creation);
    if (out != NULL)
        *out = group;
    else
        pd_hdf5_close(&group);
    return status;
}

/* Takes over `space` and closes it. */
static pd_status put_attribute(const pd_hdf5 *file, hid_t object, const char *name, hid_t type,
                               hid_t space, const void *value)
{
    pd_status status = PD_OK;
    errno = 0;
    hid_t attribute = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    if (attribute < 0 || H5Awrite(attribute, type, value) < 0)
        status = pd_hdf5_fail_write(file);
    pd_hdf5_close(&attribute);
    pd_hdf5_close(&space);
    return status;
}

pd_status pd_hdf5_put_number(const pd_hdf5 *file, hid_t object, const char *name, hid_t type,
                             const void *value)
{
    return put_attribute(file, object, name, type, H5Screate(H5S_SCALAR), value);
}

pd_status pd_hdf5_put_text(const pd_hdf5 *file, hid_t object, const char *name, const char *text)
{
    /* HDF5 has no texts of width 0; an empty one is a single padding zero. */
    hid_t type = pd_hdf5_text_type(text[0] == '\0' ? 1 : strlen(text));
    pd_status status = put_attribute(file, object, name, type, H5Screate(H5S_SCALAR), text);
    pd_hdf5_close(&type);
    return status;
}

pd_status pd_hdf5_put_texts(const pd_hdf5 *file, hid_t object, const char *name,
                            const char *const *texts, int count)
{
    pd_status status = PD_OK;
    char *block = NULL;
    size_t width = 1;
    hsize_t dims[1] = {(hsize_t)count};
    for (int i = 0; i < count; i++)
        width = strlen(texts[i]) > width ? strlen(texts[i]) : width;
    hid_t type = pd_hdf5_text_type(width);
    PD_TRY(pd_alloc(&block, (size_t)count, width));
    for (int i = 0; i < count; i++)
        memcpy(block + (size_t)i * width, texts[i], strlen(texts[i]));
    PD_TRY(put_attribute(file, object, name, type, H5Screate_simple(1, dims, NULL), block));

cleanup:
    pd_hdf5_close(&type);
    free(block);
    return status;
}

pd_status pd_hdf5_create_array(hid_t *out, const pd_hdf5 *file, hid_t parent, const char *name,
                               hid_t type, int rank, const hsize_t *dims, const hsize_t *chunk)
{
    hid_t space = rank == 0 ? H5Screate(H5S_SCALAR) : H5Screate_simple(rank, dims, NULL);
    hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
    hid_t access = H5Pcreate(H5P_DATASET_ACCESS);
    H5Pset_obj_track_times(creation, false);
    /* Chunks cannot be empty, and need at least one dimension. */
    if (rank > 0 && H5Sget_simple_extent_npoints(space) > 0) {
        H5Pset_chunk(creation, rank, chunk);
        H5Pset_fletcher32(creation);
    } else if (rank == 0 && H5Tget_size(type) <= COMPACT_BYTES) {
        H5Pset_layout(creation, H5D_COMPACT);
    }
    /* Chunks go straight to the file, so a write that fails does so at once. */
    H5Pset_chunk_cache(access, 0, 0, 1.0);
    errno = 0;
    *out = H5Dcreate2(parent, name, type, space, H5P_DEFAULT, creation, access);
    pd_status status = *out < 0 ? pd_hdf5_fail_write(file) : PD_OK;
    pd_hdf5_close(&access);
    pd_hdf5_close(&creation);
    pd_hdf5_close(&space);
    return status;
}

pd_status pd_hdf5_put_array(const pd_hdf5 *file, hid_t parent, const char *name, hid_t stored,
                            int rank, const hsize_t *dims, hid_t memory, const void *data)
{
    pd_status status = PD_OK;
    hid_t array = H5I_INVALID_HID;
    hsize_t chunk[H5S_MAX_RANK];
    hsize_t items = 1, limit = CHUNK_BYTES / H5Tget_size(stored);
    for (int i = 0; i < rank; i++)
        items *= chunk[i] = dims[i];
    for (int i = 0; i < rank; i++) {
        while (items > limit && chunk[i] > 1) {
            items = items / chunk[i] * ((chunk[i] + 1) / 2);
            chunk[i] = (chunk[i] + 1) / 2;
        }
    }
    PD_TRY(pd_hdf5_create_array(&array, file, parent, name, stored, rank, dims, chunk));
    errno = 0;
    if (H5Dwrite(array, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0)
        status = pd_hdf5_fail_write(file);

cleanup:
    if (pd_hdf5_close(&array) < 0 && status == PD_OK)
        status = pd_hdf5_fail_write(file);
    return status;
}

/* Opens attribute `name` of `object`, checked to have rank `rank` and to be no larger than the
 * file. The caller closes *out and *type, which are valid or H5I_INVALID_HID. */
static pd_status open_attribute(hid_t *out, hid_t *type, hsize_t *count, const pd_hdf5 *file,
                                const char *object, const char *name, int rank)
{
    *type = H5I_INVALID_HID;
    *out = H5Aopen_by_name(file->id, object, name, H5P_DEFAULT, H5P_DEFAULT);
    if (*out < 0)
        return pd_hdf5_fail_read(file, "attribute '%s' of '%s' is missing", name, object);
    *type = H5Aget_type(*out);
    hid_t space = H5Aget_space(*out);
    hssize_t items = H5Sget_simple_extent_npoints(space);
    bool fits = *type >= 0 && H5Sget_simple_extent_ndims(space) == rank && items >= 0 &&
                H5Aget_storage_size(*out) <= (hsize_t)file->size;
    pd_hdf5_close(&space);
    if (!fits)
        return pd_hdf5_fail_read(file, "attribute '%s' of '%s' has the wrong shape", name, object);
    *count = (hsize_t)items;
    return PD_OK;
}

pd_status pd_hdf5_get_number(const pd_hdf5 *file, const char *object, const char *name, hid_t type,
                             void *value)
{
    pd_status status = PD_OK;
    hid_t attribute, stored;
    hsize_t count = 0;
    PD_TRY(open_attribute(&attribute, &stored, &count, file, object, name, 0));
    if (count != 1 || H5Tget_class(stored) != H5Tget_class(type))
        status = pd_hdf5_fail_read(file, "attribute '%s' of '%s' has the wrong type", name, object);
    else if (H5Aread(attribute, type, value) < 0)
        status = pd_hdf5_fail_read(file, "attribute '%s' of '%s' is damaged", name, object);

cleanup:
    pd_hdf5_close(&stored);
    pd_hdf5_close(&attribute);
    return status;
}

/* True for texts of fixed width. */
static bool is_fixed_text(hid_t type)
{
    return H5Tget_class(type) == H5T_STRING && H5Tis_variable_str(type) == 0;
}

/* The type of a text of `width` bytes in memory, with a final zero, of the stored text's encoding.
 */
static hid_t memory_text_type(hid_t stored, size_t width)
{
    hid_t type = H5Tcopy(stored);
    H5Tset_size(type, width + 1);
    H5Tset_strpad(type, H5T_STR_NULLTERM);
    return type;
}

pd_status pd_hdf5_get_text(const pd_hdf5 *file, const char *object, const char *name, char *text,
                           size_t size)
{
    pd_status status = PD_OK;
    hid_t attribute, stored, memory = H5I_INVALID_HID;
    hsize_t count = 0;
    PD_TRY(open_attribute(&attribute, &stored, &count, file, object, name, 0));
    if (count != 1 || !is_fixed_text(stored) || H5Tget_size(stored) >= size) {
        status =
            pd_hdf5_fail_read(file, "attribute '%s' of '%s' is not a text of at most %zu bytes",
                              name, object, size - 1);
        goto cleanup;
    }
    memory = memory_text_type(stored, size - 1);
    if (H5Aread(attribute, memory, text) < 0)
        status = pd_hdf5_fail_read(file, "attribute '%s' of '%s' is damaged", name, object);

cleanup:
    pd_hdf5_close(&memory);
    pd_hdf5_close(&stored);
    pd_hdf5_close(&attribute);
    return status;
}

/* The product of dims and item size, or -1 if it is larger than `limit`. */
static int64_t bytes_within(int rank, const hsize_t *dims, size_t item, int64_t limit)
{
    hsize_t bytes = item;
    for (int i = 0; i < rank; i++) {
        if (__builtin_mul_overflow(bytes, dims[i], &bytes))
            return -1;
    }
    return bytes > (hsize_t)limit ? -1 : (int64_t)bytes;
}

/* True if all items are stored in this very file, without other filters than the checksum, and no
 * chunk is larger than the file. */
static bool is_all_present(const pd_hdf5 *file, hid_t array, size_t item, int rank,
                           const hsize_t *dims)
{
    hsize_t chunk[H5S_MAX_RANK];
    unsigned flags, config;
    size_t values = 0;
    int64_t bytes = bytes_within(rank, dims, item, file->size);
    hid_t creation = H5Dget_create_plist(array);
    H5D_layout_t layout = H5Pget_layout(creation);
    int filters = H5Pget_nfilters(creation);
    bool present = creation >= 0 && bytes >= 0 && H5Dget_storage_size(array) >= (hsize_t)bytes;
    if (layout == H5D_CHUNKED)
        present = present && H5Pget_chunk(creation, rank, chunk) == rank &&
                  bytes_within(rank, chunk, item, file->size) >= 0 &&
                  (filters == 0 ||
                   (filters == 1 && H5Pget_filter2(creation, 0, &flags, &values, NULL, 0, NULL,
                                                   &config) == H5Z_FILTER_FLETCHER32));
    else
        present = present && (layout == H5D_COMPACT || layout == H5D_CONTIGUOUS) &&
                  H5Pget_external_count(creation) == 0;
    pd_hdf5_close(&creation);
    return present;
}

/* Opens an array, checked to have that rank and to be all there. The caller closes *out and *type,
 * which are valid or H5I_INVALID_HID. */
static pd_status open_dataset(hid_t *out, hid_t *type, const pd_hdf5 *file, const char *object,
                              int rank, hsize_t *dims)
{
    *type = H5I_INVALID_HID;
    hid_t access = H5Pcreate(H5P_DATASET_ACCESS);
    /* Everything is read once; a cache of chunks would only hold memory. */
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
    if (!is_all_present(file, *out, H5Tget_size(*type), rank, dims))
        return pd_hdf5_fail_read(file, "array '%s' is not all there", object);
    return PD_OK;
}

pd_status pd_hdf5_get_texts(const pd_hdf5 *file, const char *object, const char *name, int rank,
                            char ***out, int64_t *count)
{
    pd_status status = PD_OK;
    hid_t source, stored, memory = H5I_INVALID_HID;
    hsize_t items = 1;
    char **texts = NULL;
    *out = NULL;
    if (name != NULL)
        PD_TRY(open_attribute(&source, &stored, &items, file, object, name, rank));
    else
        PD_TRY(open_dataset(&source, &stored, file, object, rank, &items));
    if (!is_fixed_text(stored)) {
        status = pd_hdf5_fail_read(file, "'%s' of '%s' is not an array of texts of fixed width",
                                   name == NULL ? "" : name, object);
        goto cleanup;
    }
    size_t width = H5Tget_size(stored) + 1;
    PD_TRY(pd_alloc(&texts, (size_t)items, sizeof *texts + width));
    char *first = (char *)(texts + items);
    memory = memory_text_type(stored, width - 1);
    if (items > 0 &&
        (name != NULL ? H5Aread(source, memory, first)
                      : H5Dread(source, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, first)) < 0) {
        status = pd_hdf5_fail_read(file, "the texts of '%s' are damaged", object);
        goto cleanup;
    }
    for (hsize_t i = 0; i < items; i++)
        texts[i] = first + i * width;
    *out = texts;
    *count = (int64_t)items;
    texts = NULL;

cleanup:
    free(texts);
    pd_hdf5_close(&memory);
    pd_hdf5_close(&stored);
    pd_hdf5_close(&source);
    return status;
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
    PD_TRY(open_dataset(out, &stored, file, object, rank, dims));
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
