#include "pneumo/base/progress.h"

#include "pneumo/base/clock.h"
#include "pneumo/base/log.h"
#include "pneumo/base/number.h"
#include "terminal.h"

#include <stdio.h>
#include <string.h>

enum { BAR = 24, BAR_LEAST = 4 };

void pd_progress_begin(pd_progress *progress, const char *label, uint64_t done, uint64_t total)
{
    double now = pd_clock_now();
    *progress = (pd_progress){.label = label,
                              .total = total,
                              .first = done,
                              .started = now,
                              .drawn = now,
                              .tenth = total == 0 ? 0 : (int)(10 * done / total)};
}

/* "packing [######......]  50 %  12 s left  note". In a narrow terminal the bar is shorter or
 * absent.
 */
static void draw(const pd_progress *progress, uint64_t done, const char *left, const char *note)
{
    char bar[BAR + 4] = "", rest[256], text[512];
    int percent = (int)(100 * done / progress->total);
    snprintf(rest, sizeof rest, "%3d %%  %s left%s%s", percent, left, note == NULL ? "" : "  ",
             note == NULL ? "" : note);
    int room = pd_terminal_width() - (int)strlen(progress->label) - (int)strlen(rest) - 5;
    int length = pd_min_int(room, BAR);
    if (length >= BAR_LEAST) {
        int filled = (int)((uint64_t)length * done / progress->total);
        bar[0] = '[';
        for (int i = 0; i < length; i++)
            bar[1 + i] = i < filled ? '#' : '.';
        memcpy(bar + 1 + length, "] ", sizeof "] ");
    }
    snprintf(text, sizeof text, "%s %s%s", progress->label, bar, rest);
    pd_terminal_show_progress(text);
}

void pd_progress_update(pd_progress *progress, uint64_t done, const char *note)
{
    double now = pd_clock_now();
    if (pd_log_is_quiet() || progress->total == 0 || done <= progress->first)
        return;
    if (done > progress->total)
        done = progress->total;
    double speed = (double)(done - progress->first) / (now - progress->started + 1e-9);
    char left[32];
    pd_clock_format(left, sizeof left, (double)(progress->total - done) / speed);
    if (pd_terminal_is_interactive()) {
        if (now - progress->drawn < 0.1)
            return;
        progress->drawn = now;
        draw(progress, done, left, note);
        return;
    }
    int tenth = (int)(10 * done / progress->total);
    /* No plain lines for short work. */
    if (tenth > progress->tenth && now - progress->drawn >= 5.0) {
        pd_log_info("%s: %d %%, %s left%s%s", progress->label, (int)(100 * done / progress->total),
                    left, note == NULL ? "" : ", ", note == NULL ? "" : note);
        progress->tenth = tenth;
        progress->drawn = now;
    }
}

void pd_progress_clear(void)
{
    pd_terminal_clear_progress();
}

void pd_progress_end(pd_progress *progress)
{
    progress->total = 0;
    pd_terminal_clear_progress();
}
