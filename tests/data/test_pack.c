/* Packing a small synthetic folder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "data/draft.h"
#include "data/image_internal.h"
#include "data/phantom.h"
#include "pneumo/base/log.h"
#include "pneumo/base/memory.h"
#include "pneumo/data/pack.h"
#include "pneumo/data/synth.h"
#include "pneumo/io/file.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { IMAGES = 40, SIZE = 24 };

static char drawn[] = "drawn-XXXXXX"; /* the synthetic folder that is copied for each test */
static char root[64], folder[128], output[128];

static int draw_folder(void **state)
{
    (void)state;
    pd_log_set_quiet(true);
    if (!mkdtemp(drawn))
        return -1;
    pd_synth_options options = PD_SYNTH_DEFAULTS;
    options.folder = drawn;
    options.images = IMAGES;
    return pd_synth(&options) == PD_OK ? 0 : -1;
}

static int remove_folder(const char *path)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", path);
    return system(command);
}

static int leave_drawn(void **state)
{
    (void)state;
    return remove_folder(drawn);
}

static int enter_copy(void **state)
{
    (void)state;
    char command[256];
    strcpy(root, "pack-XXXXXX");
    if (!mkdtemp(root))
        return -1;
    snprintf(folder, sizeof folder, "%s/images", root);
    snprintf(output, sizeof output, "%s/set.h5", root);
    snprintf(command, sizeof command, "cp -r '%s' '%s'", drawn, folder);
    return system(command);
}

static int leave_copy(void **state)
{
    (void)state;
    return remove_folder(root);
}

static pd_pack_options make_options(void)
{
    pd_pack_options options = PD_PACK_DEFAULTS;
    options.folder = folder;
    options.output = output;
    options.size = SIZE;
    options.threads = 2;
    memcpy(options.folds.ratio, (int[]){60, 20, 20}, sizeof options.folds.ratio);
    options.folds.shares = PD_SHARES_STRATIFIED;
    return options;
}

/* Writes bytes, or a copy of the file `from`, to folder/below. */
static void put(const char *below, const char *from)
{
    char path[256], source[256];
    unsigned char *bytes;
    size_t size;
    snprintf(path, sizeof path, "%s/%s", folder, below);
    if (from) {
        snprintf(source, sizeof source, "%s/%s", folder, from);
        assert_int_equal(pd_file_read(&bytes, &size, source, 1 << 20), PD_OK);
        assert_int_equal(pd_file_write(path, bytes, size), PD_OK);
        free(bytes);
    } else {
        assert_int_equal(pd_file_write(path, "no image", 8), PD_OK);
    }
}

static int entries_in_root(void)
{
    DIR *directory = opendir(root);
    int count = 0;
    assert_non_null(directory);
    while (readdir(directory))
        count++;
    closedir(directory);
    return count - 2;
}

static void refuse(const pd_pack_options *options, const char *words)
{
    pd_pack_result result;
    assert_int_equal(pd_pack(options, &result), PD_FAILED);
    if (!strstr(pd_error_message(), words))
        fail_msg("'%s' does not say '%s'", pd_error_message(), words);
    /* Only the folder of images is left: no output and no temporary file. */
    assert_int_equal(entries_in_root(), 1);
}

static void the_file_contains_the_folder(void **state)
{
    (void)state;
    pd_pack_options options = make_options();
    pd_pack_result result;
    pd_dataset *dataset = NULL;
    assert_int_equal(pd_pack(&options, &result), PD_OK);
    assert_int_equal(entries_in_root(), 2);
    assert_int_equal(pd_dataset_open(&dataset, output), PD_OK);
    const pd_dataset_info *info = pd_dataset_get_info(dataset);
    const pd_sample *samples = pd_dataset_samples(dataset);
    assert_int_equal(info->count, IMAGES);
    assert_int_equal(info->height, SIZE);
    assert_string_equal(info->digest, result.info.digest);
    assert_int_equal(strlen(info->digest), 32);

    double sum = 0, squares = 0, pixels = 0;
    int64_t seen[PD_FOLDS][PD_LABELS] = {{0}};
    for (int64_t i = 0; i < IMAGES; i++) {
        uint8_t packed[SIZE * SIZE], direct[SIZE * SIZE];
        char path[512];
        pd_image image;
        snprintf(path, sizeof path, "%s/%s", folder, samples[i].name);
        assert_int_equal(pd_image_read(&image, path), PD_OK);
        assert_int_equal(pd_image_resize(direct, SIZE, SIZE, &image), PD_OK);
        assert_int_equal(samples[i].height, image.height);
        assert_int_equal(samples[i].width, image.width);
        pd_image_free(&image);
        assert_int_equal(pd_dataset_read(dataset, &i, 1, packed), PD_OK);
        assert_memory_equal(packed, direct, sizeof packed);
        assert_int_equal(samples[i].label, strstr(samples[i].name, "/NORMAL/") == NULL);
        seen[samples[i].fold][samples[i].label]++;
        for (int p = 0; samples[i].fold == PD_TRAIN && p < SIZE * SIZE; p++) {
            sum += packed[p];
            squares += packed[p] * packed[p];
            pixels++;
        }
    }
    assert_memory_equal(seen, info->counts, sizeof seen);
    assert_true(fabs(info->mean - sum / pixels) < 1e-9);
    assert_true(fabs(info->deviation - sqrt(squares / pixels - info->mean * info->mean)) < 1e-9);
    pd_dataset_destroy(&dataset);
}

/* Packs the folder with an additional image of one grey and checks its shape in the file. */
static void pack_with_blank(char *digest, int height, int width)
{
    pd_pack_options options = make_options();
    pd_pack_result result;
    pd_dataset *dataset = NULL;
    char path[256];
    uint8_t pixels[60 * 60];
    memset(pixels, 77, sizeof pixels);
    snprintf(path, sizeof path, "%s/train/NORMAL/IM-9000-0001.png", folder);
    pd_image image = {.height = height, .width = width, .pixels = pixels};
    assert_int_equal(pd_image_write_png(path, &image), PD_OK);
    assert_int_equal(pd_pack(&options, &result), PD_OK);
    assert_int_equal(pd_dataset_open(&dataset, output), PD_OK);
    const pd_sample *sample = pd_dataset_samples(dataset);
    while (!strstr(sample->name, "IM-9000-0001"))
        sample++;
    assert_int_equal(sample->height, height);
    assert_int_equal(sample->width, width);
    pd_shapes shapes;
    assert_int_equal(pd_shapes_compare(&shapes, pd_dataset_samples(dataset), result.info.count),
                     PD_OK);
    assert_true(result.shapes.known && !result.shapes.same);
    for (int measure = 0; measure < PD_SHAPE_MEASURES; measure++)
        assert_true(result.shapes.separations[measure].auc == shapes.separations[measure].auc);
    pd_dataset_destroy(&dataset);
    strcpy(digest, result.info.digest);
}

/* The digest depends on the shapes of the original images. */
static void shapes_are_kept_and_digested(void **state)
{
    (void)state;
    char digest[2][33];
    pack_with_blank(digest[0], 30, 50);
    pack_with_blank(digest[1], 50, 30);
    assert_string_not_equal(digest[0], digest[1]);
    pack_with_blank(digest[1], 30, 50);
    assert_string_equal(digest[0], digest[1]);
}

static void threads_do_not_change_a_byte(void **state)
{
    (void)state;
    pd_pack_options options = make_options();
    pd_pack_result result;
    unsigned char *bytes[2];
    size_t size[2];
    char digest[33];
    for (int i = 0; i < 2; i++) {
        options.threads = 1 + i;
        assert_int_equal(pd_pack(&options, &result), PD_OK);
        assert_int_equal(pd_file_read(&bytes[i], &size[i], output, 1 << 24), PD_OK);
    }
    assert_int_equal(size[0], size[1]);
    assert_memory_equal(bytes[0], bytes[1], size[0]);
    free(bytes[0]);
    free(bytes[1]);

    strcpy(digest, result.info.digest);
    options.folds.seed = 2;
    assert_int_equal(pd_pack(&options, &result), PD_OK);
    assert_string_not_equal(digest, result.info.digest);
}

static void duplicates_are_kept_once_and_join_patients(void **state)
{
    (void)state;
    pd_pack_options options = make_options();
    pd_pack_result result;
    /* The same bytes link bacteria 9001 to virus 9002, and virus 9002 to bacteria 9003. */
    put("train/PNEUMONIA/person9001_bacteria_1.jpeg", "train/PNEUMONIA/person1_bacteria_1.jpeg");
    put("train/PNEUMONIA/person9002_virus_1.jpeg", "train/PNEUMONIA/person1_bacteria_1.jpeg");
    put("train/PNEUMONIA/person9002_virus_2.jpeg", "train/PNEUMONIA/person1_virus_1.jpeg");
    put("train/PNEUMONIA/person9003_bacteria_1.jpeg", "train/PNEUMONIA/person1_virus_1.jpeg");
    assert_int_equal(pd_pack(&options, &result), PD_OK);
    assert_int_equal(result.info.duplicates, 4);
    assert_int_equal(result.info.count, IMAGES);

    pd_dataset *dataset = NULL;
    int32_t joined[2] = {-1, -2}, patients = 0;
    assert_int_equal(pd_dataset_open(&dataset, output), PD_OK);
    const pd_sample *samples = pd_dataset_samples(dataset);
    for (int i = 0; i < IMAGES; i++) {
        assert_null(strstr(samples[i].name, "person900"));
        for (int j = 0; j < 2; j++) {
            if (strstr(samples[i].name, j ? "/person1_virus_1." : "/person1_bacteria_1.")) {
                joined[j] = samples[i].patient;
                assert_int_equal(samples[i].cause, PD_CAUSE_UNKNOWN);
            }
        }
        assert_in_range(samples[i].patient, 0, patients);
        patients += samples[i].patient == patients;
    }
    assert_int_equal(joined[0], joined[1]);
    assert_int_equal(result.leaks, 0);
    pd_dataset_destroy(&dataset);
}

static void a_duplicate_under_two_labels_is_refused(void **state)
{
    (void)state;
    pd_pack_options options = make_options();
    put("train/NORMAL/IM-9000-0001.jpeg", "train/PNEUMONIA/person1_virus_1.jpeg");
    refuse(&options, "IM-9000-0001.jpeg");
    assert_non_null(strstr(pd_error_message(), "person1_virus_1.jpeg"));
    assert_non_null(strstr(pd_error_message(), "two labels"));
}

static void a_bad_image_is_named_or_left_out(void **state)
{
    (void)state;
    pd_pack_options options = make_options();
    pd_pack_result result;
    put("train/NORMAL/IM-9000-0001.jpeg", NULL);
    put("train/NORMAL/IM-9001-0001.jpeg", NULL); /* the same bytes: bad, but not a duplicate */
    refuse(&options, "images/train/NORMAL/IM-9000-0001.jpeg: not a JPEG, PNG or DICOM");
    assert_non_null(strstr(pd_error_message(), "--skip-bad"));
    options.skip_bad = true;
    assert_int_equal(pd_pack(&options, &result), PD_OK);
    assert_int_equal(result.bad, 2);
    assert_int_equal(result.info.duplicates, 0);
    assert_int_equal(result.info.count, IMAGES);
}

/* What fails for want of memory or file handles, or by the disk, may be a good image. A file whose
 * reading fails with EIO stands for all of them. */
static void what_the_system_fails_in_is_not_left_out(void **state)
{
    (void)state;
    char path[160];
    pd_pack_options options = make_options();
    pd_pack_result result;
    snprintf(path, sizeof path, "%s/train/NORMAL/IM-9000-0001.jpeg", options.folder);
    assert_int_equal(symlink("/proc/self/mem", path), 0);
    options.skip_bad = true;
    assert_int_equal(pd_pack(&options, &result), PD_FAILED);
    assert_non_null(strstr(pd_error_message(), "IM-9000-0001.jpeg: cannot read: "));
    assert_false(pd_file_exists(output));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(pd_pack(&options, &result), PD_OK);
    assert_int_equal(result.info.count, IMAGES);
}

/* After long work an error costs nothing: with the option that it names, packing continues. */
static void long_work_survives_an_error(void **state)
{
    (void)state;
    pd_pack_options options = make_options();
    pd_pack_result result;
    char part[160];
    unsigned char *bytes[2];
    size_t size[2];
    snprintf(part, sizeof part, "%s.part-0", output);
    put("train/PNEUMONIA/person9000_virus_1.jpeg", NULL);
    options.skip_bad = true;
    assert_int_equal(pd_pack(&options, &result), PD_OK);
    assert_int_equal(pd_file_read(&bytes[0], &size[0], output, 1 << 24), PD_OK);
    remove(output);
    options.skip_bad = false;
    options.keep_seconds = 0;
    assert_int_equal(pd_pack(&options, &result), PD_FAILED);
    assert_true(pd_file_exists(part));
    /* Kept again, since they are of an earlier run. */
    options.keep_seconds = 60;
    assert_int_equal(pd_pack(&options, &result), PD_FAILED);
    assert_true(pd_file_exists(part));
    options.skip_bad = true;
    assert_int_equal(pd_pack(&options, &result), PD_OK);
    assert_false(pd_file_exists(part));
    assert_int_equal(pd_file_read(&bytes[1], &size[1], output, 1 << 24), PD_OK);
    assert_int_equal(size[0], size[1]);
    assert_memory_equal(bytes[0], bytes[1], size[0]);
    free(bytes[0]);
    free(bytes[1]);
}

static void kept_folds_count_patients_in_two(void **state)
{
    (void)state;
    char from[256], to[256], name[256];
    pd_pack_options options = make_options();
    pd_pack_result result;
    options.folds.policy = PD_FOLDS_KEEP;
    snprintf(name, sizeof name, "%s/test/NORMAL", folder);
    assert_int_equal(pd_folder_make(name), PD_OK);
    snprintf(name, sizeof name, "%s/test/PNEUMONIA", folder);
    assert_int_equal(pd_folder_make(name), PD_OK);
    put("test/NORMAL/IM-9000-0001.jpeg", "train/NORMAL/IM-0001-0001.jpeg");
    /* Another image of patient virus 1, whose other images are in train. */
    snprintf(from, sizeof from, "%s/train/PNEUMONIA/person1_virus_1.jpeg", folder);
    snprintf(to, sizeof to, "%s/test/PNEUMONIA/person1_virus_777.jpeg", folder);
    assert_int_equal(rename(from, to), 0);
    put("train/PNEUMONIA/person1_virus_888.jpeg", "train/PNEUMONIA/person1_bacteria_1.jpeg");
    assert_int_equal(pd_pack(&options, &result), PD_OK);
    /* Of duplicates in test and train, the one in test is kept: it is the first by name. */
    assert_int_equal(result.info.counts[PD_TEST][PD_NORMAL], 1);
    assert_int_equal(result.info.counts[PD_TEST][PD_PNEUMONIA], 1);
    assert_int_equal(result.info.duplicates, 2);
    assert_true(result.leaks >= 1);
    assert_non_null(strstr(result.info.fold_policy, "in two folds"));
}

/* The patient and fold of every sample of the packed set. */
static void read_samples(pd_dataset **dataset, const pd_sample **samples)
{
    assert_int_equal(pd_dataset_open(dataset, output), PD_OK);
    *samples = pd_dataset_samples(*dataset);
}

/* Renames every image to that of one of ten patients a class, "p<class>-<number>.<index>". */
static void rename_to_ten_patients(void)
{
    char command[512];
    snprintf(command, sizeof command,
             "cd '%s/train' && for c in NORMAL PNEUMONIA; do i=0; for f in $c/*; do i=$((i+1)); "
             "mv $f $c/p-$c-$((i %% 10)).$i.jpeg; done; done",
             folder);
    assert_int_equal(system(command), 0);
}

static void unknown_patients_are_recorded(void **state)
{
    (void)state;
    pd_pack_options options = make_options();
    pd_pack_result result;
    pd_dataset *dataset = NULL;
    const pd_sample *samples;
    int64_t unknown;
    assert_int_equal(pd_pack(&options, &result), PD_OK);
    assert_int_equal(result.info.unknown_patients, 0);
    assert_string_equal(result.info.grouping, "patient by file name, duplicates as one");
    assert_non_null(strstr(result.info.fold_policy, "by patient, "));
    /* Duplicates are of one patient, whichever of them has a name that tells it. */
    put("train/NORMAL/A.jpeg", "train/NORMAL/IM-0001-0001.jpeg");
    put("train/PNEUMONIA/x.jpeg", "train/PNEUMONIA/person1_virus_1.jpeg");
    assert_int_equal(pd_pack(&options, &result), PD_OK);
    assert_int_equal(result.info.duplicates, 2);
    assert_int_equal(result.info.unknown_patients, 0);
    assert_string_equal(result.info.grouping, "patient by file name, duplicates as one");
    rename_to_ten_patients();
    assert_int_equal(pd_pack(&options, &result), PD_OK);
    assert_int_equal(result.info.duplicates, 2);
    assert_int_equal(result.info.unknown_patients, IMAGES);
    assert_non_null(strstr(result.info.grouping, "unknown, each image as one"));
    assert_non_null(strstr(result.info.fold_policy, "by group, "));
    read_samples(&dataset, &samples);
    assert_int_equal(pd_patients_unknown(&unknown, dataset), PD_OK);
    assert_int_equal(unknown, IMAGES);
    pd_dataset_destroy(&dataset);
}

static void a_pattern_names_the_patients(void **state)
{
    (void)state;
    pd_pack_options options = make_options();
    pd_pack_result result;
    pd_dataset *dataset = NULL;
    const pd_sample *samples;
    rename_to_ten_patients();
    options.patient_pattern = "/(p-[A-Z]+-[0-9])\\.";
    assert_int_equal(pd_pack(&options, &result), PD_OK);
    assert_int_equal(result.info.unknown_patients, 0);
    assert_string_equal(result.info.grouping, "patient by pattern, duplicates as one");
    read_samples(&dataset, &samples);
    for (int i = 0; i < IMAGES; i++) {
        for (int j = 0; j < i; j++) {
            const char *a = strrchr(samples[i].name, '/'), *b = strrchr(samples[j].name, '/');
            bool same = strcspn(a, ".") == strcspn(b, ".") && !strncmp(a, b, strcspn(a, "."));
            assert_int_equal(samples[i].patient == samples[j].patient, same);
            assert_true(!same || samples[i].fold == samples[j].fold);
        }
    }
    pd_dataset_destroy(&dataset);
    remove(output);
    options.patient_pattern = "(";
    assert_int_equal(pd_pack(&options, &result), PD_USAGE);
    assert_non_null(strstr(pd_error_message(), "pattern of patients '(' is not a regular"));
    options.patient_pattern = "subject([0-9]+)";
    refuse(&options, "'subject([0-9]+)' matches none of the paths, such as train/NORMAL/p-NORMAL-");
}

/* A name that is given is above all that files have. */
static void hidden_names_are_new(void **state)
{
    (void)state;
    static const char *const names[] = {"NORMAL/doe.dcm", "NORMAL/image-000000.dcm",
                                        "PNEUMONIA/image-8.dcm", "PNEUMONIA/doe.dcm",
                                        "image-99999999999999999999.dcm"};
    static const char *const wanted[] = {"NORMAL/image-000009.dcm", "NORMAL/image-000000.dcm",
                                         "PNEUMONIA/image-8.dcm", "PNEUMONIA/image-000012.dcm",
                                         "image-99999999999999999999.dcm"};
    enum { COUNT = sizeof names / sizeof *names };
    pd_sample samples[COUNT] = {{.label = PD_NORMAL}, [3] = {.label = PD_PNEUMONIA}};
    pd_draft drafts[COUNT] = {{.names_patient = true}, [3] = {.names_patient = true}};
    pd_scan scan = {.samples = samples, .count = COUNT};
    for (int i = 0; i < COUNT; i++) {
        drafts[i].slot = i;
        assert_int_equal(pd_strdup(&samples[i].name, names[i]), PD_OK);
    }
    assert_int_equal(pd_drafts_hide_names(&scan, drafts, COUNT), PD_OK);
    for (int i = 0; i < COUNT; i++) {
        assert_string_equal(samples[i].name, wanted[i]);
        free(samples[i].name);
    }
}

/* Stores a slightly brighter copy of folder/from, of another size, as folder/below. */
static void put_changed(const char *below, const char *from)
{
    char path[256];
    pd_image image, changed = {.height = 200, .width = 180};
    uint8_t pixels[200 * 180];
    snprintf(path, sizeof path, "%s/%s", folder, from);
    assert_int_equal(pd_image_read(&image, path), PD_OK);
    changed.pixels = pixels;
    assert_int_equal(pd_image_resize(pixels, changed.height, changed.width, &image), PD_OK);
    for (int i = 0; i < 200 * 180; i++)
        pixels[i] = (uint8_t)(pixels[i] < 230 ? pixels[i] * 1.1 : 253);
    pd_image_free(&image);
    snprintf(path, sizeof path, "%s/%s", folder, below);
    assert_int_equal(pd_image_write_jpeg(path, &changed, 60), PD_OK);
}

static int32_t patient_of(const pd_sample *samples, int64_t count, const char *name)
{
    for (int64_t i = 0; i < count; i++)
        if (strcmp(samples[i].name, name) == 0)
            return samples[i].patient;
    fail_msg("%s is not packed", name);
    return -1;
}

static void near_duplicates_join_patients(void **state)
{
    (void)state;
    pd_pack_options options = make_options();
    pd_pack_result result;
    pd_dataset *dataset = NULL;
    const pd_sample *samples;
    assert_int_equal(pd_pack(&options, &result), PD_OK);
    assert_int_equal(result.near_pairs, 0);
    put_changed("train/PNEUMONIA/person9001_bacteria_1.jpeg",
                "train/PNEUMONIA/person1_bacteria_1.jpeg");
    put_changed("train/PNEUMONIA/person1_virus_999.jpeg", "train/PNEUMONIA/person1_virus_1.jpeg");
    assert_int_equal(pd_pack(&options, &result), PD_OK);
    assert_int_equal(result.info.count, IMAGES + 2);
    assert_int_equal(result.info.duplicates, 0);
    assert_int_equal(result.near_pairs, 2);
    assert_int_equal(result.near_joined, 1);
    read_samples(&dataset, &samples);
    assert_int_equal(
        patient_of(samples, result.info.count, "train/PNEUMONIA/person9001_bacteria_1.jpeg"),
        patient_of(samples, result.info.count, "train/PNEUMONIA/person1_bacteria_1.jpeg"));
    pd_dataset_destroy(&dataset);

    /* In kept folds the pair is a leak. */
    char path[256];
    for (int label = 0; label < PD_LABELS; label++) {
        snprintf(path, sizeof path, "%s/test/%s", folder, pd_label_names[label]);
        assert_int_equal(pd_folder_make(path), PD_OK);
    }
    put("test/NORMAL/IM-9000-0001.jpeg", "train/NORMAL/IM-0001-0001.jpeg");
    put_changed("test/PNEUMONIA/person9002_virus_1.jpeg", "train/PNEUMONIA/person1_virus_1.jpeg");
    options.folds.policy = PD_FOLDS_KEEP;
    assert_int_equal(pd_pack(&options, &result), PD_OK);
    /* The same change gives the same bytes, so one of the two copies is an exact duplicate. */
    assert_int_equal(result.info.duplicates, 2);
    assert_int_equal(result.near_pairs, 2);
    assert_int_equal(result.leaks, 1);
}

static void the_output_folder_is_created(void **state)
{
    (void)state;
    pd_pack_options options = make_options();
    pd_pack_result result;
    char below[160];
    snprintf(below, sizeof below, "%s/new/folder/set.h5", root);
    options.output = below;
    assert_int_equal(pd_pack(&options, &result), PD_OK);
    assert_true(pd_file_exists(below));
}

static void invalid_options_are_refused(void **state)
{
    (void)state;
    pd_pack_options options = make_options();
    options.folds.ratio[PD_TEST] = 30;
    refuse(&options, "add up to 100");
    options = make_options();
    options.size = PD_PACK_SIZE_MIN - 1;
    refuse(&options, "size of 7");
    options = make_options();
    options.folds.shares = PD_SHARES_BALANCED;
    memcpy(options.folds.ratio, (int[]){20, 40, 40}, sizeof options.folds.ratio);
    refuse(&options, "too few NORMAL");
    refuse(&options, folder);
    options = make_options();
    options.folder = "no-such-folder";
    refuse(&options, "no-such-folder");
    options = make_options();
    options.output = "/dev/null/set.h5";
    refuse(&options, "/dev/null: cannot create the folder");
    options = make_options();
    options.folds.policy = PD_FOLDS_KEEP;
    char inside[160];
    snprintf(inside, sizeof inside, "%s/train", folder);
    options.folder = inside;
    refuse(&options, "no folds of its own");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, enter_copy, leave_copy)
    const struct CMUnitTest tests[] = {
        TEST(the_file_contains_the_folder),
        TEST(shapes_are_kept_and_digested),
        TEST(threads_do_not_change_a_byte),
        TEST(duplicates_are_kept_once_and_join_patients),
        TEST(a_duplicate_under_two_labels_is_refused),
        TEST(a_bad_image_is_named_or_left_out),
        TEST(what_the_system_fails_in_is_not_left_out),
        TEST(long_work_survives_an_error),
        TEST(kept_folds_count_patients_in_two),
        TEST(unknown_patients_are_recorded),
        TEST(near_duplicates_join_patients),
        TEST(a_pattern_names_the_patients),
        cmocka_unit_test(hidden_names_are_new),
        TEST(the_output_folder_is_created),
        TEST(invalid_options_are_refused),
    };
    return cmocka_run_group_tests(tests, draw_folder, leave_drawn);
}
