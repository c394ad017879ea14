/* Finding the images of a folder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "data/scan.h"
#include "pneumo/io/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char root[64];

static int enter_folder(void **state)
{
    (void)state;
    strcpy(root, "scan-XXXXXX");
    return mkdtemp(root) ? 0 : -1;
}

static int leave_folder(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    return system(command);
}

/* Creates an empty file, since scanning only looks at names. */
static void add(const char *below)
{
    char path[256], folder[256];
    snprintf(path, sizeof path, "%s/%s", root, below);
    snprintf(folder, sizeof folder, "%s", path);
    *strrchr(folder, '/') = '\0';
    assert_int_equal(pd_folder_make(folder), PD_OK);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fclose(file);
}

static void the_published_layout_is_found(void **state)
{
    (void)state;
    add("train/NORMAL/IM-0115-0001.jpeg");
    add("train/NORMAL/IM-0115-0002.JPG");
    add("train/NORMAL/NORMAL2-IM-0115-0001.jpeg");
    add("train/NORMAL/.DS_Store");
    add("train/NORMAL/.hidden.jpeg");
    add("train/NORMAL/notes.txt");
    add("train/NORMAL/sub.png/inner.png"); /* a folder despite its name */
    add("train/PNEUMONIA/person115_bacteria_1.jpeg");
    add("train/PNEUMONIA/person115_virus_1.jpeg");
    add("train/PNEUMONIA/IM-0007-0001.png");
    add("test/NORMAL/IM-0115-0009.jpeg");
    add("test/PNEUMONIA/odd.PNG");
    pd_scan scan;
    assert_int_equal(pd_scan_folder(&scan, root), PD_OK);
    assert_int_equal(scan.count, 8);
    assert_int_equal(scan.skipped, 4);
    assert_true(scan.has_folds);
    static const struct {
        const char *name;
        pd_label label;
        pd_fold fold;
    } wanted[8] = {
        {"test/NORMAL/IM-0115-0009.jpeg", PD_NORMAL, PD_TEST},
        {"test/PNEUMONIA/odd.PNG", PD_PNEUMONIA, PD_TEST},
        {"train/NORMAL/IM-0115-0001.jpeg", PD_NORMAL, PD_TRAIN},
        {"train/NORMAL/IM-0115-0002.JPG", PD_NORMAL, PD_TRAIN},
        {"train/NORMAL/NORMAL2-IM-0115-0001.jpeg", PD_NORMAL, PD_TRAIN},
        {"train/PNEUMONIA/IM-0007-0001.png", PD_PNEUMONIA, PD_TRAIN},
        {"train/PNEUMONIA/person115_bacteria_1.jpeg", PD_PNEUMONIA, PD_TRAIN},
        {"train/PNEUMONIA/person115_virus_1.jpeg", PD_PNEUMONIA, PD_TRAIN},
    };
    for (int i = 0; i < 8; i++) {
        assert_string_equal(scan.samples[i].name, wanted[i].name);
        assert_int_equal(scan.samples[i].label, wanted[i].label);
        assert_int_equal(scan.samples[i].fold, wanted[i].fold);
    }
    pd_scan_free(&scan);
}

static void classes_without_folds_are_found(void **state)
{
    (void)state;
    add("NORMAL/a.png");
    add("PNEUMONIA/b.png");
    pd_scan scan;
    assert_int_equal(pd_scan_folder(&scan, root), PD_OK);
    assert_int_equal(scan.count, 2);
    assert_false(scan.has_folds);
    assert_string_equal(scan.samples[1].name, "PNEUMONIA/b.png");
    pd_scan_free(&scan);
}

static void refuse(const char *folder, const char *words)
{
    pd_scan scan;
    assert_int_equal(pd_scan_folder(&scan, folder), PD_FAILED);
    if (!strstr(pd_error_message(), words))
        fail_msg("'%s' does not say '%s'", pd_error_message(), words);
    pd_scan_free(&scan);
}

static void what_is_missing_is_named(void **state)
{
    (void)state;
    char path[128];
    refuse("no-such-folder", "there is no folder no-such-folder");
    refuse(root, "contains none of the folders");
    add("train/NORMAL/a.png");
    refuse(root, "train/PNEUMONIA is missing");
    add("train/PNEUMONIA/notes.txt");
    refuse(root, "train/PNEUMONIA contains no .jpeg, .jpg, .png, .dcm or .dicom files");
    add("train/PNEUMONIA/b.jpeg");
    add("NORMAL/c.png");
    refuse(root, "both folds");
    snprintf(path, sizeof path, "%s/NORMAL/c.png", root);
    refuse(path, "is not a folder");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_published_layout_is_found, enter_folder, leave_folder),
        cmocka_unit_test_setup_teardown(classes_without_folds_are_found, enter_folder,
                                        leave_folder),
        cmocka_unit_test_setup_teardown(what_is_missing_is_named, enter_folder, leave_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
