/* Reading tables as text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "data/table.h"
#include "pneumo/io/file.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char path[] = "test_table.csv";

/* Reads these bytes as a file. */
static pd_status read_bytes(pd_table *table, const void *bytes, size_t size)
{
    assert_int_equal(pd_file_write(path, bytes, size), PD_OK);
    pd_status status = pd_table_read(table, path);
    unlink(path);
    return status;
}

/* Writes a table as "line:[field][field]" per row. */
static void print_table(char *text, const pd_table *table)
{
    text[0] = '\0';
    for (int64_t i = 0; i < table->count; i++) {
        text += sprintf(text, "%d:", (int)table->rows[i].line);
        for (int64_t j = 0; j < table->rows[i].count; j++)
            text += sprintf(text, "[%s]", pd_table_field(table, &table->rows[i], j));
    }
}

static void expect_bytes(const void *bytes, size_t size, const char *wanted)
{
    pd_table table;
    char text[512];
    if (read_bytes(&table, bytes, size) != PD_OK)
        fail_msg("%s", pd_error_message());
    print_table(text, &table);
    assert_string_equal(text, wanted);
    if (table.count > 0)
        assert_string_equal(pd_table_field(&table, &table.rows[0], 99), "");
    pd_table_free(&table);
}

static void expect(const char *bytes, const char *wanted)
{
    expect_bytes(bytes, strlen(bytes), wanted);
}

static void fields_and_lines(void **state)
{
    (void)state;
    expect("a,b\n1,2\n", "1:[a][b]2:[1][2]");
    expect("a,b\r\n1,2", "1:[a][b]2:[1][2]");
    expect("a,b\r1,2\r\r3,4\r", "1:[a][b]2:[1][2]4:[3][4]");
    expect("a,b\n\n\n , \n1,2\n\n", "1:[a][b]4:[][]5:[1][2]");
    expect("a, b ,\n1\n", "1:[a][b][]2:[1]");
    expect("\"a,b\",\"c \"\"d\"\"\"\n\" e \",f\n", "1:[a,b][c \"d\"]2:[ e ][f]");
    expect("\"a\nb\r\nc\",d\n1,2\n", "1:[a\nb\r\nc][d]4:[1][2]");
    expect("a;b\n1,5;2\n", "1:[a][b]2:[1,5][2]");
    expect("a\tb\n1, x\t\t\n", "1:[a][b]2:[1, x][][]");
    expect("\"a,b,c\";d\n1;2\n", "1:[a,b,c][d]2:[1][2]");
    expect("", "");
}

static void encodings(void **state)
{
    (void)state;
    static const char marked[] = "\xef\xbb\xbf"
                                 "a,b\n1,\xc3\xa9\n",
                      latin[] = "a,b\n1,\xe9\n";
    expect(marked, "1:[a][b]2:[1][\xc3\xa9]");
    expect(latin, "1:[a][b]2:[1][\xc3\xa9]");
    expect_bytes("\xff\xfe"
                 "a\0,\0b\0\n\0\xe9\0,\0c\0",
                 16, "1:[a][b]2:[\xc3\xa9][c]");
    expect_bytes("\xfe\xff\0a\0,\0b", 8, "1:[a][b]");
}

static void refuse(const void *bytes, size_t size, const char *words)
{
    pd_table table;
    assert_int_equal(read_bytes(&table, bytes, size), PD_FAILED);
    if (strstr(pd_error_message(), words) == NULL)
        fail_msg("'%s' does not say '%s'", pd_error_message(), words);
    assert_non_null(strstr(pd_error_message(), path));
    pd_table_free(&table);
}

static void damage_is_named(void **state)
{
    (void)state;
    static const char open[] = "a,b\n1,2\n\"3,4\n5,6\n";
    refuse(open, strlen(open), "line 3: a quote is missing");
    static const char stray[] = "a,b\n1,5\" wide\n";
    refuse(stray, strlen(stray), "line 2: a quote is missing, or inside a field without quotes");
    refuse("PK\3\4\0\0a,b\n", 10, "is not a table as text");
    refuse("\xff\xfe"
           "a\0b",
           5, "damaged UTF-16 text");
    pd_table table;
    assert_int_equal(pd_table_read(&table, "no-such.csv"), PD_FAILED);
    assert_non_null(strstr(pd_error_message(), "no-such.csv"));
    pd_table_free(&table);
}

static void a_line_is_parsed(void **state)
{
    (void)state;
    pd_table table;
    char text[64];
    assert_int_equal(pd_table_parse(&table, "path=a;b,\"label=c, d\"", "--columns"), PD_OK);
    print_table(text, &table);
    assert_string_equal(text, "1:[path=a;b][label=c, d]");
    pd_table_free(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_and_lines),
        cmocka_unit_test(encodings),
        cmocka_unit_test(damage_is_named),
        cmocka_unit_test(a_line_is_parsed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
