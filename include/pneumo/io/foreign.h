/* HDF5 files of other programs, such as Keras' models: texts and float arrays by their paths.
 *
 * Nothing in the file is trusted: external links, external and virtual data are not followed, all
 * arrays together must fit into the file, and errors name file and object. Paths have no "/" in
 * front; "" is the root. */
#ifndef PNEUMO_IO_FOREIGN_H
#define PNEUMO_IO_FOREIGN_H

#include "pneumo/base/status.h"
#include "pneumo/io/array.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct pd_foreign pd_foreign;

/* Opens the file for reading. The caller owns *out. */
pd_status pd_foreign_open(pd_foreign **out, const char *path);

/* The same for a file in memory, bytes[size], which is copied. Messages name `path`, borrowed. */
pd_status pd_foreign_open_bytes(pd_foreign **out, const char *path, const void *bytes, size_t size);

/* NULL-safe; nulls the handle. */
void pd_foreign_close(pd_foreign **file);

/* The size of the file in bytes. */
size_t pd_foreign_size(const pd_foreign *file);

/* Whether there is a group or array at that path. */
bool pd_foreign_has(const pd_foreign *file, const char *object);

/* Whether the group or array has that attribute. */
bool pd_foreign_has_attribute(const pd_foreign *file, const char *object, const char *name);

/* Reads a text of fixed or variable length into *out (free()). */
pd_status pd_foreign_get_text(char **out, const pd_foreign *file, const char *object,
                              const char *name);

/* Reads a list of texts of fixed or variable length into *out, one block of pointers and texts;
 * release it with free(). A list that is cut into name0, name1, ... is joined. */
pd_status pd_foreign_get_texts(char ***out, int *count, const pd_foreign *file, const char *object,
                               const char *name);

/* Reads an array of floats or integers of up to 64 bits, or of bfloat16 as Keras 3 stores it (2
 * opaque bytes), into out->rank, dims and data (free()), as float. A scalar gets rank 1. */
pd_status pd_foreign_get_array(pd_array *out, pd_foreign *file, const char *object);

#endif
