#include "pneumo/base/stop.h"

#include "pneumo/base/log.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { FILES_MAX = 64 };

static const struct {
    int number;
    const char *name;
} signals[] = {{SIGINT, "SIGINT"},   {SIGTERM, "SIGTERM"}, {SIGHUP, "SIGHUP"},
               {SIGUSR1, "SIGUSR1"}, {SIGXCPU, "SIGXCPU"}, {SIGPIPE, "SIGPIPE"}};

static volatile sig_atomic_t requested; /* number of the first signal; 0: none */
static const char *volatile deferral;   /* NULL: signals end the process */
static const char *volatile advice;
static void (*volatile leave)(int number);

/* Fixed memory, since a handler may interrupt malloc. */
enum { FREE, BUSY, LISTED };
static struct {
    atomic_int state;
    char path[PATH_MAX];
} files[FILES_MAX];

void pd_stop_remove_file(const char *path)
{
    for (int i = 0; i < FILES_MAX && strlen(path) < PATH_MAX; i++) {
        int expected = FREE;
        if (!atomic_compare_exchange_strong(&files[i].state, &expected, BUSY))
            continue;
        strcpy(files[i].path, path);
        atomic_store(&files[i].state, LISTED);
        return;
    }
}

void pd_stop_keep_file(const char *path)
{
    for (int i = 0; i < FILES_MAX; i++) {
        int expected = LISTED;
        if (atomic_load(&files[i].state) == LISTED && strcmp(files[i].path, path) == 0 &&
            atomic_compare_exchange_strong(&files[i].state, &expected, FREE))
            return;
    }
}

/* --- In the handler: only what is safe there. --- */

static void append(char line[256], const char *text)
{
    size_t used = strlen(line);
    for (; *text != '\0' && used < 254; text++)
        line[used++] = *text;
    line[used] = '\0';
}

/* "pneumo-dist: SIGINT: saving, then stopping". */
static void acknowledge(int number, const char *what, const char *more)
{
    char line[256] = "pneumo-dist: ";
    /* The reader of a broken pipe asked for the end. */
    if (number == SIGPIPE)
        return;
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        if (signals[i].number == number)
            append(line, signals[i].name);
    append(line, ": ");
    append(line, what);
    append(line, more == NULL ? "" : ": ");
    append(line, more == NULL ? "" : more);
    pd_log_from_handler(line);
}

static void end(int number)
{
    for (int i = 0; i < FILES_MAX; i++)
        if (atomic_load(&files[i].state) == LISTED)
            unlink(files[i].path);
    acknowledge(number, "stopped", advice);
    leave(number);
}

static void handle(int number)
{
    int before = errno;
    if (deferral == NULL || number == SIGPIPE || (number == SIGINT && requested == SIGINT))
        end(number);
    if (requested == 0)
        acknowledge(number, deferral, number == SIGINT ? "Ctrl-C again ends at once" : NULL);
    /* A Ctrl-C after another signal is the first of two. */
    if (requested == 0 || number == SIGINT)
        requested = number;
    errno = before;
}

/* --- For the program. --- */

void pd_stop_listen(void (*leaving)(int number), const char *last)
{
    struct sigaction action = {.sa_handler = handle, .sa_flags = SA_RESTART}, old;
    leave = leaving;
    advice = last;
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        sigaction(signals[i].number, NULL, &old);
        bool ignored = old.sa_handler == SIG_IGN;
        if (!ignored || (signals[i].number != SIGHUP && signals[i].number != SIGPIPE))
            sigaction(signals[i].number, &action, NULL);
    }
    signal(SIGXFSZ, SIG_IGN);
}

void pd_stop_defer(const char *what)
{
    deferral = what;
}

void pd_stop_resume(void)
{
    deferral = NULL;
    if (requested != 0)
        end(requested);
}

bool pd_stop_requested(void)
{
    return requested != 0;
}
