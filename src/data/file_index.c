#include "file_index.h"

#include "pneumo/base/memory.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* The last component of a file's path, or that without its extension. */
typedef struct pd_file_key {
    const char *name;
    size_t length;
    int64_t entry;
} pd_file_key;

struct pd_file_index {
    const pd_tree *tree;
    int64_t count;
    pd_file_key *names, *stems; /* [count], sorted */
};

static int compare_keys(const void *a, const void *b)
{
    const pd_file_key *x = a, *y = b;
    int order = memcmp(x->name, y->name, x->length < y->length ? x->length : y->length);
    if (order != 0)
        return order;
    if (x->length != y->length)
        return x->length < y->length ? -1 : 1;
    return (x->entry > y->entry) - (x->entry < y->entry);
}

static const char *name_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

/* The length of a name without its extension. */
static size_t stem_length(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot != NULL && dot != name ? (size_t)(dot - name) : strlen(name);
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
        index->names[index->count] = (pd_file_key){name, strlen(name), i};
        index->stems[index->count++] = (pd_file_key){name, stem_length(name), i};
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

/* How many folders above their names two paths have in common; -1 if a folder that both have
 * differs; INT_MAX if all folders are the same. */
static int common_folders(const char *a, const char *b)
{
    const char *x = name_of(a), *y = name_of(b);
    int common = 0;
    while (x > a && y > b) {
        const char *end_x = --x, *end_y = --y; /* at the slashes */
        while (x > a && x[-1] != '/')
            x--;
        while (y > b && y[-1] != '/')
            y--;
        if (end_x - x != end_y - y || memcmp(x, y, (size_t)(end_x - x)) != 0)
            return -1;
        common++;
    }
    return x == a && y == b ? INT_MAX : common;
}

/* Finds the best of the files with this key. */
static pd_status find_best(int64_t *out, const pd_file_index *index, const pd_file_key *keys,
                           const char *path, size_t length)
{
    const pd_file_key wanted = {name_of(path), length, -1};
    int64_t low = 0, high = index->count, second = -1;
    int best = -1;
    *out = -1;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (compare_keys(&keys[middle], &wanted) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < index->count && keys[low].length == length &&
           memcmp(keys[low].name, wanted.name, length) == 0;
         low++) {
        int common = common_folders(path, index->tree->entries[keys[low].entry].path);
        if (common < 0 || common < best)
            continue;
        second = common == best ? *out : -1;
        *out = keys[low].entry;
        best = common;
    }
    if (second >= 0)
        return pd_fail("'%s' may be %s or %s", path, index->tree->entries[second].path,
                       index->tree->entries[*out].path);
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
        status = find_best(out, index, index->stems, path, stem_length(name));
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
