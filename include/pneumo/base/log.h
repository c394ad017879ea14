/* Log lines on standard error. Results go to standard output instead. */
#ifndef PNEUMO_BASE_LOG_H
#define PNEUMO_BASE_LOG_H

#include <stdbool.h>

/* Suppresses pd_log_info and progress lines, for --quiet and on ranks other than 0. Warnings and
 * errors are still printed. */
void pd_log_set_quiet(bool quiet);
bool pd_log_is_quiet(void);

/* Each prints one line (printf style, without a newline). A warning or error begins with
 * "pneumo-dist: warning: " or "pneumo-dist: error: ". A process gives the same warning once. Any
 * thread may call these, but no signal handler. */
void pd_log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void pd_log_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
void pd_log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Prints a line from a signal handler, unless the log is quiet. */
void pd_log_from_handler(const char *line);

#endif
