/* Preloaded into one rank (LD_PRELOAD), makes one call into the C library fail, tear or wait, or
 * the clock step, and notes it in a file. Environment:
 *
 *   FAIL_FOLDER   absolute path: only calls on files below it count
 *   FAIL_RANK     the rank it applies to, if the program runs under mpirun
 *   FAIL_CALL     the kind of call, one of `names`
 *   FAIL_AT       which call of that kind, from 1 on
 *   FAIL_AS       ENOSPC, EIO or ENOMEM: the call fails with that error
 *                 full: it and all later ones of its kind fail with ENOSPC, as on a full disk
 *                 short: a write stores half of its bytes and says so
 *                 torn: a write stores half of its bytes, and the next one fails with ENOSPC
 *                 torn-kill: a write stores half of its bytes, and SIGKILL ends the process
 *                 kill: SIGKILL ends the process before the call
 *                 slow: it and all later ones of its kind take a tenth of a second longer
 *                 stall: it takes 8 seconds longer
 *                 back, ahead: of the clock, which is a day behind or ahead from then on
 *   FAIL_RECORD   file that gets a line when this happens: kind, number, path
 *   FAIL_COUNTS   file that gets the number of calls of each kind when the process exits
 *
 * Calls for memory ("memory", and "mmap") count only if the program itself makes them, which the
 * return address tells: what libc, MPI, HDF5 or BLAS do without memory is not the program's to
 * decide, and some of them abort. The program makes none before main. "clock" counts all readings
 * of the time of day; the monotonic clock does not step. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

typedef enum kind {
    WRITE,
    FSYNC,
    RENAME,
    LINK,
    CREATE,
    MKDIR,
    TRUNCATE,
    CLOSE,
    UNLINK,
    MEMORY,
    MMAP,
    CLOCK,
    KINDS
} kind;

static const char *const names[KINDS] = {"write",  "fsync",  "rename",   "link",
                                         "create", "mkdir",  "truncate", "close",
                                         "unlink", "memory", "mmap",     "clock"};

typedef enum manner {
    FAIL,
    FULL,
    SHORT,
    TORN,
    TORN_KILL,
    KILL,
    SLOW,
    STALL,
    BACK,
    AHEAD,
    MANNERS
} manner;

static struct {
    const char *folder, *record, *counts;
    size_t folder_length;
    bool active;
    kind kind;
    long at;
    manner manner;
    int error;
    uintptr_t begin, end; /* of the program in memory */
} plan;

static atomic_long counts[KINDS];

/* --- The plan --- */

static int find_program(struct dl_phdr_info *object, size_t size, void *unused)
{
    (void)size, (void)unused;
    for (int i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &object->dlpi_phdr[i];
        if (part->p_type == PT_LOAD && (part->p_flags & PF_X) != 0) {
            plan.begin = object->dlpi_addr + part->p_vaddr;
            plan.end = plan.begin + part->p_memsz;
        }
    }
    return 1; /* the program is the first object */
}

static void choose_manner(const char *text)
{
    static const char *const manners[MANNERS] = {"ENOSPC", "full", "short", "torn", "torn-kill",
                                                 "kill",   "slow", "stall", "back", "ahead"};
    plan.error = strcmp(text, "EIO") == 0 ? EIO : strcmp(text, "ENOMEM") == 0 ? ENOMEM : ENOSPC;
    for (int i = 0; i < MANNERS; i++)
        if (strcmp(text, manners[i]) == 0)
            plan.manner = (manner)i;
}

__attribute__((constructor)) static void read_plan(void)
{
    const char *rank = getenv("OMPI_COMM_WORLD_RANK"), *own = getenv("FAIL_RANK");
    const char *call = getenv("FAIL_CALL"), *at = getenv("FAIL_AT"), *as = getenv("FAIL_AS");
    unsetenv("LD_PRELOAD"); /* not into programs that this one starts */
    plan.folder = getenv("FAIL_FOLDER");
    plan.record = getenv("FAIL_RECORD");
    plan.counts = getenv("FAIL_COUNTS");
    if (plan.folder == NULL || (rank != NULL && own != NULL && strcmp(rank, own) != 0))
        return;
    plan.folder_length = strlen(plan.folder);
    plan.kind = KINDS;
    for (int i = 0; i < KINDS && call != NULL; i++)
        if (strcmp(call, names[i]) == 0)
            plan.kind = (kind)i;
    plan.at = at == NULL ? 0 : atol(at);
    choose_manner(as == NULL ? "" : as);
    dl_iterate_phdr(find_program, NULL);
    plan.active = true;
}

/* Files are written by system call here, since the functions are replaced. */
static void append(const char *path, const char *text)
{
    long file = syscall(SYS_open, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (file < 0)
        return;
    syscall(SYS_write, file, text, strlen(text));
    syscall(SYS_close, file);
}

__attribute__((destructor)) static void write_counts(void)
{
    char line[64];
    for (int i = 0; i < KINDS && plan.active && plan.counts != NULL; i++) {
        snprintf(line, sizeof line, "%s %ld\n", names[i], atomic_load(&counts[i]));
        append(plan.counts, line);
    }
}

/* --- Which calls --- */

/* Writes the absolute path of `path`, relative to the open folder, or of the open file if NULL. */
static void resolve(char out[PATH_MAX], int folder, const char *path)
{
    char link[64];
    int problem = errno;
    ssize_t size = 0;
    out[0] = '\0';
    if (path == NULL || path[0] != '/') {
        if (folder == AT_FDCWD)
            snprintf(link, sizeof link, "/proc/self/cwd");
        else
            snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
        size = readlink(link, out, PATH_MAX - 1);
        out[size > 0 ? size : 0] = '\0';
    }
    size_t used = strlen(out);
    if (path != NULL)
        snprintf(out + used, PATH_MAX - used, "%s%s", used > 0 ? "/" : "", path);
    errno = problem;
}

/* Whether this call is the one, which is then noted, and does not succeed as a whole. */
static bool is_due(kind what, const char *path)
{
    char line[PATH_MAX + 64];
    long number = atomic_fetch_add(&counts[what], 1) + 1;
    bool later = plan.manner == FULL || plan.manner == SLOW || plan.manner >= BACK ||
                 (plan.manner == TORN && number == plan.at + 1);
    if (what != plan.kind || plan.at < 1 || number < plan.at || (number > plan.at && !later))
        return false;
    if (number == plan.at && plan.record != NULL) {
        snprintf(line, sizeof line, "%s %ld %s\n", names[what], number, path);
        append(plan.record, line);
    }
    if (plan.manner == KILL)
        raise(SIGKILL);
    if (plan.manner == SLOW || plan.manner == STALL) {
        struct timespec pause = {.tv_sec = plan.manner == STALL ? 8 : 0,
                                 .tv_nsec = plan.manner == STALL ? 0 : 100000000};
        nanosleep(&pause, NULL);
        return false;
    }
    errno = plan.error;
    return true;
}

static bool is_file_due(kind what, int folder, const char *path)
{
    char absolute[PATH_MAX];
    if (!plan.active)
        return false;
    resolve(absolute, folder, path);
    return strncmp(absolute, plan.folder, plan.folder_length) == 0 &&
           (absolute[plan.folder_length] == '/' || absolute[plan.folder_length] == '\0') &&
           is_due(what, absolute);
}

static bool is_memory_due(kind what, const void *caller)
{
    return plan.active && (uintptr_t)caller >= plan.begin && (uintptr_t)caller < plan.end &&
           is_due(what, "memory");
}

/* --- The calls --- */

#define CALLER __builtin_return_address(0)

/* Declares `real`, the function of that name in the next library. */
#define REAL(name)                                                                                 \
    static __typeof__(&name) real;                                                                 \
    if (real == NULL)                                                                              \
    *(void **)&real = dlsym(RTLD_NEXT, #name)

/* How many of `size` bytes are written by a call that is due; 0: it fails. */
static size_t torn_size(size_t size)
{
    bool first = atomic_load(&counts[WRITE]) == plan.at;
    return plan.manner == FAIL || plan.manner == FULL || !first ? 0 : (size + 1) / 2;
}

static ssize_t end_torn(ssize_t written)
{
    if (plan.manner == TORN_KILL)
        raise(SIGKILL);
    return written;
}

ssize_t write(int file, const void *bytes, size_t size)
{
    REAL(write);
    if (!is_file_due(WRITE, file, NULL))
        return real(file, bytes, size);
    size_t part = torn_size(size);
    return part == 0 ? -1 : end_torn(real(file, bytes, part));
}

ssize_t pwrite(int file, const void *bytes, size_t size, off_t at)
{
    REAL(pwrite);
    if (!is_file_due(WRITE, file, NULL))
        return real(file, bytes, size, at);
    size_t part = torn_size(size);
    return part == 0 ? -1 : end_torn(real(file, bytes, part, at));
}

/* Of several blocks, the first is what a torn call writes. */
ssize_t writev(int file, const struct iovec *blocks, int count)
{
    REAL(writev);
    if (!is_file_due(WRITE, file, NULL))
        return real(file, blocks, count);
    return torn_size(blocks[0].iov_len) == 0 ? -1 : end_torn(real(file, blocks, 1));
}

ssize_t pwritev(int file, const struct iovec *blocks, int count, off_t at)
{
    REAL(pwritev);
    if (!is_file_due(WRITE, file, NULL))
        return real(file, blocks, count, at);
    return torn_size(blocks[0].iov_len) == 0 ? -1 : end_torn(real(file, blocks, 1, at));
}

int fsync(int file)
{
    REAL(fsync);
    return is_file_due(FSYNC, file, NULL) ? -1 : real(file);
}

int fdatasync(int file)
{
    REAL(fdatasync);
    return is_file_due(FSYNC, file, NULL) ? -1 : real(file);
}

int rename(const char *from, const char *to)
{
    REAL(rename);
    return is_file_due(RENAME, AT_FDCWD, to) ? -1 : real(from, to);
}

int renameat(int from_folder, const char *from, int to_folder, const char *to)
{
    REAL(renameat);
    return is_file_due(RENAME, to_folder, to) ? -1 : real(from_folder, from, to_folder, to);
}

int link(const char *from, const char *to)
{
    REAL(link);
    return is_file_due(LINK, AT_FDCWD, to) ? -1 : real(from, to);
}

static int mode_of(int flags, va_list arguments)
{
    return (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(arguments, int) : 0;
}

int open(const char *path, int flags, ...)
{
    REAL(open);
    va_list arguments;
    va_start(arguments, flags);
    int mode = mode_of(flags, arguments);
    va_end(arguments);
    bool due = (flags & O_CREAT) != 0 && is_file_due(CREATE, AT_FDCWD, path);
    return due ? -1 : real(path, flags, mode);
}

int openat(int folder, const char *path, int flags, ...)
{
    REAL(openat);
    va_list arguments;
    va_start(arguments, flags);
    int mode = mode_of(flags, arguments);
    va_end(arguments);
    bool due = (flags & O_CREAT) != 0 && is_file_due(CREATE, folder, path);
    return due ? -1 : real(folder, path, flags, mode);
}

int mkdir(const char *path, mode_t mode)
{
    REAL(mkdir);
    return is_file_due(MKDIR, AT_FDCWD, path) ? -1 : real(path, mode);
}

int ftruncate(int file, off_t size)
{
    REAL(ftruncate);
    return is_file_due(TRUNCATE, file, NULL) ? -1 : real(file, size);
}

int truncate(const char *path, off_t size)
{
    REAL(truncate);
    return is_file_due(TRUNCATE, AT_FDCWD, path) ? -1 : real(path, size);
}

int fallocate(int file, int mode, off_t at, off_t size)
{
    REAL(fallocate);
    return is_file_due(TRUNCATE, file, NULL) ? -1 : real(file, mode, at, size);
}

/* Like Linux, closes the file even if it reports an error. */
int close(int file)
{
    REAL(close);
    if (!is_file_due(CLOSE, file, NULL))
        return real(file);
    real(file);
    errno = plan.error;
    return -1;
}

int unlink(const char *path)
{
    REAL(unlink);
    return is_file_due(UNLINK, AT_FDCWD, path) ? -1 : real(path);
}

int unlinkat(int folder, const char *path, int flags)
{
    REAL(unlinkat);
    return is_file_due(UNLINK, folder, path) ? -1 : real(folder, path, flags);
}

int remove(const char *path)
{
    REAL(remove);
    return is_file_due(UNLINK, AT_FDCWD, path) ? -1 : real(path);
}

void *malloc(size_t size)
{
    REAL(malloc);
    return is_memory_due(MEMORY, CALLER) ? NULL : real(size);
}

void *calloc(size_t count, size_t size)
{
    REAL(calloc);
    return is_memory_due(MEMORY, CALLER) ? NULL : real(count, size);
}

void *realloc(void *block, size_t size)
{
    REAL(realloc);
    return is_memory_due(MEMORY, CALLER) ? NULL : real(block, size);
}

int posix_memalign(void **out, size_t alignment, size_t size)
{
    REAL(posix_memalign);
    return is_memory_due(MEMORY, CALLER) ? ENOMEM : real(out, alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    REAL(aligned_alloc);
    return is_memory_due(MEMORY, CALLER) ? NULL : real(alignment, size);
}

char *strdup(const char *text)
{
    REAL(strdup);
    return is_memory_due(MEMORY, CALLER) ? NULL : real(text);
}

FILE *open_memstream(char **out, size_t *size)
{
    REAL(open_memstream);
    return is_memory_due(MEMORY, CALLER) ? NULL : real(out, size);
}

void *mmap(void *at, size_t size, int access, int flags, int file, off_t offset)
{
    REAL(mmap);
    return is_memory_due(MMAP, CALLER) ? MAP_FAILED : real(at, size, access, flags, file, offset);
}

/* The seconds by which the time of day is off. */
static time_t clock_step(void)
{
    enum { DAY = 86400 };
    int problem = errno;
    bool due = plan.active && is_due(CLOCK, "clock");
    errno = problem;
    return !due ? 0 : plan.manner == BACK ? -DAY : DAY;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    REAL(clock_gettime);
    int code = real(clock, now);
    if (code == 0 && clock == CLOCK_REALTIME)
        now->tv_sec += clock_step();
    return code;
}

time_t time(time_t *out)
{
    REAL(time);
    time_t now = real(NULL) + clock_step();
    if (out != NULL)
        *out = now;
    return now;
}
