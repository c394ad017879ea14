/* Members of ZIP files, intact and damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "exchange/archive.h"
#include "pneumo/io/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char path[] = "archive-XXXXXX";
static const char text[] = "weights that nobody checks otherwise";

static int make_file(void **state)
{
    (void)state;
    int file = mkstemp(path);
    return file < 0 ? -1 : close(file);
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(path);
}

/* Writes an archive with one member, one bit of which is flipped unless `at` is -1. */
static void write_archive(int at)
{
    const pd_archive_member member = {.name = "member", .bytes = text, .size = sizeof text};
    void *bytes;
    size_t size;
    assert_int_equal(pd_archive_make(&bytes, &size, path, &member, 1), PD_OK);
    unsigned char *found = memmem(bytes, size, text, sizeof text);
    assert_non_null(found); /* stored without compression */
    if (at >= 0)
        found[at] ^= 0x10;
    assert_int_equal(pd_file_write(path, bytes, size), PD_OK);
    free(bytes);
}

static pd_status read_member(unsigned char **bytes, size_t *size, const char *name)
{
    pd_archive *archive;
    assert_int_equal(pd_archive_open(&archive, path), PD_OK);
    pd_status status = pd_archive_read(bytes, size, archive, name);
    pd_archive_close(&archive);
    return status;
}

static void an_intact_member_is_read(void **state)
{
    (void)state;
    unsigned char *bytes;
    size_t size;
    write_archive(-1);
    assert_int_equal(read_member(&bytes, &size, "member"), PD_OK);
    assert_int_equal(size, sizeof text);
    assert_memory_equal(bytes, text, sizeof text);
    assert_int_equal(bytes[size], 0);
    free(bytes);
    assert_int_equal(read_member(&bytes, &size, "other"), PD_FAILED);
    assert_null(bytes);
}

static void a_flipped_bit_is_found(void **state)
{
    (void)state;
    static const int places[] = {0, 7, sizeof text - 1};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        unsigned char *bytes;
        size_t size;
        write_archive(places[i]);
        assert_int_equal(read_member(&bytes, &size, "member"), PD_FAILED);
        assert_non_null(strstr(pd_error_message(), "'member' is damaged in the ZIP file"));
        assert_null(bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_intact_member_is_read),
        cmocka_unit_test(a_flipped_bit_is_found),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
