/* A check that runs before the constructors of the libraries: OpenBLAS reserves address space for
 * each thread when it is loaded, and if there is too little (ulimit -v), tries again for ever,
 * without a message and before main. (OpenBLAS 0.3.21, driver/others/memory.c, blas_memory_alloc.)
 *
 * The C library is loaded but not started, so this uses system calls, and no buffers or locale. */
#include <sched.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)

/* BUFFER_SIZE in OpenBLAS' common_x86_64.h and common_arm64.h, and what its tables take. */
#if defined(__x86_64__)
#define BUFFER_BYTES (128 * MIB)
#else
#define BUFFER_BYTES (32 * MIB)
#endif
#define OTHER_BYTES (12 * MIB)

/* The value of a variable; NULL: it is not set. */
static const char *find(char **environment, const char *name)
{
    size_t length = strlen(name);
    for (; *environment != NULL; environment++)
        if (strncmp(*environment, name, length) == 0 && (*environment)[length] == '=')
            return *environment + length + 1;
    return NULL;
}

/* The threads for which OpenBLAS reserves space: the cores, or OMP_NUM_THREADS if that is less. */
static size_t count_threads(char **environment)
{
    cpu_set_t cores;
    const char *variable = find(environment, "OMP_NUM_THREADS");
    size_t set = 0;
    size_t count = sched_getaffinity(0, sizeof cores, &cores) == 0 ? (size_t)CPU_COUNT(&cores) : 1;
    for (; variable != NULL && *variable >= '0' && *variable <= '9' && set < count; variable++)
        set = 10 * set + (size_t)(*variable - '0');
    return set > 0 && set < count ? set : count;
}

static struct iovec text(const char *words)
{
    return (struct iovec){(void *)words, strlen(words)};
}

/* Writes the decimal digits of `number` at the end of digits[24]. */
static struct iovec decimal(char digits[24], size_t number)
{
    size_t at = 24;
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    return (struct iovec){digits + at, 24 - at};
}

static void check_address_space(int argc, char **argv, char **environment)
{
    char needed[24], threads_text[24];
    size_t threads = count_threads(environment), bytes = threads * BUFFER_BYTES + OTHER_BYTES;
    (void)argc, (void)argv;
    void *space = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (space != MAP_FAILED) {
        munmap(space, bytes);
        return;
    }
    const struct iovec message[] = {
        text("pneumo-dist: error: OpenBLAS cannot start: it needs "),
        decimal(needed, bytes / MIB),
        text(" MiB of address space for "),
        decimal(threads_text, threads),
        text(threads == 1 ? " thread" : " threads"),
        text(", more than a limit leaves: raise the limit (ulimit -v)"),
        text(threads == 1 ? "\n" : ", or set OMP_NUM_THREADS to fewer threads\n")};
    _exit(writev(STDERR_FILENO, message, sizeof message / sizeof *message) < 0 ? 2 : 1);
}

__attribute__((section(".preinit_array"),
               used)) static void (*const preinit)(int, char **, char **) = check_address_space;
