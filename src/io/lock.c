#include "pneumo/io/lock.h"

#include "pneumo/base/clock.h"
#include "pneumo/base/log.h"
#include "pneumo/base/memory.h"
#include "pneumo/base/stop.h"
#include "pneumo/base/text.h"
#include "pneumo/io/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char lock_name[] = "run.lock";

/* What the holder of a lock writes. */
#define RUN        "a run"
#define FILE_THERE "a file"

/* Seconds between two attempts to take a lock that is waited for. */
#define PAUSE 0.2

/* A cross-validation holds its own folder and one per part. */
enum { HELD_MAX = 64, COMMAND_BYTES = 256, CONTENT_BYTES = 1024, ATTEMPTS = 100 };

static struct {
    char *path;
    int file;
} held[HELD_MAX];
static int held_count;

/* Whether `path` names the open file. */
static bool is_same(const char *path, int file)
{
    struct stat there, here;
    return stat(path, &there) == 0 && fstat(file, &here) == 0 && there.st_dev == here.st_dev &&
           there.st_ino == here.st_ino;
}

/* Whether this process holds the lock, under whatever name of the folder. */
static bool is_held(const char *path)
{
    for (int i = 0; i < held_count; i++)
        if (is_same(path, held[i].file))
            return true;
    return false;
}

/* Reads what the holder wrote into the file. */
static void read_holder(pd_lock_holder *out, int file)
{
    char content[CONTENT_BYTES];
    ssize_t size = pread(file, content, sizeof content - 1, 0);
    content[size > 0 ? size : 0] = '\0';
    pd_text_make_utf8(content);
    out->named = sscanf(content, "command %255[^\n]\nhost %255[^\n]\nprocess %ld\nsince %63[^\n]",
                        out->command, out->host, &out->process, out->since) == 4;
    out->writes_run = strstr(content, "\nwrites " RUN "\n") != NULL;
    pd_text_make_printable(out->command);
    pd_text_make_printable(out->host);
    pd_text_make_printable(out->since);
}

/* The message for a lock that another process has. */
static pd_status fail_in_use(const char *what, int file, const char *remedy)
{
    pd_lock_holder holder = {.exists = true};
    read_holder(&holder, file);
    if (!holder.named)
        return pd_fail("%s is in use by another process: %s", what, remedy);
    return pd_fail("%s is in use by '%s', process %ld on %s, since %s: %s", what, holder.command,
                   holder.process, holder.host, holder.since, remedy);
}

pd_status pd_lock_query(pd_lock_holder *out, const char *folder)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    pd_status status = PD_OK;
    char *path = NULL;
    *out = (pd_lock_holder){.exists = false};
    PD_TRY(pd_format(&path, "%s/%s", folder, lock_name));
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        if (errno != ENOENT && errno != ENOTDIR)
            status = pd_fail("%s: cannot open: %s", path, strerror(errno));
        goto cleanup;
    }
    out->exists = true;
    out->held = fcntl(file, F_OFD_GETLK, &whole) == 0 && whole.l_type != F_UNLCK;
    read_holder(out, file);
    close(file);
cleanup:
    free(path);
    return status;
}

/* Writes this process' command line, without the folder of the program. */
static void get_command(char command[COMMAND_BYTES])
{
    char line[COMMAND_BYTES];
    int file = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    ssize_t size = file < 0 ? 0 : read(file, line, sizeof line - 1);
    if (file >= 0)
        close(file);
    line[size > 0 ? size : 0] = '\0';
    const char *slash = strrchr(line, '/'); /* the program ends with the first zero */
    size_t start = slash == NULL ? 0 : (size_t)(slash + 1 - line);
    for (ssize_t i = 0; i + 1 < size; i++)
        if (line[i] == '\0')
            line[i] = ' ';
    pd_text_make_utf8(line);
    pd_text_make_printable(line);
    snprintf(command, COMMAND_BYTES, "%s", line + start);
}

static void write_content(int file, const char *writes)
{
    char content[CONTENT_BYTES], command[COMMAND_BYTES], host[HOST_NAME_MAX + 1] = "", since[32];
    time_t now = time(NULL);
    struct tm local;
    gethostname(host, sizeof host - 1);
    strftime(since, sizeof since, "%Y-%m-%d %H:%M:%S", localtime_r(&now, &local));
    get_command(command);
    int size =
        snprintf(content, sizeof content, "command %s\nhost %s\nprocess %ld\nsince %s\nwrites %s\n",
                 command, host, (long)getpid(), since, writes);
    /* Without it, as on a full disk, messages do not say who has the lock. */
    if (ftruncate(file, 0) == 0)
        (void)!pwrite(file, content, (size_t)size, 0);
}

typedef struct pd_lock_request {
    const char *path;   /* of the lock file */
    const char *what;   /* the folder or file that it locks */
    const char *writes; /* RUN or FILE_THERE */
    int flags;          /* O_CREAT or 0 */
    double seconds;     /* to wait for another holder */
    const char *remedy;
} pd_lock_request;

/* Waits a moment for the holder, and says so the first time and then once a minute. */
static void wait_for_holder(double *told, double started, const pd_lock_request *request, int file)
{
    const struct timespec moment = {.tv_nsec = (long)(PAUSE * 1e9)};
    double now = pd_clock_now();
    char waited[32];
    if (*told == 0) {
        fail_in_use(request->what, file, "waiting until it ends");
        pd_log_info("%s", pd_error_message());
        *told = now;
    } else if (now - *told >= 60) {
        pd_log_info("%s is still in use: waiting for %s now", request->what,
                    pd_clock_format(waited, sizeof waited, now - started));
        *told = now;
    }
    nanosleep(&moment, NULL);
}

/* Warns that the file system has no locks. */
static void warn_without_locks(const pd_lock_request *request)
{
    pd_log_warn("%s: the file system does not support locks (%s): nothing keeps two processes from "
                "writing there at once",
                request->what, strerror(errno));
    unlink(request->path);
}

/* Opens and locks the file. Sets *file to -1 if the file is not there and the flags do not create
 * it, or if the file system has no locks. */
static pd_status open_locked(int *file, const pd_lock_request *request)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    double started = pd_clock_now(), told = 0;
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        pd_status status = PD_OK;
        bool busy = false, locked = false;
        *file = open(request->path, O_RDWR | O_CLOEXEC | request->flags, 0666);
        if (*file < 0 && (errno == ENOENT || errno == ENOTDIR) && (request->flags & O_CREAT) == 0)
            return PD_OK;
        if (*file < 0)
            return pd_fail("%s: cannot open: %s", request->path, strerror(errno));
        locked = fcntl(*file, F_OFD_SETLK, &whole) == 0;
        busy = !locked && (errno == EAGAIN || errno == EACCES);
        /* A holder removes the file when it releases the lock. */
        if (locked && is_same(request->path, *file))
            return PD_OK;
        if (busy && pd_clock_now() - started < request->seconds) {
            wait_for_holder(&told, started, request, *file);
            attempt = -1;
        } else if (busy) {
            status = fail_in_use(request->what, *file, request->remedy);
        } else if (!locked) {
            warn_without_locks(request);
        }
        close(*file);
        *file = -1;
        if (status != PD_OK || (!locked && !busy))
            return status;
    }
    return pd_fail("%s: cannot lock: other processes keep replacing the file", request->path);
}

static pd_status take(const pd_lock_request *request)
{
    pd_status status = PD_OK;
    int file = -1;
    if (is_held(request->path))
        return PD_OK;
    PD_TRY(open_locked(&file, request));
    if (file < 0)
        return PD_OK;
    if (held_count == HELD_MAX)
        status = pd_fail("%s: more than %d locks", request->what, HELD_MAX);
    else
        status = pd_strdup(&held[held_count].path, request->path);
    if (status != PD_OK) {
        close(file);
        return status;
    }
    write_content(file, request->writes);
    pd_stop_remove_file(request->path);
    held[held_count++].file = file;

cleanup:
    return status;
}

static pd_status take_folder(const char *folder, int flags, const char *writes, const char *remedy)
{
    char *path;
    pd_status status = pd_format(&path, "%s/%s", folder, lock_name);
    if (status != PD_OK)
        return status;
    status = take(&(pd_lock_request){
        .path = path, .what = folder, .writes = writes, .flags = flags, .remedy = remedy});
    free(path);
    return status;
}

pd_status pd_lock_take(const char *folder, const char *remedy)
{
    return take_folder(folder, O_CREAT, RUN, remedy);
}

pd_status pd_lock_wait_file(const char *path, double seconds, const char *remedy)
{
    char *lock = NULL;
    pd_status status = pd_folder_make_above(path);
    if (status == PD_OK)
        status = pd_format(&lock, "%s.lock", path);
    if (status == PD_OK)
        status = take(&(pd_lock_request){.path = lock,
                                         .what = path,
                                         .writes = FILE_THERE,
                                         .flags = O_CREAT,
                                         .seconds = seconds,
                                         .remedy = remedy});
    free(lock);
    return status;
}

pd_status pd_lock_take_file(const char *path, const char *remedy)
{
    return pd_lock_wait_file(path, 0, remedy);
}

pd_status pd_lock_take_beside(const char *path, const char *remedy)
{
    pd_status status = PD_OK;
    char *target = NULL, *folder = NULL;
    /* If no file can be written there, writing it says so. */
    if (pd_file_find_target(&target, path) != PD_OK)
        PD_TRY(pd_strdup(&target, path));
    const char *slash = strrchr(target, '/');
    if (slash == NULL)
        PD_TRY(pd_strdup(&folder, "."));
    else
        PD_TRY(pd_format(&folder, "%.*s", slash == target ? 1 : (int)(slash - target), target));
    status = take_folder(folder, 0, FILE_THERE, remedy);
cleanup:
    free(target);
    free(folder);
    return status;
}

static void release(int i)
{
    pd_file_discard(held[i].path);
    close(held[i].file);
    free(held[i].path);
    held[i] = held[--held_count];
}

void pd_lock_release_file(const char *path)
{
    char *lock;
    if (pd_format(&lock, "%s.lock", path) != PD_OK)
        return; /* pd_lock_release_all does it */
    for (int i = held_count - 1; i >= 0; i--)
        if (strcmp(held[i].path, lock) == 0)
            release(i);
    free(lock);
}

void pd_lock_release_all(void)
{
    while (held_count > 0)
        release(held_count - 1);
}
