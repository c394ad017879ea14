#include "pneumo/data/patient.h"

#include "joins.h"
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

/* The path without what tools add to names, and the patient that it stands for. */
typedef struct name {
    char *undone; /* free() */
    pd_name_match match;
} name;

static pd_status parse_name(name *out, const pd_patient_rules *rules, const char *path)
{
    pd_status status = pd_strdup(&out->undone, path);
    if (status != PD_OK)
        return status;
    pd_name_undo(out->undone, rules->names, false);
    out->match = pd_name_parse(out->undone, rules->names);
    return PD_OK;
}

static pd_status key_by_pattern(char **out, const pd_patient_rules *rules, const char *path)
{
    regmatch_t groups[2];
    if (!rules->has_pattern || regexec(&rules->pattern, path, 2, groups, 0) != 0 ||
        groups[1].rm_eo <= groups[1].rm_so)
        return PD_OK;
    return pd_format(out, "pattern %.*s", (int)(groups[1].rm_eo - groups[1].rm_so),
                     path + groups[1].rm_so);
}

/* The key of an unknown patient. */
static pd_status key_by_path(char **out, const pd_patient_rules *rules, const char *path)
{
    char *undone;
    pd_status status = pd_strdup(&undone, path);
    if (status != PD_OK)
        return status;
    pd_name_undo(undone, rules->names, true);
    status = pd_format(out, "image %s", undone);
    free(undone);
    return status;
}

/* Sets *out to the key that a source gives, NULL if it is silent. */
static pd_status key_by(char **out, pd_patient_source source, const pd_patient_rules *rules,
                        const pd_patient_hints *hints, const name *named)
{
    *out = NULL;
    switch (source) {
    case PD_PATIENT_TABLE:
        return says(hints->old)     ? pd_format(out, "old %s", hints->old)
               : says(hints->table) ? pd_format(out, "table %s", hints->table)
                                    : PD_OK;
    case PD_PATIENT_PATTERN:
        return key_by_pattern(out, rules, hints->path);
    case PD_PATIENT_FILE:
        return says(hints->file) ? pd_format(out, "file %s", hints->file) : PD_OK;
    case PD_PATIENT_NAME:
        return named->match.type == NULL ? PD_OK
                                         : pd_format(out, "%s %.*s", named->match.type,
                                                     named->match.end - named->match.start,
                                                     named->undone + named->match.start);
    default:
        return key_by_path(out, rules, hints->path);
    }
}

pd_status pd_patient_identify(pd_patient_id *out, const pd_patient_rules *rules,
                              const pd_patient_hints *hints)
{
    pd_status status;
    name named = {0};

    *out = (pd_patient_id){0};
    PD_TRY(parse_name(&named, rules, hints->path));
    out->cause = named.match.cause;
    for (int source = 0; source < PD_PATIENT_SOURCES && out->key == NULL; source++) {
        out->source = (pd_patient_source)source;
        PD_TRY(key_by(&out->key, out->source, rules, hints, &named));
    }

cleanup:
    free(named.undone);
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

/* The first image of the patient with a key, among keys[count] in order; -1: none. */
static int64_t find_key(keyed *keys, int64_t count, char *key)
{
    const keyed wanted = {.id.key = key, .index = -1};
    int64_t low = 0, high = count;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (compare_keys(&keys[middle], &wanted) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && strcmp(keys[low].id.key, key) == 0 ? keys[low].index : -1;
}

/* What is grouped. */
typedef struct merger {
    const pd_patient_rules *rules;
    const pd_patient_hints *hints; /* [count] */
    keyed *keys;                   /* [count], in order */
    int64_t count;
    bool used[PD_PATIENT_SOURCES]; /* sources that identify images */
    pd_joins joins;                /* of images */
    int64_t united, apart;
} merger;

/* Joins an image to the patients of other sources that it shows too. */
static pd_status join_sources(merger *g, const keyed *image)
{
    pd_status status = PD_OK;
    name named = {0};
    char *key = NULL;
    bool silent = false;
    const pd_patient_hints *hints = &g->hints[image->index];

    PD_TRY(parse_name(&named, g->rules, hints->path));
    for (int source = (int)image->id.source + 1; source < PD_PATIENT_UNKNOWN; source++) {
        if (!g->used[source])
            continue;
        PD_TRY(key_by(&key, (pd_patient_source)source, g->rules, hints, &named));
        silent = silent || key == NULL;
        int64_t other = key != NULL ? find_key(g->keys, g->count, key) : -1;
        free(key);
        key = NULL;
        if (other < 0)
            continue;
        int32_t a = pd_joins_find(&g->joins, (int32_t)image->index);
        int32_t b = pd_joins_find(&g->joins, (int32_t)other);
        g->united += a != b;
        pd_joins_join(&g->joins, a, b);
    }
    g->apart += silent && !hints->is_uncounted;

cleanup:
    free(named.undone);
    return status;
}

/* Joins the images of one patient by different sources. Within one source nothing changes, so a
 * table that tells apart what names take for one patient is followed. */
static pd_status join_all_sources(int64_t *first, merger *g)
{
    pd_status status;
    int used = 0;
    for (int64_t i = 0; i < g->count; i++)
        g->used[g->keys[i].id.source] |= !says(g->hints[g->keys[i].index].old);
    for (int source = 0; source < PD_PATIENT_UNKNOWN; source++)
        used += g->used[source];
    if (used < 2)
        return PD_OK;
    if (g->count > INT32_MAX)
        return pd_fail("cannot group more than %d images by patient", INT32_MAX);
    PD_TRY(pd_joins_create(&g->joins, (int32_t)g->count));
    for (int64_t i = 0; i < g->count; i++)
        pd_joins_join(&g->joins, (int32_t)i, (int32_t)first[i]);
    for (int64_t i = 0; i < g->count; i++)
        if (!says(g->hints[g->keys[i].index].old) && g->keys[i].id.source < PD_PATIENT_NAME)
            PD_TRY(join_sources(g, &g->keys[i]));
    for (int64_t i = 0; i < g->count; i++)
        first[i] = pd_joins_find(&g->joins, (int32_t)i);

cleanup:
    pd_joins_free(&g->joins);
    return status;
}

pd_status pd_patients_group(int64_t *first, pd_cause *causes, pd_patient_source *sources,
                            pd_patient_tally *tally, const pd_patient_rules *rules,
                            const pd_patient_hints *hints, int64_t count)
{
    pd_status status;
    keyed *keys = NULL;
    merger g = {.rules = rules, .hints = hints, .count = count};

    PD_TRY(pd_alloc(&keys, (size_t)count, sizeof *keys));
    if (tally != NULL)
        *tally = (pd_patient_tally){.example = {-1, -1, -1, -1, -1}};
    for (int64_t i = 0; i < count; i++) {
        keys[i].index = i;
        PD_TRY(pd_patient_identify(&keys[i].id, rules, &hints[i]));
        if (causes != NULL)
            causes[i] = keys[i].id.cause;
        if (sources != NULL)
            sources[i] = keys[i].id.source;
        if (tally != NULL && !hints[i].is_uncounted)
            count_source(tally, keys[i].id.source, i);
    }
    qsort(keys, (size_t)count, sizeof *keys, compare_keys);
    for (int64_t i = 0, start = 0; i < count; i++) {
        if (strcmp(keys[i].id.key, keys[start].id.key) != 0)
            start = i;
        first[keys[i].index] = keys[start].index;
    }
    g.keys = keys;
    PD_TRY(join_all_sources(first, &g));
    if (tally != NULL) {
        tally->united = g.united;
        tally->apart = g.apart;
    }

cleanup:
    for (int64_t i = 0; keys != NULL && i < count; i++)
        free(keys[i].id.key);
    free(keys);
    return status;
}

const char *pd_patients_noun(int64_t unknown)
{
    return pd_patients_noun_of(unknown, 2);
}

const char *pd_patients_noun_of(int64_t unknown, int64_t count)
{
    if (count == 1)
        return unknown > 0 ? "group" : "patient";
    return unknown > 0 ? "groups" : "patients";
}

static const char *const source_names[PD_PATIENT_UNKNOWN] = {"table", "pattern", "DICOM",
                                                             "file name"};

bool pd_patients_names_source(const char *grouping, pd_patient_source source)
{
    return source < PD_PATIENT_UNKNOWN && strstr(grouping, source_names[source]) != NULL;
}

void pd_patients_tally_add(pd_patient_tally *tally, const char *grouping, int64_t known)
{
    for (int source = 0; source < PD_PATIENT_UNKNOWN && known > 0; source++) {
        if (!pd_patients_names_source(grouping, (pd_patient_source)source))
            continue;
        tally->images[source]++;
        known--;
    }
}

void pd_patients_list_sources(char *text, size_t size, const pd_patient_tally *tally)
{
    size_t used = 0;
    text[0] = '\0';
    for (int source = 0; source < PD_PATIENT_UNKNOWN && used < size; source++)
        if (tally->images[source] > 0)
            used += (size_t)snprintf(text + used, size - used, "%s%s (%lld images)",
                                     used == 0 ? "" : ", ", source_names[source],
                                     (long long)tally->images[source]);
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
