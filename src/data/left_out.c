#include "left_out.h"

#include "layout.h"
#include "pneumo/base/log.h"
#include "pneumo/base/memory.h"
#include "pneumo/base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

typedef struct kind_row {
    bool is_image;
    const char *text; /* between the number and the place */
    /* For images: what takes them; NULL: an option with the name of the folder. */
    const char *advice;
} kind_row;

static const kind_row kinds[PD_LEFT_KINDS] = {
    [PD_LEFT_FOLDER] = {true, "images in a folder of no class, ", NULL},
    [PD_LEFT_BELOW] = {true, "images in subfolders of ", "--recursive takes them"},
    [PD_LEFT_UNLISTED] = {true, "images that the table does not list",
                          "add rows to the table to take them"},
    [PD_LEFT_FORMAT] = {true, "images of a format that cannot be read, ",
                        "convert them to PNG, for example with 'mogrify -format png'"},
    [PD_LEFT_DANGLING] = {true, "links without a target", "copy the files themselves"},
    [PD_LEFT_COPY] = {false, "files of a second copy of this folder, ", NULL},
    [PD_LEFT_OTHER] = {false, "files that are not images, ", NULL},
    [PD_LEFT_HIDDEN] = {false, "hidden files", NULL},
    [PD_LEFT_SPECIAL] = {false, "pipes, sockets or devices", NULL},
};

/* The group of this kind and place; files of one group mostly follow each other. */
static pd_left_group *find_group(const pd_left_out *left, pd_left_kind kind, const char *where)
{
    for (int64_t i = left->count - 1; i >= 0; i--)
        if (left->groups[i].kind == kind && strcmp(left->groups[i].where, where) == 0)
            return &left->groups[i];
    return NULL;
}

static pd_status add_group(pd_left_group **out, pd_left_out *left, pd_left_kind kind,
                           const char *where, const char *path)
{
    pd_status status = PD_OK;
    pd_left_group group = {.kind = kind};
    PD_TRY(pd_grow(&left->groups, &left->capacity, (size_t)left->count + 1, sizeof *left->groups));
    PD_TRY(pd_strdup(&group.where, where));
    PD_TRY(pd_strdup(&group.example, path));
    *out = &left->groups[left->count++];
    **out = group;
    group = (pd_left_group){0};

cleanup:
    free(group.where);
    free(group.example);
    return status;
}

pd_status pd_left_out_add(pd_left_out *left, pd_left_kind kind, const char *where, const char *path)
{
    pd_left_group *group = find_group(left, kind, where);
    if (group == NULL) {
        pd_status status = add_group(&group, left, kind, where, path);
        if (status != PD_OK)
            return status;
    }
    group->count++;
    left->files++;
    left->images += kinds[kind].is_image;
    return PD_OK;
}

static const pd_left_kind left_kinds[] = {
    [PD_ENTRY_FORMAT] = PD_LEFT_FORMAT,   [PD_ENTRY_OTHER] = PD_LEFT_OTHER,
    [PD_ENTRY_HIDDEN] = PD_LEFT_HIDDEN,   [PD_ENTRY_DANGLING] = PD_LEFT_DANGLING,
    [PD_ENTRY_SPECIAL] = PD_LEFT_SPECIAL,
};

static const char *extension_of(const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
    const char *dot = strrchr(name, '.');
    return dot != NULL && dot != name ? dot : "without extension";
}

pd_status pd_left_out_add_entry(pd_left_out *left, const pd_entry *entry)
{
    pd_left_kind kind = left_kinds[entry->kind];
    bool by_extension = kind == PD_LEFT_FORMAT || kind == PD_LEFT_OTHER;
    return pd_left_out_add(left, kind, by_extension ? extension_of(entry->path) : "", entry->path);
}

void pd_left_out_free(pd_left_out *left)
{
    for (int64_t i = 0; i < left->count; i++) {
        free(left->groups[i].where);
        free(left->groups[i].example);
    }
    free(left->groups);
    *left = (pd_left_out){0};
}

/* The name of a folder in its fold. */
static const char *name_in_fold(const char *where)
{
    char first[16];
    const char *slash = strchr(where, '/');
    if (slash == NULL || slash - where >= (ptrdiff_t)sizeof first)
        return where;
    memcpy(first, where, (size_t)(slash - where));
    first[slash - where] = '\0';
    return pd_layout_fold(first) != PD_FOLDS ? slash + 1 : where;
}

static void print_group(const pd_left_group *group)
{
    const kind_row *row = &kinds[group->kind];
    long long count = (long long)group->count;
    const char *name = name_in_fold(group->where);
    if (!row->is_image)
        pd_log_info("left out: %lld %s%s, such as %s", count, row->text, group->where,
                    group->example);
    else if (row->advice != NULL)
        pd_log_warn("left out: %lld %s%s, such as %s; %s", count, row->text, group->where,
                    group->example, row->advice);
    else
        pd_log_warn("left out: %lld %s%s, such as %s; --pneumonia 'PNEUMONIA|%s' or --normal "
                    "'NORMAL|%s' takes them",
                    count, row->text, group->where, group->example, name, name);
}

/* Lines of one kind at most, so that a folder of many others does not hide what matters. */
enum { LINES = 10 };

void pd_left_out_print(const pd_left_out *left)
{
    for (int kind = 0; kind < PD_LEFT_KINDS; kind++) {
        int64_t lines = 0, files = 0;
        for (int64_t i = 0; i < left->count; i++) {
            const pd_left_group *group = &left->groups[i];
            if ((int)group->kind != kind)
                continue;
            if (lines < LINES)
                print_group(group);
            else
                files += group->count;
            lines++;
        }
        if (lines > LINES)
            pd_log_warn("left out: %lld more like these in %lld other place%s", (long long)files,
                        (long long)(lines - LINES), pd_text_plural(lines - LINES));
    }
}

pd_status pd_left_out_check(const pd_left_out *left, int64_t taken, const char *folder)
{
    int64_t all = left->images + taken;
    if (left->images == 0 || 3 * left->images < all)
        return PD_OK;
    return pd_fail("%s: %lld of %lld images would be left out (see above); take them, or give "
                   "--allow-rest to pack the other %lld",
                   folder, (long long)left->images, (long long)all, (long long)taken);
}
