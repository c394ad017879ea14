#include "hdf5_memory.h"

#include "pneumo/base/memory.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The memory of a file grows by this. */
enum { GROWTH_BYTES = 4 << 20 };

/* The memory of a file in memory, kept when HDF5 closes the file. H5Fget_file_image would copy it,
 * and up to HDF5 1.14.6 writes a wrong superblock checksum (HDFGroup/hdf5#1915). */
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
    /* Makes the gaps between objects reproducible. */
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
        free(kept->bytes); /* of a file that HDF5 opened while creating this one */
        kept->bytes = bytes;
    } else {
        free(bytes);
    }
    return 0;
}

/* All copies of the property list share the caller's image. */
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
    hid_t access = pd_hdf5_file_access();
    H5Pset_fapl_core(access, GROWTH_BYTES, false);
    H5Pset_file_image_callbacks(access, &callbacks);
    /* HDF5 first reads an existing file of that name into memory, so use a name that is free. */
    char *free_name;
    pd_status status = pd_format(&free_name, "%s.in-memory", path);
    if (status == PD_OK)
        status = pd_hdf5_create_with(out, path, free_name, access);
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
    /* The memory is larger than the file, whose size is fixed when it is closed and stored in its
     * superblock: HDF5 file format 3.0, II.A, "End of File Address". */
    memcpy(&end, (unsigned char *)image->bytes + 28, sizeof end);
    image->size = le64toh(end);
    return PD_OK;
}

pd_status pd_hdf5_open_in_memory(pd_hdf5 *out, const char *path, const char *remedy,
                                 const void *bytes, size_t size)
{
    char *free_name = NULL;
    *out = (pd_hdf5){.id = H5I_INVALID_HID, .path = path, .remedy = remedy, .size = (int64_t)size};
    pd_hdf5_start();
    pd_status status = pd_format(&free_name, "%s.in-memory", path);
    if (status != PD_OK)
        return status;
    hid_t access = pd_hdf5_file_access();
    H5Pset_fapl_core(access, GROWTH_BYTES, false);
    /* HDF5 only reads the bytes: it copies them. */
    if (H5Pset_file_image(access, (void *)bytes, size) >= 0)
        out->id = H5Fopen(free_name, H5F_ACC_RDONLY, access);
    pd_hdf5_close(&access);
    free(free_name);
    return out->id < 0 ? pd_hdf5_fail_read(out, "the HDF5 file inside it is damaged") : PD_OK;
}
