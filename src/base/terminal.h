/* Standard error, which the log and the progress line share. No other file writes to it. Any thread
 * may call these functions, a signal handler only the one for it. */
#ifndef PNEUMO_BASE_TERMINAL_H
#define PNEUMO_BASE_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>

/* Whether standard error is a terminal on which a line can be rewritten. */
bool pd_terminal_is_interactive(void);

/* The number of its columns now, which changes with its window. */
int pd_terminal_width(void);

/* Writes one line of `size` bytes, including its newline, with a single call, so that lines of
 * several ranks do not mix. Clears a visible progress line first. */
void pd_terminal_write_line(const char *line, size_t size);

/* Writes `line` and a newline from a signal handler. */
void pd_terminal_write_from_handler(const char *line);

/* Shows `text` as the progress line, in place of the previous one: as much of it as fits into one
 * row. Only on a terminal. */
void pd_terminal_show_progress(const char *text);

/* Removes the progress line, if one is visible. */
void pd_terminal_clear_progress(void);

#endif
