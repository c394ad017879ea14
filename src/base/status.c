#include "pneumo/base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MESSAGE_SIZE = 2048 };

static _Thread_local char message[MESSAGE_SIZE];
static _Thread_local bool is_system;

static void record(const char *format, va_list arguments)
{
    char text[MESSAGE_SIZE]; /* the arguments may point to the old message */
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
    char text[MESSAGE_SIZE];
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
