/* Patients and causes from tables, patterns, files and names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pneumo/data/patient.h"

#include <stdlib.h>
#include <string.h>

static pd_patient_rules *rules;

static int create_rules(void **state)
{
    (void)state;
    return pd_patient_rules_create(&rules, NULL) == PD_OK ? 0 : -1;
}

static int destroy_rules(void **state)
{
    (void)state;
    pd_patient_rules_destroy(&rules);
    return 0;
}

static void expect(const pd_patient_rules *with, const pd_patient_hints *hints, const char *key,
                   pd_patient_source source, pd_cause cause)
{
    pd_patient_id id;
    assert_int_equal(pd_patient_identify(&id, with, hints), PD_OK);
    assert_string_equal(id.key, key);
    assert_int_equal(id.source, source);
    assert_int_equal(id.cause, cause);
    free(id.key);
}

static void expect_name(const char *path, const char *key, pd_cause cause)
{
    expect(rules, &(pd_patient_hints){.path = path}, key, PD_PATIENT_NAME, cause);
}

static void published_names_give_patient_and_cause(void **state)
{
    (void)state;
    expect_name("train/PNEUMONIA/person12_bacteria_46.jpeg", "bacteria 12", PD_CAUSE_BACTERIA);
    expect_name("person1202_virus_2045.jpeg", "virus 1202", PD_CAUSE_VIRUS);
    expect_name("person447_virus_921_1.jpeg", "virus 447", PD_CAUSE_VIRUS);
    expect_name("IM-0115-0001.jpeg", "IM 115", PD_CAUSE_UNKNOWN);
    expect_name("IM-0429-0001-0002.jpeg", "IM 429", PD_CAUSE_UNKNOWN);
    expect_name("NORMAL2-IM-1427-0001.jpeg", "NORMAL2-IM 1427", PD_CAUSE_UNKNOWN);
    expect_name("NORMAL2-IM-1427-0001-0002.png", "NORMAL2-IM 1427", PD_CAUSE_UNKNOWN);
    expect_name("IM-0000-0001.jpeg", "IM 0", PD_CAUSE_UNKNOWN);
    expect_name("a/00000013_005.png", "NIH 13", PD_CAUSE_UNKNOWN);
    expect_name("00030805_000.PNG", "NIH 30805", PD_CAUSE_UNKNOWN);
    expect_name("CHNCXR_0327_1.png", "CHNCXR 327", PD_CAUSE_UNKNOWN);
    expect_name("MCUCXR_0327_1.png", "MCUCXR 327", PD_CAUSE_UNKNOWN);
    expect_name("NORMAL/patient00042/study3/view1_frontal.jpg", "CheXpert 42", PD_CAUSE_UNKNOWN);
    expect_name("p10/p10000032/s50414267/02aa804e-bde0afdd-112c0b34-7bc16630-4e384014.jpg",
                "MIMIC 10000032", PD_CAUSE_UNKNOWN);
}

/* Names that common tools have rewritten, alone and one after the other. */
static void rewritten_names_are_undone(void **state)
{
    (void)state;
    static const char *const bacteria[] = {
        "person12_bacteria_46_jpeg.rf.0a1b2c3d4e5f60718293a4b5c6d7e8f9.jpg",
        "person12_bacteria_47 - Copy.jpeg",
        "person12_bacteria_47 - Copy (3).jpeg",
        "person12_bacteria_47 copy.jpeg",
        "person12_bacteria_47 copy 2.jpeg",
        "Copy of person12_bacteria_47.jpeg",
        "person12_bacteria_47 (2).jpeg",
        "person12_bacteria_47(2).jpeg",
        "person12_bacteria_47_flip.jpeg",
        "person12_bacteria_47_hflip.jpeg",
        "person12_bacteria_47_flipped_1.jpeg",
        "person12_bacteria_47_rot90.jpeg",
        "person12_bacteria_47_aug_3.jpeg",
        "aug_1_person12_bacteria_47.jpeg",
        "augmented_person12_bacteria_47.jpeg",
        "person12_bacteria_47.jpeg.png",
        "person12_bacteria_47.jpg.jpg",
        "PERSON12_BACTERIA_47.JPG",
        "aug_2_person12_bacteria_47_flip - Copy (2).jpeg.jpg",
        "person12_bacteria_47_jpg.rf.0a1b2c3d4e5f60718293a4b5c6d7e8f9 (1).jpg",
    };
    for (size_t i = 0; i < sizeof bacteria / sizeof *bacteria; i++)
        expect_name(bacteria[i], "bacteria 12", PD_CAUSE_BACTERIA);
    expect_name("a/00000013_005_png.rf.00ff.jpg", "NIH 13", PD_CAUSE_UNKNOWN);
    expect_name("a/IM-0115-0001_flip.png.png", "IM 115", PD_CAUSE_UNKNOWN);
    expect_name("a/NORMAL2-IM-0115-0001 (7).jpeg", "NORMAL2-IM 115", PD_CAUSE_UNKNOWN);
}

static void unknown_names_are_their_own_patients(void **state)
{
    (void)state;
    static const char *const odd[][2] = {
        {"person12_fungus_4.jpeg", "image person12_fungus_4"},
        {"person_bacteria_4.jpeg", "image person_bacteria_4"},
        {"IM-0115.jpeg", "image IM-0115"},
        {"person12_bacteria.jpeg", "image person12_bacteria"},
        {"a/IM-1-2-3-4.jpeg", "image a/IM-1-2-3-4"},
        {"IM-1-2.old.jpeg", "image IM-1-2.old"},
        {"person12_bacteria_4x.jpeg", "image person12_bacteria_4x"},
        {"1_IM-0115-0001.jpeg", "image 1_IM-0115-0001"},
        {"0000013_005.png", "image 0000013_005"},
        {"20230114_001.png", "image 20230114_001"}, /* a date */
        {"00000013_0055.png", "image 00000013_0055"},
        {"study3/view1_frontal.jpg", "image study3/view1_frontal"},
        {"xpatient3/study3/view1.jpg", "image xpatient3/study3/view1"},
        {"bacteria 12", "image bacteria 12"}, /* the key of another image is not a name */
        {"scan.png", "image scan"},
        {".", "image ."},
        {"", "image "},
    };
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
        expect(rules, &(pd_patient_hints){.path = odd[i][0]}, odd[i][1], PD_PATIENT_UNKNOWN,
               PD_CAUSE_UNKNOWN);
}

/* Copies by tools stay with the original even if its patient is unknown, but numbers in brackets
 * are how some sets name different patients. */
static void copies_of_unknown_images_stay_together(void **state)
{
    (void)state;
    static const char *const names[][2] = {
        {"a/scan7_flip.png", "image a/scan7"},
        {"a/scan7_png.rf.00ff.jpg", "image a/scan7"},
        {"a/scan7 - Copy (2).png", "image a/scan7"},
        {"a/aug_3_scan7.png", "image a/scan7"},
        {"b/scan7.png", "image b/scan7"},
        {"a/COVID (7).png", "image a/COVID (7)"},
        {"a/COVID (8).png", "image a/COVID (8)"},
        {"a/flip.png", "image a/flip"},
        {"a/copy.png", "image a/copy"},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        expect(rules, &(pd_patient_hints){.path = names[i][0]}, names[i][1], PD_PATIENT_UNKNOWN,
               PD_CAUSE_UNKNOWN);
}

static void sources_have_an_order(void **state)
{
    (void)state;
    pd_patient_rules *pattern;
    assert_int_equal(pd_patient_rules_create(&pattern, "subject-([a-z0-9]+)"), PD_OK);
    pd_patient_hints hints = {
        .path = "subject-x7/person12_virus_46.jpeg", .table = "T 1", .file = "00ff"};
    expect(pattern, &hints, "table T 1", PD_PATIENT_TABLE, PD_CAUSE_VIRUS);
    hints.table = "";
    expect(pattern, &hints, "pattern x7", PD_PATIENT_PATTERN, PD_CAUSE_VIRUS);
    hints.path = "subject-/person12_virus_46.jpeg";
    expect(pattern, &hints, "file 00ff", PD_PATIENT_FILE, PD_CAUSE_VIRUS);
    hints.file = "";
    expect(pattern, &hints, "virus 12", PD_PATIENT_NAME, PD_CAUSE_VIRUS);
    hints.path = "subject-/12.jpeg";
    expect(pattern, &hints, "image subject-/12", PD_PATIENT_UNKNOWN, PD_CAUSE_UNKNOWN);
    pd_patient_rules_destroy(&pattern);

    /* A group that takes part in no match, or matches nothing, names no patient. */
    assert_int_equal(pd_patient_rules_create(&pattern, "(a)|b|c()"), PD_OK);
    hints.path = "xbx.jpeg";
    expect(pattern, &hints, "image xbx", PD_PATIENT_UNKNOWN, PD_CAUSE_UNKNOWN);
    hints.path = "x-a.jpeg";
    expect(pattern, &hints, "pattern a", PD_PATIENT_PATTERN, PD_CAUSE_UNKNOWN);
    pd_patient_rules_destroy(&pattern);
}

static void bad_patterns_are_refused(void **state)
{
    (void)state;
    pd_patient_rules *pattern;
    assert_int_equal(pd_patient_rules_create(&pattern, "([0-9]+"), PD_USAGE);
    assert_non_null(strstr(pd_error_message(), "'([0-9]+' is not a regular expression"));
    assert_null(pattern);
    assert_int_equal(pd_patient_rules_create(&pattern, "p[0-9]+_"), PD_USAGE);
    assert_non_null(strstr(pd_error_message(), "has no group"));
    assert_null(pattern);
}

static void names_of_one_patient_are_grouped(void **state)
{
    (void)state;
    static const pd_patient_hints hints[] = {{.path = "b/IM-0007-0001.png"},
                                             {.path = "other.png"},
                                             {.path = "person7_virus_1.jpeg"},
                                             {.path = "a/IM-7-2.jpeg"},
                                             {.path = "other.jpg"},
                                             {.path = "person7_bacteria_1.jpeg"},
                                             {.path = "person07_virus_3.png"},
                                             {.path = "00000007_000.png"},
                                             {.path = "x.png", .table = "7"},
                                             {.path = "y.png", .file = "7"}};
    static const int64_t expected[] = {0, 1, 2, 0, 1, 5, 2, 7, 8, 9};
    enum { COUNT = sizeof hints / sizeof *hints };
    int64_t first[COUNT];
    pd_cause causes[COUNT];
    pd_patient_source sources[COUNT];
    pd_patient_tally tally;
    assert_int_equal(pd_patients_group(first, causes, sources, &tally, rules, hints, COUNT), PD_OK);
    assert_memory_equal(first, expected, sizeof first);
    assert_int_equal(causes[0], PD_CAUSE_UNKNOWN);
    assert_int_equal(causes[5], PD_CAUSE_BACTERIA);
    assert_int_equal(causes[6], PD_CAUSE_VIRUS);
    assert_int_equal(sources[1], PD_PATIENT_UNKNOWN);
    assert_int_equal(sources[8], PD_PATIENT_TABLE);
    /* x.png and y.png have names that tell no patient. */
    static const pd_patient_tally wanted = {{1, 0, 1, 6, 2}, {8, -1, 9, 0, 1}, 0, 2};
    assert_memory_equal(&tally, &wanted, sizeof tally);
    assert_int_equal(pd_patients_group(first, NULL, NULL, NULL, rules, hints, 0), PD_OK);
}

static void expect_groups(const pd_patient_rules *with, const pd_patient_hints *hints,
                          const int64_t *expected, int64_t count, int64_t united, int64_t apart)
{
    int64_t first[8];
    pd_patient_tally tally;
    assert_int_equal(pd_patients_group(first, NULL, NULL, &tally, with, hints, count), PD_OK);
    for (int64_t i = 0; i < count; i++)
        assert_int_equal(first[i], expected[i]);
    assert_int_equal(tally.united, united);
    assert_int_equal(tally.apart, apart);
}

/* Images whose patients come from different sources are compared by what both have. */
static void sources_are_united(void **state)
{
    (void)state;
    const pd_patient_hints mimic[] = {{.path = "p10000032/s1/a.dcm", .file = "aa"},
                                      {.path = "p10000033/s1/a.dcm", .file = "bb"},
                                      {.path = "p10000032/s2/b.png"},
                                      {.path = "p10000033/s2/b.png"},
                                      {.path = "p10000034/s2/b.png"},
                                      {.path = "x/c.dcm", .file = "bb"}};
    expect_groups(rules, mimic, (int64_t[]){0, 1, 0, 1, 4, 1}, 6, 2, 1);
    expect_groups(rules, mimic, (int64_t[]){0, 1, 0, 1, 4}, 5, 2, 0);

    /* A source alone is followed, whatever the other sources would tell. */
    const pd_patient_hints table[] = {{.path = "person1_virus_1.png", .table = "a", .file = "f"},
                                      {.path = "person1_virus_2.png", .table = "b", .file = "f"},
                                      {.path = "person1_virus_3.png", .table = "a"}};
    expect_groups(rules, table, (int64_t[]){0, 1, 0}, 3, 0, 0);

    /* A third image shows that two patients of a table are one. */
    const pd_patient_hints mixed[] = {{.path = "person1_virus_1.png", .table = "a"},
                                      {.path = "person1_virus_2.png", .table = "b"},
                                      {.path = "person1_virus_3.png"}};
    expect_groups(rules, mixed, (int64_t[]){0, 0, 0}, 3, 2, 0);

    /* The patients of a packed set are compared with nothing. */
    const pd_patient_hints old[] = {
        {.path = "person1_virus_1.png", .old = "3", .is_uncounted = true},
        {.path = "person1_virus_2.png"},
        {.path = "c.png", .table = "3"},
        {.path = "d.png", .table = "#3"}};
    expect_groups(rules, old, (int64_t[]){0, 1}, 2, 0, 0);
    expect_groups(rules, old, (int64_t[]){0, 1, 2, 3}, 4, 0, 2);
}

static void the_sources_are_described(void **state)
{
    (void)state;
    char text[64];
    pd_patients_describe(text, sizeof text, &(pd_patient_tally){.images = {0, 0, 0, 5, 0}});
    assert_string_equal(text, "patient by file name, duplicates as one");
    for (int source = 0; source < PD_PATIENT_SOURCES; source++)
        assert_int_equal(pd_patients_names_source(text, (pd_patient_source)source),
                         source == PD_PATIENT_NAME);
    pd_patients_describe(text, sizeof text, &(pd_patient_tally){.images = {0, 0, 0, 0, 5}});
    assert_string_equal(text, "unknown, each image as one, duplicates as one");
    for (int source = 0; source < PD_PATIENT_SOURCES; source++)
        assert_false(pd_patients_names_source(text, (pd_patient_source)source));
    const int64_t most = 10000000;
    pd_patients_describe(text, sizeof text,
                         &(pd_patient_tally){.images = {most, most, most, most, most}});
    assert_string_equal(text, "patient by table, pattern, DICOM, file name; 10000000 unknown");
    pd_patients_list_sources(text, sizeof text, &(pd_patient_tally){.images = {0, 0, 60, 3, 7}});
    assert_string_equal(text, "DICOM (60 images), file name (3 images)");
    assert_string_equal(pd_patients_noun(0), "patients");
    assert_string_equal(pd_patients_noun(1), "groups");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_names_give_patient_and_cause),
        cmocka_unit_test(rewritten_names_are_undone),
        cmocka_unit_test(unknown_names_are_their_own_patients),
        cmocka_unit_test(copies_of_unknown_images_stay_together),
        cmocka_unit_test(sources_have_an_order),
        cmocka_unit_test(bad_patterns_are_refused),
        cmocka_unit_test(names_of_one_patient_are_grouped),
        cmocka_unit_test(sources_are_united),
        cmocka_unit_test(the_sources_are_described),
    };
    return cmocka_run_group_tests(tests, create_rules, destroy_rules);
}
