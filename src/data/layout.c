#include "layout.h"

#include "pneumo/base/log.h"
#include "pneumo/base/memory.h"
#include "pneumo/io/file.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

/* --- Names --- */

typedef struct name_row {
    const char *name;
    int meaning; /* pd_fold or pd_label */
} name_row;

static const name_row fold_names[] = {
    {"train", PD_TRAIN},    {"training", PD_TRAIN}, {"val", PD_VAL},      {"valid", PD_VAL},
    {"validation", PD_VAL}, {"test", PD_TEST},      {"testing", PD_TEST}, {NULL, 0}};

static const name_row class_names[] = {{"NORMAL", PD_NORMAL},
                                       {"PNEUMONIA", PD_PNEUMONIA},
                                       {"0", PD_NORMAL},
                                       {"1", PD_PNEUMONIA},
                                       {NULL, 0}};

static const name_row *find_name(const name_row *rows, const char *name)
{
    while (rows->name != NULL && strcasecmp(rows->name, name) != 0)
        rows++;
    return rows->name != NULL ? rows : NULL;
}

pd_fold pd_layout_fold(const char *word)
{
    const name_row *row = find_name(fold_names, word);
    return row != NULL ? (pd_fold)row->meaning : PD_FOLDS;
}

/* --- Folders --- */

static pd_status is_folder_below(bool *out, const char *folder, const char *below)
{
    struct stat about;
    char *path;
    pd_status status = pd_format(&path, "%s/%s", folder, below);
    if (status != PD_OK)
        return status;
    *out = stat(path, &about) == 0 && S_ISDIR(about.st_mode);
    free(path);
    return PD_OK;
}

/* Folder names in order. */
typedef struct subfolders {
    char **names; /* [count] */
    int count;
    size_t capacity;
} subfolders;

static void free_subfolders(subfolders *list)
{
    for (int i = 0; i < list->count; i++)
        free(list->names[i]);
    free(list->names);
    *list = (subfolders){0};
}

static pd_status add_subfolder(subfolders *list, const char *name)
{
    pd_status status =
        pd_grow(&list->names, &list->capacity, (size_t)list->count + 1, sizeof *list->names);
    if (status != PD_OK)
        return status;
    status = pd_strdup(&list->names[list->count], name);
    list->count += status == PD_OK;
    return status;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Lists the folders of `folder` that are not hidden. */
static pd_status list_subfolders(subfolders *out, const char *folder)
{
    pd_status status = PD_OK;
    struct dirent *entry;
    *out = (subfolders){0};
    DIR *directory = opendir(folder);
    if (directory == NULL)
        return pd_fail("cannot read the folder %s: %s", folder, strerror(errno));
    while ((entry = readdir(directory)) != NULL) {
        bool found = false;
        if (entry->d_name[0] == '.' || strcmp(entry->d_name, "__MACOSX") == 0)
            continue;
        PD_TRY(is_folder_below(&found, folder, entry->d_name));
        if (found)
            PD_TRY(add_subfolder(out, entry->d_name));
    }
    if (out->count > 0)
        qsort(out->names, (size_t)out->count, sizeof *out->names, compare_names);

cleanup:
    closedir(directory);
    return status;
}

/* --- The layout --- */

/* Takes prefix/name, with "/" after a prefix, as the folder of a class. */
static pd_status add_folder(pd_layout *layout, const char *prefix, const char *name, pd_fold fold,
                            pd_label label)
{
    pd_status status = pd_grow(&layout->folders, &layout->capacity, (size_t)layout->count + 1,
                               sizeof *layout->folders);
    if (status != PD_OK)
        return status;
    pd_class_folder *added = &layout->folders[layout->count];
    *added = (pd_class_folder){.fold = fold, .label = label};
    status = pd_format(&added->path, "%s%s", prefix, name);
    layout->count += status == PD_OK;
    return status;
}

/* What to look for, and where: in folder/prefix. */
typedef struct place {
    const char *folder, *prefix; /* prefix: "" or with a "/" at the end */
    pd_fold fold;
    const char *const *classes; /* [PD_LABELS] */
} place;

/* Adds the folders that the user gave for a class; those that do not exist are skipped. */
static pd_status add_given(pd_layout *layout, const place *at, pd_label label)
{
    pd_status status;
    char *names = NULL, *rest, *path = NULL;
    PD_TRY(pd_strdup(&names, at->classes[label]));
    for (char *name = strtok_r(names, "|", &rest); name != NULL;
         name = strtok_r(NULL, "|", &rest)) {
        bool found;
        size_t length = strlen(name);
        while (length > 1 && name[length - 1] == '/')
            name[--length] = '\0';
        PD_TRY(pd_format(&path, "%s%s", at->prefix, name));
        PD_TRY(is_folder_below(&found, at->folder, path));
        free(path);
        path = NULL;
        if (found)
            PD_TRY(add_folder(layout, at->prefix, name, at->fold, label));
    }

cleanup:
    free(names);
    free(path);
    return status;
}

/* Adds the subfolder with a known name of a class; two of them are an error. */
static pd_status add_known(pd_layout *layout, const place *at, pd_label label,
                           const subfolders *list)
{
    const char *taken = NULL;
    for (int i = 0; i < list->count; i++) {
        const name_row *row = find_name(class_names, list->names[i]);
        if (row == NULL || row->meaning != (int)label)
            continue;
        if (taken != NULL)
            return pd_fail("%s/%s has two folders of the class %s: %s and %s; --%s '%s|%s' takes "
                           "both",
                           at->folder, at->prefix, pd_label_names[label], taken, list->names[i],
                           label == PD_NORMAL ? "normal" : "pneumonia", taken, list->names[i]);
        taken = list->names[i];
        if (strcmp(taken, pd_label_names[label]) != 0)
            pd_log_info("%s/%s%s is taken as the class %s", at->folder, at->prefix, taken,
                        pd_label_names[label]);
        pd_status status = add_folder(layout, at->prefix, taken, at->fold, label);
        if (status != PD_OK)
            return status;
    }
    return PD_OK;
}

/* Adds the class folders in one place; *found[label] is how many. */
static pd_status add_classes(pd_layout *layout, const place *at, const subfolders *list,
                             int found[PD_LABELS])
{
    pd_status status = PD_OK;
    for (int label = 0; label < PD_LABELS && status == PD_OK; label++) {
        int before = layout->count;
        status = at->classes[label] != NULL ? add_given(layout, at, (pd_label)label)
                                            : add_known(layout, at, (pd_label)label, list);
        found[label] = layout->count - before;
    }
    return status;
}

/* --- Errors --- */

/* Appends the names of folders, such as "; its folders are 'A', 'B'", to text[size]. */
static void name_folders(char *text, size_t size, const subfolders *list)
{
    enum { NAMED = 6 };
    size_t used = 0;
    text[0] = '\0';
    for (int i = 0; i < list->count && i < NAMED && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s'%s'",
                                 i == 0 ? "; its folders are " : ", ", list->names[i]);
    if (list->count > NAMED && used < size)
        snprintf(text + used, size - used, ", ...");
}

static pd_status fail_missing(const place *at, pd_label label, const subfolders *list)
{
    char folders[512];
    name_folders(folders, sizeof folders, list);
    const char *name = at->classes[label] != NULL ? at->classes[label] : pd_label_names[label];
    return pd_fail(
        "%s/%s%s is missing; each class needs a folder, NORMAL and PNEUMONIA%s (--normal "
        "NAME and --pneumonia NAME take others)",
        at->folder, at->prefix, name, folders);
}

/* Whether a folder holds folds or classes by their known names. */
static pd_status has_known(bool *out, const char *folder)
{
    subfolders list = {0};
    pd_status status = list_subfolders(&list, folder);
    *out = false;
    for (int i = 0; i < list.count && status == PD_OK; i++)
        *out = *out || pd_layout_fold(list.names[i]) != PD_FOLDS ||
               find_name(class_names, list.names[i]) != NULL;
    free_subfolders(&list);
    return status;
}

/* Names the subfolder that holds what is missing, or the subfolders. */
static pd_status fail_none(const char *folder, const subfolders *list)
{
    enum { SEARCHED = 256 }; /* enough for a hint */
    char folders[512];
    for (int i = 0; i < list->count && i < SEARCHED; i++) {
        char *below;
        bool known;
        pd_status status = pd_format(&below, "%s/%s", folder, list->names[i]);
        if (status != PD_OK)
            return status;
        if (has_known(&known, below) == PD_OK && known)
            status = pd_fail("%s contains none of the folders train, val, test, NORMAL and "
                             "PNEUMONIA, but %s does: pack that",
                             folder, below);
        free(below);
        if (status != PD_OK)
            return status;
    }
    name_folders(folders, sizeof folders, list);
    return pd_fail("%s contains none of the folders train, val, test, NORMAL and PNEUMONIA; give "
                   "the folder that contains them%s (--normal NAME and --pneumonia NAME take "
                   "others)",
                   folder, folders);
}

/* --- Finding --- */

/* Adds the classes of the fold in the folder `name`. */
static pd_status add_fold(pd_layout *layout, const char *folder, const char *name,
                          const char *const classes[PD_LABELS])
{
    pd_status status;
    char *prefix = NULL, *path = NULL;
    subfolders list = {0};
    int found[PD_LABELS] = {0};

    PD_TRY(pd_format(&prefix, "%s/", name));
    PD_TRY(pd_format(&path, "%s/%s", folder, name));
    PD_TRY(list_subfolders(&list, path));
    const place at = {folder, prefix, pd_layout_fold(name), classes};
    for (int i = 0; i < layout->count; i++) {
        if (layout->folders[i].fold == at.fold) {
            status = pd_fail("%s has two folders of the fold %s, %.*s and %s; rename one", folder,
                             pd_fold_names[at.fold], (int)strcspn(layout->folders[i].path, "/"),
                             layout->folders[i].path, name);
            goto cleanup;
        }
    }
    PD_TRY(add_classes(layout, &at, &list, found));
    for (int label = 0; label < PD_LABELS && status == PD_OK; label++)
        if (found[label] == 0)
            status = fail_missing(&at, (pd_label)label, &list);

cleanup:
    free_subfolders(&list);
    free(prefix);
    free(path);
    return status;
}

static pd_status check_folder(const char *folder)
{
    struct stat about;
    if (stat(folder, &about) == 0 && S_ISDIR(about.st_mode))
        return PD_OK;
    return pd_file_exists(folder)
               ? pd_fail("%s is not a folder; give the folder that contains the images", folder)
               : pd_fail("there is no folder %s; give the folder that contains the images", folder);
}

pd_status pd_layout_find(pd_layout *out, const char *folder, const char *const classes[PD_LABELS])
{
    pd_status status;
    subfolders list = {0};
    int found[PD_LABELS] = {0};
    const place root = {folder, "", PD_TRAIN, classes};

    *out = (pd_layout){0};
    PD_TRY(check_folder(folder));
    PD_TRY(list_subfolders(&list, folder));
    PD_TRY(add_classes(out, &root, &list, found));
    for (int i = 0; i < list.count; i++) {
        if (pd_layout_fold(list.names[i]) == PD_FOLDS)
            continue;
        if (found[PD_NORMAL] + found[PD_PNEUMONIA] > 0) {
            status = pd_fail("%s contains both folds (train, val, test) and classes (NORMAL, "
                             "PNEUMONIA); give a folder that contains one of the two",
                             folder);
            goto cleanup;
        }
        out->has_folds = true;
        PD_TRY(add_fold(out, folder, list.names[i], classes));
    }
    if (out->has_folds)
        goto cleanup;
    if (found[PD_NORMAL] + found[PD_PNEUMONIA] == 0)
        status = fail_none(folder, &list);
    for (int label = 0; label < PD_LABELS && status == PD_OK; label++)
        if (found[label] == 0)
            status = fail_missing(&root, (pd_label)label, &list);

cleanup:
    free_subfolders(&list);
    return status;
}

void pd_layout_free(pd_layout *layout)
{
    for (int i = 0; i < layout->count; i++)
        free(layout->folders[i].path);
    free(layout->folders);
    *layout = (pd_layout){0};
}

const pd_class_folder *pd_layout_of(const pd_layout *layout, const char *path, const char **rest)
{
    const pd_class_folder *best = NULL;
    size_t longest = 0;
    for (int i = 0; i < layout->count; i++) {
        size_t length = strlen(layout->folders[i].path);
        if (strncmp(path, layout->folders[i].path, length) == 0 && path[length] == '/' &&
            length > longest) {
            best = &layout->folders[i];
            longest = length;
            *rest = path + length + 1;
        }
    }
    return best;
}
