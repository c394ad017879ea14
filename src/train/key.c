#include "key.h"

#include "pneumo/base/text.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Enumerations are stored through a pointer to int. */
typedef enum any_enum { ANY_ENUM } any_enum;
_Static_assert(sizeof(any_enum) == sizeof(int), "an enum has the size of an int");

/* --- Choices --- */

/* The choice at `index`; NULL beyond the last. */
static const char *choice_at(const pd_key_choices *choices, int index)
{
    if (choices->rows == NULL)
        return choices->list()[index];
    if (index >= choices->count)
        return NULL;
    const char *row = (const char *)choices->rows + (size_t)index * choices->row_size;
    return *(const char *const *)(const void *)row;
}

/* Writes "a, b, c" to text[size]. */
static void list_choices(char *text, size_t size, const pd_key_choices *choices)
{
    const char *name;
    size_t used = 0;
    text[0] = '\0';
    for (int i = 0; (name = choice_at(choices, i)) != NULL && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%s", i > 0 ? ", " : "", name);
}

static pd_status find_choice(const pd_key *key, int *index, const char *value)
{
    const char *name;
    char list[512];
    for (*index = 0; (name = choice_at(key->choices, *index)) != NULL; ++*index)
        if (strcmp(value, name) == 0)
            return PD_OK;
    list_choices(list, sizeof list, key->choices);
    return pd_fail("%s '%s' is unknown; choices are %s",
                   key->choices->what != NULL ? key->choices->what : key->name, value, list);
}

/* --- Finding a key --- */

static bool begins_section(const pd_keys *keys, int index)
{
    return index == 0 || strcmp(keys->keys[index].section, keys->keys[index - 1].section) != 0;
}

bool pd_key_has_section(const pd_keys *keys, const char *section)
{
    for (int i = 0; i < keys->count; i++)
        if (strcmp(keys->keys[i].section, section) == 0)
            return true;
    return false;
}

pd_status pd_key_fail_section(const pd_keys *keys, const char *section)
{
    char list[256] = "";
    size_t used = 0;
    for (int i = 0; i < keys->count && used < sizeof list; i++)
        if (begins_section(keys, i))
            used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i > 0 ? ", " : "",
                                     keys->keys[i].section);
    int nearest = -1, least = 3; /* names that differ more are not similar */
    for (int i = 0; i < keys->count; i++) {
        int distance = pd_text_distance(section, keys->keys[i].section);
        if (distance < least) {
            least = distance;
            nearest = i;
        }
    }
    if (nearest >= 0)
        return pd_fail("section '%s' is unknown; did you mean '%s'? sections are %s", section,
                       keys->keys[nearest].section, list);
    return pd_fail("section '%s' is unknown; sections are %s", section, list);
}

char *pd_key_suggest_section(char text[PD_KEY_SUGGESTION], const pd_keys *keys, const char *name)
{
    size_t used = 0;
    const int most = (int)(strlen(name) + 1) / 3; /* names that differ more are not similar */
    int least = most + 1;
    text[0] = '\0';
    for (int i = 0; i < keys->count; i++) {
        int distance = pd_text_distance(name, keys->keys[i].name);
        least = distance < least ? distance : least;
    }
    for (int i = 0; i < keys->count && used < PD_KEY_SUGGESTION; i++)
        if (least <= most && pd_text_distance(name, keys->keys[i].name) == least)
            used += (size_t)snprintf(text + used, PD_KEY_SUGGESTION - used, "%s%s.%s",
                                     used == 0 ? "; did you mean " : " or ", keys->keys[i].section,
                                     keys->keys[i].name);
    if (used > 0 && used < PD_KEY_SUGGESTION)
        snprintf(text + used, PD_KEY_SUGGESTION - used, "?");
    return text;
}

/* A key of the same name in another section is a better suggestion than a similar name. */
static pd_status fail_key(const pd_keys *keys, const char *section, const char *name)
{
    const pd_key *nearest = NULL;
    int least = 4; /* names that differ more are not similar */
    for (int i = 0; i < keys->count; i++) {
        const pd_key *key = &keys->keys[i];
        int distance = pd_text_distance(name, key->name) + (strcmp(section, key->section) != 0);
        if (distance < least) {
            least = distance;
            nearest = key;
        }
    }
    if (nearest != NULL)
        return pd_fail("section [%s] has no key '%s'; did you mean '%s' in [%s]?", section, name,
                       nearest->name, nearest->section);
    return pd_fail("section [%s] has no key '%s'; 'pneumo-dist train --help' lists all keys",
                   section, name);
}

pd_status pd_key_find(int *index, const pd_keys *keys, const char *section, const char *name)
{
    if (!pd_key_has_section(keys, section))
        return pd_key_fail_section(keys, section);
    for (*index = 0; *index < keys->count; ++*index) {
        const pd_key *key = &keys->keys[*index];
        if (strcmp(key->section, section) == 0 && strcmp(key->name, name) == 0)
            return PD_OK;
    }
    return fail_key(keys, section, name);
}

/* --- Setting a field --- */

static pd_status check_range(const pd_key *key, double number, const char *value)
{
    char open, close;
    double low, high;
    sscanf(key->range, "%c%lf, %lf%c", &open, &low, &high, &close);
    bool above = open == '[' ? number >= low : number > low;
    bool below = close == ']' ? number <= high : number < high;
    if (!above || !below)
        return pd_fail("%s = %s is out of range %s", key->name, value, key->range);
    return PD_OK;
}

pd_status pd_key_check_text(const pd_key *key, const char *value)
{
    size_t most = key->size - 1 < PD_KEY_TEXT_MAX ? key->size - 1 : PD_KEY_TEXT_MAX;
    if (strlen(value) > most)
        return pd_fail("%s is longer than %zu characters", key->name, most);
    for (const char *c = value; *c != '\0'; c++) {
        if (iscntrl((unsigned char)*c))
            return pd_fail("%s has a control character", key->name);
        if (*c == ';' && (c == value || isspace((unsigned char)c[-1])))
            return pd_fail("%s has a ';' after a blank, where a comment would start", key->name);
    }
    size_t length = strlen(value);
    if (length > 0 &&
        (isspace((unsigned char)value[0]) || isspace((unsigned char)value[length - 1])))
        return pd_fail("%s begins or ends with a blank", key->name);
    return PD_OK;
}

static pd_status set_whole(const pd_key *key, int *field, const char *value)
{
    char *end;
    long long number = strtoll(value, &end, 10); /* saturates, and then is out of range */
    if (end == value || *end != '\0')
        return pd_fail("%s = '%s' is not a whole number", key->name, value);
    pd_status status = check_range(key, (double)number, value);
    if (status == PD_OK)
        *field = (int)number;
    return status;
}

static pd_status set_seed(const pd_key *key, uint64_t *field, const char *value)
{
    char *end;
    errno = 0;
    unsigned long long number = strtoull(value, &end, 10);
    if (!isdigit((unsigned char)value[0]) || *end != '\0')
        return pd_fail("%s = '%s' is not a whole number from 0", key->name, value);
    if (errno == ERANGE)
        return pd_fail("%s = %s is out of range %s", key->name, value, key->range);
    *field = number;
    return PD_OK;
}

static pd_status set_real(const pd_key *key, double *field, const char *value)
{
    char *end;
    double number = strtod(value, &end);
    if (end == value || *end || isnan(number))
        return pd_fail("%s = '%s' is not a number", key->name, value);
    pd_status status = check_range(key, number, value);
    if (status == PD_OK)
        *field = number;
    return status;
}

static pd_status set_switch(const pd_key *key, bool *field, const char *value)
{
    static const char *const words[] = {"no", "yes", "false", "true", "0", "1"};
    for (int i = 0; i < 6; i++) {
        if (strcmp(value, words[i]) == 0) {
            *field = i % 2;
            return PD_OK;
        }
    }
    return pd_fail("%s = '%s' is neither yes nor no", key->name, value);
}

static pd_status set_choice(const pd_key *key, int *field, const char *value)
{
    int index;
    pd_status status = find_choice(key, &index, value);
    if (status == PD_OK)
        *field = index;
    return status;
}

static pd_status set_text(const pd_key *key, char *field, const char *value)
{
    int index;
    pd_status status =
        key->choices != NULL ? find_choice(key, &index, value) : pd_key_check_text(key, value);
    if (status != PD_OK)
        return status;
    memset(field, 0, key->size); /* equal settings are equal byte for byte */
    memcpy(field, value, strlen(value));
    return PD_OK;
}

pd_status pd_key_set(void *settings, const pd_key *key, const char *value)
{
    void *field = (char *)settings + key->offset;
    switch (key->kind) {
    case PD_KEY_WHOLE:
        return set_whole(key, field, value);
    case PD_KEY_SEED:
        return set_seed(key, field, value);
    case PD_KEY_REAL:
        return set_real(key, field, value);
    case PD_KEY_SWITCH:
        return set_switch(key, field, value);
    case PD_KEY_CHOICE:
        return set_choice(key, field, value);
    default:
        return set_text(key, field, value);
    }
}

/* --- Printing --- */

void pd_key_print(FILE *out, const void *settings, const pd_key *key)
{
    char number[PD_TEXT_NUMBER];
    const void *field = (const char *)settings + key->offset;
    switch (key->kind) {
    case PD_KEY_WHOLE:
        fprintf(out, "%d", *(const int *)field);
        break;
    case PD_KEY_SEED:
        fprintf(out, "%llu", (unsigned long long)*(const uint64_t *)field);
        break;
    case PD_KEY_REAL:
        fputs(pd_text_number(number, *(const double *)field), out);
        break;
    case PD_KEY_SWITCH:
        fputs(*(const bool *)field ? "yes" : "no", out);
        break;
    case PD_KEY_CHOICE:
        fputs(choice_at(key->choices, *(const int *)field), out);
        break;
    default:
        fputs(field, out);
        break;
    }
}

void pd_key_print_section(FILE *out, const pd_keys *keys, int index)
{
    if (begins_section(keys, index))
        fprintf(out, "%s[%s]\n", index > 0 ? "\n" : "", keys->keys[index].section);
}

void pd_key_print_help(FILE *out, const pd_keys *keys)
{
    for (int i = 0; i < keys->count; i++) {
        const pd_key *key = &keys->keys[i];
        char preset[64], values[512] = "";
        snprintf(preset, sizeof preset, "%s = %s", key->name, key->preset);
        if (key->range != NULL)
            snprintf(values, sizeof values, "in %s", key->range);
        else if (key->kind == PD_KEY_SWITCH)
            snprintf(values, sizeof values, "yes or no");
        else if (key->choices != NULL)
            list_choices(values, sizeof values, key->choices);
        pd_key_print_section(out, keys, i);
        fprintf(out, "  %-28s %s\n", preset, key->help);
        if (values[0] != '\0')
            fprintf(out, "  %-28s %s\n", "", values);
    }
}
