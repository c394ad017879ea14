#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pneumo/io/file.h"

#include "io/files.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <time.h>

static const char *const FOLDER = "io-file";

static int setup(void **state)
{
    (void)state;
    fresh_folder(FOLDER);
    return 0;
}

static void test_write_then_read(void **state)
{
    (void)state;
    unsigned char *data;
    size_t size;
    assert_int_equal(pd_file_write("io-file/a", "one\0two", 7), PD_OK);
    assert_int_equal(pd_file_read(&data, &size, "io-file/a", 7), PD_OK);
    assert_int_equal(size, 7);
    assert_memory_equal(data, "one\0two", 8);
    free(data);
    assert_int_equal(pd_file_write("io-file/a", "", 0), PD_OK);
    assert_int_equal(pd_file_read(&data, &size, "io-file/a", 0), PD_OK);
    assert_int_equal(size, 0);
    assert_int_equal(data[0], 0);
    free(data);
    assert_int_equal(count_files(FOLDER), 1);
}

static void test_read_failures(void **state)
{
    (void)state;
    unsigned char *data;
    size_t size;
    assert_int_equal(pd_file_read(&data, &size, "io-file/none", 9), PD_FAILED);
    assert_message("io-file/none: cannot open: No such file or directory");
    assert_null(data);
    assert_int_equal(pd_file_read(&data, &size, FOLDER, 9), PD_FAILED);
    assert_message("io-file: cannot read: Is a directory");
    assert_int_equal(pd_file_write("io-file/a", "123456", 6), PD_OK);
    assert_int_equal(pd_file_read(&data, &size, "io-file/a", 5), PD_FAILED);
    assert_message("larger than 5 bytes");
    assert_null(data);
}

static void test_read_of_unknown_size(void **state)
{
    (void)state;
    unsigned char *data;
    size_t size;
    /* A file that says it has 0 bytes, and one without end. */
    assert_int_equal(pd_file_read(&data, &size, "/proc/self/status", 1 << 20), PD_OK);
    assert_true(size > 0 && strlen((char *)data) == size);
    free(data);
    assert_int_equal(pd_file_read(&data, &size, "/dev/zero", 100000), PD_FAILED);
    assert_message("larger than 100000 bytes");
}

static void test_folder_make(void **state)
{
    (void)state;
    assert_int_equal(pd_folder_make("io-file/a/b//c/"), PD_OK);
    assert_int_equal(pd_folder_make("io-file/a/b/c"), PD_OK);
    assert_true(pd_file_exists("io-file/a/b/c"));
    assert_false(pd_file_exists("io-file/a/b/d"));
    assert_int_equal(pd_file_write("io-file/f", "x", 1), PD_OK);
    assert_int_equal(pd_folder_make("io-file/f"), PD_FAILED);
    assert_message("io-file/f: cannot create the folder: a file of that name is in the way");
    assert_int_equal(pd_folder_make("io-file/f/g"), PD_FAILED);
    assert_message("io-file/f: cannot create the folder");
    assert_int_equal(pd_folder_make(""), PD_FAILED);
}

static void test_failed_write_changes_nothing(void **state)
{
    (void)state;
    char *big = calloc(1, 100000);
    assert_int_equal(pd_file_write("io-file/a", "old", 3), PD_OK);
    limit_files(50000);
    assert_int_equal(pd_file_write("io-file/a", big, 100000), PD_FAILED);
    limit_files(0);
    assert_message("io-file/a: cannot write: File too large");
    free(big);
    bytes old = slurp("io-file/a");
    assert_int_equal(old.size, 3);
    assert_memory_equal(old.data, "old", 3);
    free(old.data);
    assert_int_equal(count_files(FOLDER), 1);
}

static void test_write_where_it_cannot_be(void **state)
{
    (void)state;
    assert_int_equal(pd_file_write("io-file/none/a", "x", 1), PD_FAILED);
    assert_message("io-file/none/a: cannot write: No such file or directory");
    assert_int_equal(pd_file_write("io-file/f", "x", 1), PD_OK);
    assert_int_equal(pd_file_write("io-file/f/a", "x", 1), PD_FAILED);
    assert_message("io-file/f/a: cannot write: Not a directory");
    assert_int_equal(pd_file_write(FOLDER, "x", 1), PD_FAILED);
    assert_message("not a regular file");
    assert_int_equal(pd_file_write("/dev/null", "x", 1), PD_FAILED);
    assert_message("not a regular file");
    assert_int_equal(count_files(FOLDER), 1);
}

static void test_commit(void **state)
{
    (void)state;
    char *temporary;
    assert_int_equal(pd_file_temporary(&temporary, "io-file/a"), PD_OK);
    assert_int_equal(strncmp(temporary, "io-file/", 8), 0);
    assert_string_not_equal(temporary, "io-file/a");
    spill(temporary, (const unsigned char *)"new", 3);
    spill("io-file/a", (const unsigned char *)"old", 3);
    assert_int_equal(pd_file_commit(temporary, "io-file/a"), PD_OK);
    assert_int_equal(count_files(FOLDER), 1);
    /* A second time there is nothing to commit, and the file stays. */
    assert_int_equal(pd_file_commit(temporary, "io-file/a"), PD_FAILED);
    assert_message("io-file/a: cannot write: No such file or directory");
    free(temporary);
    bytes kept = slurp("io-file/a");
    assert_memory_equal(kept.data, "new", 3);
    free(kept.data);
}

static void test_temporary_goes_when_commit_fails(void **state)
{
    (void)state;
    spill("io-file/t", (const unsigned char *)"new", 3);
    assert_int_equal(mkdir("io-file/d", 0777), 0);
    assert_int_equal(pd_file_commit("io-file/t", "io-file/d"), PD_FAILED);
    assert_message("io-file/d: cannot write: Is a directory");
    assert_false(pd_file_exists("io-file/t"));
}

static void name_temporary(char *name, size_t size, const char *path, const char *host,
                           long process)
{
    snprintf(name, size, "%s.%s-%ld.tmp", path, host, process);
    spill(name, (const unsigned char *)"half", 4);
}

/* What killed processes left goes with the next write of the same file, and nothing else does. */
static void test_leftovers_go(void **state)
{
    (void)state;
    char host[256] = "", gone[2][512], stays[6][512];
    gethostname(host, sizeof host - 1);
    pid_t dead = fork();
    if (dead == 0)
        _exit(0);
    assert_int_equal(waitpid(dead, NULL, 0), dead);

    name_temporary(gone[0], sizeof gone[0], "io-file/a.h5", host, dead);
    name_temporary(gone[1], sizeof gone[1], "io-file/a.h5", "other-host.example", 7);
    const struct timespec old[2] = {{.tv_sec = time(NULL) - 7200}, {.tv_sec = time(NULL) - 7200}};
    assert_int_equal(utimensat(AT_FDCWD, gone[1], old, 0), 0);
    name_temporary(stays[0], sizeof stays[0], "io-file/a.h5", host, getppid());
    name_temporary(stays[1], sizeof stays[1], "io-file/a.h5", "other-host.example", 8);
    name_temporary(stays[2], sizeof stays[2], "io-file/b.h5", host, dead);
    name_temporary(stays[3], sizeof stays[3], "io-file/a.h5x", host, dead);
    const char *others[] = {"io-file/a.h5.tmp", "io-file/a.h5.notes-7.tmpx"};
    for (int i = 0; i < 2; i++) {
        strcpy(stays[4 + i], others[i]);
        spill(others[i], (const unsigned char *)"mine", 4);
        assert_int_equal(utimensat(AT_FDCWD, others[i], old, 0), 0);
    }

    assert_int_equal(pd_file_write("io-file/a.h5", "x", 1), PD_OK);
    for (int i = 0; i < 2; i++)
        assert_false(pd_file_exists(gone[i]));
    for (int i = 0; i < 6; i++)
        assert_true(pd_file_exists(stays[i]));
    assert_int_equal(count_files(FOLDER), 7);
}

static void test_make_folder_above(void **state)
{
    (void)state;
    assert_int_equal(pd_folder_make_above("io-file/new/folder/a.h5"), PD_OK);
    assert_int_equal(pd_file_write("io-file/new/folder/a.h5", "x", 1), PD_OK);
    assert_int_equal(pd_folder_make_above("a.h5"), PD_OK);
    assert_int_equal(pd_folder_make_above("/a.h5"), PD_OK);
    assert_int_equal(pd_folder_make_above("io-file/new/folder/a.h5/b.h5"), PD_FAILED);
    assert_message("io-file/new/folder/a.h5: cannot create the folder: a file of that name");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_write_then_read, setup),
        cmocka_unit_test_setup(test_read_failures, setup),
        cmocka_unit_test_setup(test_read_of_unknown_size, setup),
        cmocka_unit_test_setup(test_folder_make, setup),
        cmocka_unit_test_setup(test_failed_write_changes_nothing, setup),
        cmocka_unit_test_setup(test_write_where_it_cannot_be, setup),
        cmocka_unit_test_setup(test_commit, setup),
        cmocka_unit_test_setup(test_temporary_goes_when_commit_fails, setup),
        cmocka_unit_test_setup(test_leftovers_go, setup),
        cmocka_unit_test_setup(test_make_folder_above, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
