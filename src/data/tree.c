#include "tree.h"

#include "image_format.h"
#include "pneumo/base/memory.h"
#include "pneumo/data/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* --- What a file is --- */

/* Extensions of images that cannot be read, unless image_format.h has them. */
static const char *const unread[] = {".bmp", ".dcm",  ".dicom", ".gif",  ".heic", ".jp2",
                                     ".j2k", ".jls",  ".jxl",   ".mha",  ".nii",  ".nrrd",
                                     ".jpe", ".jfif", ".pgm",   ".ppm",  ".pnm",  ".svg",
                                     ".tga", ".tif",  ".tiff",  ".webp", ".avif", ".ima"};

static bool has_unread_extension(const char *name)
{
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot != NULL && i < sizeof unread / sizeof *unread; i++)
        if (strcasecmp(dot, unread[i]) == 0)
            return true;
    return false;
}

bool pd_entry_has_image_extension(const char *name)
{
    return pd_image_format_of_path(name) != NULL || has_unread_extension(name);
}

/* Whether the first bytes are those of a known format. A file that cannot be opened is not one. */
static bool begins_as_image(const char *path)
{
    unsigned char bytes[512];
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0)
        return false;
    ssize_t size = read(file, bytes, sizeof bytes);
    close(file);
    return size > 0 && pd_image_format_of_bytes(bytes, (size_t)size) != NULL;
}

static pd_entry_kind kind_of(const FTSENT *found, bool hidden)
{
    if (hidden)
        return PD_ENTRY_HIDDEN;
    if (found->fts_info == FTS_SLNONE || found->fts_info == FTS_DC)
        return PD_ENTRY_DANGLING;
    if (found->fts_info != FTS_F)
        return PD_ENTRY_SPECIAL;
    if (pd_image_format_of_path(found->fts_name) != NULL || begins_as_image(found->fts_accpath))
        return PD_ENTRY_IMAGE;
    return has_unread_extension(found->fts_name) ? PD_ENTRY_FORMAT : PD_ENTRY_OTHER;
}

/* --- The list --- */

static pd_status append(pd_tree *tree, const char *path, const FTSENT *found, bool hidden)
{
    pd_status status =
        pd_grow(&tree->entries, &tree->capacity, (size_t)tree->count + 1, sizeof *tree->entries);
    if (status != PD_OK)
        return status;
    pd_entry *entry = &tree->entries[tree->count];
    const struct stat *about = found->fts_statp;
    *entry = (pd_entry){.kind = kind_of(found, hidden),
                        .size = (int64_t)about->st_size,
                        .seconds = (int64_t)about->st_mtim.tv_sec,
                        .nanoseconds = (int64_t)about->st_mtim.tv_nsec};
    status = pd_strdup(&entry->path, path);
    tree->count += status == PD_OK;
    return status;
}

static bool is_hidden(const FTSENT *found)
{
    return found->fts_level > FTS_ROOTLEVEL &&
           (found->fts_name[0] == '.' || strcmp(found->fts_name, "__MACOSX") == 0);
}

/* Adds what fts found; fts_number of a folder is 1 if it is hidden. */
static pd_status add_found(pd_tree *tree, const char *folder, FTSENT *found)
{
    bool hidden = is_hidden(found) ||
                  (found->fts_level > FTS_ROOTLEVEL && found->fts_parent->fts_number != 0);
    switch (found->fts_info) {
    case FTS_D:
        found->fts_number = hidden;
        return PD_OK;
    case FTS_DP:
        return PD_OK;
    case FTS_DNR:
    case FTS_ERR:
        return pd_fail("cannot read the folder %s: %s", found->fts_path,
                       strerror(found->fts_errno));
    case FTS_NS:
        return pd_fail("cannot read %s: %s", found->fts_path, strerror(found->fts_errno));
    default:
        if (found->fts_level == FTS_ROOTLEVEL)
            return pd_fail("%s is not a folder; give the folder that contains the images",
                           found->fts_path);
        return append(tree, found->fts_path + strlen(folder) + 1, found, hidden);
    }
}

static int compare_paths(const void *a, const void *b)
{
    return strcmp(((const pd_entry *)a)->path, ((const pd_entry *)b)->path);
}

pd_status pd_tree_list(pd_tree *out, const char *folder)
{
    pd_status status;
    char *root = NULL;
    FTS *walk = NULL;
    FTSENT *found;

    *out = (pd_tree){0};
    PD_TRY(pd_strdup(&root, folder));
    for (size_t end = strlen(root); end > 1 && root[end - 1] == '/'; end--)
        root[end - 1] = '\0';
    walk = fts_open((char *[]){root, NULL}, FTS_LOGICAL | FTS_NOCHDIR, NULL);
    if (walk == NULL) {
        status = pd_fail("cannot read the folder %s: %s", folder, strerror(errno));
        goto cleanup;
    }
    while (errno = 0, (found = fts_read(walk)) != NULL)
        PD_TRY(add_found(out, strcmp(root, "/") == 0 ? "" : root, found));
    if (errno != 0) {
        status = pd_fail("cannot read the folder %s: %s", folder, strerror(errno));
        goto cleanup;
    }
    if (out->count > 0)
        qsort(out->entries, (size_t)out->count, sizeof *out->entries, compare_paths);

cleanup:
    if (walk != NULL)
        fts_close(walk);
    free(root);
    return status;
}

void pd_tree_free(pd_tree *tree)
{
    for (int64_t i = 0; i < tree->count; i++)
        free(tree->entries[i].path);
    free(tree->entries);
    *tree = (pd_tree){0};
}

pd_identity pd_entry_key(const pd_entry *entry)
{
    struct {
        pd_identity path;
        int64_t size, seconds, nanoseconds;
    } about = {pd_identity_of_bytes(entry->path, strlen(entry->path)), entry->size, entry->seconds,
               entry->nanoseconds};
    return pd_identity_of_bytes(&about, sizeof about);
}

const pd_entry *pd_tree_find(const pd_tree *tree, const char *path)
{
    const pd_entry wanted = {.path = (char *)path}; /* only compared */
    return tree->count == 0 ? NULL
                            : bsearch(&wanted, tree->entries, (size_t)tree->count,
                                      sizeof *tree->entries, compare_paths);
}
