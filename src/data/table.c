#include "table.h"

#include "pneumo/base/memory.h"
#include "pneumo/base/text.h"
#include "pneumo/io/file.h"

#include <csv.h>
#include <errno.h>
#include <iconv.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { TABLE_MAX = 1 << 30 }; /* bytes of a file */

/* --- Parsing --- */

typedef struct parser {
    pd_table *table;
    pd_status status;
    int64_t line;  /* of what follows */
    int64_t begin; /* the line on which the row begins; 0: between rows */
    int64_t first; /* the row's first field */
    bool after_return;
} parser;

static void end_field(void *bytes, size_t size, void *context)
{
    parser *p = context;
    pd_table *table = p->table;
    if (p->status != PD_OK)
        return;
    if (p->begin == 0)
        p->begin = p->line;
    p->after_return = false;
    p->status = pd_grow(&table->fields, &table->field_capacity, (size_t)table->field_count + 1,
                        sizeof *table->fields);
    if (p->status == PD_OK)
        p->status = pd_grow(&table->text, &table->text_capacity, table->text_size + size + 1, 1);
    if (p->status != PD_OK)
        return;
    table->fields[table->field_count++] = (int64_t)table->text_size;
    char *to = table->text + table->text_size;
    if (size > 0)
        memcpy(to, bytes, size);
    to[size] = '\0';
    for (size_t i = 0; i < size; i++)
        p->line += to[i] == '\n';
    table->text_size += size + 1;
}

/* Called for every line break outside of quotes, and with -1 at the end of the text. */
static void end_row(int terminator, void *context)
{
    parser *p = context;
    pd_table *table = p->table;
    if (p->status == PD_OK && table->field_count > p->first) {
        p->status =
            pd_grow(&table->rows, &table->capacity, (size_t)table->count + 1, sizeof *table->rows);
        if (p->status == PD_OK)
            table->rows[table->count++] = (pd_table_row){
                .line = p->begin, .first = p->first, .count = table->field_count - p->first};
    }
    p->first = table->field_count;
    p->begin = 0;
    if (terminator != '\n' || !p->after_return)
        p->line++;
    p->after_return = terminator == '\r';
}

static pd_status parse(pd_table *out, const char *text, size_t size, char delimiter,
                       const char *name)
{
    struct csv_parser state;
    parser p = {.table = out, .line = 1};
    if (csv_init(&state, CSV_STRICT | CSV_STRICT_FINI | CSV_REPALL_NL) != 0)
        return pd_fail("out of memory for reading %s", name);
    csv_set_delim(&state, (unsigned char)delimiter);
    bool good = csv_parse(&state, text, size, end_field, end_row, &p) == size;
    good = good && csv_fini(&state, end_field, end_row, &p) == 0;
    int error = csv_error(&state);
    csv_free(&state);
    if (p.status != PD_OK || good)
        return p.status;
    return pd_fail("%s, line %lld: %s", name, (long long)p.line,
                   error == CSV_EPARSE ? "a quote is missing, or inside a field without quotes"
                                       : csv_strerror(error));
}

/* --- Encodings --- */

/* Converts to UTF-8; *out is released with free(). */
static pd_status convert(char **out, size_t *out_size, const char *text, size_t size,
                         const char *from, const char *name)
{
    pd_status status;
    size_t room = 2 * size + 4, left = room;
    char *in = (char *)text, *to; /* iconv does not change its input */
    iconv_t converter = iconv_open("UTF-8", from);
    *out = NULL;
    if (converter == (iconv_t)-1)
        return pd_fail("%s is %s text, which this system cannot convert; save it as UTF-8", name,
                       from);
    PD_TRY(pd_alloc(out, room + 1, 1));
    to = *out;
    if (iconv(converter, &in, &size, &to, &left) == (size_t)-1) {
        status =
            pd_fail("%s is damaged %s text: %s; save it as UTF-8", name, from, strerror(errno));
        goto cleanup;
    }
    *out_size = room - left;

cleanup:
    iconv_close(converter);
    if (status != PD_OK) {
        free(*out);
        *out = NULL;
    }
    return status;
}

/* Whether a text that ends in a 0 byte is valid UTF-8. */
static bool is_utf8(const char *text, size_t size)
{
    const char *end = text + size;
    while (text < end) {
        size_t length = pd_text_character_size(text);
        if (length == 0)
            return false;
        text += length;
    }
    return true;
}

/* The separator that is most frequent in the first line, outside of quotes. */
static char find_delimiter(const char *text)
{
    static const char candidates[] = ",;\t";
    int counts[3] = {0}, best = 0;
    for (bool quoted = false; *text != '\0' && (quoted || strchr("\r\n", *text) == NULL); text++) {
        const char *found = strchr(candidates, *text);
        quoted = quoted != (*text == '"');
        if (found != NULL && !quoted)
            counts[found - candidates]++;
    }
    for (int i = 1; i < 3; i++)
        best = counts[i] > counts[best] ? i : best;
    return candidates[best];
}

pd_status pd_table_read(pd_table *out, const char *path)
{
    pd_status status;
    unsigned char *bytes = NULL;
    char *converted = NULL;
    size_t size;

    *out = (pd_table){0};
    PD_TRY(pd_file_read(&bytes, &size, path, TABLE_MAX));
    const char *text = (const char *)bytes;
    bool wide =
        size >= 2 && (memcmp(bytes, "\xff\xfe", 2) == 0 || memcmp(bytes, "\xfe\xff", 2) == 0);
    if (wide || (memchr(bytes, 0, size) == NULL && !is_utf8(text, size))) {
        PD_TRY(convert(&converted, &size, text, size, wide ? "UTF-16" : "ISO-8859-1", path));
        text = converted;
    }
    if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
        text += 3;
        size -= 3;
    }
    if (memchr(text, 0, size) != NULL) {
        status = pd_fail("%s is not a table as text (CSV)", path);
        goto cleanup;
    }
    PD_TRY(parse(out, text, size, find_delimiter(text), path));

cleanup:
    free(bytes);
    free(converted);
    return status;
}

pd_status pd_table_parse(pd_table *out, const char *text, const char *name)
{
    *out = (pd_table){0};
    return parse(out, text, strlen(text), ',', name);
}

void pd_table_free(pd_table *table)
{
    free(table->text);
    free(table->fields);
    free(table->rows);
    *table = (pd_table){0};
}

const char *pd_table_field(const pd_table *table, const pd_table_row *row, int64_t column)
{
    return column < row->count ? table->text + table->fields[row->first + column] : "";
}
