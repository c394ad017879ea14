#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pneumo/io/file.h"

#include "io/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

static const char *const FOLDER = "io-file";

/* The functions below replace those of the C library. */
static int calls_left = -1; /* disk-changing calls until the process is killed; -1: never */
static bool no_links; /* as on a file system without hard links, whether the file exists or not */

static void count_call(void)
{
    if (calls_left == 0)
        kill(getpid(), SIGKILL);
    if (calls_left > 0)
        calls_left--;
}

int rename(const char *from, const char *to)
{
    count_call();
    return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

int link(const char *from, const char *to)
{
    count_call();
    if (!no_links)
        return linkat(AT_FDCWD, from, AT_FDCWD, to, 0);
    errno = EPERM;
    return -1;
}

int unlink(const char *path)
{
    count_call();
    return unlinkat(AT_FDCWD, path, 0);
}

int fsync(int file)
{
    count_call();
    return (int)syscall(SYS_fsync, file);
}

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
    /* A file whose size is reported as 0, and an infinite one. */
    assert_int_equal(pd_file_read(&data, &size, "/proc/self/status", 1 << 20), PD_OK);
    assert_true(size > 0 && strlen((char *)data) == size);
    free(data);
    assert_int_equal(pd_file_read(&data, &size, "/dev/zero", 100000), PD_FAILED);
    assert_message("larger than 100000 bytes");
}

/* Writes to the pipe `path` after a moment, in parts. */
static pid_t write_later(const char *path)
{
    const struct timespec moment = {.tv_nsec = 200000000};
    pid_t child = fork();
    if (child != 0)
        return child;
    nanosleep(&moment, NULL);
    int file = open(path, O_WRONLY | O_CLOEXEC);
    for (int part = 0; part < 2; part++) {
        if (file < 0 || write(file, "part", 4) != 4)
            _exit(1);
        nanosleep(&moment, NULL);
    }
    _exit(0);
}

static void test_read_of_pipes(void **state)
{
    (void)state;
    unsigned char *data;
    size_t size;
    int ended;
    assert_int_equal(mkfifo("io-file/pipe", 0666), 0);
    pid_t writer = write_later("io-file/pipe");
    assert_int_equal(pd_file_read(&data, &size, "io-file/pipe", 100), PD_OK);
    assert_int_equal(size, 8);
    assert_string_equal((char *)data, "partpart");
    free(data);
    assert_int_equal(waitpid(writer, &ended, 0), writer);
    assert_int_equal(ended, 0);
    /* As of a shell's <(true): the writer is gone and has written nothing. */
    int ends[2];
    char path[64];
    assert_int_equal(pipe(ends), 0);
    close(ends[1]);
    snprintf(path, sizeof path, "/dev/fd/%d", ends[0]);
    assert_int_equal(pd_file_read(&data, &size, path, 100), PD_OK);
    assert_int_equal(size, 0);
    free(data);
    close(ends[0]);
    /* Nobody writes. */
    time_t start = time(NULL);
    assert_int_equal(pd_file_read(&data, &size, "io-file/pipe", 100), PD_FAILED);
    assert_message("io-file/pipe: is a pipe that no program writes to; give a file");
    assert_true(time(NULL) - start < 60);
    assert_int_equal(pd_file_check_regular("io-file/pipe"), PD_FAILED);
    assert_message("io-file/pipe: is not a regular file");
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
    assert_message("io-file/f: cannot create the folder: a file of that name exists");
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

static void test_write_to_invalid_path(void **state)
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

static void assert_text(const char *path, const char *text)
{
    bytes found = slurp(path);
    assert_string_equal((char *)found.data, text);
    free(found.data);
}

static bool is_link(const char *path)
{
    struct stat about;
    return lstat(path, &about) == 0 && S_ISLNK(about.st_mode);
}

/* A write goes to the file at the end of links, in another folder, and leaves the links. */
static void test_links_are_followed(void **state)
{
    (void)state;
    assert_int_equal(mkdir("io-file/here", 0777), 0);
    assert_int_equal(mkdir("io-file/there", 0777), 0);
    assert_int_equal(symlink("../there/second", "io-file/here/first"), 0);
    assert_int_equal(symlink("file", "io-file/there/second"), 0);
    for (int exists = 0; exists < 2; exists++) {
        assert_int_equal(pd_file_write("io-file/here/first", exists ? "two" : "one", 3), PD_OK);
        assert_text("io-file/there/file", exists ? "two" : "one");
    }
    assert_int_equal(pd_file_publish("io-file/here/first", "three", 5), PD_OK);
    assert_text("io-file/there/file", "three");
    char *temporary;
    assert_int_equal(pd_file_temporary(&temporary, "io-file/here/first"), PD_OK);
    assert_int_equal(strncmp(temporary, "io-file/here/../there/file.", 27), 0);
    spill(temporary, (const unsigned char *)"four", 4);
    assert_int_equal(pd_file_commit(temporary, "io-file/here/first"), PD_OK);
    free(temporary);
    assert_text("io-file/there/file", "four");
    assert_true(is_link("io-file/here/first") && is_link("io-file/there/second"));
    assert_int_equal(count_files("io-file/here"), 1);
    assert_int_equal(count_files("io-file/there"), 2);
}

static void test_links_that_cannot_be_followed(void **state)
{
    (void)state;
    assert_int_equal(symlink("cycle", "io-file/cycle"), 0);
    assert_int_equal(pd_file_write("io-file/cycle", "x", 1), PD_FAILED);
    assert_message("io-file/cycle: cannot write: Too many levels of symbolic links");
    assert_int_equal(symlink("none/file", "io-file/astray"), 0);
    assert_int_equal(pd_file_write("io-file/astray", "x", 1), PD_FAILED);
    assert_message("io-file/astray: cannot write: No such file or directory");
    /* A file that this process has open, and a pipe. */
    int file = open("io-file/open", O_WRONLY | O_CREAT | O_CLOEXEC, 0666), pipes[2];
    char path[64];
    assert_true(file >= 0 && pipe(pipes) == 0);
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    assert_int_equal(symlink(path, "io-file/to-open"), 0);
    assert_int_equal(pd_file_write("io-file/to-open", "x", 1), PD_FAILED);
    assert_message("io-file/to-open: cannot write: it stands for an open file");
    snprintf(path, sizeof path, "/proc/self/fd/%d", pipes[1]);
    assert_int_equal(symlink(path, "io-file/to-pipe"), 0);
    assert_int_equal(pd_file_write("io-file/to-pipe", "x", 1), PD_FAILED);
    assert_message("io-file/to-pipe: cannot write: it is not a regular file");
    close(file);
    close(pipes[0]);
    close(pipes[1]);
    assert_text("io-file/open", "");
    assert_true(is_link("io-file/cycle") && is_link("io-file/astray"));
    assert_true(is_link("io-file/to-open") && is_link("io-file/to-pipe"));
    assert_int_equal(count_files(FOLDER), 5);
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
    /* A second commit fails and leaves the file unchanged. */
    assert_int_equal(pd_file_commit(temporary, "io-file/a"), PD_FAILED);
    assert_message("io-file/a: cannot write: No such file or directory");
    free(temporary);
    bytes kept = slurp("io-file/a");
    assert_memory_equal(kept.data, "new", 3);
    free(kept.data);
}

static void test_failed_commit_removes_temporary(void **state)
{
    (void)state;
    spill("io-file/t", (const unsigned char *)"new", 3);
    assert_int_equal(mkdir("io-file/d", 0777), 0);
    assert_int_equal(pd_file_commit("io-file/t", "io-file/d"), PD_FAILED);
    assert_message("io-file/d: cannot write: it is not a regular file");
    assert_false(pd_file_exists("io-file/t"));
}

static void name_temporary(char *name, size_t size, const char *path, const char *host,
                           long process)
{
    snprintf(name, size, "%s.%s-%ld.tmp", path, host, process);
    spill(name, (const unsigned char *)"half", 4);
}

/* A write removes the temporary files that killed processes left of the same file, and no others.
 */
static void test_leftovers_are_removed(void **state)
{
    (void)state;
    char host[256] = "", removed[2][512], retained[6][512];
    gethostname(host, sizeof host - 1);
    pid_t dead = fork();
    if (dead == 0)
        _exit(0);
    assert_int_equal(waitpid(dead, NULL, 0), dead);

    name_temporary(removed[0], sizeof removed[0], "io-file/a.h5", host, dead);
    name_temporary(removed[1], sizeof removed[1], "io-file/a.h5", "other-host.example", 7);
    const struct timespec old[2] = {{.tv_sec = time(NULL) - 7200}, {.tv_sec = time(NULL) - 7200}};
    assert_int_equal(utimensat(AT_FDCWD, removed[1], old, 0), 0);
    name_temporary(retained[0], sizeof retained[0], "io-file/a.h5", host, getppid());
    name_temporary(retained[1], sizeof retained[1], "io-file/a.h5", "other-host.example", 8);
    name_temporary(retained[2], sizeof retained[2], "io-file/b.h5", host, dead);
    name_temporary(retained[3], sizeof retained[3], "io-file/a.h5x", host, dead);
    const char *others[] = {"io-file/a.h5.tmp", "io-file/a.h5.notes-7.tmpx"};
    for (int i = 0; i < 2; i++) {
        strcpy(retained[4 + i], others[i]);
        spill(others[i], (const unsigned char *)"mine", 4);
        assert_int_equal(utimensat(AT_FDCWD, others[i], old, 0), 0);
    }

    assert_int_equal(pd_file_write("io-file/a.h5", "x", 1), PD_OK);
    for (int i = 0; i < 2; i++)
        assert_false(pd_file_exists(removed[i]));
    for (int i = 0; i < 6; i++)
        assert_true(pd_file_exists(retained[i]));
    assert_int_equal(count_files(FOLDER), 7);
}

static pd_status replace(const char *text)
{
    return pd_file_replace("io-file/a", "io-file/b", text, strlen(text));
}

static void test_replace_keeps_previous(void **state)
{
    (void)state;
    for (int links = 0; links < 2; links++) {
        setup(NULL);
        no_links = !links;
        assert_int_equal(replace("one"), PD_OK);
        assert_text("io-file/a", "one");
        assert_false(pd_file_exists("io-file/b"));
        assert_int_equal(replace("two"), PD_OK);
        assert_int_equal(replace("three"), PD_OK);
        assert_text("io-file/a", "three");
        assert_text("io-file/b", "two");
        assert_int_equal(count_files(FOLDER), 2);
        /* Without a previous file, the kept one is unchanged. */
        assert_int_equal(unlink("io-file/a"), 0);
        assert_int_equal(replace("four"), PD_OK);
        assert_text("io-file/a", "four");
        assert_text("io-file/b", "two");
        assert_int_equal(count_files(FOLDER), 2);
    }
    no_links = false;
}

static void test_failed_replace_changes_nothing(void **state)
{
    (void)state;
    assert_int_equal(replace("one"), PD_OK);
    assert_int_equal(mkdir("io-file/b", 0777), 0);
    assert_int_equal(replace("two"), PD_FAILED);
    assert_message("io-file/b: cannot write: it is not a regular file");
    assert_text("io-file/a", "one");
    assert_int_equal(count_files(FOLDER), 2);
}

static void test_replace_keeps_a_link(void **state)
{
    (void)state;
    spill("io-file/old", (const unsigned char *)"old", 3);
    assert_int_equal(symlink("old", "io-file/a"), 0);
    assert_int_equal(replace("new"), PD_OK);
    assert_text("io-file/a", "new");
    assert_text("io-file/b", "old");
    assert_text("io-file/old", "old");
    assert_true(!is_link("io-file/a") && is_link("io-file/b"));
}

/* Whether the file exists and is one of these texts. */
static bool is_whole(const char *path)
{
    if (!pd_file_exists(path))
        return false;
    bytes found = slurp(path);
    const char *text = (char *)found.data;
    bool whole = strcmp(text, "one") == 0 || strcmp(text, "two") == 0 || strcmp(text, "three") == 0;
    free(found.data);
    return whole;
}

/* Replaces in a process that is killed after `calls` disk-changing calls. Returns whether it was
 * killed. */
static bool replace_and_die(int calls)
{
    int ended;
    pid_t process = fork();
    if (process == 0) {
        calls_left = calls;
        _exit(replace("three") == PD_OK ? 0 : 1);
    }
    assert_int_equal(waitpid(process, &ended, 0), process);
    assert_true(WIFSIGNALED(ended) || ended == 0);
    return WIFSIGNALED(ended);
}

static void test_replace_killed_anywhere(void **state)
{
    (void)state;
    for (int links = 0; links < 2; links++) {
        bool killed = true;
        int calls = 0;
        no_links = !links;
        for (; killed; calls++) {
            setup(NULL);
            assert_int_equal(replace("one"), PD_OK);
            assert_int_equal(replace("two"), PD_OK);
            killed = replace_and_die(calls);
            assert_true(is_whole("io-file/b"));
            assert_true(is_whole("io-file/a") || (no_links && !pd_file_exists("io-file/a")));
            /* The next replace succeeds and leaves no other file. */
            assert_int_equal(replace("four"), PD_OK);
            assert_text("io-file/a", "four");
            assert_true(is_whole("io-file/b"));
            assert_int_equal(count_files(FOLDER), 2);
        }
        assert_true(calls > 5);
    }
    no_links = false;
}

/* Temporary files left by a process with this process's id do no harm. */
static void test_replace_with_own_leftovers(void **state)
{
    (void)state;
    char host[256] = "", name[512];
    gethostname(host, sizeof host - 1);
    assert_int_equal(replace("one"), PD_OK);
    name_temporary(name, sizeof name, "io-file/a", host, getpid());
    name_temporary(name, sizeof name, "io-file/b", host, getpid());
    assert_int_equal(replace("two"), PD_OK);
    assert_text("io-file/a", "two");
    assert_text("io-file/b", "one");
    assert_int_equal(count_files(FOLDER), 2);
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
        cmocka_unit_test_setup(test_read_of_pipes, setup),
        cmocka_unit_test_setup(test_folder_make, setup),
        cmocka_unit_test_setup(test_failed_write_changes_nothing, setup),
        cmocka_unit_test_setup(test_write_to_invalid_path, setup),
        cmocka_unit_test_setup(test_links_are_followed, setup),
        cmocka_unit_test_setup(test_links_that_cannot_be_followed, setup),
        cmocka_unit_test_setup(test_commit, setup),
        cmocka_unit_test_setup(test_failed_commit_removes_temporary, setup),
        cmocka_unit_test_setup(test_leftovers_are_removed, setup),
        cmocka_unit_test_setup(test_replace_keeps_previous, setup),
        cmocka_unit_test_setup(test_failed_replace_changes_nothing, setup),
        cmocka_unit_test_setup(test_replace_keeps_a_link, setup),
        cmocka_unit_test_setup(test_replace_killed_anywhere, setup),
        cmocka_unit_test_setup(test_replace_with_own_leftovers, setup),
        cmocka_unit_test_setup(test_make_folder_above, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
