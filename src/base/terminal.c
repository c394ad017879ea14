#include "terminal.h"

#include <stdio.h>
#include <unistd.h>

static bool progress_is_visible;

bool pd_terminal_is_interactive(void)
{
    return isatty(STDERR_FILENO);
}

void pd_terminal_write_line(const char *line, size_t size)
{
    pd_terminal_clear_progress();
    fwrite(line, 1, size, stderr);
    fflush(stderr);
}

void pd_terminal_show_progress(const char *text)
{
    fprintf(stderr, "\r\033[K%s", text);
    fflush(stderr);
    progress_is_visible = true;
}

void pd_terminal_clear_progress(void)
{
    if (!progress_is_visible)
        return;
    fputs("\r\033[K", stderr);
    progress_is_visible = false;
}
