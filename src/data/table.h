/* Tables as text: comma-separated values, and the like. */
#ifndef PNEUMO_DATA_TABLE_H
#define PNEUMO_DATA_TABLE_H

#include "pneumo/base/status.h"

#include <stddef.h>
#include <stdint.h>

typedef struct pd_table_row {
    int64_t line;  /* on which it begins in the file, from 1 */
    int64_t first; /* index of its first field */
    int64_t count; /* of its fields */
} pd_table_row;

typedef struct pd_table {
    char *text; /* the fields, each terminated by a 0 byte */
    size_t text_size, text_capacity;
    int64_t *fields; /* [field_count]: where each begins in text */
    int64_t field_count;
    size_t field_capacity;
    pd_table_row *rows; /* [count]; blank lines are no rows */
    int64_t count;
    size_t capacity;
} pd_table;

/* Reads a table (RFC 4180). Fields are separated by commas, semicolons or tabs, whichever is most
 * frequent in the first line; they may be quoted, and then contain separators and line breaks.
 * Lines end in LF, CRLF or CR. The text is UTF-8, with or without byte-order mark, or UTF-16 with
 * one, or else taken as Latin-1; fields are UTF-8, without spaces around them. Errors name the file
 * and the line. *out is released with pd_table_free, also after a failure. */
pd_status pd_table_read(pd_table *out, const char *path);

/* The same of a text of one line, in which commas separate fields; `name` is what errors say. */
pd_status pd_table_parse(pd_table *out, const char *text, const char *name);

void pd_table_free(pd_table *table);

/* A field of a row; "" beyond the last. */
const char *pd_table_field(const pd_table *table, const pd_table_row *row, int64_t column);

#endif
