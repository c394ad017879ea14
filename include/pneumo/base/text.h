/* Text for output files and terminals: exact numbers, and names that may contain any bytes. */
#ifndef PNEUMO_BASE_TEXT_H
#define PNEUMO_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { PD_TEXT_NUMBER = 32 };

/* Writes the shortest decimal number that strtod converts to the same bits; returns `text`. */
char *pd_text_number(char text[PD_TEXT_NUMBER], double value);

/* Writes a number with commas between groups of three digits; returns `text`. */
char *pd_text_grouped(char text[PD_TEXT_NUMBER], uint64_t value);

/* The ending of a regular noun that follows the number `count`: "" after 1, otherwise "s". */
const char *pd_text_plural(int64_t count);

/* The number of bytes of the UTF-8 character at `text`, 1 for the terminating zero, 0 if the bytes
 * are not valid UTF-8 (Unicode 15, table 3-7). */
size_t pd_text_character_size(const char *text);

/* The columns of a terminal that a text takes at most: 2 for a wide character, as of Chinese,
 * Japanese and Korean text, and 1 for any other and for a byte that is not valid UTF-8. */
int pd_text_columns(const char *text);

/* The number of bytes at the beginning of `text` that fit into that many columns, in whole
 * characters. */
size_t pd_text_fit(const char *text, int columns);

/* Whether the UTF-8 character at `text` is a control character: C0, DEL, or C1, which some
 * terminals interpret like escape sequences. */
bool pd_text_is_control(const char *text);

/* Replaces every byte that is not valid UTF-8 by '?'. */
void pd_text_make_utf8(char *text);

/* Also replaces control characters: the result is one line and has no effect on a terminal. */
void pd_text_make_printable(char *text);

/* Writes a field of a CSV file (RFC 4180), in quotes if it contains a comma, a quote or a line
 * break. Bytes that are not valid UTF-8 are not changed. */
void pd_text_write_csv(FILE *out, const char *text);

/* The edit distance of two words: the smallest number of insertions, deletions, replacements and
 * swaps of adjacent characters that turns one into the other (optimal string alignment). Only the
 * first 63 characters count. */
int pd_text_distance(const char *a, const char *b);

#endif
