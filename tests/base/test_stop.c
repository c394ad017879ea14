/* Signals: what they do at once and deferred, and which files they remove. */
#include "pneumo/base/stop.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const char file[] = "stop-test.tmp";
static char said[1024]; /* by the last child on standard error */

/* Runs `work` in another process and returns how that ended. */
static int run(void (*work)(void))
{
    int ends[2], how;
    size_t used = 0;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        close(open(file, O_CREAT | O_WRONLY, 0600));
        work();
        _exit(9);
    }
    close(ends[1]);
    for (ssize_t got; (got = read(ends[0], said + used, sizeof said - 1 - used)) > 0;)
        used += (size_t)got;
    said[used] = '\0';
    close(ends[0]);
    assert_int_equal(waitpid(child, &how, 0), child);
    return how;
}

static void die(int number)
{
    sigset_t all;
    sigfillset(&all);
    signal(number, SIG_DFL);
    sigprocmask(SIG_UNBLOCK, &all, NULL);
    raise(number);
}

static void leave(int number)
{
    (void)number;
    _exit(75);
}

static void end_at_once(void)
{
    pd_stop_listen(die, NULL);
    pd_stop_remove_file(file);
    raise(SIGTERM);
}

static void end_with_code(void)
{
    pd_stop_listen(leave, "run it again");
    pd_stop_remove_file("other");
    pd_stop_remove_file(file);
    pd_stop_keep_file(file);
    raise(SIGHUP);
}

static void end_after_work(void)
{
    pd_stop_listen(die, NULL);
    pd_stop_remove_file(file);
    pd_stop_defer("saving");
    raise(SIGUSR1);
    raise(SIGUSR1);
    raise(SIGINT);
    if (!pd_stop_requested() || access(file, F_OK) != 0)
        _exit(8);
    pd_stop_resume();
}

static void end_at_the_second(void)
{
    pd_stop_listen(die, NULL);
    pd_stop_remove_file(file);
    pd_stop_defer("saving");
    raise(SIGINT);
    raise(SIGINT);
}

static void go_on(void)
{
    signal(SIGHUP, SIG_IGN); /* nohup */
    pd_stop_listen(die, NULL);
    raise(SIGHUP);
    raise(SIGXFSZ);
    if (!pd_stop_requested())
        _exit(0);
}

static void test_endings(void **state)
{
    (void)state;
    int how = run(end_at_once);
    assert_true(WIFSIGNALED(how) && WTERMSIG(how) == SIGTERM);
    assert_string_equal(said, "pneumo-dist: SIGTERM: stopped\n");
    assert_int_not_equal(access(file, F_OK), 0);

    how = run(end_with_code);
    assert_true(WIFEXITED(how) && WEXITSTATUS(how) == 75);
    assert_string_equal(said, "pneumo-dist: SIGHUP: stopped: run it again\n");
    assert_int_equal(access(file, F_OK), 0);

    how = run(end_after_work);
    assert_true(WIFSIGNALED(how));
    assert_string_equal(said, "pneumo-dist: SIGUSR1: saving\npneumo-dist: SIGINT: stopped\n");
    assert_int_not_equal(access(file, F_OK), 0);

    how = run(end_at_the_second);
    assert_true(WIFSIGNALED(how) && WTERMSIG(how) == SIGINT);
    assert_string_equal(said, "pneumo-dist: SIGINT: saving: Ctrl-C again ends at once\n"
                              "pneumo-dist: SIGINT: stopped\n");
    assert_int_not_equal(access(file, F_OK), 0);

    how = run(go_on);
    assert_true(WIFEXITED(how) && WEXITSTATUS(how) == 0);
    assert_string_equal(said, "");
    unlink(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_endings)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
