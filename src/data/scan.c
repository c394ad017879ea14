#include "scan.h"

#include "image_format.h"
#include "layout.h"
#include "pneumo/base/memory.h"
#include "tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- What is left out --- */

static FILE *open_below(const char *folder, const char *below)
{
    char *path;
    if (pd_format(&path, "%s/%s", folder, below) != PD_OK)
        return NULL;
    FILE *file = fopen(path, "re");
    free(path);
    return file;
}

/* Whether two files below the folder hold the same bytes; not if one cannot be read. */
static bool have_same_bytes(const char *folder, const char *a, const char *b)
{
    enum { BLOCK = 1 << 14 };
    char blocks[2][BLOCK];
    FILE *files[2] = {open_below(folder, a), open_below(folder, b)};
    bool same = files[0] != NULL && files[1] != NULL;
    for (size_t size = BLOCK; same && size == BLOCK;) {
        size = fread(blocks[0], 1, BLOCK, files[0]);
        same = fread(blocks[1], 1, BLOCK, files[1]) == size && !ferror(files[0]) &&
               !ferror(files[1]) && memcmp(blocks[0], blocks[1], size) == 0;
    }
    for (int i = 0; i < 2; i++)
        if (files[i] != NULL)
            fclose(files[i]);
    return same;
}

/* Whether the file is part of a second copy of the folder, as unpacking some archives leaves it:
 * without its first folder, its path is that of another file with the same bytes. */
static bool is_copy(const pd_tree *tree, const pd_entry *entry, const char *folder)
{
    const char *slash = strchr(entry->path, '/');
    const pd_entry *original = slash != NULL ? pd_tree_find(tree, slash + 1) : NULL;
    return original != NULL && original->size == entry->size &&
           have_same_bytes(folder, original->path, entry->path);
}

/* Counts an image that is not in a class folder. */
static pd_status leave_image(pd_left_out *left, const pd_tree *tree, const pd_entry *entry,
                             const char *root)
{
    char *folder;
    const char *slash = strrchr(entry->path, '/');
    bool copy = is_copy(tree, entry, root);
    size_t length = copy            ? strcspn(entry->path, "/")
                    : slash == NULL ? 0
                                    : (size_t)(slash - entry->path);
    pd_status status =
        pd_format(&folder, "%.*s", length > 0 ? (int)length : 1, length > 0 ? entry->path : ".");
    if (status != PD_OK)
        return status;
    status = pd_left_out_add(left, copy ? PD_LEFT_COPY : PD_LEFT_FOLDER, folder, entry->path);
    free(folder);
    return status;
}

/* --- What is taken --- */

/* Appends the entry, or counts it as left out. */
static pd_status scan_entry(pd_scan *scan, pd_left_out *left, const pd_tree *tree,
                            const pd_entry *entry, const pd_layout *layout,
                            const pd_scan_options *options)
{
    const char *rest;
    const pd_class_folder *class = pd_layout_of(layout, entry->path, &rest);
    if (entry->kind != PD_ENTRY_IMAGE)
        return pd_left_out_add_entry(left, entry);
    if (class == NULL)
        return leave_image(left, tree, entry, options->folder);
    if (!options->recursive && strchr(rest, '/') != NULL)
        return pd_left_out_add(left, PD_LEFT_BELOW, class->path, entry->path);
    pd_sample *sample = &scan->samples[scan->count];
    *sample = (pd_sample){.fold = class->fold, .label = class->label};
    scan->keys[scan->count] = pd_entry_key(entry);
    pd_status status = pd_strdup(&sample->name, entry->path);
    scan->count += status == PD_OK;
    return status;
}

/* Fails if a class folder has no image, unless another of the same class and fold has. */
static pd_status check_classes(const pd_scan *scan, const pd_layout *layout, const char *folder)
{
    int64_t counts[PD_FOLDS][PD_LABELS];
    pd_samples_count(counts, scan->samples, scan->count);
    for (int i = 0; i < layout->count; i++) {
        const pd_class_folder *class = &layout->folders[i];
        char extensions[PD_IMAGE_FORMAT_TEXT];
        if (counts[class->fold][class->label] == 0)
            return pd_fail("%s/%s contains no %s files", folder, class->path,
                           pd_image_format_extensions(extensions));
    }
    return PD_OK;
}

pd_status pd_scan_folder(pd_scan *out, const pd_scan_options *options)
{
    pd_status status;
    pd_layout layout = {0};
    pd_tree tree = {0};
    pd_left_out left = {0};

    *out = (pd_scan){0};
    PD_TRY(pd_layout_find(&layout, options->folder, options->classes));
    PD_TRY(pd_tree_list(&tree, options->folder));
    PD_TRY(pd_alloc(&out->samples, (size_t)tree.count, sizeof *out->samples));
    PD_TRY(pd_alloc(&out->keys, (size_t)tree.count, sizeof *out->keys));
    out->has_folds = layout.has_folds;
    for (int64_t i = 0; i < tree.count; i++)
        PD_TRY(scan_entry(out, &left, &tree, &tree.entries[i], &layout, options));
    out->left_out = left.files;
    pd_left_out_print(&left);
    PD_TRY(check_classes(out, &layout, options->folder));
    if (!options->allow_rest)
        PD_TRY(pd_left_out_check(&left, out->count, options->folder));

cleanup:
    pd_left_out_free(&left);
    pd_tree_free(&tree);
    pd_layout_free(&layout);
    return status;
}

void pd_scan_free(pd_scan *scan)
{
    for (int64_t i = 0; i < scan->count; i++) {
        free(scan->samples[i].name);
        if (scan->hints != NULL)
            free(scan->hints[i].patient);
    }
    free(scan->samples);
    free(scan->keys);
    free(scan->hints);
    *scan = (pd_scan){0};
}
