/* Locks of folders: held by one process, until it ends in any way; the message says by whom. */
#include "pneumo/io/lock.h"

#include "pneumo/base/clock.h"
#include "pneumo/io/file.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static int set_up(void **state)
{
    (void)state;
    return system("rm -rf lock && mkdir -p lock/a lock/b && ln -s a lock/again");
}

/* A process that takes a lock, says so, and waits to be killed. */
static pid_t hold_by(pd_status (*take)(const char *path, const char *remedy), const char *path)
{
    int ends[2];
    char word;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        word = take(path, "") == PD_OK ? 'y' : 'n';
        if (write(ends[1], &word, 1) == 1)
            pause();
        _exit(1);
    }
    assert_int_equal(read(ends[0], &word, 1), 1);
    assert_int_equal(word, 'y');
    close(ends[0]);
    close(ends[1]);
    return child;
}

static pid_t hold(const char *folder)
{
    return hold_by(pd_lock_take, folder);
}

static void end(pid_t child, int signal_number)
{
    kill(child, signal_number);
    assert_int_equal(waitpid(child, NULL, 0), child);
}

static void test_dead_holders(void **state)
{
    (void)state;
    static const int ways[] = {SIGKILL, SIGTERM, SIGSEGV};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        char process[64], host[256] = "";
        pid_t child = hold("lock/a");
        snprintf(process, sizeof process, "process %ld on ", (long)child);
        gethostname(host, sizeof host - 1);
        assert_int_equal(pd_lock_take("lock/a", "do this"), PD_FAILED);
        assert_non_null(strstr(pd_error_message(), "lock/a is in use by '"));
        assert_non_null(strstr(pd_error_message(), process));
        assert_non_null(strstr(pd_error_message(), host));
        assert_non_null(strstr(pd_error_message(), ", since 2"));
        assert_non_null(strstr(pd_error_message(), ": do this"));
        assert_int_equal(pd_lock_take("lock/b", ""), PD_OK);
        end(child, ways[i]);
        assert_true(pd_file_exists("lock/a/run.lock"));
        assert_int_equal(pd_lock_take("lock/a", ""), PD_OK);
        pd_lock_release_all();
        assert_false(pd_file_exists("lock/a/run.lock"));
        assert_false(pd_file_exists("lock/b/run.lock"));
    }
}

/* One folder by several names, and files beside a lock. */
static void test_names(void **state)
{
    (void)state;
    assert_int_equal(pd_lock_take("lock/a", ""), PD_OK);
    assert_int_equal(pd_lock_take("lock/a", ""), PD_OK);
    assert_int_equal(pd_lock_take("./lock//again/", ""), PD_OK);
    assert_int_equal(pd_lock_take_beside("lock/again/best.h5", ""), PD_OK);
    assert_int_equal(pd_lock_take_beside("lock/b/best.h5", ""), PD_OK);
    assert_false(pd_file_exists("lock/b/run.lock"));
    pd_lock_release_all();
    pid_t child = hold("lock/b");
    assert_int_equal(pd_lock_take_beside("lock/b/best.h5", "wait"), PD_FAILED);
    assert_int_equal(pd_lock_take_beside("lock/a/best.h5", "wait"), PD_OK);
    assert_int_equal(symlink("../b/best.h5", "lock/a/link.h5"), 0);
    assert_int_equal(pd_lock_take_beside("lock/a/link.h5", "wait"), PD_FAILED);
    end(child, SIGKILL);
    assert_int_equal(pd_lock_take_beside("lock/b/best.h5", "wait"), PD_OK);
    pd_lock_release_all();
}

/* Locks of single files, which end one by one. */
static void test_files(void **state)
{
    (void)state;
    pid_t child = hold_by(pd_lock_take_file, "lock/a/set.h5");
    assert_int_equal(pd_lock_take_file("lock/a/set.h5", "wait"), PD_FAILED);
    assert_non_null(strstr(pd_error_message(), "lock/a/set.h5 is in use by '"));
    pd_lock_release_file("lock/a/set.h5"); /* not this process's */
    assert_true(pd_file_exists("lock/a/set.h5.lock"));
    assert_int_equal(pd_lock_take_file("lock/a/other.h5", ""), PD_OK);
    assert_int_equal(pd_lock_take_file("lock/new/set.h5", ""), PD_OK);
    assert_int_equal(pd_lock_take("lock/b", ""), PD_OK);
    end(child, SIGKILL);
    assert_int_equal(pd_lock_take_file("lock/a/set.h5", "wait"), PD_OK);
    pd_lock_release_file("lock/a/other.h5");
    assert_false(pd_file_exists("lock/a/other.h5.lock"));
    assert_true(pd_file_exists("lock/a/set.h5.lock"));
    child = hold_by(pd_lock_take_file, "lock/a/other.h5");
    end(child, SIGKILL);
    pd_lock_release_all();
    assert_false(pd_file_exists("lock/a/set.h5.lock"));
    assert_false(pd_file_exists("lock/new/set.h5.lock"));
    assert_false(pd_file_exists("lock/b/run.lock"));
}

/* A lock file whose content is damaged, or that cannot be made. */
static void test_damaged(void **state)
{
    (void)state;
    pid_t child = hold("lock/a");
    assert_int_equal(truncate("lock/a/run.lock", 9), 0);
    assert_int_equal(pd_lock_take("lock/a", "wait"), PD_FAILED);
    assert_string_equal(pd_error_message(), "lock/a is in use by another process: wait");
    end(child, SIGKILL);
    assert_int_equal(pd_lock_take("lock/missing", ""), PD_FAILED);
    assert_non_null(strstr(pd_error_message(), "lock/missing/run.lock: cannot open: "));
}

/* Waits for a holder, dead or done, for a limited time. */
static void test_waiting(void **state)
{
    (void)state;
    pid_t child = hold_by(pd_lock_take_file, "lock/a/set.h5");
    assert_int_equal(pd_lock_wait_file("lock/a/set.h5", 0.5, "wait"), PD_FAILED);
    assert_non_null(strstr(pd_error_message(), "lock/a/set.h5 is in use by '"));
    assert_non_null(strstr(pd_error_message(), ": wait"));
    pid_t killer = fork();
    if (killer == 0) {
        usleep(700000);
        _exit(kill(child, SIGKILL) != 0);
    }
    double started = pd_clock_now();
    assert_int_equal(pd_lock_wait_file("lock/a/set.h5", 60, "wait"), PD_OK);
    assert_true(pd_clock_now() - started > 0.5 && pd_clock_now() - started < 50);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(waitpid(killer, NULL, 0), killer);
    pd_lock_release_all();
    assert_false(pd_file_exists("lock/a/set.h5.lock"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_dead_holders, set_up),
        cmocka_unit_test_setup(test_names, set_up), cmocka_unit_test_setup(test_files, set_up),
        cmocka_unit_test_setup(test_waiting, set_up), cmocka_unit_test_setup(test_damaged, set_up)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
