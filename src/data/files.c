#include "pneumo/data/files.h"

#include "pneumo/base/memory.h"

#include <errno.h>
#include <fts.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Byte `at` of the paths of an entry, counted from its name: a folder continues with a slash. */
static int path_byte(const FTSENT *entry, size_t at)
{
    if (at < entry->fts_namelen)
        return (unsigned char)entry->fts_name[at];
    return entry->fts_info == FTS_D ? '/' : '\0';
}

static int compare_entries(const FTSENT **left, const FTSENT **right)
{
    const FTSENT *a = *left, *b = *right;
    size_t common = a->fts_namelen < b->fts_namelen ? a->fts_namelen : b->fts_namelen;
    int order = memcmp(a->fts_name, b->fts_name, common);
    return order != 0 ? order : path_byte(a, common) - path_byte(b, common);
}

static bool is_listed(const FTSENT *entry)
{
    switch (entry->fts_info) {
    case FTS_D:
    case FTS_DP:
    case FTS_DC:
        return false;
    case FTS_DEFAULT:
        return entry->fts_level == FTS_ROOTLEVEL;
    default:
        return true;
    }
}

static pd_status list_files(FILE *list, const char *name)
{
    pd_status status = PD_OK;
    char *const names[] = {(char *)name, NULL}; /* fts does not change it */
    FTS *tree = fts_open(names, FTS_LOGICAL | FTS_NOCHDIR, compare_entries);
    if (tree == NULL)
        return pd_fail("'%s': cannot list the files: %s", name, strerror(errno));
    FTSENT *entry;
    while ((entry = fts_read(tree)) != NULL) {
        if (entry->fts_level > FTS_ROOTLEVEL && entry->fts_name[0] == '.')
            fts_set(tree, entry, FTS_SKIP);
        else if (is_listed(entry))
            fwrite(entry->fts_path, 1, strlen(entry->fts_path) + 1, list);
    }
    if (errno != 0)
        status = pd_fail("'%s': cannot list the files: %s", name, strerror(errno));
    fts_close(tree);
    return status;
}

pd_status pd_files_find(pd_files *out, const char *const *names, int count)
{
    pd_status status = PD_OK;
    *out = (pd_files){0};
    FILE *list = open_memstream(&out->text, &out->size);
    if (list == NULL)
        return pd_fail("out of memory for the list of files");
    for (int i = 0; i < count && status == PD_OK; i++)
        status = list_files(list, names[i]);
    bool failed = ferror(list) != 0;
    failed = fclose(list) != 0 || failed;
    if (status == PD_OK && failed)
        status = pd_fail("out of memory for the list of files");
    return status == PD_OK ? pd_files_index(out) : status;
}

pd_status pd_files_index(pd_files *files)
{
    int64_t count = 0;
    for (size_t i = 0; i < files->size; i++)
        count += files->text[i] == '\0';
    pd_status status = pd_alloc(&files->paths, (size_t)count, sizeof *files->paths);
    if (status != PD_OK)
        return status;
    files->count = count;
    const char *path = files->text;
    for (int64_t i = 0; i < count; i++) {
        files->paths[i] = path;
        path += strlen(path) + 1;
    }
    return PD_OK;
}

void pd_files_free(pd_files *files)
{
    free(files->text);
    free(files->paths);
    *files = (pd_files){0};
}
