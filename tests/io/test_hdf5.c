/* Opening files that another process writes, or wrote when it crashed. */
#include "io/hdf5.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const char path[] = "hdf5-test.h5";

static int set_up(void **state)
{
    (void)state;
    pd_hdf5 file;
    unlink(path);
    if (pd_hdf5_create(&file, path, path) != PD_OK)
        return 1;
    return pd_hdf5_close(&file.id) < 0;
}

/* Opens the file in another process with these flags, with or without HDF5's lock, and lets the
 * process end without closing it once *release is written to. */
static pid_t write_elsewhere(unsigned flags, bool locks, int ends[2])
{
    char word = 'x';
    int ready[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        pd_hdf5_start();
        hid_t access = pd_hdf5_file_access();
        H5Pset_file_locking(access, locks, true);
        hid_t id = H5Fopen(path, flags, access);
        if (id < 0 || H5Fflush(id, H5F_SCOPE_GLOBAL) < 0 || write(ready[1], &word, 1) != 1)
            _exit(2);
        _exit(read(ends[0], &word, 1) == 1 ? 0 : 3);
    }
    assert_int_equal(read(ready[0], &word, 1), 1);
    close(ready[0]);
    close(ready[1]);
    return child;
}

static void expect(const char *message)
{
    pd_hdf5 file;
    pd_status status = pd_hdf5_open(&file, path, "pack again");
    pd_hdf5_close(&file.id);
    if (message == NULL) {
        assert_int_equal(status, PD_OK);
        return;
    }
    assert_int_equal(status, PD_FAILED);
    assert_non_null(strstr(pd_error_message(), message));
    assert_null(strstr(pd_error_message(), "damaged"));
    assert_null(strstr(pd_error_message(), "pack again"));
}

static void check_writer(unsigned flags, bool locks, const char *message)
{
    int ends[2], code;
    pid_t child = write_elsewhere(flags, locks, ends);
    expect(message);
    assert_int_equal(write(ends[1], "x", 1), 1);
    assert_int_equal(waitpid(child, &code, 0), child);
    assert_int_equal(code, 0);
    close(ends[0]);
    close(ends[1]);
    expect("hdf5-test.h5: is marked as open for writing");
    expect("'h5clear -s hdf5-test.h5'");
}

static void test_writers(void **state)
{
    check_writer(H5F_ACC_RDWR, true, "hdf5-test.h5: another program has it open for writing");
    assert_int_equal(set_up(state), 0);
    check_writer(H5F_ACC_RDWR, false, "'h5clear -s hdf5-test.h5'");
    assert_int_equal(set_up(state), 0);
    /* A SWMR writer keeps no lock. */
    check_writer(H5F_ACC_RDWR | H5F_ACC_SWMR_WRITE, true, "'h5clear -s hdf5-test.h5'");
}

/* Damage stays damage, and a reader elsewhere is no obstacle. */
static void test_others(void **state)
{
    (void)state;
    pd_hdf5 file;
    int ends[2];
    pid_t child = write_elsewhere(H5F_ACC_RDONLY, true, ends);
    expect(NULL);
    assert_int_equal(write(ends[1], "x", 1), 1);
    waitpid(child, NULL, 0);
    close(ends[0]);
    close(ends[1]);
    assert_int_equal(truncate(path, 40), 0);
    assert_int_equal(pd_hdf5_open(&file, path, "pack again"), PD_FAILED);
    assert_string_equal(pd_error_message(), "hdf5-test.h5: is damaged or cut short; pack again");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup(test_writers, set_up),
                                       cmocka_unit_test_setup(test_others, set_up)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
