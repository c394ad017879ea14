#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "io/files.h"
#include "pneumo/base/random.h"
#include "pneumo/report/score_file.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char path[] = "test_scores.csv";

enum { SAMPLES = 10, VAL_COUNT = 3, TEST_COUNT = 7 };

/* Names that need quoting in CSV, and numbers that need all digits. */
static const pd_sample samples[SAMPLES] = {
    {PD_NORMAL, PD_CAUSE_NONE, PD_VAL, 4, "NORMAL/IM-0001.jpeg", 0, 0},
    {PD_PNEUMONIA, PD_CAUSE_VIRUS, PD_TEST, 0, "a,b.png", 0, 0},
    {PD_PNEUMONIA, PD_CAUSE_BACTERIA, PD_VAL, INT32_MAX, "say \"ah\".png", 0, 0},
    {PD_NORMAL, PD_CAUSE_NONE, PD_TEST, 1, "two\nlines\n.png", 0, 0},
    {PD_PNEUMONIA, PD_CAUSE_UNKNOWN, PD_TEST, 2, "carriage\r\n.png", 0, 0},
    {PD_NORMAL, PD_CAUSE_NONE, PD_TEST, 3, "R\xf6ntgen.png", 0, 0},
    {PD_NORMAL, PD_CAUSE_NONE, PD_VAL, 5, "", 0, 0},
    {PD_PNEUMONIA, PD_CAUSE_VIRUS, PD_TEST, 6, "\"", 0, 0},
    {PD_PNEUMONIA, PD_CAUSE_VIRUS, PD_TEST, 7, "\"\"", 0, 0},
    {PD_NORMAL, PD_CAUSE_NONE, PD_TEST, 8, ",\"\n\",\"\",\n", 0, 0},
};
static const double probabilities[SAMPLES] = {0.25,    1,       0.5,       0,   DBL_TRUE_MIN,
                                              1.0 / 3, DBL_MIN, 0.1 + 0.2, 0.1, 1 - DBL_EPSILON};
static const double logits[SAMPLES] = {-1.5,    1e300, 0,        -0.0, -DBL_TRUE_MIN,
                                       1.0 / 7, -700,  -1.0 / 3, 2,    DBL_MAX};

typedef struct fixture {
    pd_score val[VAL_COUNT], test[TEST_COUNT];
    pd_results results;
} fixture;

static void make(fixture *f)
{
    size_t val = 0, test = 0;
    *f = (fixture){0};
    for (int i = 0; i < SAMPLES; i++)
        *(samples[i].fold == PD_VAL ? &f->val[val++] : &f->test[test++]) =
            (pd_score){.id = i,
                       .logit = logits[i],
                       .probability = probabilities[i],
                       .positive = samples[i].label == PD_PNEUMONIA,
                       .patient = samples[i].patient};
    f->results.samples = samples;
    f->results.views = 1;
    f->results.val = (pd_results_fold){.present = true, .scores = f->val, .score_count = VAL_COUNT};
    f->results.test =
        (pd_results_fold){.present = true, .scores = f->test, .score_count = TEST_COUNT};
}

static void check_same(const pd_score *read, size_t count, const pd_score *expected,
                       size_t expected_count)
{
    assert_int_equal(count, expected_count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(read[i].id, expected[i].id);
        assert_int_equal(read[i].patient, expected[i].patient);
        assert_int_equal(read[i].positive, expected[i].positive);
        assert_memory_equal(&read[i].logit, &expected[i].logit, sizeof(double));
        assert_memory_equal(&read[i].probability, &expected[i].probability, sizeof(double));
        assert_true(isnan(read[i].views[0]));
    }
}

static void check_fold(pd_fold fold, const pd_score *expected, size_t expected_count)
{
    pd_score *read = NULL;
    size_t count;
    if (pd_score_file_read(&read, &count, path, fold) != PD_OK)
        fail_msg("%s", pd_error_message());
    check_same(read, count, expected, expected_count);
    free(read);
}

static void test_reads_back(void **state)
{
    (void)state;
    fixture f;
    make(&f);
    assert_int_equal(pd_score_file_write(path, &f.results), PD_OK);
    check_fold(PD_VAL, f.val, VAL_COUNT);
    check_fold(PD_TEST, f.test, TEST_COUNT);
    check_fold(PD_TRAIN, NULL, 0);

    f.results.val.present = false;
    assert_int_equal(pd_score_file_write(path, &f.results), PD_OK);
    check_fold(PD_VAL, NULL, 0);
    check_fold(PD_TEST, f.test, TEST_COUNT);
    f.results.test.present = false;
    assert_int_equal(pd_score_file_write(path, &f.results), PD_OK);
    check_fold(PD_TEST, NULL, 0);
    unlink(path);
}

/* The logit is the one that the probability belongs to: the mean of the views in use. */
static void test_views(void **state)
{
    (void)state;
    fixture f;
    make(&f);
    f.results.views = 2;
    f.results.test.present = false;
    f.results.val.score_count = 1;
    f.val[0].views[1] = 4;
    assert_int_equal(pd_score_file_write(path, &f.results), PD_OK);
    f.val[0].logit = 1.25; /* of -1.5 and 4 */
    check_fold(PD_VAL, f.val, 1);
    unlink(path);
}

static void test_bytes(void **state)
{
    (void)state;
    fixture f;
    make(&f);
    f.results.test.score_count = 2;
    assert_int_equal(pd_score_file_write(path, &f.results), PD_OK);
    bytes file = slurp(path);
    assert_string_equal((char *)file.data,
                        "fold,id,name,patient,label,cause,logit,probability\n"
                        "VAL,0,NORMAL/IM-0001.jpeg,4,NORMAL,NONE,-1.5,0.25\n"
                        "VAL,2,\"say \"\"ah\"\".png\",2147483647,PNEUMONIA,BACTERIA,0,0.5\n"
                        "VAL,6,,5,NORMAL,NONE,-700,2.2250738585072014e-308\n"
                        "TEST,1,\"a,b.png\",0,PNEUMONIA,VIRUS,1e+300,1\n"
                        "TEST,3,\"two\nlines\n.png\",1,NORMAL,NONE,-0,0\n");
    free(file.data);
    unlink(path);
}

#define HEADER "fold,id,name,patient,label,cause,logit,probability\n"
#define GOOD   "VAL,5,x,5,NORMAL,NONE,0,0.5\n"

/* Each has one error. */
static void test_refuses(void **state)
{
    (void)state;
    const struct {
        const char *text, *message;
    } table[] = {
        {"", ":1: not a table of scores"},
        {"fold,id\n", ":1: not a table"},
        {"\xef\xbb\xbf" HEADER GOOD, ":1: not a table"},
        {"fold,id,name,patient,label,cause,logit,probability\r\n", ":1: not a table"},
        {HEADER "\n", ":2: not a complete row"},
        {HEADER "VAL,5,x,5,NORMAL,NONE,0,0.5", ":2: not a complete row"},
        {HEADER "VAL,5,x,5,NORMAL,NONE,0\n", ":2: not a complete row"},
        {HEADER "VAL,5,x,5,NORMAL,NONE,0,0.5,1\n", ":2: not a complete row"},
        {HEADER GOOD "VAL,6,\"x,6,NORMAL,NONE,0,0.5\n", ":3: not a complete row"},
        {HEADER GOOD "VAL,6,\"x\"y,6,NORMAL,NONE,0,0.5\n", ":3: not a complete row"},
        {HEADER GOOD "VAL,6,\"x\",6,NORMAL,NONE,0,0.5\n", ":3: not a complete row"},
        {HEADER GOOD "VAL,6,x\"y,6,NORMAL,NONE,0,0.5\n", ":3: not a complete row"},
        {HEADER GOOD "VAL,6,x\ry,6,NORMAL,NONE,0,0.5\n", ":3: not a complete row"},
        {HEADER "VAL,5,\"a\nb\n\",5,NORMAL,NONE,0,0.5\nVAL,6,x,6,NORMAL,NONE,0,2\n",
         ":5: its probability"},
        {HEADER "TRAIN,5,x,5,NORMAL,NONE,0,0.5\n", ":2: its fold"},
        {HEADER "val,5,x,5,NORMAL,NONE,0,0.5\n", ":2: its fold"},
        {HEADER "VAL,-5,x,5,NORMAL,NONE,0,0.5\n", ":2: its id"},
        {HEADER "VAL,+5,x,5,NORMAL,NONE,0,0.5\n", ":2: its id"},
        {HEADER "VAL,05,x,5,NORMAL,NONE,0,0.5\n", ":2: its id"},
        {HEADER "VAL, 5,x,5,NORMAL,NONE,0,0.5\n", ":2: its id"},
        {HEADER "VAL,,x,5,NORMAL,NONE,0,0.5\n", ":2: its id"},
        {HEADER "VAL,9223372036854775808,x,5,NORMAL,NONE,0,0.5\n", ":2: its id"},
        {HEADER "VAL,5,x,2147483648,NORMAL,NONE,0,0.5\n", ":2: its patient"},
        {HEADER "VAL,5,x,5,Normal,NONE,0,0.5\n", ":2: its label"},
        {HEADER "VAL,5,x,5,NORMAL,FUNGUS,0,0.5\n", ":2: its cause"},
        {HEADER "VAL,5,x,5,NORMAL,NONE,nan,0.5\n", ":2: its logit"},
        {HEADER "VAL,5,x,5,NORMAL,NONE,inf,1\n", ":2: its logit"},
        {HEADER "VAL,5,x,5,NORMAL,NONE,-inf,0\n", ":2: its logit"},
        {HEADER "VAL,5,x,5,NORMAL,NONE,0x1p3,0.5\n", ":2: its logit"},
        {HEADER "VAL,5,x,5,NORMAL,NONE,1.0,0.5\n", ":2: its logit"},
        {HEADER "VAL,5,x,5,NORMAL,NONE,0,1.5\n", ":2: its probability"},
        {HEADER "VAL,5,x,5,NORMAL,NONE,0,-0.5\n", ":2: its probability"},
        {HEADER "VAL,5,x,5,NORMAL,NONE,0,inf\n", ":2: its probability"},
        {HEADER "VAL,5,x,5,NORMAL,NONE,0,0.5 \n", ":2: its probability"},
        {HEADER "VAL,5,x,5,NORMAL,NONE,0,0.5\r\n", ":2: its probability"},
        {HEADER GOOD GOOD, ":3: the rows are not in the order"},
        {HEADER GOOD "VAL,4,x,5,NORMAL,NONE,0,0.5\n", ":3: the rows are not in the order"},
        {HEADER "TEST,1,x,5,NORMAL,NONE,0,0.5\n" GOOD, ":3: the rows are not in the order"},
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        pd_score *scores;
        size_t count;
        spill(path, (const unsigned char *)table[i].text, strlen(table[i].text));
        if (pd_score_file_read(&scores, &count, path, PD_VAL) == PD_OK)
            fail_msg("passed: %s", table[i].text);
        assert_null(scores);
        assert_non_null(strstr(pd_error_message(), path));
        if (strstr(pd_error_message(), table[i].message) == NULL)
            fail_msg("'%s' for: %s", pd_error_message(), table[i].text);
    }
    /* The file without the error. */
    spill(path, (const unsigned char *)HEADER GOOD, sizeof HEADER GOOD - 1);
    check_fold(PD_VAL, &(pd_score){.id = 5, .patient = 5, .probability = 0.5}, 1);
    /* A 0 byte ends a string, but not a file. */
    spill(path, (const unsigned char *)HEADER GOOD "\0x", sizeof HEADER GOOD + 1);
    pd_score *scores;
    size_t count;
    assert_int_equal(pd_score_file_read(&scores, &count, path, PD_VAL), PD_FAILED);
    unlink(path);
}

/* A file truncated within a row is an error; one truncated after a row reads as the remaining rows;
 * no changed byte crashes. */
static void test_damage(void **state)
{
    (void)state;
    fixture f;
    pd_score *scores;
    size_t count;
    int whole = 0;
    make(&f);
    assert_int_equal(pd_score_file_write(path, &f.results), PD_OK);
    bytes file = slurp(path);
    for (size_t cut = 0; cut < file.size; cut++) {
        unlink(path); /* some file systems flush overwritten data */
        spill(path, file.data, cut);
        if (pd_score_file_read(&scores, &count, path, PD_TEST) != PD_OK)
            continue;
        assert_int_equal(file.data[cut - 1], '\n');
        check_same(scores, count, f.test,
                   (size_t)whole > VAL_COUNT ? (size_t)whole - VAL_COUNT : 0);
        whole++;
        free(scores);
    }
    assert_int_equal(whole, SAMPLES); /* the header alone, and all but the last row */

    pd_random random = pd_random_stream(1, PD_PURPOSE_TEST, 0, 0);
    for (int i = 0; i < 2000; i++) {
        unsigned char *at = file.data + pd_random_below(&random, (uint32_t)file.size), kept = *at;
        *at = i % 2 ? (unsigned char)",\"\n\r0-"[pd_random_below(&random, 6)]
                    : (unsigned char)pd_random_bits(&random);
        unlink(path);
        spill(path, file.data, file.size);
        pd_score_file_read(&scores, &count, path, PD_TEST);
        assert_true(count <= SAMPLES);
        free(scores);
        *at = kept;
    }
    free(file.data);
    unlink(path);
}

static void test_no_file(void **state)
{
    (void)state;
    fixture f;
    pd_score *scores;
    size_t count;
    make(&f);
    assert_int_equal(pd_score_file_write("no/such/folder/scores.csv", &f.results), PD_FAILED);
    assert_non_null(strstr(pd_error_message(), "no/such/folder"));
    assert_int_equal(pd_score_file_read(&scores, &count, "no/scores.csv", PD_TEST), PD_FAILED);
    assert_non_null(strstr(pd_error_message(), "no/scores.csv"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_back), cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_views),      cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_damage),     cmocka_unit_test(test_no_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
