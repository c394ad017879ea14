/* Log lines on standard error. Results go to standard output, never through here. */
#ifndef PNEUMO_BASE_LOG_H
#define PNEUMO_BASE_LOG_H

#include <stdbool.h>

/* Silences pd_log_info and progress lines, for ranks other than 0 and for --quiet. Warnings and
 * errors are still printed. */
void pd_log_set_quiet(bool quiet);
bool pd_log_is_quiet(void);

/* One line each, printf style, no newline in the text. A pending progress line is cleared first. */
void pd_log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void pd_log_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* "pneumo-dist: error: <text>" */
void pd_log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
