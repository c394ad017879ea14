/* Files that cannot be read; tests/cli/test_calibrate.sh tests what is listed. */
#include "pneumo/data/evidence.h"
#include "pneumo/evaluate/labelled.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "io/files.h"

#define DAMAGED "damaged.png"
#define MISSING "missing.png"

/* A damaged file and a missing one have a line each; a system that fails ends the command. */
static void test_unreadable_files(void **state)
{
    (void)state;
    const char *damaged[] = {DAMAGED}, *missing[] = {MISSING};
    pd_score samples[] = {{.id = 0}, {.id = 1, .positive = 1}};
    const pd_labelled labelled = {
        .files = {{.paths = damaged, .count = 1}, {.paths = missing, .count = 1}},
        .samples = samples,
        .count = 2,
        .height = 4,
        .width = 4};
    uint8_t images[2 * 4 * 4];
    char *failed[2];
    struct rlimit before;
    assert_int_equal(pd_file_write(DAMAGED, "no image", 8), PD_OK);
    assert_int_equal(pd_labelled_read(&labelled, 0, 2, 2, images, failed), PD_OK);
    assert_int_equal(strncmp(failed[0], DAMAGED ": ", strlen(DAMAGED ": ")), 0);
    assert_int_equal(strncmp(failed[1], MISSING ": ", strlen(MISSING ": ")), 0);
    free(failed[0]);
    free(failed[1]);
    pd_evidence evidence;
    assert_int_equal(pd_evidence_read(&evidence, DAMAGED), PD_OK);
    assert_false(evidence.is_read);

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    const struct rlimit none = {.rlim_cur = 0, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    pd_status sought = pd_evidence_read(&evidence, DAMAGED);
    pd_status status = pd_labelled_read(&labelled, 0, 2, 2, images, failed);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(sought, PD_FAILED);
    assert_int_equal(status, PD_FAILED);
    assert_message(DAMAGED ": cannot open: Too many open files");
    free(failed[0]);
    free(failed[1]);
    unlink(DAMAGED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unreadable_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
