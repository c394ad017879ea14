#include "pneumo/train/run_view.h"

#include "pneumo/base/memory.h"
#include "pneumo/io/file.h"
#include "pneumo/train/run.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A process on another host whose folder has no locks counts as dead after that many seconds. */
enum { SILENT = 600, HISTORY_BYTES = 64 << 20, COLUMNS = 32 };

/* --- history.csv --- */

enum { EPOCH = -1, OTHER = -2 };

/* Which of pd_history_fields each column of the file is. Returns their number; 0: the header is
 * none. */
static int read_header(int *out, char *line)
{
    int count = 0;
    for (char *name; (name = strsep(&line, ",")) != NULL && count < COLUMNS; count++) {
        out[count] = strcmp(name, "epoch") == 0 ? EPOCH : OTHER;
        for (int i = 0; i < PD_HISTORY_FIELDS; i++)
            out[count] = strcmp(name, pd_history_fields[i].name) == 0 ? i : out[count];
    }
    return out[0] == EPOCH ? count : 0;
}

static bool read_row(pd_history_row *out, const int *which, int count, char *line)
{
    *out = (pd_history_row){.epoch = 0};
    for (int i = 0; i < PD_HISTORY_FIELDS; i++)
        *(double *)(void *)((char *)out + pd_history_fields[i].offset) = (double)NAN;
    for (int i = 0; i < count; i++) {
        char *field = strsep(&line, ","), *end = NULL;
        double value = field == NULL ? 0 : strtod(field, &end);
        if (field == NULL || end == field || *end != '\0')
            return false;
        if (which[i] == EPOCH && !(value >= 1 && value <= INT_MAX))
            return false;
        if (which[i] == EPOCH)
            out->epoch = (int32_t)value;
        else if (which[i] != OTHER)
            *(double *)(void *)((char *)out + pd_history_fields[which[i]].offset) = value;
    }
    return line == NULL;
}

static pd_status read_history(pd_run_view *view)
{
    pd_status status = PD_OK;
    char *path = NULL, *rest = NULL;
    unsigned char *text = NULL;
    size_t size, lines = 0;
    int which[COLUMNS];
    PD_TRY(pd_run_path(&path, view->folder, "history.csv"));
    if (!pd_file_exists(path))
        goto cleanup;
    PD_TRY(pd_file_read(&text, &size, path, HISTORY_BYTES));
    for (const char *at = (char *)text; *at != '\0'; at++)
        lines += *at == '\n';
    PD_TRY(pd_alloc(&view->rows, lines, sizeof *view->rows));
    rest = (char *)text;
    int count = read_header(which, strsep(&rest, "\n"));
    while (count > 0 && rest != NULL && *rest != '\0')
        if (!read_row(&view->rows[view->count++], which, count, strsep(&rest, "\n")))
            count = 0;
    if (count == 0)
        status = pd_fail("%s: line %d is not as training writes it", path, view->count + 1);
cleanup:
    free(text);
    free(path);
    return status;
}

/* --- Whether it lives --- */

static bool is_here(const char *host)
{
    char here[HOST_NAME_MAX + 1] = "";
    gethostname(here, sizeof here - 1);
    return strncmp(here, host, sizeof((pd_run_status *)NULL)->host - 1) == 0;
}

/* Whether the status is that of the process that holds the lock. */
static bool is_of_holder(const pd_run_view *view)
{
    const pd_lock_holder *holder = &view->holder;
    return view->has_status && (!holder->named || (holder->process == view->status.process &&
                                                   strncmp(holder->host, view->status.host,
                                                           sizeof view->status.host - 1) == 0));
}

/* Whether the process of the status lives, where no lock tells. */
static bool is_alive(const pd_run_status *status)
{
    if (!is_here(status->host))
        return status->age < SILENT;
    return status->process > 0 && (kill((pid_t)status->process, 0) == 0 || errno == EPERM);
}

static pd_run_life life_after(pd_run_phase phase)
{
    return phase == PD_RUN_FINISHED  ? PD_LIFE_FINISHED
           : phase == PD_RUN_STOPPED ? PD_LIFE_STOPPED
                                     : PD_LIFE_FAILED;
}

static pd_run_life find_life(const pd_run_view *view)
{
    pd_run_phase phase = view->status.phase;
    bool works = view->holder.held && view->holder.writes_run; /* evaluate can hold the lock, too */
    if (works && (!is_of_holder(view) || phase == PD_RUN_STARTING))
        return PD_LIFE_STARTING;
    if (view->has_status && pd_run_phase_is_end(phase))
        return life_after(phase);
    if (works)
        return PD_LIFE_RUNNING;
    if (view->holder.exists)
        return PD_LIFE_DEAD;
    if (!view->has_status)
        return PD_LIFE_ENDED;
    return is_alive(&view->status) ? PD_LIFE_RUNNING : PD_LIFE_DEAD;
}

bool pd_run_view_is_live(const pd_run_view *view)
{
    return view->life == PD_LIFE_STARTING || view->life == PD_LIFE_RUNNING;
}

pd_status pd_run_view_read(pd_run_view *out, const char *folder)
{
    pd_status status = PD_OK;
    *out = (pd_run_view){.folder = folder};
    /* The lock comes first: what a process writes before it ends is then seen, too. */
    PD_TRY(pd_lock_query(&out->holder, folder));
    PD_TRY(pd_run_status_read(&out->status, &out->has_status, folder));
    PD_TRY(read_history(out));
    if (!out->has_status && !out->holder.exists && out->count == 0)
        status = pd_fail("%s: no run there: give the folder that train writes, such as runs/cnn",
                         folder);
    out->life = find_life(out);
cleanup:
    return status;
}

void pd_run_view_free(pd_run_view *view)
{
    free(view->rows);
    view->rows = NULL;
    view->count = 0;
}
