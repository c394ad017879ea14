#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pneumo/base/random.h"
#include "pneumo/base/text.h"

#include <float.h>
#include <limits.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void test_numbers_are_short(void **state)
{
    (void)state;
    const struct {
        double value;
        const char *text;
    } table[] = {
        {0, "0"},          {-0.0, "-0"},
        {1, "1"},          {0.1, "0.1"},
        {0.5, "0.5"},      {-2.25, "-2.25"},
        {1e300, "1e+300"}, {0.1 + 0.2, "0.30000000000000004"},
        {INFINITY, "inf"}, {-INFINITY, "-inf"},
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        char text[PD_TEXT_NUMBER];
        assert_string_equal(pd_text_number(text, table[i].value), table[i].text);
    }
}

static void test_numbers_round_trip(void **state)
{
    (void)state;
    pd_random random = pd_random_stream(1, PD_PURPOSE_TEST, 0, 0);
    const double extremes[] = {DBL_MAX, -DBL_MAX, DBL_MIN, DBL_TRUE_MIN, -DBL_EPSILON};
    char text[PD_TEXT_NUMBER];
    for (int i = 0; i < 100000; i++) {
        uint64_t bits = (uint64_t)pd_random_bits(&random) << 32 | pd_random_bits(&random);
        double value, again;
        memcpy(&value, &bits, sizeof value);
        if (i < (int)COUNT(extremes))
            value = extremes[i];
        if (isnan(value))
            continue;
        again = strtod(pd_text_number(text, value), NULL);
        assert_memory_equal(&value, &again, sizeof value);
    }
}

static void test_replacing_bytes(void **state)
{
    (void)state;
    const struct {
        const char *input, *utf8, *printable;
    } table[] = {
        {"", "", ""},
        {"plain", "plain", "plain"},
        {"R\xc3\xb6ntgen \xf0\x9f\xa9\xbb", "R\xc3\xb6ntgen \xf0\x9f\xa9\xbb",
         "R\xc3\xb6ntgen \xf0\x9f\xa9\xbb"},
        {"R\xf6ntgen", "R?ntgen", "R?ntgen"},
        {"cut short \xe8\x83", "cut short ??", "cut short ??"},
        {"\xed\xa0\x80 \xc0\xaf \xf4\x90\x80\x80 \xff", "??? ?? ???? ?", "??? ?? ???? ?"},
        {"a\nb\t\x1b[31m\x7f", "a\nb\t\x1b[31m\x7f", "a?b??[31m?"},
        {"\xc2\x9b"
         "31m",
         "\xc2\x9b"
         "31m",
         "??31m"}, /* CSI as a single character */
        {"\xc2\xa0", "\xc2\xa0", "\xc2\xa0"},
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        char text[64];
        snprintf(text, sizeof text, "%s", table[i].input);
        pd_text_make_utf8(text);
        assert_string_equal(text, table[i].utf8);
        snprintf(text, sizeof text, "%s", table[i].input);
        pd_text_make_printable(text);
        assert_string_equal(text, table[i].printable);
    }
}

/* Any bytes become valid UTF-8, and a second call changes nothing. */
static void test_random_bytes_become_printable(void **state)
{
    (void)state;
    pd_random random = pd_random_stream(1, PD_PURPOSE_TEST, 1, 0);
    for (int i = 0; i < 20000; i++) {
        char text[9] = {0}, again[9];
        for (int j = 0; j < 8; j++)
            text[j] = (char)pd_random_bits(&random);
        pd_text_make_printable(text);
        for (const char *at = text; *at != '\0'; at += pd_text_character_size(at))
            assert_true(pd_text_character_size(at) > 0 && !pd_text_is_control(at));
        memcpy(again, text, sizeof text);
        pd_text_make_printable(again);
        assert_memory_equal(again, text, sizeof text);
    }
}

static void test_csv(void **state)
{
    (void)state;
    const char *const table[][2] = {
        {"", ""},
        {"plain name.jpeg", "plain name.jpeg"},
        {"a,b", "\"a,b\""},
        {"say \"ah\"", "\"say \"\"ah\"\"\""},
        {"two\nlines", "\"two\nlines\""},
        {"carriage\r", "\"carriage\r\""},
        {"R\xf6ntgen", "R\xf6ntgen"},
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        char *text = NULL;
        size_t size;
        FILE *out = open_memstream(&text, &size);
        assert_non_null(out);
        pd_text_write_csv(out, table[i][0]);
        fclose(out);
        assert_string_equal(text, table[i][1]);
        free(text);
    }
}

static void test_distance(void **state)
{
    (void)state;
    const struct {
        const char *a, *b;
        int distance;
    } table[] = {{"", "", 0},         {"", "abc", 3},        {"seed", "seed", 0},
                 {"sed", "seed", 1},  {"trian", "train", 1}, {"frob", "job", 2},
                 {"ab", "ba", 1},     {"ca", "abc", 3},      {"kitten", "sitting", 3},
                 {"abcd", "badc", 2}, {"flaw", "lawn", 2}};
    for (size_t i = 0; i < COUNT(table); i++) {
        assert_int_equal(pd_text_distance(table[i].a, table[i].b), table[i].distance);
        assert_int_equal(pd_text_distance(table[i].b, table[i].a), table[i].distance);
    }
    char longer[200];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    assert_int_equal(pd_text_distance(longer, "x"), 62);
}

static void test_grouped(void **state)
{
    (void)state;
    static const struct {
        uint64_t value;
        const char *text;
    } cases[] = {{0, "0"},
                 {999, "999"},
                 {1000, "1,000"},
                 {14714688, "14,714,688"},
                 {123456, "123,456"},
                 {UINT64_MAX, "18,446,744,073,709,551,615"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[PD_TEXT_NUMBER];
        assert_string_equal(pd_text_grouped(text, cases[i].value), cases[i].text);
    }
}

static void test_plural(void **state)
{
    (void)state;
    assert_string_equal(pd_text_plural(0), "s");
    assert_string_equal(pd_text_plural(1), "");
    assert_string_equal(pd_text_plural(2), "s");
    assert_string_equal(pd_text_plural(INT64_C(1) << 32 | 1), "s");
}

/* No character takes more columns than expected, as the C library sees it. */
static void test_columns(void **state)
{
    (void)state;
    assert_int_equal(pd_text_columns("runs/a"), 6);
    assert_int_equal(pd_text_columns("\u80ba\u708e/\u00e9"), 6);
    assert_int_equal(pd_text_columns("\xe8\x82 \xff"), 4);
    assert_int_equal(pd_text_columns("\u28ff\u2026"), 2);
    assert_int_equal(pd_text_fit("\u80ba\u708e", 3), 3);
    assert_int_equal(pd_text_fit("\u80ba\u708e", 4), 6);
    assert_int_equal(pd_text_fit("\u80ba\u708e", -1), 0);
    assert_int_equal(pd_text_fit("ab", 9), 2);
    if (setlocale(LC_CTYPE, "C.UTF-8") == NULL)
        skip();
    for (wchar_t point = 1; point < 0x110000; point++) {
        char text[MB_LEN_MAX + 1] = "";
        if (wctomb(text, point) > 0 && wcwidth(point) > pd_text_columns(text))
            fail_msg("U+%04X takes %d columns", (unsigned)point, wcwidth(point));
    }
    setlocale(LC_CTYPE, "C");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grouped),
        cmocka_unit_test(test_plural),
        cmocka_unit_test(test_numbers_are_short),
        cmocka_unit_test(test_numbers_round_trip),
        cmocka_unit_test(test_replacing_bytes),
        cmocka_unit_test(test_random_bytes_become_printable),
        cmocka_unit_test(test_csv),
        cmocka_unit_test(test_distance),
        cmocka_unit_test(test_columns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
