/* Probing a folder's disk. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pneumo/io/file.h"
#include "pneumo/io/storage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <unistd.h>

static char folder[] = "storage-XXXXXX";
static bool has_flock, has_record_locks;

/* Stand for those of the C library, to fail as on file systems without locks. */
int flock(int file, int operation)
{
    if (!has_flock)
        errno = ENOSYS;
    return has_flock ? (int)syscall(SYS_flock, file, operation) : -1;
}

int fcntl(int file, int command, ...)
{
    va_list arguments;
    va_start(arguments, command);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    if (command == F_OFD_SETLK && !has_record_locks) {
        errno = ENOLCK;
        return -1;
    }
    return (int)syscall(SYS_fcntl, file, command, argument);
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) != NULL ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return pd_folder_remove(folder) == PD_OK ? 0 : -1;
}

/* The probe is for the locks that runs take: network file systems can have one kind only. */
static void locks_are_those_of_runs(void **state)
{
    (void)state;
    pd_storage storage;
    for (int i = 0; i < 4; i++) {
        has_flock = i & 1;
        has_record_locks = i & 2;
        assert_int_equal(pd_storage_try(&storage, folder, 1), PD_OK);
        assert_int_equal(storage.locks, has_record_locks);
        assert_true(storage.free_bytes > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(locks_are_those_of_runs)};
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
