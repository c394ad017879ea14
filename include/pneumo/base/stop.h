/* Ending on a signal: SIGINT (Ctrl-C), SIGTERM, SIGHUP, SIGUSR1, SIGXCPU, and SIGPIPE.
 *
 * A signal ends the process at once, in whatever it does, after removing its temporary files. Work
 * that has to save or to clean up defers the end, and asks pd_stop_requested at least every second.
 * Either way a message acknowledges the signal at once, unless the log is quiet. */
#ifndef PNEUMO_BASE_STOP_H
#define PNEUMO_BASE_STOP_H

#include <stdbool.h>

/* From now on, signals end the process as described, by a call of `leave` with the signal's number
 * from the handler, which does not return. `advice` (borrowed; NULL: none) is the end of the
 * message: "run it again with --resume". SIGHUP stays ignored if it is. A file that grows beyond
 * its limit (SIGXFSZ) becomes an error of the write. */
void pd_stop_listen(void (*leave)(int number), const char *advice);

/* From now on, signals only set the flag, and the message says `what` (borrowed), such as "saving,
 * then stopping". A second SIGINT ends the process at once. */
void pd_stop_defer(const char *what);

/* Ends the deferral and, if a signal has come, the process. */
void pd_stop_resume(void);

/* Whether a signal has come. */
bool pd_stop_requested(void);

/* Lists a file to be removed if a signal ends the process, and takes it off the list. For any
 * thread. The path is copied. A file that finds no room on the list is left behind then. */
void pd_stop_remove_file(const char *path);
void pd_stop_keep_file(const char *path);

#endif
