#include "pneumo/exchange/keras_file.h"
#include "pneumo/base/text.h"

#include "archive.h"
#include "pneumo/base/memory.h"
#include "pneumo/io/file.h"
#include "pneumo/io/foreign.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct pd_keras_file {
    char *path;
    char *config;        /* NULL: none */
    pd_foreign *weights; /* NULL: none */
    const char *root;    /* of the groups; NULL: layout of Keras 3 */
    bool dependencies;   /* layout of Keras 3, but layers lie in DEPENDENCIES */
};

/* Where Keras 2 has what lies in "layers" in Keras 3. */
#define DEPENDENCIES "_layer_checkpoint_dependencies"

/* --- What kind of file it is --- */

enum { HEAD_BYTES = 512, JSON_BYTES_MAX = 64 << 20 };

static bool begins(const unsigned char *head, size_t size, const char *with)
{
    return size >= strlen(with) && memcmp(head, with, strlen(with)) == 0;
}

/* Whether the bytes are text, as far as they go. */
static bool is_text(const unsigned char *head, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (head[i] < ' ' && head[i] != '\n' && head[i] != '\r' && head[i] != '\t')
            return false;
    return true;
}

static pd_status fail_unknown(const char *path, const unsigned char *head, size_t size)
{
    size_t blank = 0;
    while (blank < size && isspace(head[blank]))
        blank++;
    if (size < 8)
        return pd_fail("%s: has %zu byte%s, so it is not a model: download it again", path, size,
                       pd_text_plural(size));
    if (begins(head, size, "version https://git-lfs"))
        return pd_fail("%s: is a Git LFS pointer, not the model: run 'git lfs pull', or download "
                       "the file itself",
                       path);
    if (blank < size && head[blank] == '<')
        return pd_fail("%s: is a web page, not a model: sign in where it comes from and download "
                       "it again",
                       path);
    if (is_text(head, size))
        return pd_fail("%s: is text, perhaps source code, not a model", path);
    return pd_fail("%s: is not a Keras model: expected HDF5 (.h5, .hdf5), .keras or JSON", path);
}

/* Reads the first bytes. */
static pd_status read_head(const char *path, unsigned char *head, size_t *size)
{
    pd_status status = pd_file_check_regular(path);
    if (status != PD_OK)
        return status;
    FILE *file = fopen(path, "rbe");
    if (file == NULL)
        return pd_fail("%s: cannot open: %s", path, strerror(errno));
    *size = fread(head, 1, HEAD_BYTES, file);
    bool failed = ferror(file) != 0;
    fclose(file);
    return failed ? pd_fail("%s: cannot read: %s", path, strerror(errno)) : PD_OK;
}

/* --- Opening --- */

/* Finds the weights in the opened HDF5 file. */
static pd_status find_root(pd_keras_file *file)
{
    static const char *const roots[] = {"", "model_weights"};
    file->dependencies = pd_foreign_has(file->weights, DEPENDENCIES);
    if (file->dependencies || pd_foreign_has(file->weights, "layers"))
        return PD_OK;
    for (size_t i = 0; i < sizeof roots / sizeof *roots; i++)
        if (pd_foreign_has_attribute(file->weights, roots[i], "layer_names") ||
            pd_foreign_has_attribute(file->weights, roots[i], "layer_names0")) {
            file->root = roots[i];
            return PD_OK;
        }
    return pd_fail("%s: is an HDF5 file, but not of Keras: it has no 'layer_names' and no 'layers'",
                   file->path);
}

/* Files of the Theano backend hold flipped kernels. */
static pd_status check_backend(const pd_keras_file *file)
{
    char *backend = NULL;
    if (file->root == NULL || !pd_foreign_has_attribute(file->weights, file->root, "backend"))
        return PD_OK;
    pd_status status = pd_foreign_get_text(&backend, file->weights, file->root, "backend");
    if (status == PD_OK && strcmp(backend, "theano") == 0)
        status = pd_fail("%s: was written with Keras' backend Theano, whose kernels are flipped: "
                         "save it again with TensorFlow",
                         file->path);
    free(backend);
    return status;
}

static pd_status open_hdf5(pd_keras_file *file)
{
    pd_status status = PD_OK;
    PD_TRY(pd_foreign_open(&file->weights, file->path));
    if (pd_foreign_has_attribute(file->weights, "", "model_config"))
        PD_TRY(pd_foreign_get_text(&file->config, file->weights, "", "model_config"));
    PD_TRY(find_root(file));
    PD_TRY(check_backend(file));

cleanup:
    return status;
}

static pd_status open_zip(pd_keras_file *file)
{
    pd_status status = PD_OK;
    pd_archive *archive = NULL;
    unsigned char *config = NULL, *weights = NULL;
    size_t size;
    PD_TRY(pd_archive_open(&archive, file->path));
    if (!pd_archive_has(archive, "config.json")) {
        status =
            pd_fail("%s: is a ZIP file, but not of Keras: it has no 'config.json'", file->path);
        goto cleanup;
    }
    PD_TRY(pd_archive_read(&config, &size, archive, "config.json"));
    file->config = (char *)config;
    config = NULL;
    if (!pd_archive_has(archive, "model.weights.h5")) {
        status = pd_fail("%s: has no 'model.weights.h5': weights in other forms (.npz, shards) are "
                         "not supported; save it again without them",
                         file->path);
        goto cleanup;
    }
    PD_TRY(pd_archive_read(&weights, &size, archive, "model.weights.h5"));
    PD_TRY(pd_foreign_open_bytes(&file->weights, file->path, weights, size));
    PD_TRY(find_root(file));

cleanup:
    free(config);
    free(weights);
    pd_archive_close(&archive);
    return status;
}

static pd_status open_json(pd_keras_file *file)
{
    unsigned char *bytes;
    size_t size;
    pd_status status = pd_file_read(&bytes, &size, file->path, JSON_BYTES_MAX);
    if (status == PD_OK)
        file->config = (char *)bytes;
    return status;
}

static const char HDF5[] = "\x89HDF\r\n\x1a\n";

bool pd_keras_file_is_hdf5(const char *path)
{
    unsigned char head[HEAD_BYTES];
    size_t size = 0;
    return read_head(path, head, &size) == PD_OK && begins(head, size, HDF5);
}

static pd_status open_by_kind(pd_keras_file *file)
{
    unsigned char head[HEAD_BYTES];
    size_t size = 0;
    pd_status status = read_head(file->path, head, &size);
    if (status != PD_OK)
        return status;
    if (begins(head, size, HDF5))
        return open_hdf5(file);
    if (begins(head, size, "PK\x03\x04") || begins(head, size, "PK\x05\x06"))
        return open_zip(file);
    if (begins(head, size, "{"))
        return open_json(file);
    return fail_unknown(file->path, head, size);
}

pd_status pd_keras_file_open(pd_keras_file **out, const char *path)
{
    pd_status status = PD_OK;
    pd_keras_file *file = NULL;
    *out = NULL;
    PD_TRY(pd_alloc(&file, 1, sizeof *file));
    PD_TRY(pd_strdup(&file->path, path));
    PD_TRY(open_by_kind(file));
    *out = file;
    file = NULL;

cleanup:
    pd_keras_file_close(&file);
    return status;
}

void pd_keras_file_close(pd_keras_file **file)
{
    if (*file == NULL)
        return;
    pd_foreign_close(&(*file)->weights);
    free((*file)->config);
    free((*file)->path);
    free(*file);
    *file = NULL;
}

const char *pd_keras_file_path(const pd_keras_file *file)
{
    return file->path;
}

const char *pd_keras_file_config(const pd_keras_file *file)
{
    return file->config;
}

bool pd_keras_file_has_weights(const pd_keras_file *file)
{
    return file->weights != NULL;
}

size_t pd_keras_file_numbers(const pd_keras_file *file)
{
    return file->weights == NULL ? 0 : pd_foreign_size(file->weights);
}

bool pd_keras_file_has_paths(const pd_keras_file *file)
{
    return file->weights != NULL && file->root == NULL;
}

/* --- Layout of Keras 1 and 2 --- */

pd_status pd_keras_file_groups(char ***out, int *count, const pd_keras_file *file)
{
    return pd_foreign_get_texts(out, count, file->weights, file->root, "layer_names");
}

static pd_status get_array(pd_array *array, pd_keras_file *file, const char *path,
                           const char *group, const char *name)
{
    pd_status status = PD_OK;
    char *object = NULL, *layer, *weight;
    PD_TRY(pd_strdup(&layer, group));
    array->layer = layer;
    PD_TRY(pd_strdup(&weight, name));
    array->weight = weight;
    PD_TRY(pd_format(&object, "%s/%s", path, name));
    status = pd_foreign_get_array(array, file->weights, object);

cleanup:
    free(object);
    return status;
}

/* The path of a group and the names of its arrays; none if it does not exist. Both: free(). */
static pd_status open_group(char **path, char ***names, int *count, const pd_keras_file *file,
                            const char *group)
{
    *names = NULL;
    *count = 0;
    pd_status status =
        pd_format(path, "%s%s%s", file->root, file->root[0] == '\0' ? "" : "/", group);
    if (status == PD_OK && group[0] != '\0' && pd_foreign_has(file->weights, *path))
        status = pd_foreign_get_texts(names, count, file->weights, *path, "weight_names");
    return status;
}

pd_status pd_keras_file_count(int *count, const pd_keras_file *file, const char *group)
{
    char *path = NULL, **names;
    pd_status status = open_group(&path, &names, count, file, group);
    free(names);
    free(path);
    return status;
}

pd_status pd_keras_file_get_group(pd_array **arrays, int *count, pd_keras_file *file,
                                  const char *group)
{
    pd_status status = PD_OK;
    char *path = NULL, **names = NULL;
    int found = 0;
    *arrays = NULL;
    *count = 0;
    PD_TRY(open_group(&path, &names, &found, file, group));
    PD_TRY(pd_alloc(arrays, (size_t)found, sizeof **arrays));
    for (int i = 0; i < found; i++) {
        /* Counted first, so that the caller also frees a partly read one. */
        pd_array *array = &(*arrays)[(*count)++];
        PD_TRY(get_array(array, file, path, group, names[i]));
    }

cleanup:
    free(names);
    free(path);
    return status;
}

/* --- Layout of Keras 3 --- */

/* The number behind "<class>_", and the length of the class; 0 without a number. */
static int split_number(int *length, const char *name)
{
    int end = *length;
    while (end > 0 && isdigit((unsigned char)name[end - 1]))
        end--;
    if (end == *length || end < 2 || name[end - 1] != '_')
        return 0;
    *length = end - 1;
    return atoi(name + end);
}

/* Appends the group of the layer "<class>" or "<class>_<number>" of Keras 3. Keras 2.13 counts a
 * layer with weights twice, but makes one group for it: the numbers of a class rise from layer to
 * layer by 1 or 2. */
static pd_status append_layer(char **path, const pd_keras_file *file, const char *name, int length)
{
    pd_status status = PD_OK;
    char *group = NULL, suffix[16] = "";
    int before = split_number(&length, name);
    for (int i = 0, last = 2 * before; i <= last; i++) {
        if (i > 0)
            snprintf(suffix, sizeof suffix, "_%d", i);
        free(group);
        group = NULL;
        PD_TRY(pd_format(&group, "%s%s" DEPENDENCIES "/%.*s%s", *path,
                         (*path)[0] == '\0' ? "" : "/", length, name, suffix));
        if (pd_foreign_has(file->weights, group) && before-- == 0)
            break;
    }
    free(*path);
    *path = group;
    group = NULL;

cleanup:
    free(group);
    return status;
}

/* Stores at *out (free()) where the file has what Keras 3 has at `path`. */
static pd_status find_path(char **out, const pd_keras_file *file, const char *path)
{
    static const char layers[] = "layers/";
    pd_status status = PD_OK;
    char *found = NULL;
    if (!file->dependencies)
        return pd_strdup(out, path);
    PD_TRY(pd_strdup(&found, ""));
    for (;;) {
        const char *name = path + (path[0] == '/');
        if (strncmp(name, layers, strlen(layers)) != 0)
            break;
        name += strlen(layers);
        int length = (int)strcspn(name, "/");
        PD_TRY(append_layer(&found, file, name, length));
        path = name + length;
    }
    status = pd_format(out, "%s%s", found, path);

cleanup:
    free(found);
    return status;
}

bool pd_keras_file_has_array(const pd_keras_file *file, const char *path)
{
    char *found = NULL;
    bool has = find_path(&found, file, path) == PD_OK && pd_foreign_has(file->weights, found);
    free(found);
    return has;
}

pd_status pd_keras_file_get_array(pd_array *out, pd_keras_file *file, const char *path)
{
    char *found = NULL;
    pd_status status = find_path(&found, file, path);
    if (status == PD_OK)
        status = pd_foreign_get_array(out, file->weights, found);
    free(found);
    return status;
}

pd_status pd_keras_file_get_name(char **out, const pd_keras_file *file, const char *path)
{
    char *found = NULL;
    *out = NULL;
    pd_status status = find_path(&found, file, path);
    if (status == PD_OK && pd_foreign_has_attribute(file->weights, found, "name"))
        status = pd_foreign_get_text(out, file->weights, found, "name");
    free(found);
    return status;
}
