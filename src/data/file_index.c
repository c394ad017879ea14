#include "file_index.h"

#include "pneumo/base/memory.h"

#include <stdlib.h>
#include <string.h>

/* A path, cut before the extension or not, by its last component and the folders above it. */
typedef struct pd_file_key {
    const char *path, *name; /* the name points into the path */
    size_t length;           /* of the name that counts */
    int64_t entry;
} pd_file_key;

struct pd_file_index {
    const pd_tree *tree;
    int64_t count;
    pd_file_key *names, *stems; /* [count], in the order of compare_places and of their entries */
};

static const char *name_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

/* The length of the folders of a key, without the last slash. */
static size_t folders_of(const pd_file_key *key)
{
    return key->name > key->path ? (size_t)(key->name - key->path) - 1 : 0;
}

/* Compares by name, then by folders from the last byte to the first, slashes first: files whose
 * paths end in a given path are neighbours, that path itself before all others. */
static int compare_places(const pd_file_key *x, const pd_file_key *y)
{
    size_t i = folders_of(x), j = folders_of(y);
    int order = memcmp(x->name, y->name, x->length < y->length ? x->length : y->length);
    if (order != 0)
        return order;
    if (x->length != y->length)
        return x->length < y->length ? -1 : 1;
    while (i > 0 && j > 0) {
        unsigned char a = (unsigned char)x->path[--i], b = (unsigned char)y->path[--j];
        if (a != b)
            return a == '/' ? -1 : b == '/' ? 1 : a < b ? -1 : 1;
    }
    return (i > 0) - (j > 0);
}

static int compare_keys(const void *a, const void *b)
{
    const pd_file_key *x = a, *y = b;
    int order = compare_places(x, y);
    return order != 0 ? order : (x->entry > y->entry) - (x->entry < y->entry);
}

/* The length of a name without the extension `dot` begins, if there is one and it counts. */
static size_t length_before(const char *name, const char *dot, bool counts)
{
    return dot != NULL && dot != name && counts ? (size_t)(dot - name) : strlen(name);
}

/* The length of a row's name without its extension: "1.2.3.4" has none. */
static size_t row_stem_length(const char *name)
{
    return length_before(name, strrchr(name, '.'), pd_entry_has_image_extension(name));
}

/* The same of a file, which is an image whatever its extension; digits are a part of its name. */
static size_t file_stem_length(const char *name)
{
    const char *dot = strrchr(name, '.');
    return length_before(name, dot, dot != NULL && dot[1 + strspn(dot + 1, "0123456789")] != '\0');
}

pd_status pd_file_index_create(pd_file_index **out, const pd_tree *tree)
{
    pd_status status;
    pd_file_index *index = NULL;

    *out = NULL;
    PD_TRY(pd_alloc(&index, 1, sizeof *index));
    index->tree = tree;
    PD_TRY(pd_alloc(&index->names, (size_t)tree->count, sizeof *index->names));
    PD_TRY(pd_alloc(&index->stems, (size_t)tree->count, sizeof *index->stems));
    for (int64_t i = 0; i < tree->count; i++) {
        const pd_entry *entry = &tree->entries[i];
        const char *name = name_of(entry->path);
        if (entry->kind != PD_ENTRY_IMAGE && entry->kind != PD_ENTRY_FORMAT)
            continue;
        index->names[index->count] = (pd_file_key){entry->path, name, strlen(name), i};
        index->stems[index->count++] = (pd_file_key){entry->path, name, file_stem_length(name), i};
    }
    qsort(index->names, (size_t)index->count, sizeof *index->names, compare_keys);
    qsort(index->stems, (size_t)index->count, sizeof *index->stems, compare_keys);
    *out = index;
    index = NULL;

cleanup:
    pd_file_index_destroy(&index);
    return status;
}

void pd_file_index_destroy(pd_file_index **index)
{
    if (*index == NULL)
        return;
    free((*index)->names);
    free((*index)->stems);
    free(*index);
    *index = NULL;
}

/* The first key that is not before `wanted`. */
static int64_t find_first(const pd_file_index *index, const pd_file_key *keys,
                          const pd_file_key *wanted)
{
    int64_t low = 0, high = index->count;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (compare_places(&keys[middle], wanted) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Whether a file's path ends in the wanted one, or is the same. */
static bool ends_in(const pd_file_key *file, const pd_file_key *wanted, bool *is_same)
{
    size_t all = folders_of(file), some = folders_of(wanted);
    *is_same = all == some;
    return file->length == wanted->length && memcmp(file->name, wanted->name, file->length) == 0 &&
           all >= some && memcmp(file->path + all - some, wanted->path, some) == 0 &&
           (all == some || some == 0 || file->path[all - some - 1] == '/');
}

/* Finds the file whose path is the wanted one, or else ends in it if `longer`; sets *found to its
 * key, or -1. Two of them are an error. */
static pd_status find_place(int64_t *found, const pd_file_index *index, const pd_file_key *keys,
                            const pd_file_key *wanted, bool longer)
{
    bool is_same = false, other_is_same = false;
    int64_t first = find_first(index, keys, wanted);
    *found = -1;
    if (first == index->count || !ends_in(&keys[first], wanted, &is_same) || !(is_same || longer))
        return PD_OK;
    *found = first;
    return first + 1 < index->count && ends_in(&keys[first + 1], wanted, &other_is_same) &&
                   is_same == other_is_same
               ? PD_FAILED
               : PD_OK;
}

/* Finds the best of the files with the name of a path, or its first `length` bytes: the same path,
 * else one that ends in it, else the longest that it ends in. */
static pd_status find_best(int64_t *out, const pd_file_index *index, const pd_file_key *keys,
                           const char *path, size_t length)
{
    int64_t found;
    pd_file_key wanted = {path, name_of(path), length, -1};
    *out = -1;
    pd_status status = find_place(&found, index, keys, &wanted, true);
    while (status == PD_OK && found < 0 && wanted.path < wanted.name) {
        wanted.path = strchr(wanted.path, '/') + 1;
        status = find_place(&found, index, keys, &wanted, false);
    }
    if (status != PD_OK)
        return pd_fail("'%s' may be %s or %s", path, index->tree->entries[keys[found].entry].path,
                       index->tree->entries[keys[found + 1].entry].path);
    if (found >= 0)
        *out = keys[found].entry;
    return PD_OK;
}

static pd_status find(int64_t *out, bool *converted, const pd_file_index *index, const char *path)
{
    const char *name = name_of(path);
    size_t length = strlen(name);
    *converted = false;
    pd_status status = find_best(out, index, index->names, path, length);
    if (status == PD_OK && *out < 0)
        status = find_best(out, index, index->stems, path, length);
    if (status == PD_OK && *out < 0) {
        status = find_best(out, index, index->stems, path, row_stem_length(name));
        *converted = *out >= 0;
    }
    return status;
}

/* Converts UTF-8 to Latin-1 in place, in which some file names are; false if that is impossible or
 * changes nothing. */
static bool make_latin1(char *text)
{
    bool changed = false;
    unsigned char *to = (unsigned char *)text;
    for (const unsigned char *from = to; *from != '\0'; from++, to++) {
        bool wide = *from == 0xc2 || *from == 0xc3;
        if (*from >= 0x80 && !wide)
            return false;
        *to = wide ? (unsigned char)(((*from & 3) << 6) | (from[1] & 0x3f)) : *from;
        from += wide;
        changed = changed || wide;
    }
    *to = '\0';
    return changed;
}

pd_status pd_file_index_find(int64_t *out, bool *converted, const pd_file_index *index,
                             const char *path)
{
    char *text;
    pd_status status = pd_strdup(&text, path);
    if (status != PD_OK)
        return status;
    for (char *at = text; *at != '\0'; at++)
        *at = *at == '\\' ? '/' : *at; /* as Windows writes paths */
    const char *start = text;
    while (strncmp(start, "./", 2) == 0 || start[0] == '/')
        start += start[0] == '/' ? 1 : 2;
    status = find(out, converted, index, start);
    if (status == PD_OK && *out < 0 && make_latin1(text))
        status = find(out, converted, index, start);
    free(text);
    return status;
}
