/* Finding the files that the paths of a table mean. */
#ifndef PNEUMO_DATA_FILE_INDEX_H
#define PNEUMO_DATA_FILE_INDEX_H

#include "tree.h"

#include <stdbool.h>

typedef struct pd_file_index pd_file_index;

/* Indexes the images of a tree, which is borrowed. Fails when memory runs out. The caller owns
 * *out.
 */
pd_status pd_file_index_create(pd_file_index **out, const pd_tree *tree);
void pd_file_index_destroy(pd_file_index **index);

/* Finds the image that a path of a table means: *out is its index in the tree, -1 if there is none.
 * The folders of the path may be fewer or more than those of the file, but those that both have,
 * from the name up, are the same. The path may lack the extension, or have that of another format
 * (*converted). Two images that fit equally well are an error that names both. */
pd_status pd_file_index_find(int64_t *out, bool *converted, const pd_file_index *index,
                             const char *path);

#endif
