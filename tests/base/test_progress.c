/* The progress line on terminals of all widths, and what there is where no line can be rewritten.
 */
#include "pneumo/base/progress.h"

#include "pneumo/base/log.h"
#include "pneumo/base/text.h"

#include <fcntl.h>
#include <pthread.h>
#include <pty.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cmocka.h>

static int terminal;         /* its other end */
static int standard = -1;    /* the test's own standard error */
static char output[1 << 16]; /* what the program wrote to it */

static void set_width(int columns)
{
    struct winsize size = {.ws_row = 24, .ws_col = (unsigned short)columns};
    assert_int_equal(ioctl(terminal, TIOCSWINSZ, &size), 0);
}

static void open_terminal(int columns)
{
    int end;
    assert_int_equal(openpty(&terminal, &end, NULL, NULL, NULL), 0);
    assert_int_equal(fcntl(terminal, F_SETFL, O_NONBLOCK), 0);
    standard = dup(STDERR_FILENO);
    dup2(end, STDERR_FILENO);
    close(end);
    set_width(columns);
}

static void read_output(void)
{
    size_t used = 0;
    for (ssize_t got; (got = read(terminal, output + used, sizeof output - 1 - used)) > 0;)
        used += (size_t)got;
    output[used] = '\0';
}

static void close_terminal(void)
{
    read_output();
    dup2(standard, STDERR_FILENO);
    close(standard);
    close(terminal);
}

/* Updates that are far enough apart to be drawn. */
static void update(pd_progress *progress, uint64_t done, const char *note)
{
    progress->drawn -= 1;
    pd_progress_update(progress, done, note);
}

/* Columns of the longest line that was shown; each begins with "\r" and the code that clears it. */
static int longest(void)
{
    int most = 0;
    assert_null(strchr(output, '\n'));
    for (const char *at = output; (at = strstr(at, "\r\033[K")) != NULL;) {
        int columns = 0;
        at += strlen("\r\033[K");
        for (const char *c = at; *c != '\0' && *c != '\r'; columns++)
            c += pd_text_character_size(c) > 0 ? pd_text_character_size(c) : 1;
        most = columns > most ? columns : most;
    }
    return most;
}

static void test_widths(void **state)
{
    (void)state;
    static const char *const labels[] = {"packing", "scoring the validation fold",
                                         "stress test 12/26", "übereinstimmende Aufnahmen"};
    static const int widths[] = {200, 80, 66, 40, 25, 9, 2, 1};
    setenv("TERM", "xterm", 1);
    for (size_t i = 0; i < sizeof labels / sizeof *labels; i++) {
        for (size_t j = 0; j < sizeof widths / sizeof *widths; j++) {
            pd_progress progress;
            open_terminal(widths[j]);
            pd_progress_begin(&progress, labels[i], 0, 1000);
            for (uint64_t done = 1; done <= 1000; done += 111)
                update(&progress, done, "loss 0.1234");
            pd_progress_end(&progress);
            close_terminal();
            assert_true(longest() < widths[j]);
            if (widths[j] >= 80)
                assert_non_null(strstr(output, "] 100 %  0 s left  loss 0.1234"));
            else if (widths[j] >= 66)
                assert_non_null(strstr(output, "[#"));
            if (widths[j] == 40 && i == 0)
                assert_non_null(strstr(output, "packing"));
        }
    }
}

/* The window becomes narrower while the line is shown. */
static void test_resize(void **state)
{
    (void)state;
    pd_progress progress;
    setenv("TERM", "xterm", 1);
    open_terminal(100);
    pd_progress_begin(&progress, "scoring the validation fold", 0, 10);
    update(&progress, 1, "loss 0.1234");
    read_output();
    assert_true(longest() > 60);
    set_width(30);
    update(&progress, 2, "loss 0.1234");
    pd_progress_end(&progress);
    close_terminal();
    assert_int_equal(longest(), 29);
}

/* Where a line cannot be rewritten, there are log lines, without control codes. */
static void test_plain(void **state)
{
    (void)state;
    static const char *const types[] = {"dumb", "", NULL};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        pd_progress progress;
        if (types[i] == NULL)
            unsetenv("TERM");
        else
            setenv("TERM", types[i], 1);
        open_terminal(40);
        pd_progress_begin(&progress, "packing", 0, 1000);
        for (uint64_t done = 1; done <= 1000; done += 111) {
            progress.drawn -= 10;
            pd_progress_update(&progress, done, NULL);
        }
        pd_progress_end(&progress);
        close_terminal();
        assert_null(strchr(output, '\033'));
        assert_non_null(strstr(output, "packing: 44 %"));
    }
}

static void test_warnings_once(void **state)
{
    (void)state;
    open_terminal(80);
    for (int i = 0; i < 6; i++)
        pd_log_warn("image %d is grey", i % 2);
    close_terminal();
    assert_string_equal(output, "pneumo-dist: warning: image 0 is grey\r\n"
                                "pneumo-dist: warning: image 1 is grey\r\n");
}

enum { THREADS = 4, WARNINGS = 40 };

static void *warn(void *context)
{
    for (int i = 0; i < WARNINGS; i++)
        pd_log_warn("image %d of threads", i);
    return context;
}

/* Threads that log at once: whole lines, and each warning once. */
static void test_threads(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    char line[80];
    size_t size = 0;
    open_terminal(80);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, warn, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    close_terminal();
    for (int i = 0; i < WARNINGS; i++) {
        size +=
            (size_t)snprintf(line, sizeof line, "pneumo-dist: warning: image %d of threads\r\n", i);
        assert_non_null(strstr(output, line));
    }
    assert_int_equal(strlen(output), size);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_widths), cmocka_unit_test(test_resize), cmocka_unit_test(test_plain),
        cmocka_unit_test(test_warnings_once), cmocka_unit_test(test_threads)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
