/* Markdown with values of report.json.
 *
 * A text holds placeholders {key} or {key:format}. A key such as "folds.test.chosen.auc" is that of
 * report.json; one that begins with a dot continues the card's `scope`. Formats:
 *
 *   {key}     a number with all its digits, or a text
 *   {key:.4}  a number with 4 decimals
 *   {key:s}   the plural s of the number: nothing for 1
 *   {key:%}   a share in percent: 97.1 %
 *   {key:t}   seconds as a duration: 12 min 05 s
 *   {key:f.4} a figure with its interval: 0.9974 (0.9957 to 0.9991)
 *   {key:f%}  the same in percent: 97.1 % (94.6 to 98.4)
 *
 * A value that is missing or null is "unknown". Texts are escaped: whatever they hold, they neither
 * end a line or a cell nor become markup. */
#ifndef PNEUMO_REPORT_CARD_TEXT_H
#define PNEUMO_REPORT_CARD_TEXT_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdio.h>

typedef struct pd_card {
    FILE *out;
    const cJSON *root; /* from pd_report_json_create */
    char scope[96];
} pd_card;

/* Sets the scope, printf style. */
void pd_card_set_scope(pd_card *card, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The item at a key; NULL: there is none, or it is null. */
const cJSON *pd_card_find(const pd_card *card, const char *key);

/* The number at a key; NAN: there is none. */
double pd_card_number(const pd_card *card, const char *key);

/* Writes a text with placeholders. */
void pd_card_put(const pd_card *card, const char *text);

/* Writes the text at a key as a block of code, line by line. */
void pd_card_put_code(const pd_card *card, const char *key);

#endif
