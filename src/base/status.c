#include "pneumo/base/status.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local char message[PD_MESSAGE_SIZE];
static _Thread_local bool is_system;
static pthread_mutex_t keeping = PTHREAD_MUTEX_INITIALIZER;

static void record(const char *format, va_list arguments)
{
    char text[PD_MESSAGE_SIZE]; /* the arguments may point to the old message */
    vsnprintf(text, sizeof text, format, arguments);
    memcpy(message, text, sizeof message);
    is_system = false;
}

pd_status pd_fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    record(format, arguments);
    va_end(arguments);
    return PD_FAILED;
}

pd_status pd_fail_usage(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    record(format, arguments);
    va_end(arguments);
    return PD_USAGE;
}

pd_status pd_fail_system(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    record(format, arguments);
    va_end(arguments);
    is_system = true;
    return PD_FAILED;
}

bool pd_error_is_system(void)
{
    return is_system;
}

pd_status pd_error_prefix(pd_status status, const char *format, ...)
{
    char text[PD_MESSAGE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    bool before = is_system;
    pd_fail("%s: %s", text, message);
    is_system = before;
    return status;
}

const char *pd_error_message(void)
{
    return message;
}

void pd_failure_keep(pd_failure *kept, pd_status status)
{
    if (status == PD_OK)
        return;
    pthread_mutex_lock(&keeping);
    if (kept->status == PD_OK) {
        kept->status = status;
        kept->is_system = is_system;
        memcpy(kept->message, message, sizeof message);
    }
    pthread_mutex_unlock(&keeping);
}

bool pd_failure_is_kept(const pd_failure *kept)
{
    pthread_mutex_lock(&keeping);
    bool is_kept = kept->status != PD_OK;
    pthread_mutex_unlock(&keeping);
    return is_kept;
}

pd_status pd_failure_return(const pd_failure *kept)
{
    if (kept->status == PD_OK)
        return PD_OK;
    pd_fail("%s", kept->message);
    is_system = kept->is_system;
    return kept->status;
}
