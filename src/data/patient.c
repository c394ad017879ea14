#include "pneumo/data/patient.h"

#include "patient_name.h"
#include "pneumo/base/memory.h"

#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct pd_patient_rules {
    pd_name_rules *names;
    bool has_pattern;
    regex_t pattern;
};

static pd_status compile_pattern(pd_patient_rules *rules, const char *pattern)
{
    int error = regcomp(&rules->pattern, pattern, REG_EXTENDED);
    if (error != 0) {
        char reason[128];
        regerror(error, &rules->pattern, reason, sizeof reason);
        return pd_fail_usage("the pattern of patients '%s' is not a regular expression: %s",
                             pattern, reason);
    }
    rules->has_pattern = true;
    if (rules->pattern.re_nsub == 0)
        return pd_fail_usage("the pattern of patients '%s' has no group: put the part that names "
                             "the patient in parentheses, such as '([0-9]+)_'",
                             pattern);
    return PD_OK;
}

pd_status pd_patient_rules_create(pd_patient_rules **out, const char *pattern)
{
    pd_status status;
    pd_patient_rules *rules = NULL;

    *out = NULL;
    PD_TRY(pd_alloc(&rules, 1, sizeof *rules));
    PD_TRY(pd_name_rules_create(&rules->names));
    if (pattern != NULL)
        PD_TRY(compile_pattern(rules, pattern));
    *out = rules;
    rules = NULL;

cleanup:
    pd_patient_rules_destroy(&rules);
    return status;
}

void pd_patient_rules_destroy(pd_patient_rules **rules)
{
    if (*rules == NULL)
        return;
    if ((*rules)->has_pattern)
        regfree(&(*rules)->pattern);
    pd_name_rules_destroy(&(*rules)->names);
    free(*rules);
    *rules = NULL;
}

/* --- One image --- */

static bool says(const char *text)
{
    return text != NULL && text[0] != '\0';
}

/* Sets the patient by the name, or by the path itself if the name is not known. `undone` is the
 * path after pd_name_undo. */
static pd_status identify_by_name(pd_patient_id *out, const pd_patient_rules *rules,
                                  const char *path, char *undone, const pd_name_match *match)
{
    if (match->type != NULL) {
        out->source = PD_PATIENT_NAME;
        return pd_format(&out->key, "%s %.*s", match->type, match->end - match->start,
                         undone + match->start);
    }
    out->source = PD_PATIENT_UNKNOWN;
    strcpy(undone, path);
    pd_name_undo(undone, rules->names, true);
    return pd_format(&out->key, "image %s", undone);
}

pd_status pd_patient_identify(pd_patient_id *out, const pd_patient_rules *rules,
                              const pd_patient_hints *hints)
{
    pd_status status;
    char *undone = NULL;
    regmatch_t groups[2];
    const char *path = hints->path;

    *out = (pd_patient_id){0};
    PD_TRY(pd_strdup(&undone, path));
    pd_name_undo(undone, rules->names, false);
    const pd_name_match match = pd_name_parse(undone, rules->names);
    out->cause = match.cause;
    if (says(hints->table)) {
        out->source = PD_PATIENT_TABLE;
        PD_TRY(pd_format(&out->key, "table %s", hints->table));
    } else if (rules->has_pattern && regexec(&rules->pattern, path, 2, groups, 0) == 0 &&
               groups[1].rm_eo > groups[1].rm_so) {
        out->source = PD_PATIENT_PATTERN;
        PD_TRY(pd_format(&out->key, "pattern %.*s", (int)(groups[1].rm_eo - groups[1].rm_so),
                         path + groups[1].rm_so));
    } else if (says(hints->file)) {
        out->source = PD_PATIENT_FILE;
        PD_TRY(pd_format(&out->key, "file %s", hints->file));
    } else {
        PD_TRY(identify_by_name(out, rules, path, undone, &match));
    }

cleanup:
    free(undone);
    return status;
}

/* --- Many images --- */

/* An image's patient and its index. */
typedef struct keyed {
    pd_patient_id id;
    int64_t index;
} keyed;

static int compare_keys(const void *a, const void *b)
{
    const keyed *x = a, *y = b;
    int order = strcmp(x->id.key, y->id.key);
    return order != 0 ? order : (x->index > y->index) - (x->index < y->index);
}

static void count_source(pd_patient_tally *tally, pd_patient_source source, int64_t index)
{
    if (tally->images[source]++ == 0)
        tally->example[source] = index;
}

pd_status pd_patients_group(int64_t *first, pd_cause *causes, pd_patient_tally *tally,
                            const pd_patient_rules *rules, const pd_patient_hints *hints,
                            int64_t count)
{
    pd_status status;
    keyed *keys = NULL;

    PD_TRY(pd_alloc(&keys, (size_t)count, sizeof *keys));
    if (tally != NULL)
        *tally = (pd_patient_tally){.example = {-1, -1, -1, -1, -1}};
    for (int64_t i = 0; i < count; i++) {
        keys[i].index = i;
        PD_TRY(pd_patient_identify(&keys[i].id, rules, &hints[i]));
        if (causes != NULL)
            causes[i] = keys[i].id.cause;
        if (tally != NULL && !hints[i].is_uncounted)
            count_source(tally, keys[i].id.source, i);
    }
    qsort(keys, (size_t)count, sizeof *keys, compare_keys);
    for (int64_t i = 0, start = 0; i < count; i++) {
        if (strcmp(keys[i].id.key, keys[start].id.key) != 0)
            start = i;
        first[keys[i].index] = keys[start].index;
    }

cleanup:
    for (int64_t i = 0; keys != NULL && i < count; i++)
        free(keys[i].id.key);
    free(keys);
    return status;
}

const char *pd_patients_noun(int64_t unknown)
{
    return unknown > 0 ? "groups" : "patients";
}

static const char *const source_names[PD_PATIENT_UNKNOWN] = {"table", "pattern", "DICOM",
                                                             "file name"};

void pd_patients_tally_add(pd_patient_tally *tally, const char *grouping, int64_t count,
                           int64_t unknown)
{
    int64_t left = count - unknown;
    for (int source = 0; source < PD_PATIENT_UNKNOWN && left > 0; source++) {
        if (strstr(grouping, source_names[source]) == NULL)
            continue;
        tally->images[source]++;
        left--;
    }
    tally->images[PD_PATIENT_UNKNOWN] += unknown;
}

void pd_patients_describe(char *text, size_t size, const pd_patient_tally *tally)
{
    int64_t unknown = tally->images[PD_PATIENT_UNKNOWN];
    int used = 0;
    for (int source = 0; source < PD_PATIENT_UNKNOWN; source++)
        if (tally->images[source] > 0 && used < (int)size)
            used += snprintf(text + used, size - (size_t)used, "%s%s",
                             used == 0 ? "patient by " : ", ", source_names[source]);
    if (used == 0)
        snprintf(text, size, "unknown, each image as one, duplicates as one");
    else if (unknown > 0 && used < (int)size)
        snprintf(text + used, size - (size_t)used, "; %lld unknown", (long long)unknown);
    else if (used < (int)size)
        snprintf(text + used, size - (size_t)used, ", duplicates as one");
}

/* --- A packed data set --- */

pd_status pd_patients_unknown(int64_t *out, const pd_dataset *dataset)
{
    pd_status status = PD_OK;
    const pd_dataset_info *info = pd_dataset_get_info(dataset);
    const pd_sample *samples = pd_dataset_samples(dataset);
    pd_patient_rules *rules = NULL;

    *out = info->unknown_patients;
    if (*out >= 0)
        return PD_OK;
    *out = 0;
    PD_TRY(pd_patient_rules_create(&rules, NULL));
    for (int64_t i = 0; i < info->count; i++) {
        pd_patient_id id;
        PD_TRY(pd_patient_identify(&id, rules, &(pd_patient_hints){.path = samples[i].name}));
        *out += id.source == PD_PATIENT_UNKNOWN;
        free(id.key);
    }

cleanup:
    pd_patient_rules_destroy(&rules);
    return status;
}
