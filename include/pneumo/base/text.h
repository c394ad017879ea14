/* Text for files that others read: numbers that read back, names that may hold any bytes. */
#ifndef PNEUMO_BASE_TEXT_H
#define PNEUMO_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum { PD_TEXT_NUMBER = 32 };

/* Writes the shortest decimal number that reads back to the same bits, and returns `text`. */
char *pd_text_number(char text[PD_TEXT_NUMBER], double value);

/* Bytes of the UTF-8 character at `text`, 1 for the end; 0 if there is none (Unicode 15, table
 * 3-7). */
size_t pd_text_character_size(const char *text);

/* Whether the UTF-8 character at `text` is a control character: C0, DEL, or C1, which some
 * terminals obey as they do an escape. */
bool pd_text_is_control(const char *text);

/* Replaces every byte that is not UTF-8 by '?'. */
void pd_text_make_utf8(char *text);

/* The same, and every control character too: one line, which cannot steer a terminal. */
void pd_text_make_printable(char *text);

/* Writes a field of a CSV file (RFC 4180): in quotes if it holds a comma, a quote or a line break.
 * Bytes that are not UTF-8 stay as they are. */
void pd_text_write_csv(FILE *out, const char *text);

/* The smallest number of characters to insert, delete, replace or swap with their neighbour that
 * turns one word into the other (optimal string alignment). Only the first 63 characters count. */
int pd_text_distance(const char *a, const char *b);

#endif
