/* pneumo-dist watch: shows runs while they are trained. */
#include "pneumo/report/watch.h"
#include "command.h"
#include "pneumo/base/log.h"
#include "pneumo/base/memory.h"
#include "pneumo/base/screen.h"
#include "pneumo/data/cross.h"
#include "pneumo/io/file.h"
#include "pneumo/io/lock.h"

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

/* Operand i stands for the folder itself (place 0) and for cross-1, cross-2, ... in it, which
 * `train --cross` writes: they may appear while the first of them is watched. */
enum { PLACES = 1 + PD_CROSS_MOST };

/* A folder, and what has been printed of its run as lines. */
typedef struct watched {
    char *folder;
    bool seen;       /* it has been read */
    int epoch;       /* the last one printed */
    int life, phase; /* the same; -1: none */
} watched;

typedef struct watching {
    char **operands;
    int operand_count;
    watched *places;    /* [operand_count][PLACES] */
    pd_run_view *views; /* [count], in the order of places */
    watched **runs;     /* [count]: whose each view is */
    int count;
    bool first; /* nothing has been looked at before */
    bool live;  /* a run goes on */
} watching;

static void wait_seconds(double seconds)
{
    struct timespec left = {.tv_sec = (time_t)seconds,
                            .tv_nsec = (long)(1e9 * (seconds - (double)(time_t)seconds))};
    nanosleep(&left, NULL);
}

/* Reads the run of a place. Unless it is `alone`, one without a run is left out, with a warning. */
static pd_status look_at(watching *all, watched *place, bool alone)
{
    pd_run_view *view = &all->views[all->count];
    pd_status status = pd_run_view_read(view, place->folder);
    if (status == PD_OK) {
        place->seen = true;
        all->live = all->live || pd_run_view_is_live(view);
        all->runs[all->count++] = place;
        return PD_OK;
    }
    pd_run_view_free(view);
    if (place->seen || alone)
        return status;
    if (all->first)
        pd_log_warn("%s", pd_error_message());
    return PD_OK;
}

/* Whether a process trains the parts of a cross-validation: no part lives between two of them. */
static pd_status look_at_lock(watching *all, const char *folder)
{
    pd_lock_holder holder;
    pd_status status = pd_lock_query(&holder, folder);
    all->live = all->live || (status == PD_OK && holder.held && holder.writes_run);
    return status;
}

static pd_status look_at_operand(watching *all, int operand)
{
    pd_status status = PD_OK;
    watched *places = all->places + (ptrdiff_t)operand * PLACES;
    bool has_parts = false;
    for (int part = 1; part <= PD_CROSS_MOST; part++) {
        if (!pd_file_exists(places[part].folder))
            continue;
        has_parts = true;
        PD_TRY(look_at(all, &places[part], false));
    }
    status = has_parts ? look_at_lock(all, places[0].folder)
                       : look_at(all, &places[0], all->operand_count == 1);
cleanup:
    return status;
}

static void forget(watching *all)
{
    while (all->count > 0)
        pd_run_view_free(&all->views[--all->count]);
}

static pd_status look(watching *all)
{
    pd_status status = PD_OK;
    forget(all);
    all->live = false;
    for (int i = 0; i < all->operand_count; i++)
        PD_TRY(look_at_operand(all, i));
    if (all->count == 0 && !all->live)
        status = pd_fail("none of these folders contains a run: give folders that train writes");
    all->first = false;
cleanup:
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

static pd_status create(watching *out, char **operands, int count)
{
    pd_status status = PD_OK;
    size_t places = (size_t)count * PLACES;
    *out = (watching){.operands = operands, .operand_count = count, .first = true};
    PD_TRY(pd_alloc(&out->places, places, sizeof *out->places));
    PD_TRY(pd_alloc(&out->views, places, sizeof *out->views));
    PD_TRY(pd_alloc(&out->runs, places, sizeof *out->runs));
    for (size_t i = 0; i < places; i++) {
        char *folder = operands[i / PLACES], part[16] = "";
        size_t length = strlen(folder);
        while (length > 1 && folder[length - 1] == '/') /* as a shell completes them */
            length--;
        if (i % PLACES > 0)
            snprintf(part, sizeof part, "/cross-%d", (int)(i % PLACES));
        PD_TRY(pd_format(&out->places[i].folder, "%.*s%s", (int)length, folder, part));
        out->places[i].life = -1;
    }
cleanup:
    return status;
}

static void destroy(watching *all)
{
    forget(all);
    for (int i = 0; i < all->operand_count * PLACES && all->places != NULL; i++)
        free(all->places[i].folder);
    free(all->places);
    free(all->views);
    free(all->runs);
}

static pd_status run(pd_comm *comm, void *values, char **operands, int count)
{
    pd_status status = PD_OK;
    const arguments *given = values;
    watching all = {.count = 0};
    pd_screen screen = pd_screen_open();
    (void)comm;
    PD_TRY(create(&all, operands, count));
    do {
        if (!all.first)
            wait_seconds(given->interval);
        PD_TRY(look(&all));
        if (screen.redraws)
            PD_TRY(draw(&screen, all.views, all.count));
        for (int i = 0; i < all.count && !screen.redraws; i++)
            PD_TRY(print_news(all.runs[i], &all.views[i]));
    } while (all.live && !given->once);
    status = judge(all.views, all.count);
cleanup:
    destroy(&all);
    return status;
}

const pd_command pd_command_watch = {
    .name = "watch",
    .summary = "show runs while they are trained",
    .description =
        "Shows what runs do, given their folders: loss, AUC, learning rate, images per second, "
        "time left, and curves by epoch, until all runs have ended. Of a cross-validation it shows "
        "the parts. Of several folders, those without a run are left out, with a warning. Reads "
        "what the runs write anyway and writes nothing, so it can start and end at any time, on "
        "any host that sees the folders; Ctrl-C ends it, not the run.\n\n"
        "On a terminal the view is drawn in place, with Braille dots where the locale is UTF-8, "
        "and colours unless NO_COLOR is set; runs that do not fit take a line each. Elsewhere, or "
        "with TERM=dumb, a line is printed for every epoch. Fails if a run has failed or its "
        "process was killed.",
    .examples = "pneumo-dist watch runs/cnn-deep\n"
                "pneumo-dist watch runs/*/ | tee watch.txt",
    .operands = {{"RUN", PD_COMPLETE_FOLDERS, .repeated = true}},
    .options = options,
    .options_size = sizeof(arguments),
    .defaults = &defaults,
    .run = run,
    .one_rank = true,
};
