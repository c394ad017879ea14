#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "exchange/event_file_internal.h"
#include "pneumo/exchange/event_file.h"
#include "pneumo/io/file.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* tests/exchange/test_tensorboard.sh reads such files with TensorBoard. */

static const char path[] = "events.out.tfevents.test";

static void check_ok(pd_status status)
{
    if (status != PD_OK)
        fail_msg("%s", pd_error_message());
}

static void append(int64_t step, double loss)
{
    const pd_event_scalar scalars[] = {{"loss", loss}, {"none", NAN}, {"twice", 2 * loss}};
    check_ok(pd_event_file_append(path, step, scalars, 3));
}

static unsigned char *read_all(size_t *size)
{
    unsigned char *bytes = NULL;
    check_ok(pd_file_read(&bytes, size, path, 1 << 20));
    return bytes;
}

static void write_all(const unsigned char *bytes, size_t size)
{
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    assert_int_equal(fwrite(bytes, 1, size, out), size);
    fclose(out);
}

/* RFC 3720, appendix B.4, and the usual check value. */
static void test_checksum(void **state)
{
    (void)state;
    unsigned char bytes[32] = {0};
    assert_int_equal(pd_event_file_checksum(bytes, 32), 0x8a9136aa);
    memset(bytes, 0xff, 32);
    assert_int_equal(pd_event_file_checksum(bytes, 32), 0x62a8ab43);
    for (int i = 0; i < 32; i++)
        bytes[i] = (unsigned char)i;
    assert_int_equal(pd_event_file_checksum(bytes, 32), 0x46dd794e);
    assert_int_equal(pd_event_file_checksum("123456789", 9), 0xe3069283);
}

/* The first record of a file that TensorFlow writes, but for its time. */
static void test_layout(void **state)
{
    (void)state;
    int64_t step = 5;
    size_t size;
    unlink(path);
    check_ok(pd_event_file_continue(&step, path, 0));
    assert_int_equal(step, 0);
    unsigned char *bytes = read_all(&size);
    assert_int_equal(size, 12 + 24 + 4);
    assert_memory_equal(bytes, "\x18\0\0\0\0\0\0\0\xa3\x7f\x4b\x22\x09", 13);
    assert_memory_equal(bytes + 21,
                        "\x1a\x0d"
                        "brain.Event:2",
                        15);
    free(bytes);
    append(1, 0.5);
    bytes = read_all(&size);
    /* Tag 10 step, tag 42 summary with two values: the undefined one is not there. */
    const unsigned char *event = bytes + 40 + 12;
    assert_memory_equal(event + 9, "\x10\x01\x2a", 3);
    assert_memory_equal(event + 13, "\x0a\x0b\x0a\x04loss\x15\0\0\0\x3f", 13);
    assert_memory_equal(event + 26, "\x0a\x0c\x0a\x05twice\x15\0\0\x80\x3f", 14);
    assert_int_equal(size, 40 + 12 + 40 + 4);
    free(bytes);
}

/* Cut anywhere, the whole records before the cut stay; continued, the file is as if it never was.
 */
static void test_cut_anywhere(void **state)
{
    (void)state;
    size_t ends[5], size;
    int64_t step;
    unlink(path);
    check_ok(pd_event_file_continue(&step, path, 0));
    for (int i = 0; i < 5; i++) {
        if (i > 0)
            append(i, 1.0 / i);
        unsigned char *bytes = read_all(&ends[i]);
        free(bytes);
    }
    unsigned char *whole = read_all(&size);
    for (size_t cut = 0; cut <= size; cut++) {
        int64_t expected = 0;
        for (int i = 0; i < 5; i++)
            expected = ends[i] <= cut ? i : expected;
        write_all(whole, cut);
        check_ok(pd_event_file_continue(&step, path, 4));
        assert_int_equal(step, expected);
        size_t left;
        unsigned char *bytes = read_all(&left);
        assert_int_equal(left, ends[expected]);
        if (cut >= ends[0])
            assert_memory_equal(bytes, whole, left);
        free(bytes);
    }
    /* Any damaged byte ends what is kept before its record. */
    for (size_t at = 0; at < size; at++) {
        int64_t expected = 0;
        for (int i = 0; i < 5; i++)
            expected = ends[i] <= at ? i : expected;
        whole[at] ^= 0x10;
        write_all(whole, size);
        whole[at] ^= 0x10;
        check_ok(pd_event_file_continue(&step, path, 4));
        assert_int_equal(step, expected);
    }
    /* Steps that are to be written again. */
    for (int last = 0; last <= 5; last++) {
        write_all(whole, size);
        check_ok(pd_event_file_continue(&step, path, last));
        assert_int_equal(step, last < 4 ? last : 4);
    }
    free(whole);
}

static void test_foreign_file(void **state)
{
    (void)state;
    int64_t step;
    size_t size;
    unsigned char junk[4096];
    for (size_t i = 0; i < sizeof junk; i++)
        junk[i] = (unsigned char)(i * i >> 3);
    write_all(junk, sizeof junk);
    check_ok(pd_event_file_continue(&step, path, 9));
    assert_int_equal(step, 0);
    unsigned char *bytes = read_all(&size);
    assert_int_equal(size, 40);
    free(bytes);
    assert_int_equal(pd_event_file_continue(&step, "no/such/file", 0), PD_FAILED);
    assert_non_null(strstr(pd_error_message(), "no/such/file: cannot open"));
}

/* On a full disk the file keeps the records that it had. */
static void test_full(void **state)
{
    (void)state;
    struct rlimit before, limit;
    int64_t step;
    size_t size;
    unlink(path);
    check_ok(pd_event_file_continue(&step, path, 0));
    append(1, 1);
    free(read_all(&size));
    getrlimit(RLIMIT_FSIZE, &before);
    limit = before;
    limit.rlim_cur = size + 20;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
    const pd_event_scalar scalar = {"loss", 1};
    pd_status status = pd_event_file_append(path, 2, &scalar, 1);
    setrlimit(RLIMIT_FSIZE, &before);
    assert_int_equal(status, PD_FAILED);
    assert_non_null(strstr(pd_error_message(), "events.out.tfevents.test: cannot write"));
    size_t after;
    free(read_all(&after));
    assert_int_equal(after, size);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_checksum),     cmocka_unit_test(test_layout),
        cmocka_unit_test(test_cut_anywhere), cmocka_unit_test(test_foreign_file),
        cmocka_unit_test(test_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
