#include "pneumo/base/log.h"

#include "pneumo/base/text.h"
#include "terminal.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

enum { LINE_BYTES = 4096 };

static volatile bool quiet; /* read by signal handlers */

void pd_log_set_quiet(bool value)
{
    quiet = value;
}

bool pd_log_is_quiet(void)
{
    return quiet;
}

static void print(const char *prefix, const char *format, va_list arguments)
{
    char line[LINE_BYTES];
    int start = snprintf(line, sizeof line, "%s", prefix);
    int length = vsnprintf(line + start, sizeof line - (size_t)start - 1, format, arguments);
    size_t end = (size_t)start + (length < 0 ? 0 : (size_t)length);
    if (end > sizeof line - 2)
        end = sizeof line - 2;
    pd_text_make_printable(line); /* names of files can contain any bytes */
    line[end] = '\n';
    pd_terminal_write_line(line, end + 1);
}

void pd_log_info(const char *format, ...)
{
    if (quiet)
        return;
    va_list arguments;
    va_start(arguments, format);
    print("", format, arguments);
    va_end(arguments);
}

/* Whether this warning has not been given before. FNV-1a (Fowler, Noll, Vo); after a few hundred
 * different warnings, the oldest may be given again. */
static bool is_new(const char *text)
{
    enum { KEPT = 256 };
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of the following */
    static uint64_t given[KEPT];
    static unsigned next;
    uint64_t digest = 0xcbf29ce484222325u;
    for (; *text != '\0'; text++)
        digest = (digest ^ (unsigned char)*text) * 0x100000001b3u;
    bool found = false;
    pthread_mutex_lock(&lock);
    for (int i = 0; i < KEPT; i++)
        found = found || given[i] == digest;
    if (!found)
        given[next++ % KEPT] = digest;
    pthread_mutex_unlock(&lock);
    return !found;
}

void pd_log_warn(const char *format, ...)
{
    char text[LINE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (!is_new(text))
        return;
    va_start(arguments, format);
    print("pneumo-dist: warning: ", format, arguments);
    va_end(arguments);
}

void pd_log_error(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print("pneumo-dist: error: ", format, arguments);
    va_end(arguments);
}

void pd_log_from_handler(const char *line)
{
    if (!quiet)
        pd_terminal_write_from_handler(line);
}
