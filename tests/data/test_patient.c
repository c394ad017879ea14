/* Patients and causes from file names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pneumo/data/patient.h"

static void expect_parse(const char *name, const char *key, pd_cause cause)
{
    char got[256];
    assert_int_equal(pd_patient_parse(got, sizeof got, name), cause);
    assert_string_equal(got, key);
}

static void names_give_patient_and_cause(void **state)
{
    (void)state;
    expect_parse("train/PNEUMONIA/person12_bacteria_46.jpeg", "bacteria 12", PD_CAUSE_BACTERIA);
    expect_parse("person1202_virus_2045.jpeg", "virus 1202", PD_CAUSE_VIRUS);
    expect_parse("person447_virus_921_1.jpeg", "virus 447", PD_CAUSE_VIRUS);
    expect_parse("IM-0115-0001.jpeg", "IM 115", PD_CAUSE_UNKNOWN);
    expect_parse("IM-0429-0001-0002.jpeg", "IM 429", PD_CAUSE_UNKNOWN);
    expect_parse("NORMAL2-IM-1427-0001.jpeg", "NORMAL2-IM 1427", PD_CAUSE_UNKNOWN);
    expect_parse("NORMAL2-IM-1427-0001-0002.png", "NORMAL2-IM 1427", PD_CAUSE_UNKNOWN);
    expect_parse("IM-0000-0001.jpeg", "IM 0", PD_CAUSE_UNKNOWN);
    const char *odd[] = {"person12_fungus_4.jpeg",
                         "person_bacteria_4.jpeg",
                         "IM-0115.jpeg",
                         "person12_bacteria.jpeg",
                         "a/IM-1-2-3-4.jpeg",
                         "IM-1-2.old.jpeg",
                         "person12_bacteria_4x.jpeg",
                         "scan.png",
                         ".",
                         ""};
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
        expect_parse(odd[i], odd[i], PD_CAUSE_UNKNOWN);
    char small[8];
    pd_patient_parse(small, sizeof small, "person123456789_bacteria_1.jpeg");
    assert_string_equal(small, "bacteri");
}

static void names_of_one_patient_are_grouped(void **state)
{
    (void)state;
    static const char *const names[] = {
        "b/IM-0007-0001.png",  "other.png", "person7_virus_1.jpeg",
        "a/IM-7-2.jpeg",       "other.png", "person7_bacteria_1.jpeg",
        "person07_virus_3.png"};
    static const int64_t expected[] = {0, 1, 2, 0, 1, 5, 2};
    enum { COUNT = sizeof names / sizeof *names };
    int64_t first[COUNT];
    pd_cause causes[COUNT];
    assert_int_equal(pd_patients_group(first, causes, names, COUNT), PD_OK);
    assert_memory_equal(first, expected, sizeof first);
    assert_int_equal(causes[0], PD_CAUSE_UNKNOWN);
    assert_int_equal(causes[5], PD_CAUSE_BACTERIA);
    assert_int_equal(causes[6], PD_CAUSE_VIRUS);
    assert_int_equal(pd_patients_group(first, NULL, names, 0), PD_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_give_patient_and_cause),
        cmocka_unit_test(names_of_one_patient_are_grouped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
