/* Status codes and error messages.
 *
 * A function that can fail returns pd_status and records a message of one line: what is wrong with
 * what, and what to do. The message is per thread and valid until the thread's next failure. */
#ifndef PNEUMO_BASE_STATUS_H
#define PNEUMO_BASE_STATUS_H

#include <stdbool.h>

enum { PD_MESSAGE_SIZE = 2048 };

typedef enum pd_status {
    PD_OK = 0,
    PD_FAILED = 1, /* the operation failed; exit code 1 */
    PD_USAGE = 2,  /* invalid command line; exit code 2 */
    PD_STOPPED =
        75 /* stopped by a signal after saving; resume to continue; exit code 75 (EX_TEMPFAIL) */
} pd_status;

/* Records the message (printf style, no newline) and returns PD_FAILED. */
pd_status pd_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Records the message and returns PD_USAGE. */
pd_status pd_fail_usage(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same for what the system lacks or fails in, such as memory, file handles or a disk: the input
 * may be good, and another try can succeed. */
pd_status pd_fail_system(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Whether the last message of the calling thread is one of pd_fail_system, prefixed or not. */
bool pd_error_is_system(void);

/* Prepends "prefix: " (printf style) to the last message; returns `status`. */
pd_status pd_error_prefix(pd_status status, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The last message of the calling thread; "" if there is none. */
const char *pd_error_message(void);

/* The first failure of several threads. {0}: none yet. */
typedef struct pd_failure {
    pd_status status;
    bool is_system; /* pd_error_is_system */
    char message[PD_MESSAGE_SIZE];
} pd_failure;

/* Keeps `status` with the last message of the calling thread, unless it is PD_OK or a failure is
 * kept already. */
void pd_failure_keep(pd_failure *kept, pd_status status);

/* Whether a failure is kept. */
bool pd_failure_is_kept(const pd_failure *kept);

/* Records the message that is kept as the calling thread's, and returns its status; PD_OK if none
 * is kept. After the other threads have ended. */
pd_status pd_failure_return(const pd_failure *kept);

/* For functions with a local `pd_status status` and a `cleanup` label. */
#define PD_TRY(call)                                                                               \
    do {                                                                                           \
        status = (call);                                                                           \
        if (status != PD_OK)                                                                       \
            goto cleanup;                                                                          \
    } while (0)

#endif
