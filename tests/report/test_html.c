#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "report/html.h"

#include <stdlib.h>
#include <string.h>

static char *escape(const char *text)
{
    char *result = NULL;
    size_t size;
    FILE *out = open_memstream(&result, &size);
    assert_non_null(out);
    pd_html_text(out, text);
    fclose(out);
    return result;
}

static void test_text_is_no_markup(void **state)
{
    (void)state;
    const char *const table[][2] = {
        {"", ""},
        {"R\xc3\xb6ntgen", "R\xc3\xb6ntgen"},
        {"<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"},
        {"\" onload='x' &amp;", "&quot; onload=&#39;x&#39; &amp;amp;"},
        {"a\tb\nc", "a\tb\nc"},
        {"\x1b[31m \x07\xc2\x85", "?[31m ??"},
        {"\xff<\xc3<", "?&lt;?&lt;"}, /* a truncated character must not consume what follows */
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char *text = escape(table[i][0]);
        assert_string_equal(text, table[i][1]);
        free(text);
    }
}

static void test_element_and_print(void **state)
{
    (void)state;
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    pd_html_element(out, "p", "a < b");
    pd_html_element(out, "th scope=\"row\"", "c");
    pd_html_print(out, "%s > %d", "<d>", 7);
    fclose(out);
    assert_string_equal(text, "<p>a &lt; b</p><th scope=\"row\">c</th>&lt;d&gt; &gt; 7");
    free(text);
}

/* Long texts are truncated, also in the middle of a character. */
static void test_print_is_bounded(void **state)
{
    (void)state;
    char longest[2000] = "";
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    for (size_t i = 0; i + 3 < sizeof longest; i += 2)
        memcpy(longest + i, "\xc3\xb6", 2);
    pd_html_print(out, "%s", longest);
    fclose(out);
    assert_in_range(size, 500, 512);
    assert_int_equal(text[size - 1], '?');
    free(text);
}

/* RFC 4648, section 10. */
static void test_png_is_base64(void **state)
{
    (void)state;
    const char *const table[][2] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
        {"\xff\xfe\xfd", "//79"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char expected[100], *text = NULL;
        size_t size;
        FILE *out = open_memstream(&text, &size);
        assert_non_null(out);
        pd_html_png(out, (const unsigned char *)table[i][0], strlen(table[i][0]), "\"x\"");
        fclose(out);
        snprintf(expected, sizeof expected,
                 "<img alt=\"&quot;x&quot;\" src=\"data:image/png;base64,%s\">", table[i][1]);
        assert_string_equal(text, expected);
        free(text);
    }
}

static void test_page(void **state)
{
    (void)state;
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    pd_html_begin(out, "a </title><script>", "p{color:red}\n");
    pd_html_element(out, "p", "1 < 2");
    pd_html_end(out);
    fclose(out);
    assert_int_equal(strncmp(text, "<!DOCTYPE html>\n", 16), 0);
    assert_non_null(strstr(text, "<title>a &lt;/title&gt;&lt;script&gt;</title>"));
    assert_non_null(strstr(text, "p{color:red}\n</style>"));
    assert_non_null(strstr(text, "<p>1 &lt; 2</p>"));
    assert_non_null(strstr(text, "</html>\n"));
    assert_null(strstr(text, "<script"));
    assert_null(strstr(text, "http"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_is_no_markup),
        cmocka_unit_test(test_element_and_print),
        cmocka_unit_test(test_print_is_bounded),
        cmocka_unit_test(test_png_is_base64),
        cmocka_unit_test(test_page),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
