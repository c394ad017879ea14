#include "pneumo/base/clock.h"

#include <stdio.h>
#include <time.h>

double pd_clock_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

void pd_clock_lap(double *since, double *seconds)
{
    double now = pd_clock_now();
    *seconds += now - *since;
    *since = now;
}

char *pd_clock_format(char *text, size_t size, double seconds)
{
    if (!(seconds >= 0 && seconds < 1e12)) {
        snprintf(text, size, "?");
        return text;
    }
    long long whole = (long long)(seconds + 0.5);
    if (whole < 60)
        snprintf(text, size, "%lld s", whole);
    else if (whole < 3600)
        snprintf(text, size, "%lld min %02lld s", whole / 60, whole % 60);
    else
        snprintf(text, size, "%lld h %02lld min", whole / 3600, whole / 60 % 60);
    return text;
}
