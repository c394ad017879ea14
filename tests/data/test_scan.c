/* Finding the images of a folder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "data/scan.h"
#include "pneumo/base/log.h"
#include "pneumo/io/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char root[64];

static int enter_folder(void **state)
{
    (void)state;
    pd_log_set_quiet(true);
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
    assert_int_equal(pd_scan_folder(&scan, &(pd_scan_options){.folder = root}), PD_OK);
    assert_int_equal(scan.count, 8);
    assert_int_equal(scan.left_out, 4);
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

/* Creates a file with these first bytes. */
static void add_bytes(const char *below, const char *bytes)
{
    char path[256];
    add(below);
    snprintf(path, sizeof path, "%s/%s", root, below);
    assert_int_equal(pd_file_write(path, bytes, strlen(bytes)), PD_OK);
}

/* Scans the folder and compares the samples' names, labels ('N' or 'P') and folds ('t', 'v', 'e').
 */
static void expect_scan(const pd_scan_options *options, const char *const *wanted, int64_t count,
                        int64_t left_out)
{
    pd_scan scan;
    if (pd_scan_folder(&scan, options) != PD_OK)
        fail_msg("%s", pd_error_message());
    assert_int_equal(scan.count, count);
    assert_int_equal(scan.left_out, left_out);
    for (int64_t i = 0; i < count; i++) {
        char text[256];
        const pd_sample *sample = &scan.samples[i];
        snprintf(text, sizeof text, "%c%c %s", "NP"[sample->label], "tve"[sample->fold],
                 sample -> name);
        assert_string_equal(text, wanted[i]);
    }
    pd_scan_free(&scan);
}

static void images_are_known_by_content(void **state)
{
    (void)state;
    add_bytes("NORMAL/I0000001", "\xff\xd8\xff\xe0 JPEG");
    add_bytes("NORMAL/b.jfif", "\xff\xd8\xff\xe1 JPEG");
    add_bytes("NORMAL/c.dat", "\x89PNG\r\n\x1a\n");
    add_bytes("NORMAL/notes", "text");
    add("NORMAL/empty");
    add("PNEUMONIA/d.jpg");
    static const char *const wanted[] = {"Nt NORMAL/I0000001", "Nt NORMAL/b.jfif",
                                         "Nt NORMAL/c.dat", "Pt PNEUMONIA/d.jpg"};
    expect_scan(&(pd_scan_options){.folder = root}, wanted, 4, 2);
}

static void other_names_of_folders_are_known(void **state)
{
    (void)state;
    add("Training/normal/a.png");
    add("Training/Pneumonia/b.png");
    add("validation/0/c.png");
    add("validation/1/d.png");
    add("TEST/NORMAL/e.png");
    add("TEST/pneumonia/f.png");
    static const char *const wanted[] = {"Ne TEST/NORMAL/e.png",        "Pe TEST/pneumonia/f.png",
                                         "Pt Training/Pneumonia/b.png", "Nt Training/normal/a.png",
                                         "Nv validation/0/c.png",       "Pv validation/1/d.png"};
    expect_scan(&(pd_scan_options){.folder = root}, wanted, 6, 0);
}

static void given_folders_are_taken(void **state)
{
    (void)state;
    add("Normal/images/a.png");
    add("Normal/masks/a.png");
    add("Viral Pneumonia/images/b.png");
    add("COVID/images/c.png");
    add("Lung/d.png");
    pd_scan_options options = {
        .folder = root,
        .classes = {"Normal/images", "Viral Pneumonia/images/|COVID/images|NotThere"}};
    static const char *const wanted[] = {"Pt COVID/images/c.png", "Nt Normal/images/a.png",
                                         "Pt Viral Pneumonia/images/b.png"};
    options.allow_rest = true;
    expect_scan(&options, wanted, 3, 2);
}

static void subfolders_are_taken_on_request(void **state)
{
    (void)state;
    char from[128], to[128];
    add("NORMAL/a.png");
    add("NORMAL/patient1/study1/b.png");
    add("PNEUMONIA/c.png");
    snprintf(from, sizeof from, "%s/PNEUMONIA/loop", root);
    assert_int_equal(symlink("..", from), 0);
    snprintf(to, sizeof to, "%s/PNEUMONIA/gone.png", root);
    assert_int_equal(symlink("nowhere", to), 0);
    static const char *const wanted[] = {"Nt NORMAL/a.png", "Nt NORMAL/patient1/study1/b.png",
                                         "Pt PNEUMONIA/c.png"};
    static const char *const flat[] = {"Nt NORMAL/a.png", "Pt PNEUMONIA/c.png"};
    pd_scan_options options = {.folder = root, .allow_rest = true};
    expect_scan(&options, flat, 2, 3); /* b and the links */
    assert_int_equal(unlink(from), 0);
    options.recursive = true;
    options.allow_rest = false;
    expect_scan(&options, wanted, 3, 1);
}

/* Of images, a third may not be left out; hidden and other files, and a copy of the whole, may. */
static void a_third_left_out_is_an_error(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        char name[64];
        snprintf(name, sizeof name, "NORMAL/%d.png", i);
        add(name);
        snprintf(name, sizeof name, "PNEUMONIA/%d.png", i);
        add(name);
        snprintf(name, sizeof name, "inner/PNEUMONIA/%d.png", i);
        add(name);
        snprintf(name, sizeof name, "inner/NORMAL/%d.png", i);
        add(name);
        snprintf(name, sizeof name, "NORMAL/._%d.png", i);
        add(name);
        snprintf(name, sizeof name, "__MACOSX/NORMAL/%d.png", i);
        add(name);
        snprintf(name, sizeof name, "NORMAL/%d.txt", i);
        add(name);
        snprintf(name, sizeof name, "COVID19/%d.%s", i, i % 2 ? "png" : "tiff");
        if (i < 4)
            add(name);
    }
    pd_scan scan;
    const pd_scan_options options = {.folder = root};
    assert_int_equal(pd_scan_folder(&scan, &options), PD_OK);
    assert_int_equal(scan.count, 10);
    assert_int_equal(scan.left_out, 29);
    pd_scan_free(&scan);
    add("COVID19/5.webp");
    assert_int_equal(pd_scan_folder(&scan, &options), PD_FAILED);
    assert_non_null(strstr(pd_error_message(), "5 of 15 images would be left out"));
    pd_scan_free(&scan);
    assert_int_equal(pd_scan_folder(&scan, &(pd_scan_options){.folder = root, .allow_rest = true}),
                     PD_OK);
    pd_scan_free(&scan);
}

/* Folders of classes and folds are found among any number of others. */
static void many_folders_hide_none(void **state)
{
    (void)state;
    for (int i = 0; i < 600; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s%03d", root, i % 2 ? "A" : "z", i);
        assert_int_equal(pd_folder_make(path), PD_OK);
    }
    add("NORMAL/a.png");
    add("PNEUMONIA/b.png");
    static const char *const wanted[] = {"Nt NORMAL/a.png", "Pt PNEUMONIA/b.png"};
    expect_scan(&(pd_scan_options){.folder = root}, wanted, 2, 0);
}

/* A second copy of the folder has the same bytes, not only the same names and sizes. */
static void a_second_copy_is_compared(void **state)
{
    (void)state;
    char name[64], bytes[40000];
    memset(bytes, 'x', sizeof bytes);
    bytes[sizeof bytes - 1] = '\0';
    for (int i = 0; i < 8; i++)
        for (int label = 0; label < PD_LABELS; label++)
            for (int copy = 0; copy < 2; copy++) {
                snprintf(name, sizeof name, "%s%s/%d.png", copy ? "2019/" : "",
                         pd_label_names[label], i);
                add_bytes(name, bytes);
            }
    pd_scan scan;
    const pd_scan_options options = {.folder = root};
    assert_int_equal(pd_scan_folder(&scan, &options), PD_OK);
    assert_int_equal(scan.count, 16);
    assert_int_equal(scan.left_out, 16);
    pd_scan_free(&scan);
    bytes[sizeof bytes - 2] = 'y';
    for (int i = 0; i < 8; i++) {
        snprintf(name, sizeof name, "2019/NORMAL/%d.png", i);
        add_bytes(name, bytes);
    }
    assert_int_equal(pd_scan_folder(&scan, &options), PD_FAILED);
    assert_non_null(strstr(pd_error_message(), "8 of 24 images would be left out"));
    pd_scan_free(&scan);
}

static void classes_without_folds_are_found(void **state)
{
    (void)state;
    add("NORMAL/a.png");
    add("PNEUMONIA/b.png");
    pd_scan scan;
    assert_int_equal(pd_scan_folder(&scan, &(pd_scan_options){.folder = root}), PD_OK);
    assert_int_equal(scan.count, 2);
    assert_false(scan.has_folds);
    assert_string_equal(scan.samples[1].name, "PNEUMONIA/b.png");
    pd_scan_free(&scan);
}

static void refuse(const char *folder, const char *words)
{
    pd_scan scan;
    assert_int_equal(pd_scan_folder(&scan, &(pd_scan_options){.folder = folder}), PD_FAILED);
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

static void what_may_be_meant_is_suggested(void **state)
{
    (void)state;
    char words[128];
    add("chest_xray/train/NORMAL/a.png");
    add("chest_xray/train/PNEUMONIA/a.png");
    snprintf(words, sizeof words, "but %s/chest_xray does: pack that", root);
    refuse(root, words);
    snprintf(words, sizeof words, "%s/chest_xray/train", root);
    add("chest_xray/train/normal/b.png");
    refuse(words, "two folders of the class NORMAL: NORMAL and normal; --normal 'NORMAL|normal'");
    add("chest_xray/Train/NORMAL/b.png");
    add("chest_xray/Train/PNEUMONIA/b.png");
    snprintf(words, sizeof words, "%s/chest_xray", root);
    refuse(words, "two folders of the fold TRAIN, Train and train");
    add("other/COVID/a.png");
    add("other/healthy/a.png");
    snprintf(words, sizeof words, "%s/other", root);
    refuse(words, "its folders are 'COVID', 'healthy' (--normal NAME");
    add("third/NORMAL/a.png");
    add("third/Pneumonia-Bacterial/a.png");
    snprintf(words, sizeof words, "%s/third", root);
    refuse(words,
           "third/PNEUMONIA is missing; each class needs a folder, NORMAL and PNEUMONIA; its "
           "folders are 'NORMAL', 'Pneumonia-Bacterial'");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, enter_folder, leave_folder)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_published_layout_is_found, enter_folder, leave_folder),
        cmocka_unit_test_setup_teardown(classes_without_folds_are_found, enter_folder,
                                        leave_folder),
        TEST(what_is_missing_is_named),
        TEST(images_are_known_by_content),
        TEST(other_names_of_folders_are_known),
        TEST(given_folders_are_taken),
        TEST(subfolders_are_taken_on_request),
        TEST(a_third_left_out_is_an_error),
        TEST(many_folders_hide_none),
        TEST(a_second_copy_is_compared),
        TEST(what_may_be_meant_is_suggested),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
