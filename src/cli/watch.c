/* pneumo-dist watch: shows runs while they are trained. */
#include "pneumo/report/watch.h"
#include "command.h"
#include "pneumo/base/memory.h"
#include "pneumo/base/screen.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct arguments {
    double interval;
    bool once;
} arguments;

static const arguments defaults = {.interval = 1};

static const pd_option options[] = {
    {"interval", 'n', PD_OPTION_NUMBER, offsetof(arguments, interval), "SECONDS",
     "seconds between updates (default 1)", .low = 0, .high = 3600, .above_low = true},
    {"once", 0, PD_OPTION_FLAG, offsetof(arguments, once), NULL,
     .help = "show the runs once and exit"},
    {0}};

/* What is known of a run, and what has been printed of it as lines. */
typedef struct watched {
    pd_run_view view;
    int epoch;       /* the last one printed */
    int life, phase; /* the same; -1: none */
} watched;

static void wait_seconds(double seconds)
{
    struct timespec left = {.tv_sec = (time_t)seconds,
                            .tv_nsec = (long)(1e9 * (seconds - (double)(time_t)seconds))};
    nanosleep(&left, NULL);
}

static pd_status look(pd_run_view *views, int count, char **folders, bool *live)
{
    pd_status status = PD_OK;
    *live = false;
    for (int i = 0; i < count && status == PD_OK; i++) {
        pd_run_view_free(&views[i]);
        status = pd_run_view_read(&views[i], folders[i]);
        *live = *live || pd_run_view_is_live(&views[i]);
    }
    return status;
}

/* Prints what is new, a line per epoch and a line when a run does something else. */
static pd_status print_news(watched *run, const pd_run_view *view)
{
    int phase = view->life == PD_LIFE_RUNNING ? (int)view->status.phase : -1;
    for (int i = 0; i < view->count; i++)
        if (view->rows[i].epoch > run->epoch)
            pd_watch_print_epoch(stdout, view, i);
    bool turns = phase == PD_RUN_EVALUATING && phase != run->phase;
    if ((int)view->life != run->life || turns)
        pd_watch_print_life(stdout, view);
    run->epoch = view->count > 0 ? view->rows[view->count - 1].epoch : 0;
    run->life = (int)view->life;
    run->phase = phase;
    if (fflush(stdout) != 0)
        return pd_fail("standard output: cannot write: %s", strerror(errno));
    return PD_OK;
}

static pd_status draw(pd_screen *screen, const pd_run_view *views, int count)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL)
        return pd_fail("out of memory for the screen");
    pd_screen_measure(screen);
    /* A character in the last column would wrap on some terminals; the cursor takes a row. */
    const pd_text_style style = {.width = screen->width - 1,
                                 .height = screen->height - 1,
                                 .unicode = screen->unicode,
                                 .colour = screen->colour};
    pd_watch_print(out, views, count, &style);
    pd_status status = fclose(out) == 0 ? PD_OK : pd_fail("out of memory for the screen");
    if (status == PD_OK)
        pd_screen_draw(screen, text);
    free(text);
    return status;
}

/* A run that has failed or died fails the command, too. */
static pd_status judge(const pd_run_view *views, int count)
{
    for (int i = 0; i < count; i++)
        if (views[i].life == PD_LIFE_DEAD || views[i].life == PD_LIFE_FAILED)
            return pd_fail("%s: the run %s", views[i].folder,
                           views[i].life == PD_LIFE_DEAD ? "is dead" : "has failed");
    return PD_OK;
}

static pd_status run(pd_comm *comm, void *values, char **operands, int count)
{
    pd_status status = PD_OK;
    const arguments *given = values;
    pd_run_view *views = NULL;
    watched *runs = NULL;
    bool live = true;
    pd_screen screen = pd_screen_open();
    (void)comm;
    PD_TRY(pd_alloc(&views, (size_t)count, sizeof *views));
    PD_TRY(pd_alloc(&runs, (size_t)count, sizeof *runs));
    for (int i = 0; i < count; i++)
        runs[i].life = -1;
    for (bool first = true; live; first = false) {
        if (!first)
            wait_seconds(given->interval);
        PD_TRY(look(views, count, operands, &live));
        if (screen.redraws)
            PD_TRY(draw(&screen, views, count));
        for (int i = 0; i < count && !screen.redraws; i++)
            PD_TRY(print_news(&runs[i], &views[i]));
        if (given->once)
            break;
    }
    status = judge(views, count);
cleanup:
    for (int i = 0; i < count && views != NULL; i++)
        pd_run_view_free(&views[i]);
    free(views);
    free(runs);
    return status;
}

const pd_command pd_command_watch = {
    .name = "watch",
    .summary = "show runs while they are trained",
    .description =
        "Shows what runs do, given their folders: loss, AUC, learning rate, images per second, "
        "time "
        "left, and curves by epoch, until all runs have ended. Reads what the runs write anyway "
        "and "
        "writes nothing, so it can start and end at any time, on any host that sees the folders; "
        "Ctrl-C ends it, not the run.\n\n"
        "On a terminal the view is drawn in place, with Braille dots where the locale is UTF-8, "
        "and "
        "colours unless NO_COLOR is set. Elsewhere, or with TERM=dumb, a line is printed for every "
        "epoch. Fails if a run has failed or its process was killed.",
    .examples = "pneumo-dist watch runs/cnn-deep\n"
                "pneumo-dist watch runs/*/ | tee watch.txt",
    .operands = {{"RUN", PD_COMPLETE_FOLDERS, .repeated = true}},
    .options = options,
    .options_size = sizeof(arguments),
    .defaults = &defaults,
    .run = run,
    .one_rank = true,
};
