#include "hdf5.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* More than HDF5 may append to a file when it closes it. */
enum { PENDING_BYTES = 1 << 16 };

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

herr_t pd_hdf5_visit(hid_t file, const char *object, H5O_iterate_t visit, void *context)
{
#if H5_VERSION_GE(1, 12, 0)
    return H5Ovisit_by_name(file, object, H5_INDEX_NAME, H5_ITER_INC, visit, context,
                            H5O_INFO_BASIC, H5P_DEFAULT);
#else
    return H5Ovisit_by_name(file, object, H5_INDEX_NAME, H5_ITER_INC, visit, context, H5P_DEFAULT);
#endif
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
    /* HDF5 is unaware of the reserved bytes and might leave them at the end of the file. */
    if (ftruncate(handle, kept) != 0 && problem == 0)
        problem = errno;
    /* Some file systems cannot reserve space. */
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
                   errno == 0 ? "the HDF5 library failed" : strerror(errno));
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

hid_t pd_hdf5_file_access(void)
{
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_libver_bounds(access, H5F_LIBVER_V110, H5F_LIBVER_V110);
    H5Pset_fclose_degree(access, H5F_CLOSE_STRONG);
    H5Pset_file_locking(access, false, true);
    return access;
}

/* Checks the file before HDF5 opens it, whose errors give no reason. */
static pd_status check_file(pd_hdf5 *file)
{
    static const unsigned char signature[8] = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'};
    unsigned char head[8] = {0};
    struct stat about;
    pd_status status = PD_OK;

    /* Non-blocking: opening a pipe must not wait for a writer. */
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

/* Whether another process holds HDF5's lock of a file that is open for writing. */
static bool is_locked(int handle)
{
    bool locked = flock(handle, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    flock(handle, LOCK_UN);
    return locked;
}

/* Whether the superblock has a mark of a writer, which HDF5 removes when it closes the file
 * (HDF5 file format 3.0, II.A, version 3, "File Consistency Flags"). */
static bool is_marked(int handle)
{
    enum { VERSION_AT = 8, FLAGS_AT = 11, WRITE = 1, SWMR_WRITE = 4 };
    unsigned char head[12] = {0};
    return pread(handle, head, sizeof head, 0) == sizeof head && head[VERSION_AT] == 3 &&
           (head[FLAGS_AT] & (WRITE | SWMR_WRITE)) != 0;
}

/* The message for a file that HDF5 does not open. */
static pd_status fail_to_open(const pd_hdf5 *file)
{
    int handle = open(file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    bool locked = handle >= 0 && is_locked(handle), marked = handle >= 0 && is_marked(handle);
    if (handle >= 0)
        close(handle);
    if (locked)
        return pd_fail("%s: another program has it open for writing: close it there first",
                       file->path);
    if (marked)
        return pd_fail("%s: is marked as open for writing: close it in the program that writes it, "
                       "or if that has crashed, remove the mark with 'h5clear -s %s'",
                       file->path, file->path);
    return pd_hdf5_fail_read(file, "is damaged or cut short");
}

pd_status pd_hdf5_open(pd_hdf5 *out, const char *path, const char *remedy)
{
    pd_status status = PD_OK;
    *out = (pd_hdf5){.id = H5I_INVALID_HID, .path = path, .remedy = remedy};
    pd_hdf5_start();
    PD_TRY(check_file(out));
    hid_t access = pd_hdf5_file_access();
    out->id = H5Fopen(path, H5F_ACC_RDONLY, access);
    pd_hdf5_close(&access);
    if (out->id < 0)
        status = fail_to_open(out);

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
    return pd_fail(
        "%s: was changed while it was in use; start again with a file that does not change",
        file->path);
}

void pd_hdf5_prefetch(const pd_hdf5 *file, int64_t start, int64_t size)
{
    posix_fadvise(descriptor(file), start, size, POSIX_FADV_WILLNEED);
}

pd_status pd_hdf5_create_with(pd_hdf5 *out, const char *path, const char *actual, hid_t access)
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
    return pd_hdf5_create_with(out, path, actual, pd_hdf5_file_access());
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
