#include "pneumo/data/scan.h"

#include "pneumo/base/memory.h"
#include "pneumo/data/image_format.h"
#include "pneumo/io/file.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char *const fold_folders[PD_FOLDS] = {"train", "val", "test"};

/* Moves *text behind `word`, if it starts with it. */
static bool skip_word(const char **text, const char *word)
{
    size_t length = strlen(word);
    if (strncmp(*text, word, length) != 0)
        return false;
    *text += length;
    return true;
}

/* Moves *text behind a run of digits, if it starts with one. *digits and *length give the run
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

/* True if the rest of a name is `separator` number, once to `most` times, and an extension. */
static bool ends_in_numbers(const char *text, const char *separator, int most)
{
    const char *digits;
    int length, count = 0;
    while (skip_word(&text, separator) && skip_number(&text, &digits, &length))
        count++;
    return count >= 1 && count <= most && *text == '.' && !strchr(text + 1, '.');
}

pd_cause pd_scan_parse(char *key, size_t size, const char *name)
{
    const char *slash = strrchr(name, '/');
    const char *text = slash ? slash + 1 : name, *digits;
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

static bool is_folder(const char *path)
{
    struct stat about;
    return stat(path, &about) == 0 && S_ISDIR(about.st_mode);
}

static bool is_image(DIR *directory, const char *name)
{
    struct stat about;
    return name[0] != '.' && pd_image_format_of_path(name) != NULL &&
           fstatat(dirfd(directory), name, &about, 0) == 0 && S_ISREG(about.st_mode);
}

static pd_status append_sample(pd_scan *scan, int64_t *capacity, const pd_sample *sample)
{
    if (scan->count == *capacity) {
        pd_sample *larger;
        int64_t wanted = *capacity ? *capacity * 2 : 1024;
        pd_status status = pd_alloc(&larger, (size_t)wanted, sizeof *larger);
        if (status != PD_OK)
            return status;
        if (scan->count > 0)
            memcpy(larger, scan->samples, (size_t)scan->count * sizeof *larger);
        free(scan->samples);
        scan->samples = larger;
        *capacity = wanted;
    }
    scan->samples[scan->count++] = *sample;
    return PD_OK;
}

/* Appends the images of folder/below, where `below` is such as "train/NORMAL". */
static pd_status scan_class(pd_scan *scan, int64_t *capacity, const char *folder, const char *below,
                            pd_fold fold, pd_label label)
{
    pd_status status = PD_OK;
    char *path = NULL;
    DIR *directory = NULL;
    int64_t before = scan->count;

    PD_TRY(pd_format(&path, "%s/%s", folder, below));
    directory = opendir(path);
    if (!directory) {
        status =
            errno == ENOENT
                ? pd_fail("%s is missing; both classes need a folder, NORMAL and PNEUMONIA", path)
                : pd_fail("cannot read the folder %s: %s", path, strerror(errno));
        goto cleanup;
    }
    for (;;) {
        errno = 0;
        struct dirent *entry = readdir(directory);
        if (!entry && errno) {
            status = pd_fail("cannot read the folder %s: %s", path, strerror(errno));
            goto cleanup;
        }
        if (!entry)
            break;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (!is_image(directory, entry->d_name)) {
            scan->skipped++;
            continue;
        }
        pd_sample sample = {.label = label, .fold = fold};
        PD_TRY(pd_format(&sample.name, "%s/%s", below, entry->d_name));
        status = append_sample(scan, capacity, &sample);
        if (status != PD_OK) {
            free(sample.name);
            goto cleanup;
        }
    }
    if (scan->count == before) {
        char extensions[PD_IMAGE_FORMAT_TEXT];
        status = pd_fail("%s contains no %s files", path, pd_image_format_extensions(extensions));
    }

cleanup:
    if (directory)
        closedir(directory);
    free(path);
    return status;
}

static pd_status scan_fold(pd_scan *scan, int64_t *capacity, const char *folder, const char *prefix,
                           pd_fold fold)
{
    pd_status status = PD_OK;
    for (int label = 0; label < PD_LABELS && status == PD_OK; label++) {
        char below[32];
        snprintf(below, sizeof below, "%s%s", prefix, pd_label_names[label]);
        status = scan_class(scan, capacity, folder, below, fold, (pd_label)label);
    }
    return status;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const pd_sample *)a)->name, ((const pd_sample *)b)->name);
}

typedef struct keyed {
    char *key;
    int64_t sample;
} keyed;

static int compare_keys(const void *a, const void *b)
{
    const keyed *x = a, *y = b;
    int order = strcmp(x->key, y->key);
    return order ? order : (x->sample > y->sample) - (x->sample < y->sample);
}

/* Sets cause and patient of the sorted samples. */
static pd_status identify_patients(pd_scan *scan)
{
    pd_status status;
    keyed *keys = NULL;
    int64_t *first = NULL; /* [count]: the first sample of the same patient */

    PD_TRY(pd_alloc(&keys, (size_t)scan->count, sizeof *keys));
    PD_TRY(pd_alloc(&first, (size_t)scan->count, sizeof *first));
    for (int64_t i = 0; i < scan->count; i++) {
        pd_sample *sample = &scan->samples[i];
        size_t size = strlen(sample->name) + 16;
        PD_TRY(pd_alloc(&keys[i].key, size, 1));
        keys[i].sample = i;
        pd_cause cause = pd_scan_parse(keys[i].key, size, sample->name);
        sample->cause = sample->label == PD_NORMAL ? PD_CAUSE_NONE : cause;
    }
    qsort(keys, (size_t)scan->count, sizeof *keys, compare_keys);
    for (int64_t i = 0; i < scan->count; i++) {
        bool again = i > 0 && strcmp(keys[i].key, keys[i - 1].key) == 0;
        first[keys[i].sample] = again ? first[keys[i - 1].sample] : keys[i].sample;
    }
    for (int64_t i = 0; i < scan->count; i++)
        scan->samples[i].patient =
            first[i] == i ? scan->patients++ : scan->samples[first[i]].patient;

cleanup:
    for (int64_t i = 0; keys && i < scan->count; i++)
        free(keys[i].key);
    free(keys);
    free(first);
    return status;
}

/* Looks which of folder/{train,val,test} and folder/{NORMAL,PNEUMONIA} there are. */
static pd_status look_at_layout(bool folds[PD_FOLDS], bool *any_fold, const char *folder)
{
    bool any_class = false;
    if (!is_folder(folder))
        return pd_file_exists(folder)
                   ? pd_fail("%s is no folder; give the folder that holds the images", folder)
                   : pd_fail("there is no folder %s; give the folder that holds the images",
                             folder);
    *any_fold = false;
    for (int i = 0; i < PD_FOLDS + PD_LABELS; i++) {
        char *path;
        pd_status status = pd_format(&path, "%s/%s", folder,
                                     i < PD_FOLDS ? fold_folders[i] : pd_label_names[i - PD_FOLDS]);
        if (status != PD_OK)
            return status;
        bool found = is_folder(path);
        free(path);
        if (i < PD_FOLDS) {
            folds[i] = found;
            *any_fold = *any_fold || found;
        } else {
            any_class = any_class || found;
        }
    }
    if (*any_fold && any_class)
        return pd_fail("%s holds both folds (train, val, test) and classes (NORMAL, PNEUMONIA); "
                       "give the one folder that is meant",
                       folder);
    if (!*any_fold && !any_class)
        return pd_fail("%s holds none of the folders train, val, test, NORMAL and PNEUMONIA; give "
                       "the folder that holds them",
                       folder);
    return PD_OK;
}

pd_status pd_scan_folder(pd_scan *out, const char *folder)
{
    pd_status status;
    int64_t capacity = 0;
    bool folds[PD_FOLDS];

    *out = (pd_scan){0};
    PD_TRY(look_at_layout(folds, &out->has_folds, folder));
    if (!out->has_folds)
        PD_TRY(scan_fold(out, &capacity, folder, "", PD_TRAIN));
    for (int fold = 0; out->has_folds && fold < PD_FOLDS; fold++) {
        if (!folds[fold])
            continue;
        char prefix[16];
        snprintf(prefix, sizeof prefix, "%s/", fold_folders[fold]);
        PD_TRY(scan_fold(out, &capacity, folder, prefix, (pd_fold)fold));
    }
    qsort(out->samples, (size_t)out->count, sizeof *out->samples, compare_names);
    PD_TRY(identify_patients(out));

cleanup:
    return status;
}

void pd_scan_free(pd_scan *scan)
{
    for (int64_t i = 0; i < scan->count; i++)
        free(scan->samples[i].name);
    free(scan->samples);
    *scan = (pd_scan){0};
}
