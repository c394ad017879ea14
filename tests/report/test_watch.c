#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pneumo/base/text.h"
#include "pneumo/report/watch.h"
#include "report/text_plot.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { EPOCHS = 9 };

static pd_run_view make_view(pd_run_life life, pd_history_row rows[EPOCHS])
{
    for (int i = 0; i < EPOCHS; i++)
        rows[i] = (pd_history_row){.epoch = i + 1,
                                   .learning_rate = 1e-3,
                                   .train_loss = 0.7 - 0.05 * i,
                                   .val_loss = 0.75 - 0.04 * i,
                                   .val_auc = i == 5 ? 0.96 : 0.5 + 0.05 * i,
                                   .val_sensitivity = 0.9,
                                   .val_specificity = 0.8};
    return (pd_run_view){.folder = "runs/first",
                         .life = life,
                         .has_status = true,
                         .status = {.phase = PD_RUN_TRAINING,
                                    .epoch = 10,
                                    .epochs = 20,
                                    .step = 5,
                                    .steps = 10,
                                    .loss = 0.25,
                                    .learning_rate = 2e-3,
                                    .images_per_second = 312.44,
                                    .seconds_left = 725,
                                    .ranks = 2,
                                    .threads = 1,
                                    .process = 77,
                                    .host = "node1"},
                         .rows = rows,
                         .count = EPOCHS};
}

/* The columns of a line, without colours. */
static int columns(const char *line)
{
    int count = 0;
    for (; *line && *line != '\n'; count++) {
        while (strncmp(line, "\033[", 2) == 0)
            line += strcspn(line, "m") + 1;
        if (*line == '\n' || *line == '\0')
            break;
        size_t size = pd_text_character_size(line);
        count += size == 3 && strncmp(line, "\u4e00", 3) >= 0 && strncmp(line, "\u9fff", 3) <= 0;
        line += size;
    }
    return count;
}

/* What is printed (free()), after checking its size. */
static char *print(const pd_run_view *runs, int count, const pd_text_style *style)
{
    char *text = NULL;
    size_t size;
    int rows = 0;
    FILE *out = open_memstream(&text, &size);
    pd_watch_print(out, runs, count, style);
    fclose(out);
    for (const char *line = text; *line; line = strchr(line, '\n') + 1, rows++)
        if (columns(line) > style->width)
            fail_msg("%d columns of %d: %s", columns(line), style->width, line);
    if ((count > 1 || (style->width >= 39 && style->height >= 7)) && rows > style->height)
        fail_msg("%d rows of %d:\n%s", rows, style->height, text);
    return text;
}

static void check_has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("no '%s' in\n%s", part, text);
}

static void test_content(void **state)
{
    (void)state;
    pd_history_row rows[EPOCHS];
    pd_run_view view = make_view(PD_LIFE_RUNNING, rows);
    char *text = print(&view, 1, &(pd_text_style){.width = 79, .height = 23});
    check_has(text, "runs/first: training, epoch 10 of 20\n");
    check_has(text, "]  47 %  12 min 05 s left\n");
    check_has(text, "loss 0.2500  learning rate 0.002  312.4 images/s  2 ranks of 1 thread\n");
    check_has(text, "epoch 9:  loss 0.3000  val loss 0.4300  AUC 0.9000");
    check_has(text, "highest AUC 0.9600 in epoch 6");
    check_has(text, "0.7500 o");
    check_has(text, "AUC of validation");
    free(text);
    view.status.age = 41;
    text = print(&view, 1, &(pd_text_style){.width = 79, .height = 23});
    check_has(text, "epoch 10 of 20, no step for 41 s\n");
    check_has(text, "11 min 24 s left");
    free(text);
}

static void test_lives(void **state)
{
    (void)state;
    static const struct {
        pd_run_life life;
        const char *text;
    } table[] = {{PD_LIFE_STARTING, "runs/first: starting: no step yet\n"},
                 {PD_LIFE_FINISHED, "runs/first: finished after 9 epochs\n"},
                 {PD_LIFE_STOPPED, "stopped in epoch 10 of 20; continue it with --resume\n"},
                 {PD_LIFE_FAILED, "runs/first: failed: see its log\n"},
                 {PD_LIFE_DEAD, "dead: process 77 on node1 is gone; continue it with --resume\n"},
                 {PD_LIFE_ENDED, "runs/first: no process works on it; 9 epochs\n"}};
    pd_history_row rows[EPOCHS];
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        pd_run_view view = make_view(table[i].life, rows);
        char *text = print(&view, 1, &(pd_text_style){.width = 99, .height = 23});
        check_has(text, table[i].text);
        assert_null(strstr(text, " left"));
        free(text);
    }
    pd_run_view view = make_view(PD_LIFE_RUNNING, rows);
    view.status.phase = PD_RUN_EVALUATING;
    char *text = print(&view, 1, &(pd_text_style){.width = 99, .height = 23});
    check_has(text, "runs/first: trained, evaluating\n");
    free(text);
}

/* Any size, any number of runs, with and without history, undefined figures, hostile names. */
static void test_sizes(void **state)
{
    (void)state;
    pd_history_row rows[EPOCHS], undefined[EPOCHS], one[EPOCHS];
    pd_run_view runs[5];
    for (int i = 0; i < 5; i++)
        runs[i] = make_view((pd_run_life)i, rows);
    runs[2] = make_view(PD_LIFE_RUNNING, undefined);
    runs[2].status.loss = runs[2].status.images_per_second = runs[2].status.seconds_left = NAN;
    runs[2].status.steps = runs[2].status.epochs = 0;
    for (int i = 0; i < EPOCHS; i++)
        undefined[i].train_loss = undefined[i].val_loss = undefined[i].val_auc = NAN;
    runs[3] = make_view(PD_LIFE_RUNNING, one);
    runs[3].count = 1;
    runs[3].folder = "a\033[2Jb\n\xff\xe8\x83 \xe2\x80\xae/x";
    runs[4].count = 0;
    const int widths[] = {1, 10, 15, 16, 39, 40, 65, 66, 79, 80, 199, 400, 439, 999, 8999};
    for (size_t w = 0; w < sizeof widths / sizeof *widths; w++)
        for (int height = 1; height < 60; height += height < 12 ? 1 : 7)
            for (int i = 0; i < 4; i++)
                for (int count = 1; count <= 5; count++)
                    free(print(runs + 5 - count, count,
                               &(pd_text_style){widths[w], height, i & 1, i & 2}));
    char *text = print(runs + 3, 1, &(pd_text_style){.width = 79, .height = 23});
    check_has(text, "a?[2Jb???");
    assert_null(strstr(text, "\033"));
    free(text);
    text = print(runs + 4, 1, &(pd_text_style){.width = 79, .height = 23});
    check_has(text, "no epoch yet");
    free(text);
}

/* Curves grow no further than a plot can. */
static void test_widest_curves(void **state)
{
    (void)state;
    pd_history_row rows[EPOCHS];
    pd_run_view view = make_view(PD_LIFE_FINISHED, rows);
    char *wide = print(&view, 1, &(pd_text_style){.width = 500, .height = 23});
    char *wider = print(&view, 1, &(pd_text_style){.width = 900, .height = 23});
    assert_string_equal(wide, wider);
    free(wide);
    free(wider);
}

/* The state is shown however long or wide the name is. */
static void test_long_names(void **state)
{
    (void)state;
    pd_history_row rows[EPOCHS];
    pd_run_view view = make_view(PD_LIFE_FINISHED, rows);
    const pd_text_style plain = {.width = 79, .height = 23};
    const pd_text_style unicode = {.width = 79, .height = 23, .unicode = true};
    char name[400] = "";
    for (int i = 0; i < 24; i++)
        strcat(name, "long-");
    strcat(name, "/runs/first");
    view.folder = name;
    char *text = print(&view, 1, &plain);
    check_has(text, ".../runs/first: finished after 9 epochs\n");
    free(text);
    text = print(&view, 1, &unicode);
    check_has(text, "\u2026/runs/first: finished after 9 epochs\n");
    free(text);
    *strchr(name, '/') = *strrchr(name, '/') = '-';
    text = print(&view, 1, &unicode);
    check_has(text, "long--runs-first: finished after 9 epochs\n");
    free(text);
    memset(name, 0, sizeof name);
    for (int i = 0; i < 100; i++)
        strcat(name, "\u80ba");
    view.life = PD_LIFE_DEAD;
    for (int width = 1; width < 120; width++) {
        text = print(&view, 1, &(pd_text_style){.width = width, .height = 23, .unicode = true});
        if (width >= 93)
            check_has(text,
                      "\u80ba: dead: process 77 on node1 is gone; continue it with --resume\n");
        if (width >= 13)
            check_has(text, ": dead");
        free(text);
    }
}

/* More runs than rows: a line each, and how many are missing. */
static void test_many(void **state)
{
    (void)state;
    pd_history_row rows[EPOCHS];
    pd_run_view runs[30];
    for (int i = 0; i < 30; i++)
        runs[i] = make_view(i % 2 ? PD_LIFE_RUNNING : PD_LIFE_DEAD, rows);
    const pd_text_style style = {.width = 79, .height = 23};
    char *text = print(runs, 23, &style);
    check_has(text, "resume\nruns/first: training, epoch 10 of 20\nruns/first: dead");
    assert_null(strstr(text, "more"));
    free(text);
    text = print(runs, 30, &style);
    check_has(text, "epoch 10 of 20\nand 8 more\n");
    free(text);
    text = print(runs, 3, &style);
    check_has(text, "highest AUC");
    free(text);
}

static void test_epoch_line(void **state)
{
    (void)state;
    pd_history_row rows[EPOCHS];
    pd_run_view view = make_view(PD_LIFE_RUNNING, rows);
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    pd_watch_print_epoch(out, &view, 5);
    pd_watch_print_epoch(out, &view, 8);
    fclose(out);
    assert_string_equal(
        text, "runs/first: epoch 6  loss 0.4500  val loss 0.5500  AUC 0.9600  sensitivity 90.0 %  "
              "specificity 80.0 %  learning rate 0.001\n"
              "runs/first: epoch 9  loss 0.3000  val loss 0.4300  AUC 0.9000  sensitivity 90.0 %  "
              "specificity 80.0 %  learning rate 0.001  312.4 images/s  12 min 05 s left\n");
    free(text);
}

/* A straight line from one corner to the other, as dots and as characters. */
static void test_plot(void **state)
{
    (void)state;
    static char lines[PD_TEXT_PLOT_ROWS][PD_TEXT_PLOT_BYTES];
    const int epochs[] = {1, 2, 3};
    const double values[] = {0, 0.5, 1}, other[] = {1, NAN, 1};
    pd_text_plot plot = {.title = "title",
                         .epochs = epochs,
                         .count = 3,
                         .series_count = 1,
                         .series = {{"rising", values}, {"flat", other}}};
    pd_text_plot_draw(lines, &plot, &(pd_text_style){.width = 19, .height = 6});
    assert_string_equal(lines[0], "       title       ");
    assert_string_equal(lines[1], "1.0000            *");
    assert_string_equal(lines[4], "0.0000 ******      ");
    assert_string_equal(lines[5], "       1          3");
    pd_text_plot_draw(lines, &plot, &(pd_text_style){.width = 11, .height = 4, .unicode = true});
    assert_string_equal(lines[1], "1.0000   \u2860\u280a");
    assert_string_equal(lines[2], "0.0000 \u28c0\u2814\u2801 ");
    plot.series_count = 2;
    pd_text_plot_draw(lines, &plot, &(pd_text_style){.width = 29, .height = 6});
    assert_string_equal(lines[0], "       title  * rising       ");
    assert_string_equal(lines[1], "1.0000 o                    @");
    pd_text_plot_draw(lines, &plot, &(pd_text_style){29, 6, true, true});
    check_has(lines[0], "  \033[36mrising\033[0m  \033[33mflat\033[0m");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_content),    cmocka_unit_test(test_lives),
        cmocka_unit_test(test_sizes),      cmocka_unit_test(test_epoch_line),
        cmocka_unit_test(test_plot),       cmocka_unit_test(test_widest_curves),
        cmocka_unit_test(test_long_names), cmocka_unit_test(test_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
