/* All files in and below a folder. */
#ifndef PNEUMO_DATA_TREE_H
#define PNEUMO_DATA_TREE_H

#include "pneumo/base/status.h"
#include "pneumo/io/site.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum pd_entry_kind {
    PD_ENTRY_IMAGE,  /* by its extension, else by its first bytes, of a format of image_format.h */
    PD_ENTRY_FORMAT, /* an image, by its extension, of a format that cannot be read */
    PD_ENTRY_OTHER,  /* any other regular file */
    PD_ENTRY_HIDDEN, /* a file whose name, or a folder of whose path, begins with a dot, or that is
                        in a folder __MACOSX */
    PD_ENTRY_DANGLING, /* a link to nothing, or in a circle */
    PD_ENTRY_SPECIAL   /* a pipe, socket or device */
} pd_entry_kind;

typedef struct pd_entry {
    char *path; /* below the folder */
    int64_t size;
    int64_t seconds, nanoseconds; /* of the last change of its content */
    pd_entry_kind kind;
} pd_entry;

typedef struct pd_tree {
    pd_entry *entries; /* [count], in byte order of their paths */
    int64_t count;
    size_t capacity;
} pd_tree;

/* Lists the files below `folder`, following links. Fails if that is not a folder, or if a folder
 * cannot be read. *out is released with pd_tree_free, also after a failure. */
pd_status pd_tree_list(pd_tree *out, const char *folder);
void pd_tree_free(pd_tree *tree);

/* A hash of path, size and time of change: another one if the file has changed. */
pd_identity pd_entry_key(const pd_entry *entry);

/* Whether a name has the extension of an image, of a format that can be read or not. */
bool pd_entry_has_image_extension(const char *name);

/* The entry with this path; NULL if there is none. */
const pd_entry *pd_tree_find(const pd_tree *tree, const char *path);

#endif
