#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pneumo/train/run.h"

#include "io/files.h"

#define FOLDER "train-run-folder"

static void check(bool accepted, const char *message)
{
    assert_int_equal(pd_run_check_folder(FOLDER), accepted ? PD_OK : PD_FAILED);
    if (!accepted)
        assert_message(message);
}

static void put(const char *name)
{
    char path[128];
    snprintf(path, sizeof path, FOLDER "/%s", name);
    spill(path, (const unsigned char *)"x", 1);
}

static void test_foreign_folder(void **state)
{
    (void)state;
    assert_int_equal(pd_run_check_folder("train-run-none"), PD_OK);
    fresh_folder(FOLDER);
    check(true, NULL);
    put(".hidden");
    put("train.log");
    put("job.ini");
    check(true, NULL);
    put("b.jpeg");
    check(false,
          FOLDER ": is not the folder of a run: it contains b.jpeg; give a new or empty folder");
    put("a.jpeg");
    check(false, "it contains a.jpeg;");
    /* Without a file of a run, even its best model may be somebody's own. */
    put("best.h5");
    check(false, "it contains a.jpeg;");
}

/* Also what a process leaves that is killed in its first write. */
static void test_folder_of_a_run(void **state)
{
    (void)state;
    const char *const names[] = {
        "status.csv", "status.csv.host-12.tmp", "last.h5", "previous.h5", "run.lock", "cross-3",
        "cross.csv"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        fresh_folder(FOLDER);
        put("notes");
        check(false, "it contains notes;");
        put(names[i]);
        check(true, NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_foreign_folder),
        cmocka_unit_test(test_folder_of_a_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
