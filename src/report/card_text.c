#include "card_text.h"

#include "pneumo/base/clock.h"
#include "pneumo/base/text.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { KEY = 160 };

void pd_card_set_scope(pd_card *card, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(card->scope, sizeof card->scope, format, arguments);
    va_end(arguments);
}

static bool is_null(const cJSON *item)
{
    return cJSON_IsNull(item) || (cJSON_IsRaw(item) && strcmp(item->valuestring, "null") == 0);
}

/* The item at `key` below `item`. */
static const cJSON *find_below(const cJSON *item, const char *key)
{
    char part[KEY];
    while (item != NULL && *key != '\0') {
        size_t length = strcspn(key, ".");
        snprintf(part, sizeof part, "%.*s", (int)length, key);
        item = cJSON_IsArray(item) ? cJSON_GetArrayItem(item, atoi(part))
                                   : cJSON_GetObjectItemCaseSensitive(item, part);
        key += length + (key[length] == '.');
    }
    return item == NULL || is_null(item) ? NULL : item;
}

const cJSON *pd_card_find(const pd_card *card, const char *key)
{
    char whole[sizeof card->scope + KEY];
    snprintf(whole, sizeof whole, "%s%s", key[0] == '.' ? card->scope : "", key);
    return find_below(card->root, whole);
}

static double number_of(const cJSON *item)
{
    return cJSON_IsRaw(item) ? strtod(item->valuestring, NULL) : (double)NAN;
}

double pd_card_number(const pd_card *card, const char *key)
{
    return number_of(pd_card_find(card, key));
}

/* Escapes what is markup in CommonMark's inline text or ends a cell of a table. */
static void put_escaped(FILE *out, const char *text)
{
    for (size_t size; *text != '\0'; text += size) {
        size = pd_text_character_size(text);
        if (size == 0 || pd_text_is_control(text)) {
            size = size == 0 ? 1 : size;
            fputc('?', out);
        } else {
            if (strchr("\\`*_{}[]<>#|~&!$", *text) != NULL)
                fputc('\\', out);
            fwrite(text, 1, size, out);
        }
    }
}

/* "97.1" or "0.9974": as percent, or with `decimals` decimals. */
static void put_number(FILE *out, double value, bool percent, int decimals)
{
    fprintf(out, "%.*f", percent ? 1 : decimals, percent ? 100 * value : value);
}

/* "97.1 % (94.6 to 98.4)" */
static void put_figure(FILE *out, const cJSON *figure, bool percent, int decimals)
{
    const cJSON *value = find_below(figure, "value"), *low = find_below(figure, "low"),
                *high = find_below(figure, "high");
    if (value == NULL) {
        fputs("unknown", out);
        return;
    }
    put_number(out, number_of(value), percent, decimals);
    fputs(percent ? " % (" : " (", out);
    if (low == NULL || high == NULL) {
        fputs("interval unknown)", out);
        return;
    }
    put_number(out, number_of(low), percent, decimals);
    fputs(" to ", out);
    put_number(out, number_of(high), percent, decimals);
    fputc(')', out);
}

static void put_value(FILE *out, const cJSON *item, const char *format)
{
    char text[64];
    if (item == NULL)
        fputs("unknown", out);
    else if (format[0] == 'f')
        put_figure(out, item, format[1] == '%', atoi(format + 1 + (format[1] == '.')));
    else if (format[0] == 's')
        fputs(number_of(item) == 1 ? "" : "s", out);
    else if (format[0] == 't')
        fputs(pd_clock_format(text, sizeof text, number_of(item)), out);
    else if (format[0] == '.')
        put_number(out, number_of(item), false, atoi(format + 1));
    else if (format[0] == '%') {
        put_number(out, number_of(item), true, 0);
        fputs(" %", out);
    } else if (cJSON_IsRaw(item)) {
        fputs(item->valuestring, out);
    } else {
        put_escaped(out, cJSON_IsString(item) ? item->valuestring : "unknown");
    }
}

void pd_card_put(const pd_card *card, const char *text)
{
    char key[KEY];
    for (const char *open; (open = strchr(text, '{')) != NULL;) {
        const char *close = strchr(open, '}');
        fwrite(text, 1, (size_t)(open - text), card->out);
        snprintf(key, sizeof key, "%.*s", (int)(close - open - 1), open + 1);
        char *colon = strchr(key, ':');
        if (colon != NULL)
            *colon++ = '\0';
        put_value(card->out, pd_card_find(card, key), colon != NULL ? colon : "");
        text = close + 1;
    }
    fputs(text, card->out);
}

void pd_card_put_code(const pd_card *card, const char *key)
{
    const cJSON *item = pd_card_find(card, key);
    if (!cJSON_IsString(item)) {
        fputs("Unknown.\n", card->out);
        return;
    }
    /* Four spaces make a line code that no text in it can end. */
    fputs("    ", card->out);
    for (const char *at = item->valuestring; *at != '\0';) {
        size_t size = pd_text_character_size(at);
        if (*at == '\n')
            fputs(at[1] == '\0' ? "" : "\n    ", card->out);
        else if (pd_text_is_control(at))
            fputc('?', card->out);
        else
            fwrite(at, 1, size, card->out);
        at += size;
    }
    fputc('\n', card->out);
}
