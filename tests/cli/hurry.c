/* Preloaded (LD_PRELOAD): the first HURRY seconds of the watchdog's thread pass 50 times as fast,
 * so that its limits of minutes can be tested in seconds. */
#include <errno.h>
#include <semaphore.h>
#include <stdlib.h>
#include <time.h>

int sem_clockwait(sem_t *semaphore, clockid_t clock, const struct timespec *until)
{
    static int waits; /* of 0.1 s each; only that thread waits */
    const char *seconds = getenv("HURRY");
    struct timespec pause = {.tv_nsec = 2000000};
    (void)clock, (void)until;
    if (seconds == NULL || waits++ >= 10 * atoi(seconds))
        pause.tv_nsec = 100000000;
    nanosleep(&pause, NULL);
    if (sem_trywait(semaphore) == 0)
        return 0;
    errno = ETIMEDOUT;
    return -1;
}
