#include "options.h"

#include "job.h"
#include "pneumo/io/outputs.h"
#include "suggest.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPTIONS_MAX = 32 };

const pd_option pd_option_help = {"help", 'h', PD_OPTION_FLAG, 0, NULL, .help = "print this help"};

/* --- Values --- */

static pd_status parse_integer(int64_t *out, const pd_option *option, const char *text)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0 || value < option->low || value > option->high)
        return pd_fail_usage("--%s '%s' is not a whole number from %lld to %lld", option->name,
                             text, (long long)option->low, (long long)option->high);
    *out = value;
    return PD_OK;
}

static pd_status parse_number(double *out, const pd_option *option, const char *text)
{
    char *end, bound[32] = "";
    double low = (double)option->low, high = (double)option->high;
    double value = strtod(text, &end);
    if (end != text && *end == '\0' && isfinite(value) &&
        (option->above_low ? value > low : value >= low) && (high == 0 || value <= high)) {
        *out = value;
        return PD_OK;
    }
    if (high != 0)
        snprintf(bound, sizeof bound, " and at most %g", high);
    return pd_fail_usage("--%s '%s' is not a number %s %g%s", option->name, text,
                         option->above_low ? "above" : "of at least", low, bound);
}

static pd_status parse_integers(pd_option_ints *out, const pd_option *option, const char *text)
{
    out->count = 0;
    for (const char *at = text;; at++) {
        char *end;
        errno = 0;
        long value = strtol(at, &end, 10);
        if (end == at || errno != 0 || value < option->low || value > option->high ||
            (*end != ',' && *end != '\0') || out->count == PD_OPTION_INTS_MAX)
            return pd_fail_usage("--%s '%s' is not a list of up to %d numbers such as 2,8,64",
                                 option->name, text, PD_OPTION_INTS_MAX);
        out->values[out->count++] = (int)value;
        if (*end == '\0')
            return PD_OK;
        at = end;
    }
}

/* "val, test, both" */
static void join_choices(char *list, size_t size, const char *const *choices)
{
    size_t used = 0;
    list[0] = '\0';
    for (int i = 0; choices[i] != NULL && used < size; i++)
        used += (size_t)snprintf(list + used, size - used, "%s%s", i == 0 ? "" : ", ", choices[i]);
}

static pd_status parse_choice(int *out, const pd_option *option, const char *text)
{
    char list[512], noun[32];
    for (int i = 0; option->choices[i] != NULL; i++)
        if (strcmp(option->choices[i], text) == 0) {
            *out = i;
            return PD_OK;
        }
    join_choices(list, sizeof list, option->choices);
    snprintf(noun, sizeof noun, "%s", option->argument);
    for (char *at = noun; *at != '\0'; at++)
        *at = (char)tolower((unsigned char)*at);
    return pd_fail_usage("--%s: unknown %s '%s'; choices are %s", option->name, noun, text, list);
}

static pd_status parse_text(const char **out, const pd_option *option, const char *text)
{
    if (text[0] == '\0')
        return pd_fail_usage("option '--%s' has an empty value", option->name);
    if (option->no_stdout && strcmp(text, PD_OUTPUT_STDOUT) == 0)
        return pd_fail_usage("--%s -: cannot be written to standard output; give a name, or ./- if "
                             "that is the name",
                             option->name);
    *out = text;
    return PD_OK;
}

/* Stores the value of an option; `text` is NULL for a flag. */
static pd_status store(const pd_option *option, void *options, const char *text)
{
    void *target = (char *)options + option->offset;
    int64_t integer = 0;
    pd_status status = PD_OK;
    switch (option->type) {
    case PD_OPTION_FLAG:
        *(bool *)target = true;
        return PD_OK;
    case PD_OPTION_INT:
        status = parse_integer(&integer, option, text);
        if (status == PD_OK)
            *(int *)target = (int)integer;
        return status;
    case PD_OPTION_INT64:
        return parse_integer(target, option, text);
    case PD_OPTION_NUMBER:
        return parse_number(target, option, text);
    case PD_OPTION_TEXT:
        return parse_text(target, option, text);
    case PD_OPTION_CHOICE:
        return parse_choice(target, option, text);
    case PD_OPTION_INTS:
        return parse_integers(target, option, text);
    case PD_OPTION_JOB_KEY:
        return pd_overrides_add(target, option->key, text);
    }
    return PD_OK;
}

/* --- Finding options --- */

static pd_status fail_unknown(const pd_option *table, const char *word, size_t length)
{
    const char *names[OPTIONS_MAX + 1] = {pd_option_help.name};
    char name[64], text[96];
    int count = 1;
    for (; count <= OPTIONS_MAX && table[count - 1].name != NULL; count++)
        names[count] = table[count - 1].name;
    snprintf(name, sizeof name, "%.*s", (int)length, word);
    pd_suggest(text, "--", name, names, count);
    return pd_fail_usage("unknown option '--%.*s'%s", (int)length, word, text);
}

/* Finds a long option by its name or an unambiguous prefix of it. */
static pd_status find_long(const pd_option **out, const pd_option *table, const char *word,
                           size_t length)
{
    const pd_option *found = NULL, *other = NULL;
    for (const pd_option *row = table;; row++) {
        const pd_option *option = row->name == NULL ? &pd_option_help : row;
        if (strncmp(option->name, word, length) == 0) {
            if (option->name[length] == '\0') {
                *out = option;
                return PD_OK;
            }
            other = found;
            found = option;
        }
        if (row->name == NULL)
            break;
    }
    if (other != NULL)
        return pd_fail_usage("option '--%.*s' is ambiguous: it may be '--%s' or '--%s'",
                             (int)length, word, other->name, found->name);
    *out = found;
    return found != NULL ? PD_OK : fail_unknown(table, word, length);
}

static pd_status find_short(const pd_option **out, const pd_option *table, char letter)
{
    for (const pd_option *row = table; row->name != NULL; row++)
        if (row->letter == letter) {
            *out = row;
            return PD_OK;
        }
    *out = &pd_option_help;
    return letter == pd_option_help.letter ? PD_OK : pd_fail_usage("unknown option '-%c'", letter);
}

/* --- Parsing --- */

typedef struct parser {
    const pd_option *table;
    void *options;
    char **argv;
    int argc, next; /* argv[next] is the next word */
    bool help;
    bool given[OPTIONS_MAX]; /* by row: options with a value that were found */
} parser;

/* Fails if an option with one value is given again. A flag says nothing new then, and of a job's
 * key the last value counts. */
static pd_status note_given(parser *at, const pd_option *option)
{
    bool *given = &at->given[option - at->table];
    if (*given && option->type != PD_OPTION_FLAG && option->type != PD_OPTION_JOB_KEY)
        return pd_fail_usage("option '--%s' is given twice", option->name);
    *given = true;
    return PD_OK;
}

/* Takes an option whose value is `text`, or NULL if the value is the next word. `word` is what
 * messages call the option. */
static pd_status take(parser *at, const pd_option *option, const char *text, const char *word)
{
    if (option == &pd_option_help) {
        at->help = true;
        return PD_OK;
    }
    if (option->type != PD_OPTION_FLAG && text == NULL) {
        if (at->next == at->argc)
            return pd_fail_usage("option '%s' requires a value", word);
        text = at->argv[at->next++];
    }
    pd_status status = note_given(at, option);
    if (status != PD_OK)
        return status;
    return store(option, at->options, text);
}

/* "--name", "--name=value" */
static pd_status take_long(parser *at, const char *word)
{
    const pd_option *option = NULL;
    const char *equals = strchr(word, '=');
    size_t length = equals != NULL ? (size_t)(equals - word) : strlen(word);
    pd_status status = find_long(&option, at->table, word + 2, length - 2);
    if (status != PD_OK)
        return status;
    if (option->type == PD_OPTION_FLAG && equals != NULL)
        return pd_fail_usage("option '%s' takes no value", word);
    return take(at, option, equals != NULL ? equals + 1 : NULL, word);
}

/* "-x", "-xvalue", "-xyz" */
static pd_status take_short(parser *at, const char *word)
{
    for (const char *letter = word + 1; *letter != '\0' && !at->help; letter++) {
        const pd_option *option = NULL;
        char name[3] = {'-', *letter, '\0'};
        pd_status status = find_short(&option, at->table, *letter);
        if (status != PD_OK)
            return status;
        bool takes = option->type != PD_OPTION_FLAG;
        status = take(at, option, takes && letter[1] != '\0' ? letter + 1 : NULL, name);
        if (status != PD_OK || takes)
            return status;
    }
    return PD_OK;
}

pd_status pd_options_parse(pd_parsed *out, const pd_option *table, void *options, int argc,
                           char **argv)
{
    parser at = {.table = table, .options = options, .argv = argv, .argc = argc, .next = 1};
    pd_status status = PD_OK;
    bool ended = false;
    *out = (pd_parsed){.operands = argv + 1};
    while (at.next < argc && status == PD_OK && !at.help) {
        char *word = argv[at.next++];
        if (ended || word[0] != '-' || word[1] == '\0')
            out->operands[out->operand_count++] = word;
        else if (strcmp(word, "--") == 0)
            ended = true;
        else if (word[1] == '-')
            status = take_long(&at, word);
        else
            status = take_short(&at, word);
    }
    out->help = at.help;
    return status;
}

pd_status pd_options_check(const pd_option *table, const void *options)
{
    for (const pd_option *row = table; row->name != NULL; row++) {
        const char *const *text = (const void *)((const char *)options + row->offset);
        if (row->required && *text == NULL)
            return pd_fail_usage("missing option '--%s %s'", row->name, row->argument);
    }
    return PD_OK;
}
