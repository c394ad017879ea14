#include "pneumo/io/file.h"

#include "pneumo/base/memory.h"
#include "pneumo/base/stop.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <linux/magic.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

/* Age at which a temporary file of another host counts as left behind. */
enum { LEFT_SECONDS = 3600 };

/* How long a pipe that is read may be without a writer. */
enum { WRITER_SECONDS = 5 };

bool pd_file_exists(const char *path)
{
    struct stat about;
    return stat(path, &about) == 0;
}

static pd_status make_one_folder(const char *path)
{
    struct stat about;
    if (mkdir(path, 0777) == 0)
        return PD_OK;
    int reason = errno;
    if (stat(path, &about) != 0 && lstat(path, &about) == 0)
        return pd_fail("%s: cannot create the folder: a symbolic link of that name has no target",
                       path);
    if (stat(path, &about) != 0)
        return pd_fail("%s: cannot create the folder: %s", path, strerror(reason));
    if (!S_ISDIR(about.st_mode))
        return pd_fail("%s: cannot create the folder: a file of that name exists", path);
    return PD_OK;
}

pd_status pd_folder_make(const char *path)
{
    pd_status status = PD_OK;
    char *part = NULL;
    if (path[0] == '\0')
        return pd_fail("cannot create a folder without a name");
    PD_TRY(pd_strdup(&part, path));
    for (char *slash = strchr(part + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        PD_TRY(make_one_folder(part));
        *slash = '/';
    }
    PD_TRY(make_one_folder(part));
    if (access(path, W_OK | X_OK) != 0)
        status = pd_fail("%s: cannot write to the folder: %s", path, strerror(errno));

cleanup:
    free(part);
    return status;
}

pd_status pd_folder_make_above(const char *path)
{
    char *folder = NULL;
    const char *slash = strrchr(path, '/');
    if (slash == NULL || slash == path)
        return PD_OK;
    pd_status status = pd_format(&folder, "%.*s", (int)(slash - path), path);
    if (status == PD_OK)
        status = pd_folder_make(folder);
    free(folder);
    return status;
}

pd_status pd_file_check_regular(const char *path)
{
    struct stat about;
    if (stat(path, &about) != 0)
        return pd_fail("%s: cannot open: %s", path, strerror(errno));
    return S_ISREG(about.st_mode) ? PD_OK : pd_fail("%s: is not a regular file", path);
}

/* Whether to read again from a file that was opened without blocking, after a read that returned
 * `got`. Waits for data; if it is a pipe of which nothing was read, also for a writer, until
 * *seconds have passed. */
static bool wait_to_read(int file, ssize_t got, bool is_fresh_pipe, double *seconds)
{
    const double pause = 0.02;
    const struct timespec moment = {.tv_nsec = (long)(pause * 1e9)};
    struct pollfd at = {.fd = file, .events = POLLIN};
    if (got < 0 && errno == EINTR)
        return true;
    if (got < 0 && errno == EAGAIN)
        return poll(&at, 1, -1) >= 0 || errno == EINTR;
    /* Once a writer has closed the pipe, it is hung up. */
    if (got != 0 || !is_fresh_pipe || *seconds <= 0 || poll(&at, 1, 0) > 0)
        return false;
    nanosleep(&moment, NULL);
    *seconds -= pause;
    return true;
}

/* Whether an error is of the system or the disk, rather than of this one file. */
static bool is_system_error(int error)
{
    static const int errors[] = {EIO, EMFILE, ENFILE, ENOMEM, ESTALE, ETIMEDOUT, ENOBUFS};
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        if (error == errors[i])
            return true;
    return false;
}

static pd_status fail_read(const char *path, const char *what)
{
    int error = errno;
    return is_system_error(error) ? pd_fail_system("%s: %s: %s", path, what, strerror(error))
                                  : pd_fail("%s: %s: %s", path, what, strerror(error));
}

pd_status pd_file_read(unsigned char **bytes, size_t *size, const char *path, size_t limit)
{
    pd_status status = PD_OK;
    unsigned char *block = NULL;
    size_t capacity = 0, used = 0;
    struct stat about = {0};
    double patience = WRITER_SECONDS;

    *bytes = NULL;
    *size = 0;
    /* Non-blocking: opening a pipe would wait for a writer for ever. */
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0)
        return fail_read(path, "cannot open");
    /* Room for one byte more than the file has, so that the last read detects its end. */
    capacity = 4096;
    if (fstat(file, &about) == 0 && S_ISREG(about.st_mode) && about.st_size >= 0 &&
        (size_t)about.st_size <= limit)
        capacity = (size_t)about.st_size + 2;
    for (;;) {
        unsigned char *grown = realloc(block, capacity);
        if (grown == NULL) {
            status = pd_fail_system("%s: out of memory: cannot get %zu bytes", path, capacity);
            goto cleanup;
        }
        block = grown;
        ssize_t got = read(file, block + used, capacity - 1 - used);
        if (wait_to_read(file, got, S_ISFIFO(about.st_mode) && used == 0, &patience))
            continue;
        if (got < 0) {
            status = fail_read(path, "cannot read");
            goto cleanup;
        }
        if (got == 0 && patience <= 0) {
            status = pd_fail("%s: is a pipe that no program writes to; give a file", path);
            goto cleanup;
        }
        if (got == 0)
            break;
        used += (size_t)got;
        if (used > limit) {
            status = pd_fail("%s: is larger than %zu bytes", path, limit);
            goto cleanup;
        }
        if (used == capacity - 1)
            capacity = 2 * capacity;
    }
    block[used] = '\0';
    *bytes = block;
    *size = used;
    block = NULL;

cleanup:
    free(block);
    close(file);
    return status;
}

/* Host and process id distinguish programs that write the same file. */
static void get_host(char host[HOST_NAME_MAX + 1])
{
    if (gethostname(host, HOST_NAME_MAX) != 0)
        snprintf(host, HOST_NAME_MAX, "localhost");
    host[HOST_NAME_MAX] = '\0';
}

/* The longest name of a file of which temporary, lock and part files can be made. */
static int longest_name(void)
{
    enum { PART_BYTES = sizeof ".part-2147483647" - 1, NUMBER_BYTES = 20 };
    char host[HOST_NAME_MAX + 1];
    get_host(host);
    int temporary = (int)strlen(host) + (int)strlen(".-.tmp") + NUMBER_BYTES;
    return NAME_MAX - (temporary > PART_BYTES ? temporary : PART_BYTES);
}

/* The length of the path's folder, with the slash at its end. */
static int folder_length(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? 0 : (int)(slash + 1 - path);
}

/* Whether the link at `path` is one of /proc, such as /dev/stdout leads to: what it reads as need
 * not be the path of the open file that it stands for. */
static bool is_of_process(const char *path)
{
    struct statfs about;
    char folder[PATH_MAX];
    int length = folder_length(path);
    snprintf(folder, sizeof folder, "%.*s", length > 0 ? length : 1, length > 0 ? path : ".");
    return statfs(folder, &about) == 0 && about.f_type == PROC_SUPER_MAGIC;
}

/* Replaces *path, a link, by the path that it holds. */
static pd_status follow_link(char **path, const char *given)
{
    char held[PATH_MAX], *next = NULL;
    ssize_t length = readlink(*path, held, sizeof held - 1);
    if (length < 0)
        return pd_fail("%s: cannot write: %s", given, strerror(errno));
    held[length] = '\0';
    if (is_of_process(*path))
        return pd_fail("%s: cannot write: it stands for an open file, which cannot be replaced; "
                       "give the path of a file",
                       given);
    bool absolute = held[0] == '/';
    pd_status status = pd_format(&next, "%.*s%s", absolute ? 0 : folder_length(*path), *path, held);
    if (status == PD_OK) {
        free(*path);
        *path = next;
    }
    return status;
}

/* Fails if no file can be written at `path`, which the caller gave as `given`. */
static pd_status check_path(const char *path, const char *given)
{
    struct stat about;
    if (strlen(path + folder_length(path)) > (size_t)longest_name())
        return pd_fail("%s: cannot write: the name of the file is too long; use at most %d bytes",
                       given, longest_name());
    /* A rename would replace a device or pipe, such as /dev/null, by a regular file. */
    if (stat(path, &about) == 0 && !S_ISREG(about.st_mode))
        return pd_fail("%s: cannot write: it is not a regular file", given);
    return PD_OK;
}

pd_status pd_file_find_target(char **target, const char *path)
{
    enum { LINKS_MAX = 40 }; /* as Linux */
    struct stat about;
    pd_status status = PD_OK;
    *target = NULL;
    PD_TRY(check_path(path, path));
    PD_TRY(pd_strdup(target, path));
    for (int links = 0; lstat(*target, &about) == 0 && S_ISLNK(about.st_mode); links++) {
        if (links == LINKS_MAX) {
            status = pd_fail("%s: cannot write: %s", path, strerror(ELOOP));
            goto cleanup;
        }
        PD_TRY(follow_link(target, path));
    }
    status = check_path(*target, path);
cleanup:
    if (status != PD_OK) {
        free(*target);
        *target = NULL;
    }
    return status;
}

/* Names the temporary file of `target`, which is no link. */
static pd_status name_temporary(char **temporary, const char *target)
{
    char host[HOST_NAME_MAX + 1];
    get_host(host);
    pd_status status = pd_format(temporary, "%s.%s-%ld.tmp", target, host, (long)getpid());
    if (status == PD_OK)
        pd_stop_remove_file(*temporary);
    return status;
}

pd_status pd_file_temporary(char **temporary, const char *path)
{
    char *target = NULL;
    *temporary = NULL;
    pd_status status = pd_file_find_target(&target, path);
    if (status == PD_OK)
        status = name_temporary(temporary, target);
    free(target);
    return status;
}

void pd_file_discard(const char *temporary)
{
    unlink(temporary);
    pd_stop_keep_file(temporary);
}

/* Opens the folder of `path`, to flush its entries. */
static int open_folder_of(const char *path)
{
    char *folder = NULL;
    const char *slash = strrchr(path, '/');
    if (slash == NULL)
        return open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    /* Keep the slash: the folder of "/x" is "/". */
    if (pd_format(&folder, "%.*s", (int)(slash - path) + 1, path) != PD_OK)
        return -1;
    int result = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(folder);
    return result;
}

/* Whether the file `name` in `folder` is a temporary file of `base` left by a killed process. */
static bool is_leftover(int folder, const char *base, const char *name)
{
    char host[HOST_NAME_MAX + 1], *end;
    struct stat about;
    size_t length = strlen(base);
    const char *dash = strrchr(name, '-');
    if (strncmp(name, base, length) != 0 || name[length] != '.' || dash == NULL)
        return false;
    long process = strtol(dash + 1, &end, 10);
    if (process <= 0 || strcmp(end, ".tmp") != 0)
        return false;
    get_host(host);
    const char *owner = name + length + 1;
    if (dash - owner == (ptrdiff_t)strlen(host) && strncmp(owner, host, strlen(host)) == 0)
        return kill((pid_t)process, 0) != 0 && errno == ESRCH;
    return fstatat(folder, name, &about, AT_SYMLINK_NOFOLLOW) == 0 &&
           time(NULL) - about.st_mtime > LEFT_SECONDS;
}

static int remove_entry(const char *path, const struct stat *about, int type, struct FTW *place)
{
    (void)about, (void)type, (void)place;
    return remove(path);
}

pd_status pd_folder_remove(const char *path)
{
    enum { DESCRIPTORS = 16 };
    if (nftw(path, remove_entry, DESCRIPTORS, FTW_DEPTH | FTW_PHYS) != 0 && errno != ENOENT)
        return pd_fail("%s: cannot remove: %s", path, strerror(errno));
    return PD_OK;
}

/* A process killed while writing leaves a temporary file or folder as large as the result, which
 * the next write of the same path removes. Errors are ignored: the write itself succeeded. */
static void remove_leftovers(const char *path)
{
    char *left;
    int file = open_folder_of(path);
    DIR *folder = file < 0 ? NULL : fdopendir(file);
    if (folder == NULL) {
        if (file >= 0)
            close(file);
        return;
    }
    int above = folder_length(path);
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;)
        if (is_leftover(file, path + above, entry->d_name) &&
            pd_format(&left, "%.*s%s", above, path, entry->d_name) == PD_OK) {
            pd_folder_remove(left);
            free(left);
        }
    closedir(folder);
}

pd_status pd_folder_temporary(char **temporary, const char *path)
{
    pd_status status = PD_OK;
    char *base = NULL, host[HOST_NAME_MAX + 1];
    size_t length = strlen(path);
    *temporary = NULL;
    while (length > 1 && path[length - 1] == '/')
        length--;
    /* Beside a new folder; below one that exists, which may be on a file system of its own. */
    PD_TRY(pd_format(&base, "%.*s%s", (int)length, path, pd_file_exists(path) ? "/" : ""));
    PD_TRY(pd_folder_make_above(base));
    remove_leftovers(base);
    get_host(host);
    PD_TRY(pd_format(temporary, "%s.%s-%ld.tmp", base, host, (long)getpid()));
cleanup:
    free(base);
    return status;
}

/* Moves everything in the folder `from` to `to`. Returns 0, or -1 with errno. */
static int move_content(const char *from, const char *to)
{
    int source = open(from, O_RDONLY | O_DIRECTORY | O_CLOEXEC), moved = 0;
    int target = open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = source < 0 || target < 0 ? NULL : fdopendir(source);
    if (folder == NULL)
        moved = -1;
    for (struct dirent *entry; moved == 0 && (entry = readdir(folder)) != NULL;)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            moved = renameat(source, entry->d_name, target, entry->d_name);
    int problem = errno;
    if (folder != NULL)
        closedir(folder);
    else if (source >= 0)
        close(source);
    if (target >= 0)
        close(target);
    errno = problem;
    return moved == 0 ? rmdir(from) : -1;
}

pd_status pd_folder_commit(const char *temporary, const char *path)
{
    int moved = pd_file_exists(path) ? move_content(temporary, path) : rename(temporary, path);
    if (moved == 0)
        return PD_OK;
    return pd_fail("%s: cannot write: %s", path, strerror(errno));
}

/* Links the file at `path`, if it exists, to the name `second`, so that it survives the rename over
 * it. Without hard links, moves it to `kept` now. Returns 0, or -1 with errno. */
static int keep(const char *path, const char *second, const char *kept)
{
    unlink(second); /* left by a killed process with the same id */
    if (link(path, second) == 0 || errno == ENOENT)
        return 0;
    return rename(path, kept) == 0 || errno == ENOENT ? 0 : -1;
}

/* Moves `temporary` to `target`, which messages call `path`; with `kept` as pd_file_replace. */
static pd_status move(const char *temporary, const char *target, const char *path, const char *kept)
{
    char *second = NULL;
    pd_status status = kept == NULL ? PD_OK : check_path(kept, kept);
    if (status == PD_OK && kept != NULL)
        status = name_temporary(&second, kept);
    /* Open before the rename, so that failures leave `target` unchanged. */
    int folder = open_folder_of(target);
    int file = folder < 0 ? -1 : open(temporary, O_RDONLY | O_CLOEXEC);
    if (status == PD_OK &&
        (file < 0 || fsync(file) != 0 || (kept != NULL && keep(target, second, kept) != 0) ||
         rename(temporary, target) != 0))
        status = pd_fail("%s: cannot write: %s", path, strerror(errno));
    if (status != PD_OK) {
        pd_file_discard(temporary);
        goto cleanup;
    }
    pd_stop_keep_file(temporary);
    remove_leftovers(target);
    if (kept != NULL) {
        /* `second` does not exist if `target` did not, or was moved already. */
        if (rename(second, kept) != 0 && errno != ENOENT)
            status = pd_fail("%s: cannot write: %s", kept, strerror(errno));
        remove_leftovers(kept);
    }
    /* EINVAL: some network file systems cannot flush a folder. */
    if (fsync(folder) != 0 && errno != EINVAL)
        status = pd_fail("%s: written, but its folder could not be flushed to disk: %s", path,
                         strerror(errno));

cleanup:
    if (file >= 0)
        close(file);
    if (folder >= 0)
        close(folder);
    if (second != NULL)
        pd_file_discard(second);
    free(second);
    return status;
}

pd_status pd_file_commit(const char *temporary, const char *path)
{
    char *target = NULL;
    pd_status status = pd_file_find_target(&target, path);
    if (status == PD_OK)
        status = move(temporary, target, path, NULL);
    else
        pd_file_discard(temporary);
    free(target);
    return status;
}

int pd_file_write_all(int file, const void *bytes, size_t size)
{
    const unsigned char *at = bytes;
    while (size > 0) {
        ssize_t put = write(file, at, size);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return errno;
        at += put;
        size -= (size_t)put;
    }
    return 0;
}

pd_status pd_file_write(const char *path, const void *bytes, size_t size)
{
    return pd_file_replace(path, NULL, bytes, size);
}

/* Writes the bytes to the temporary file of `path`. */
static pd_status fill(const char *temporary, const char *path, const void *bytes, size_t size)
{
    int file = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    int problem = file < 0 ? errno : pd_file_write_all(file, bytes, size);
    /* Network file systems report a full disk at close. */
    if (file >= 0 && close(file) != 0 && problem == 0)
        problem = errno;
    return problem == 0 ? PD_OK : pd_fail("%s: cannot write: %s", path, strerror(problem));
}

pd_status pd_file_publish(const char *path, const void *bytes, size_t size)
{
    char *temporary = NULL, *target = NULL;
    pd_status status = PD_OK;
    PD_TRY(pd_file_find_target(&target, path));
    PD_TRY(name_temporary(&temporary, target));
    PD_TRY(fill(temporary, path, bytes, size));
    if (rename(temporary, target) != 0)
        status = pd_fail("%s: cannot write: %s", path, strerror(errno));
    else
        pd_stop_keep_file(temporary);
cleanup:
    if (status != PD_OK && temporary != NULL)
        pd_file_discard(temporary);
    free(temporary);
    free(target);
    return status;
}

pd_status pd_file_replace(const char *path, const char *kept, const void *bytes, size_t size)
{
    pd_status status = PD_OK;
    char *temporary = NULL, *target = NULL;
    PD_TRY(pd_file_find_target(&target, path));
    if (kept != NULL) {
        /* A link is kept itself, at `kept`: its file may be on another file system. */
        free(target);
        target = NULL;
        PD_TRY(pd_strdup(&target, path));
    }
    PD_TRY(name_temporary(&temporary, target));
    PD_TRY(fill(temporary, path, bytes, size));
    status = move(temporary, target, path, kept);

cleanup:
    if (status != PD_OK && temporary != NULL)
        pd_file_discard(temporary);
    free(temporary);
    free(target);
    return status;
}
