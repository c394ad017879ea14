#include "pneumo/report/watch.h"

#include "pneumo/base/clock.h"
#include "pneumo/base/memory.h"
#include "pneumo/base/number.h"
#include "pneumo/base/text.h"
#include "text_plot.h"

#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum {
    LINE = 512,
    FACTS = 8,
    FACT = 96,
    BAR = 32,
    SIDE_BY_SIDE = 66, /* columns for two plots in a row */
    PLOT_LEAST = 6,    /* rows */
    PLOT_MOST = 12,
    SILENT = 30 /* seconds without a step that are worth a remark */
};

/* --- Lines --- */

/* Prints as much of a text as fits into `width` columns, and ends the line. */
static void put_line(FILE *out, const char *text, int width)
{
    fprintf(out, "%.*s\n", (int)pd_text_fit(text, width), text);
}

/* Prints the end of a folder's name, with an ellipsis in place of what does not fit into `room`
 * columns: names of runs differ at their end. Returns the columns. */
static int put_name(FILE *out, const char *folder, int room, bool unicode)
{
    const char *ellipsis = unicode ? "\u2026" : "...", *from = folder;
    int left = pd_text_columns(folder) <= room ? room : room - pd_text_columns(ellipsis);
    while (*from != '\0' && pd_text_columns(from) > left)
        from += pd_max_int((int)pd_text_character_size(from), 1);
    const char *slash = strchr(from, '/');
    if (from > folder && slash != NULL && slash[1] != '\0')
        from = slash;
    int columns = pd_text_columns(from);
    if (from > folder && left >= 0) {
        fputs(ellipsis, out);
        columns += pd_text_columns(ellipsis);
    }
    for (size_t size; *from != '\0'; from += size) {
        size = pd_text_character_size(from);
        if (size == 0 || pd_text_is_control(from))
            fputc('?', out);
        else
            fwrite(from, 1, size, out);
        size += size == 0;
    }
    return columns;
}

typedef struct facts {
    char text[FACTS][FACT];
    int count;
} facts;

static void add(facts *of, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(facts *of, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(of->text[of->count++], FACT, format, arguments);
    va_end(arguments);
}

/* Prints facts in as many lines as they need, two spaces between them. */
static void put_facts(FILE *out, const facts *of, int width)
{
    char line[FACTS * (FACT + 2)] = "";
    int used = 0;
    for (int i = 0; i < of->count; i++) {
        int length = (int)strlen(of->text[i]);
        if (used > 0 && used + 2 + length > width) {
            put_line(out, line, width);
            used = 0;
        }
        used += snprintf(line + used, sizeof line - (size_t)used, "%s%s", used > 0 ? "  " : "",
                         of->text[i]);
    }
    if (used > 0)
        put_line(out, line, width);
}

/* --- What a run does --- */

static void describe_phase(char text[LINE], const pd_run_status *status)
{
    const char *name = pd_run_phase_names[status->phase];
    if (status->phase == PD_RUN_EVALUATING)
        snprintf(text, LINE, "trained, evaluating");
    else if (status->phase == PD_RUN_TRAINING && status->age >= SILENT)
        snprintf(text, LINE, "%s, epoch %lld of %lld, no step for %.0f s", name,
                 (long long)status->epoch, (long long)status->epochs, status->age);
    else
        snprintf(text, LINE, "%s, epoch %lld of %lld", name, (long long)status->epoch,
                 (long long)status->epochs);
}

static void describe_death(char text[LINE], const pd_run_view *run)
{
    if (run->holder.named && run->holder.writes_run)
        snprintf(text, LINE, "dead: process %ld on %s was killed; continue it with --resume",
                 run->holder.process, run->holder.host);
    else if (run->has_status)
        snprintf(text, LINE, "dead: process %ld on %s is gone; continue it with --resume",
                 run->status.process, run->status.host);
    else
        snprintf(text, LINE, "dead: its process was killed; continue it with --resume");
}

static void describe_life(char text[LINE], const pd_run_view *run)
{
    switch (run->life) {
    case PD_LIFE_STARTING:
        snprintf(text, LINE, "starting: %s",
                 run->holder.named ? run->holder.command : "no step yet");
        break;
    case PD_LIFE_RUNNING:
        describe_phase(text, &run->status);
        break;
    case PD_LIFE_FINISHED:
        snprintf(text, LINE, "finished after %d epoch%s", run->count, pd_text_plural(run->count));
        break;
    case PD_LIFE_STOPPED:
        snprintf(text, LINE, "stopped in epoch %lld of %lld; continue it with --resume",
                 (long long)run->status.epoch, (long long)run->status.epochs);
        break;
    case PD_LIFE_FAILED:
        snprintf(text, LINE, "failed: see its log");
        break;
    case PD_LIFE_DEAD:
        describe_death(text, run);
        break;
    case PD_LIFE_ENDED:
        snprintf(text, LINE, "no process works on it; %d epoch%s", run->count,
                 pd_text_plural(run->count));
        break;
    }
}

/* "runs/first: finished after 9 epochs". The name leaves room for the state, which may leave it
 * only a third of the line. */
static void put_title(FILE *out, const pd_run_view *run, const pd_text_style *style)
{
    char life[LINE];
    describe_life(life, run);
    pd_text_make_printable(life);
    int most = pd_max_int(style->width - 2 - pd_text_columns(life), style->width / 3);
    int name = put_name(out, run->folder, most, style->unicode);
    fprintf(out, "%.*s", pd_min_int(2, style->width - name), ": ");
    put_line(out, life, pd_max_int(style->width - name - 2, 0));
}

void pd_watch_print_life(FILE *out, const pd_run_view *run)
{
    put_title(out, run, &(pd_text_style){.width = INT_MAX});
}

/* "[######....]  42 %  12 min 05 s left" */
static void put_bar(FILE *out, const pd_run_status *status, int width)
{
    char bar[BAR + 1], left[48] = "", rest[64], line[LINE];
    double total = (double)(status->epochs * status->steps);
    double done = (double)((status->epoch - 1) * status->steps + status->step);
    double fraction = total > 0 ? fmax(0, fmin(done / total, 1)) : 0;
    if (isfinite(status->seconds_left))
        pd_clock_format(left, sizeof left, fmax(0, status->seconds_left - status->age));
    snprintf(rest, sizeof rest, "%3d %%  %s%s", (int)(100 * fraction), left,
             left[0] != '\0' ? " left" : "");
    int length = pd_max_int(pd_min_int(width - (int)strlen(rest) - 3, BAR), 0);
    for (int i = 0; i < length; i++)
        bar[i] = i < (int)(fraction * length) ? '#' : '.';
    bar[length] = '\0';
    snprintf(line, sizeof line, "[%s] %s", bar, rest);
    put_line(out, line, width);
}

static void add_speed(facts *of, const pd_run_status *status)
{
    if (isfinite(status->loss))
        add(of, "loss %.4f", status->loss);
    if (isfinite(status->learning_rate))
        add(of, "learning rate %.3g", status->learning_rate);
    if (isfinite(status->images_per_second))
        add(of, "%.1f images/s", status->images_per_second);
    add(of, "%d rank%s of %d thread%s", status->ranks, pd_text_plural(status->ranks),
        status->threads, pd_text_plural(status->threads));
}

static void add_epoch(facts *of, const pd_history_row *row)
{
    add(of, "loss %.4f", row->train_loss);
    add(of, "val loss %.4f", row->val_loss);
    if (isfinite(row->val_auc))
        add(of, "AUC %.4f", row->val_auc);
    if (isfinite(row->val_sensitivity))
        add(of, "sensitivity %.1f %%", 100 * row->val_sensitivity);
    if (isfinite(row->val_specificity))
        add(of, "specificity %.1f %%", 100 * row->val_specificity);
}

static void put_history(FILE *out, const pd_run_view *run, int width)
{
    facts of = {.count = 0};
    int best = -1;
    if (run->count == 0)
        return;
    for (int i = 0; i < run->count; i++)
        if (isfinite(run->rows[i].val_auc) &&
            (best < 0 || run->rows[i].val_auc > run->rows[best].val_auc))
            best = i;
    add(&of, "epoch %d:", run->rows[run->count - 1].epoch);
    add_epoch(&of, &run->rows[run->count - 1]);
    if (best >= 0)
        add(&of, "highest AUC %.4f in epoch %d", run->rows[best].val_auc, run->rows[best].epoch);
    put_facts(out, &of, width);
}

void pd_watch_print_epoch(FILE *out, const pd_run_view *run, int row)
{
    char left[48];
    facts of = {.count = 0};
    add_epoch(&of, &run->rows[row]);
    add(&of, "learning rate %.3g", run->rows[row].learning_rate);
    if (run->life == PD_LIFE_RUNNING && row == run->count - 1 &&
        isfinite(run->status.seconds_left)) {
        add(&of, "%.1f images/s", run->status.images_per_second);
        add(&of, "%s left", pd_clock_format(left, sizeof left, fmax(0, run->status.seconds_left)));
    }
    put_name(out, run->folder, INT_MAX, false);
    fprintf(out, ": epoch %d", run->rows[row].epoch);
    for (int i = 0; i < of.count; i++)
        fprintf(out, "  %s", of.text[i]);
    fputc('\n', out);
}

/* --- Curves --- */

typedef struct curves {
    int *epochs;
    double *train, *validation, *auc;
    pd_text_plot loss, area;
} curves;

static void curves_free(curves *c)
{
    free(c->epochs);
    free(c->train);
    free(c->validation);
    free(c->auc);
}

static pd_status curves_make(curves *c, const pd_run_view *run)
{
    pd_status status = PD_OK;
    size_t count = (size_t)run->count;
    *c = (curves){.epochs = NULL};
    PD_TRY(pd_alloc(&c->epochs, count, sizeof *c->epochs));
    PD_TRY(pd_alloc(&c->train, count, sizeof *c->train));
    PD_TRY(pd_alloc(&c->validation, count, sizeof *c->validation));
    PD_TRY(pd_alloc(&c->auc, count, sizeof *c->auc));
    for (size_t i = 0; i < count; i++) {
        c->epochs[i] = run->rows[i].epoch;
        c->train[i] = run->rows[i].train_loss;
        c->validation[i] = run->rows[i].val_loss;
        c->auc[i] = run->rows[i].val_auc;
    }
    c->loss = (pd_text_plot){.title = "loss:",
                             .epochs = c->epochs,
                             .count = run->count,
                             .series_count = 2,
                             .series = {{"train", c->train}, {"validation", c->validation}}};
    c->area = (pd_text_plot){.title = "AUC of validation",
                             .epochs = c->epochs,
                             .count = run->count,
                             .series_count = 1,
                             .series = {{"AUC", c->auc}}};
cleanup:
    return status;
}

/* Draws the plots into `rows` rows: side by side, or one below the other. */
static void put_curves(FILE *out, const pd_run_view *run, const pd_text_style *style, int rows)
{
    static char lines[2][PD_TEXT_PLOT_ROWS][PD_TEXT_PLOT_BYTES];
    bool beside = style->width >= SIDE_BY_SIDE;
    pd_text_style own = *style;
    curves c;
    own.width = pd_min_int(beside ? (style->width - 2) / 2 : style->width, PD_TEXT_PLOT_COLUMNS);
    own.height = pd_min_int(beside || rows < 2 * PLOT_LEAST ? rows : rows / 2, PLOT_MOST);
    if (own.height < PLOT_LEAST || own.width < 16)
        return;
    if (curves_make(&c, run) == PD_OK) {
        pd_text_plot_draw(lines[0], &c.loss, &own);
        pd_text_plot_draw(lines[1], &c.area, &own);
        for (int i = 0; i < own.height; i++)
            fprintf(out, "%s%s%s\n", lines[0][i], beside ? "  " : "", beside ? lines[1][i] : "");
        for (int i = 0; i < own.height && !beside && 2 * own.height <= rows; i++)
            fprintf(out, "%s\n", lines[1][i]);
    }
    curves_free(&c);
}

/* --- All --- */

/* Prints a run without its curves. */
static void put_text(FILE *out, const pd_run_view *run, const pd_text_style *style)
{
    put_title(out, run, style);
    if (run->life == PD_LIFE_RUNNING && run->status.phase != PD_RUN_EVALUATING) {
        facts of = {.count = 0};
        put_bar(out, &run->status, style->width);
        add_speed(&of, &run->status);
        put_facts(out, &of, style->width);
    }
    put_history(out, run, style->width);
}

/* The rows that put_text prints. */
static int count_rows(const pd_run_view *run, const pd_text_style *style)
{
    char *text = NULL;
    size_t size = 0;
    int rows = 0;
    FILE *memory = open_memstream(&text, &size);
    if (memory == NULL)
        return 0;
    put_text(memory, run, style);
    fclose(memory);
    for (const char *at = text; at != NULL && (at = strchr(at, '\n')) != NULL; at++)
        rows++;
    free(text);
    return rows;
}

/* Prints a line for each run, and how many do not fit. */
static void put_list(FILE *out, const pd_run_view *runs, int count, const pd_text_style *style)
{
    char more[32];
    int shown = count <= style->height ? count : pd_max_int(style->height - 1, 0);
    for (int i = 0; i < shown; i++)
        put_title(out, &runs[i], style);
    snprintf(more, sizeof more, "and %d more", count - shown);
    if (shown < count)
        put_line(out, more, style->width);
}

void pd_watch_print(FILE *out, const pd_run_view *runs, int count, const pd_text_style *style)
{
    int rows = 0;
    for (int i = 0; i < count; i++)
        rows += count_rows(&runs[i], style);
    if (count > 1 && rows > style->height) {
        put_list(out, runs, count, style);
        return;
    }
    for (int i = 0; i < count; i++) {
        put_text(out, &runs[i], style);
        put_curves(out, &runs[i], style, (style->height - rows) / count);
    }
}
