/* Appending to a packed set, compared with packing all images at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "data/append.h"
#include "data/image_internal.h"
#include "pneumo/base/log.h"
#include "pneumo/base/memory.h"
#include "pneumo/data/pack.h"
#include "pneumo/data/synth.h"
#include "pneumo/io/file.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { IMAGES = 160, SIZE = 64 };

static char root[] = "append-XXXXXX"; /* with all, old, new: folders, and old.h5, new.h5 */

static void run_shell(const char *format, const char *a, const char *b)
{
    char command[1024];
    int used = snprintf(command, sizeof command, "cd '%s' && ", root);
    snprintf(command + used, sizeof command - (size_t)used, format, a, b);
    assert_int_equal(system(command), 0);
}

static const char *at(const char *name)
{
    static char paths[32][128];
    static int next;
    char *path = paths[next++ % 32];
    snprintf(path, sizeof paths[0], "%s/%s", root, name);
    return path;
}

static pd_pack_options options_of(const char *folder, const char *output)
{
    pd_pack_options options = PD_PACK_DEFAULTS;
    options.folder = folder;
    options.output = output;
    options.size = SIZE;
    options.threads = 2;
    memcpy(options.folds.ratio, (int[]){60, 20, 20}, sizeof options.folds.ratio);
    return options;
}

static pd_pack_options append_options(const char *output)
{
    pd_pack_options options = options_of(at("new"), output);
    options.append = at("old.h5");
    options.size = 0;
    return options;
}

static int draw(void **state)
{
    (void)state;
    pd_log_set_quiet(true);
    if (!mkdtemp(root))
        return -1;
    pd_synth_options options = PD_SYNTH_DEFAULTS;
    options.folder = at("all");
    options.images = IMAGES;
    return pd_synth(&options) == PD_OK ? 0 : -1;
}

/* Every third image is new, so that patients are on both sides. */
static int split(void **state)
{
    (void)state;
    pd_pack_options options = options_of(at("old"), at("old.h5"));
    pd_pack_result result;
    run_shell(
        "rm -rf old new *.h5* && mkdir -p new/train/NORMAL new/train/PNEUMONIA && cp -r all old && "
        "for c in NORMAL PNEUMONIA; do i=0; for f in old/train/$c/*; do i=$((i+1)); "
        "[ $((i %% 3)) != 0 ] || mv $f new/train/$c; done; done",
        NULL, NULL);
    return pd_pack(&options, &result) == PD_OK ? 0 : -1;
}

static int leave(void **state)
{
    (void)state;
    return pd_folder_remove(root) == PD_OK ? 0 : -1;
}

static pd_dataset *open_set(const char *path)
{
    pd_dataset *set;
    if (pd_dataset_open(&set, path) != PD_OK)
        fail_msg("%s", pd_error_message());
    return set;
}

static int64_t find(const pd_dataset *set, const char *name)
{
    const pd_sample *samples = pd_dataset_samples(set);
    for (int64_t i = 0; i < pd_dataset_get_info(set)->count; i++)
        if (strcmp(samples[i].name, name) == 0)
            return i;
    return -1;
}

static pd_pack_result append(const char *output)
{
    pd_pack_options options = append_options(output);
    pd_pack_result result;
    if (pd_pack(&options, &result) != PD_OK)
        fail_msg("%s", pd_error_message());
    return result;
}

static void refuse(const pd_pack_options *options, const char *words)
{
    pd_pack_result result;
    assert_int_equal(pd_pack(options, &result), PD_FAILED);
    if (!strstr(pd_error_message(), words))
        fail_msg("'%s' does not say '%s'", pd_error_message(), words);
    char part[160];
    snprintf(part, sizeof part, "%s.part-0", options->output);
    assert_false(pd_file_exists(options->output));
    assert_false(pd_file_exists(part));
}

/* The old images are unchanged and first. */
static void check_old_part(const pd_dataset *set)
{
    pd_dataset *old = open_set(at("old.h5"));
    const pd_sample *before = pd_dataset_samples(old), *after = pd_dataset_samples(set);
    for (int64_t i = 0; i < pd_dataset_get_info(old)->count; i++) {
        uint8_t pixels[2][SIZE * SIZE];
        assert_string_equal(before[i].name, after[i].name);
        assert_int_equal(before[i].fold, after[i].fold);
        assert_int_equal(before[i].label, after[i].label);
        assert_int_equal(before[i].cause, after[i].cause);
        assert_int_equal(before[i].height, after[i].height);
        assert_int_equal(pd_dataset_read(old, &i, 1, pixels[0]), PD_OK);
        assert_int_equal(pd_dataset_read(set, &i, 1, pixels[1]), PD_OK);
        assert_memory_equal(pixels[0], pixels[1], sizeof pixels[0]);
    }
    pd_dataset_destroy(&old);
}

static void the_set_equals_packing_all_but_for_folds(void **state)
{
    (void)state;
    pd_pack_options options = options_of(at("all"), at("anew.h5"));
    pd_pack_result anew, result = append(at("new.h5"));
    assert_int_equal(pd_pack(&options, &anew), PD_OK);
    assert_int_equal(result.info.count, IMAGES);
    assert_int_equal(result.info.seed, options.folds.seed);
    assert_int_equal(result.info.unknown_patients, 0);
    assert_int_equal(result.leaks, 0);
    assert_string_equal(result.info.grouping, anew.info.grouping);
    assert_string_equal(result.info.fold_policy, "by patient, 60/20/20, balanced, appended");
    pd_dataset *set = open_set(at("new.h5")), *whole = open_set(at("anew.h5"));
    const pd_sample *a = pd_dataset_samples(set), *b = pd_dataset_samples(whole);
    check_old_part(set);
    for (int64_t i = 0; i < IMAGES; i++) {
        uint8_t pixels[2][SIZE * SIZE];
        int64_t same = find(whole, a[i].name);
        assert_true(same >= 0);
        assert_int_equal(a[i].label, b[same].label);
        assert_int_equal(a[i].cause, b[same].cause);
        assert_int_equal(pd_dataset_read(set, &i, 1, pixels[0]), PD_OK);
        assert_int_equal(pd_dataset_read(whole, &same, 1, pixels[1]), PD_OK);
        assert_memory_equal(pixels[0], pixels[1], sizeof pixels[0]);
        for (int64_t j = 0; j < i; j++) {
            bool one = a[i].patient == a[j].patient;
            assert_int_equal(one, b[same].patient == b[find(whole, a[j].name)].patient);
            assert_true(!one || a[i].fold == a[j].fold);
        }
    }
    /* The folds have their shares again, as far as whole patients allow. */
    for (int label = 0; label < PD_LABELS; label++)
        for (int fold = PD_VAL; fold <= PD_TEST; fold++)
            assert_in_range(result.info.counts[fold][label], IMAGES / 10 - 2, IMAGES / 10 + 4);
    pd_dataset_destroy(&set);
    pd_dataset_destroy(&whole);
}

static void duplicates_and_copies_of_old_images_are_found(void **state)
{
    (void)state;
    pd_dataset *old = open_set(at("old.h5"));
    const pd_sample *samples = pd_dataset_samples(old);
    int64_t twin = 0, copied = 0;
    while (samples[twin].fold != PD_VAL || samples[twin].cause != PD_CAUSE_VIRUS)
        twin++;
    while (samples[copied].fold != PD_TEST || samples[copied].label != PD_PNEUMONIA)
        copied++;
    /* The same bytes under another patient's name, and a brighter, smaller copy. */
    run_shell("cp 'old/%s' new/train/PNEUMONIA/person9001_virus_1.jpeg", samples[twin].name, NULL);
    run_shell("/usr/bin/python3 -c \"from PIL import Image; Image.open('old/%s').resize((190, 180))"
              ".point(lambda g: 0.9 * g).save('new/train/PNEUMONIA/person9002_virus_1.jpeg')\"",
              samples[copied].name, NULL);
    pd_pack_result result = append(at("new.h5"));
    assert_int_equal(result.info.count, IMAGES + 1);
    assert_int_equal(result.info.duplicates, 1);
    assert_true(result.near_pairs >= 1 && result.near_joined >= 1);
    assert_int_equal(result.bridging, 0);
    assert_int_equal(result.leaks, 0);
    pd_dataset *set = open_set(at("new.h5"));
    int64_t follower = find(set, "train/PNEUMONIA/person9002_virus_1.jpeg");
    assert_true(follower >= 0);
    assert_int_equal(find(set, "train/PNEUMONIA/person9001_virus_1.jpeg"), -1);
    const pd_sample *after = pd_dataset_samples(set);
    assert_int_equal(after[follower].fold, PD_TEST);
    assert_int_equal(after[follower].patient, after[copied].patient);
    pd_dataset_destroy(&set);

    /* A patient whose images are copies of two folds belongs into neither. */
    run_shell("/usr/bin/python3 -c \"from PIL import Image; Image.open('old/%s').resize((190, 180))"
              ".point(lambda g: 0.9 * g).save('new/train/PNEUMONIA/person9002_virus_2.jpeg')\"",
              samples[twin].name, NULL);
    result = append(at("new.h5"));
    assert_int_equal(result.bridging, 2);
    assert_int_equal(result.leaks, 0);
    assert_int_equal(result.info.count, IMAGES);
    set = open_set(at("new.h5"));
    check_old_part(set);
    assert_int_not_equal(pd_dataset_samples(set)[twin].patient,
                         pd_dataset_samples(set)[copied].patient);
    pd_dataset_destroy(&set);

    run_shell("mkdir -p new/train/NORMAL && cp 'old/%s' new/train/NORMAL/IM-9000-0001.jpeg",
              samples[twin].name, NULL);
    pd_pack_options options = append_options(at("none.h5"));
    refuse(&options, "are the same image under two labels");
    pd_dataset_destroy(&old);
}

/* Appending in two steps, onto the file itself, gives the same images as in one. */
static void a_set_grows_in_place(void **state)
{
    (void)state;
    pd_pack_options options = append_options(at("old.h5"));
    pd_pack_result result;
    run_shell("mkdir -p later/train/NORMAL later/train/PNEUMONIA && for c in NORMAL PNEUMONIA; do "
              "mv $(ls -d new/train/$c/* | head -n 12) later/train/$c; done",
              NULL, NULL);
    assert_int_equal(pd_pack(&options, &result), PD_OK);
    assert_int_equal(result.info.count, IMAGES - 24);
    options.folder = at("later");
    assert_int_equal(pd_pack(&options, &result), PD_OK);
    assert_int_equal(result.info.count, IMAGES);
    assert_int_equal(result.leaks, 0);
    assert_string_equal(result.info.fold_policy, "by patient, 60/20/20, balanced, appended");
    options = append_options(at("none.h5"));
    refuse(&options, "contains no new readable image");
    run_shell("rm -r later", NULL, NULL);
}

/* Another process may be about to replace the set: it is opened under the lock of the output. */
static void one_process_at_a_time_appends(void **state)
{
    (void)state;
    pd_pack_result result;
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int lock = open(at("old.h5.lock"), O_RDWR | O_CREAT, 0666);
    assert_int_equal(fcntl(lock, F_OFD_SETLK, &whole), 0);
    pd_pack_options options = append_options(at("old.h5"));
    options.append = at("missing.h5");
    assert_int_equal(pd_pack(&options, &result), PD_FAILED);
    assert_non_null(strstr(pd_error_message(), "old.h5 is in use by another process: wait"));
    close(lock);
    assert_int_equal(pd_pack(&options, &result), PD_FAILED);
    assert_non_null(strstr(pd_error_message(), "missing.h5: cannot open"));
}

static void what_cannot_be_appended_is_refused(void **state)
{
    (void)state;
    pd_pack_result result;
    pd_pack_options options = append_options(at("none.h5"));
    options.size = SIZE / 2;
    refuse(&options, "holds images of 64 x 64 pixels");
    options = append_options(at("none.h5"));
    options.append = at("missing.h5");
    refuse(&options, "missing.h5: cannot open");
    options = append_options(at("none.h5"));
    options.patient_pattern = "(train)";
    refuse(&options, "are of two patients there, but of one by the pattern");
    /* Two images of one name. */
    run_shell("cp \"$(ls new/train/NORMAL/*1.jpeg | tail -1)\" new/x && "
              "mv new/x new/train/NORMAL/$(basename $(ls old/train/NORMAL/* | head -1))",
              NULL, NULL);
    options = append_options(at("none.h5"));
    refuse(&options, "has another image named train/NORMAL/IM-");

    /* Folds that are the folder's own; patients that the file does not tell. */
    split(NULL);
    pd_pack_options kept = options_of(at("old"), at("old.h5"));
    kept.folds.policy = PD_FOLDS_KEEP;
    assert_int_equal(pd_pack(&kept, &result), PD_OK);
    options = append_options(at("none.h5"));
    refuse(&options, "its folds are 'kept': images can only be appended");
    kept = options_of(at("old"), at("old.h5"));
    kept.patient_pattern = "([0-9]+)";
    assert_int_equal(pd_pack(&kept, &result), PD_OK);
    options = append_options(at("none.h5"));
    refuse(&options, "its patients come from a pattern; give the same --patient-pattern");
    options.patient_pattern = "([0-9]+)";
    assert_int_equal(pd_pack(&options, &result), PD_OK);
}

/* A set by a table does not tell its patients, so the user has to say that the new ones are others.
 */
static void new_patients_are_said(void **state)
{
    (void)state;
    pd_pack_result result;
    run_shell(
        "cd old && (echo path,label,patient; find train -name '*.jpeg' | while read -r f; do "
        "case $f in */NORMAL/*) l=Normal;; *) l=Pneumonia;; esac; "
        "echo $f,$l,$(basename $f | sed 's/_[0-9]*.jpeg//; s/-[0-9]*.jpeg//'); done) >../old.csv",
        NULL, NULL);
    pd_pack_options by_table = options_of(at("old"), at("old.h5"));
    by_table.labels = at("old.csv");
    assert_int_equal(pd_pack(&by_table, &result), PD_OK);
    int64_t old = result.info.count;
    int32_t patients = 0;
    pd_pack_options options = append_options(at("none.h5"));
    refuse(&options, "its patients come from a table");
    options.new_patients = true;
    assert_int_equal(pd_pack(&options, &result), PD_OK);
    assert_int_equal(result.leaks, 0);
    assert_int_equal(result.info.unknown_patients, 0);
    assert_string_equal(result.info.grouping, "patient by table, file name, duplicates as one");
    pd_dataset *set = open_set(at("none.h5"));
    check_old_part(set);
    const pd_sample *samples = pd_dataset_samples(set);
    for (int64_t i = 0; i < old; i++)
        patients = samples[i].patient >= patients ? samples[i].patient + 1 : patients;
    for (int64_t i = old; i < result.info.count; i++)
        assert_true(samples[i].patient >= patients);
    pd_dataset_destroy(&set);
}

/* A table's patients cannot be compared with those of file names, whatever it calls them: some are
 * named here as this program numbers patients. */
static void patients_of_another_source_are_refused(void **state)
{
    (void)state;
    pd_pack_result result;
    run_shell("cd new && (echo path,label,patient; i=0; find train -name '*.jpeg' | sort | "
              "while read -r f; do case $f in */NORMAL/*) l=Normal;; *) l=Pneumonia;; esac; "
              "echo \"$f,$l,#$i\"; i=$((i+1)); done) >../new.csv",
              NULL, NULL);
    pd_pack_options options = append_options(at("none.h5"));
    options.labels = at("new.csv");
    refuse(&options, "new: the new images' patients come from a table, those of ");
    assert_non_null(strstr(pd_error_message(),
                           "old.h5 from file names; they cannot be compared: pack all images anew, "
                           "or give --new-patients if no new image shows an old patient"));
    options.new_patients = true;
    assert_int_equal(pd_pack(&options, &result), PD_OK);
    pd_dataset *set = open_set(at("none.h5"));
    check_old_part(set);
    const pd_sample *samples = pd_dataset_samples(set);
    for (int64_t i = result.old; i < result.info.count; i++)
        for (int64_t j = 0; j < result.old; j++)
            assert_int_not_equal(samples[i].patient, samples[j].patient);
    pd_dataset_destroy(&set);

    pd_append append;
    const pd_append_options old = {.path = at("old.h5")};
    pd_patient_tally tally = {.images[PD_PATIENT_FILE] = 1};
    assert_int_equal(pd_append_open(&append, &old), PD_OK);
    assert_int_equal(pd_append_check_sources(&append, &tally, "new"), PD_FAILED);
    assert_non_null(strstr(pd_error_message(), "new: the new images' patients come from DICOM"));
    tally = (pd_patient_tally){.images = {0, 1, 0, 1, 1}};
    assert_int_equal(pd_append_check_sources(&append, &tally, "new"), PD_OK);
    pd_append_close(&append);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, split)
    const struct CMUnitTest tests[] = {
        TEST(the_set_equals_packing_all_but_for_folds),
        TEST(duplicates_and_copies_of_old_images_are_found),
        TEST(a_set_grows_in_place),
        TEST(one_process_at_a_time_appends),
        TEST(what_cannot_be_appended_is_refused),
        TEST(new_patients_are_said),
        TEST(patients_of_another_source_are_refused),
    };
    return cmocka_run_group_tests(tests, draw, leave);
}
