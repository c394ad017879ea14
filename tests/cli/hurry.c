/* Preloaded (LD_PRELOAD): the clock of the process runs about 50 times as fast for its first HURRY
 * seconds while threads wait for a semaphore, as the watchdog's do, so that its limits of minutes
 * can be tested in seconds. */
#include <errno.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static atomic_long ahead; /* milliseconds */

int clock_gettime(clockid_t clock, struct timespec *now)
{
    long code = syscall(SYS_clock_gettime, clock, now);
    if (code == 0 && clock == CLOCK_MONOTONIC) {
        long long nanoseconds = now->tv_nsec + 1000000LL * atomic_load(&ahead);
        now->tv_sec += nanoseconds / 1000000000;
        now->tv_nsec = nanoseconds % 1000000000;
    }
    return (int)code;
}

int sem_clockwait(sem_t *semaphore, clockid_t clock, const struct timespec *until)
{
    const char *seconds = getenv("HURRY");
    bool hurries = seconds != NULL && atomic_load(&ahead) < 1000 * atol(seconds);
    struct timespec pause = {.tv_nsec = hurries ? 2000000 : 100000000};
    (void)clock, (void)until;
    nanosleep(&pause, NULL);
    if (hurries)
        atomic_fetch_add(&ahead, 50);
    if (sem_trywait(semaphore) == 0)
        return 0;
    errno = ETIMEDOUT;
    return -1;
}
