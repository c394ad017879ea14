/* The files of a folder that are not packed: counted, and said with what would take them. */
#ifndef PNEUMO_DATA_LEFT_OUT_H
#define PNEUMO_DATA_LEFT_OUT_H

#include "pneumo/base/status.h"
#include "tree.h"

#include <stddef.h>
#include <stdint.h>

typedef enum pd_left_kind {
    PD_LEFT_FOLDER,   /* an image in a folder of no class; `where` is the folder */
    PD_LEFT_BELOW,    /* an image in a subfolder of a class; `where` is the class' folder */
    PD_LEFT_UNLISTED, /* an image that the table of labels does not list; `where` is "" */
    PD_LEFT_FORMAT,   /* an image of a format that cannot be read; `where` is the extension */
    PD_LEFT_DANGLING,
    PD_LEFT_COPY,  /* part of a second copy of the whole folder; `where` is the copy */
    PD_LEFT_OTHER, /* not an image; `where` is the extension */
    PD_LEFT_HIDDEN,
    PD_LEFT_SPECIAL,
    PD_LEFT_KINDS
} pd_left_kind;

/* Files of one kind in one place. */
typedef struct pd_left_group {
    pd_left_kind kind;
    char *where, *example;
    int64_t count;
} pd_left_group;

typedef struct pd_left_out {
    pd_left_group *groups; /* [count] */
    int64_t count;
    size_t capacity;
    int64_t files, images; /* all, and those that are images or may be */
} pd_left_out;

/* Counts a file. Fails when memory runs out. *left is {0} at first, and released with
 * pd_left_out_free. */
pd_status pd_left_out_add(pd_left_out *left, pd_left_kind kind, const char *where,
                          const char *path);
/* The same of an entry that is not of the kind PD_ENTRY_IMAGE. */
pd_status pd_left_out_add_entry(pd_left_out *left, const pd_entry *entry);

void pd_left_out_free(pd_left_out *left);

/* Prints a line per group on standard error: a warning for images, with what takes them, else
 * information. */
void pd_left_out_print(const pd_left_out *left);

/* Fails if a third of the images of `folder` or more are left out, of which `taken` are not. */
pd_status pd_left_out_check(const pd_left_out *left, int64_t taken, const char *folder);

#endif
