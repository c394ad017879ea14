#include "pneumo/data/patient.h"

#include "pneumo/base/memory.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Advances *text past `word` if it starts with it. */
static bool skip_word(const char **text, const char *word)
{
    size_t length = strlen(word);
    if (strncmp(*text, word, length) != 0)
        return false;
    *text += length;
    return true;
}

/* Advances *text past a run of digits if it starts with one. *digits and *length describe the run
 * without leading zeros. */
static bool skip_number(const char **text, const char **digits, int *length)
{
    size_t run = strspn(*text, "0123456789");
    if (run == 0)
        return false;
    const char *end = *text + run;
    while (**text == '0' && *text + 1 < end)
        (*text)++;
    *digits = *text;
    *length = (int)(end - *text);
    *text = end;
    return true;
}

/* True if the rest of a name is `separator` and a number, 1 to `most` times, and an extension. */
static bool ends_in_numbers(const char *text, const char *separator, int most)
{
    const char *digits;
    int length, count = 0;
    while (skip_word(&text, separator) && skip_number(&text, &digits, &length))
        count++;
    return count >= 1 && count <= most && *text == '.' && strchr(text + 1, '.') == NULL;
}

pd_cause pd_patient_parse(char *key, size_t size, const char *name)
{
    const char *slash = strrchr(name, '/');
    const char *text = slash != NULL ? slash + 1 : name, *digits;
    int length;

    if (skip_word(&text, "person")) {
        if (skip_number(&text, &digits, &length)) {
            pd_cause cause = skip_word(&text, "_bacteria") ? PD_CAUSE_BACTERIA
                             : skip_word(&text, "_virus")  ? PD_CAUSE_VIRUS
                                                           : PD_CAUSE_UNKNOWN;
            if (cause != PD_CAUSE_UNKNOWN && ends_in_numbers(text, "_", 2)) {
                snprintf(key, size, "%s %.*s", cause == PD_CAUSE_BACTERIA ? "bacteria" : "virus",
                         length, digits);
                return cause;
            }
        }
    } else {
        const char *prefix = skip_word(&text, "NORMAL2-") ? "NORMAL2-" : "";
        if (skip_word(&text, "IM-") && skip_number(&text, &digits, &length) &&
            ends_in_numbers(text, "-", 2)) {
            snprintf(key, size, "%sIM %.*s", prefix, length, digits);
            return PD_CAUSE_UNKNOWN;
        }
    }
    snprintf(key, size, "%s", name);
    return PD_CAUSE_UNKNOWN;
}

/* A name's patient key and its index. */
typedef struct pd_keyed {
    char *key;
    int64_t index;
} pd_keyed;

static int compare_keys(const void *a, const void *b)
{
    const pd_keyed *x = a, *y = b;
    int order = strcmp(x->key, y->key);
    return order != 0 ? order : (x->index > y->index) - (x->index < y->index);
}

pd_status pd_patients_group(int64_t *first, pd_cause *causes, const char *const *names,
                            int64_t count)
{
    pd_status status;
    pd_keyed *keys = NULL;

    PD_TRY(pd_alloc(&keys, (size_t)count, sizeof *keys));
    for (int64_t i = 0; i < count; i++) {
        size_t size = strlen(names[i]) + PD_PATIENT_KEY_EXTRA;
        keys[i].index = i;
        PD_TRY(pd_alloc(&keys[i].key, size, 1));
        pd_cause cause = pd_patient_parse(keys[i].key, size, names[i]);
        if (causes != NULL)
            causes[i] = cause;
    }
    qsort(keys, (size_t)count, sizeof *keys, compare_keys);
    for (int64_t i = 0, start = 0; i < count; i++) {
        if (strcmp(keys[i].key, keys[start].key) != 0)
            start = i;
        first[keys[i].index] = keys[start].index;
    }

cleanup:
    for (int64_t i = 0; keys != NULL && i < count; i++)
        free(keys[i].key);
    free(keys);
    return status;
}
