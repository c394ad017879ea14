#include "pneumo/io/storage.h"

#include "pneumo/base/clock.h"
#include "pneumo/base/memory.h"
#include "pneumo/base/stop.h"
#include "pneumo/io/file.h"

#include <errno.h>
#include <fcntl.h>
#include <hdf5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { SMALL = 4096, LARGEST = 64 << 20 };

pd_status pd_storage_folder(char **out, const char *path)
{
    pd_status status = pd_strdup(out, path[0] == '\0' ? "." : path);
    while (status == PD_OK && !pd_file_exists(*out)) {
        char *slash = strrchr(*out, '/');
        if (slash == NULL)
            strcpy(*out, ".");
        else
            slash[slash == *out] = '\0'; /* the folder of "/x" is "/" */
    }
    return status;
}

/* Measures the seconds to write `size` bytes to `path` as checkpoints are written. */
static pd_status time_write(const char *path, const void *bytes, size_t size, double *seconds)
{
    double start = pd_clock_now();
    pd_status status = pd_file_write(path, bytes, size);
    *seconds = pd_clock_now() - start;
    return status;
}

/* Whether the locks of pd_lock_take work there: flock may work where they do not, and the reverse.
 */
static bool can_lock(const char *path)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int file = open(path, O_RDWR | O_CLOEXEC);
    bool can = file >= 0 && fcntl(file, F_OFD_SETLK, &whole) == 0;
    if (file >= 0)
        close(file);
    return can;
}

pd_status pd_storage_try(pd_storage *out, const char *folder, size_t bytes)
{
    pd_status status = PD_OK;
    struct statvfs disk;
    char *path = NULL, *block = NULL;
    double seconds;
    *out = (pd_storage){0};
    if (statvfs(folder, &disk) != 0)
        return pd_fail("%s: cannot query the file system: %s", folder, strerror(errno));
    out->free_bytes = (double)disk.f_bavail * (double)disk.f_frsize;
    size_t size = bytes < LARGEST ? bytes : LARGEST;
    if (size < SMALL)
        size = SMALL;
    PD_TRY(pd_format(&path, "%s/.pneumo-doctor-%ld", folder, (long)getpid()));
    pd_stop_remove_file(path);
    PD_TRY(pd_alloc(&block, size, 1));
    PD_TRY(time_write(path, block, SMALL, &out->flush));
    out->locks = can_lock(path);
    PD_TRY(time_write(path, block, size, &seconds));
    out->write = seconds > 0 ? (double)size / seconds : 0;
cleanup:
    if (path != NULL)
        pd_file_discard(path);
    free(path);
    free(block);
    return status;
}

const char *pd_storage_hdf5_version(void)
{
    static char text[32];
    unsigned major = 0, minor = 0, release = 0;
    H5get_libversion(&major, &minor, &release);
    snprintf(text, sizeof text, "%u.%u.%u", major, minor, release);
    return text;
}
