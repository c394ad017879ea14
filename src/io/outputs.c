#include "pneumo/io/outputs.h"

#include "pneumo/base/memory.h"
#include "pneumo/io/file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

bool pd_output_is_stdout(const char *output)
{
    return output != NULL && strcmp(output, PD_OUTPUT_STDOUT) == 0;
}

pd_status pd_output_write(const char *output, const void *bytes, size_t size)
{
    if (!pd_output_is_stdout(output))
        return pd_file_write(output, bytes, size);
    errno = 0;
    if (fwrite(bytes, 1, size, stdout) == size)
        return PD_OK;
    return pd_fail("standard output: cannot write: %s", strerror(errno == 0 ? EIO : errno));
}

/* Where an output will be: its file, or if that does not exist, the nearest folder that does, and
 * the path below it. */
typedef struct place {
    dev_t device;
    ino_t inode;
    char *below;      /* "": the file exists */
    const char *path; /* as given */
} place;

static int compare_places(const void *left, const void *right)
{
    const place *a = left, *b = right;
    if (a->device != b->device)
        return a->device < b->device ? -1 : 1;
    if (a->inode != b->inode)
        return a->inode < b->inode ? -1 : 1;
    return strcmp(a->below, b->below);
}

/* Removes empty parts and "." from a path below a folder. */
static void simplify(char *path)
{
    char *to = path;
    for (char *from = path; *from != '\0';) {
        size_t length = strcspn(from, "/");
        char *next = from + length + (from[length] == '/');
        if (length > 0 && !(length == 1 && from[0] == '.')) {
            if (to > path)
                *to++ = '/';
            memmove(to, from, length);
            to += length;
        }
        from = next;
    }
    *to = '\0';
}

/* The caller frees out->below. */
static pd_status find_place(place *out, const char *path)
{
    pd_status status = PD_OK;
    char *target = NULL, *folder = NULL;
    struct stat about;
    *out = (place){.path = path};
    PD_TRY(pd_file_find_target(&target, path));
    PD_TRY(pd_strdup(&folder, target));
    size_t end = strlen(folder);
    while (stat(end > 0 ? folder : ".", &about) != 0) {
        if (end == 0 || (errno != ENOENT && errno != ENOTDIR)) {
            status = pd_fail("%s: cannot write: %s", path, strerror(errno));
            goto cleanup;
        }
        /* To the folder above: with its slash, which "/x" needs. */
        while (end > 0 && folder[end - 1] == '/')
            end--;
        while (end > 0 && folder[end - 1] != '/')
            end--;
        folder[end] = '\0';
    }
    out->device = about.st_dev;
    out->inode = about.st_ino;
    PD_TRY(pd_strdup(&out->below, target + end));
    simplify(out->below);

cleanup:
    free(target);
    free(folder);
    return status;
}

/* Finds the places of the outputs that are given, sorted. */
static pd_status find_places(place *places, int64_t *found, const char *const *outputs,
                             int64_t count)
{
    *found = 0;
    for (int64_t i = 0; i < count; i++) {
        if (outputs[i] == NULL)
            continue;
        pd_status status = find_place(&places[(*found)++], outputs[i]);
        if (status != PD_OK)
            return status;
    }
    qsort(places, (size_t)*found, sizeof *places, compare_places);
    return PD_OK;
}

pd_status pd_outputs_check(const char *const *outputs, int64_t output_count,
                           const char *const *inputs, int64_t input_count)
{
    pd_status status = PD_OK;
    place *places = NULL;
    int64_t count = 0;
    struct stat about;

    PD_TRY(pd_alloc(&places, (size_t)output_count, sizeof *places));
    PD_TRY(find_places(places, &count, outputs, output_count));
    for (int64_t i = 1; i < count && status == PD_OK; i++)
        if (compare_places(&places[i - 1], &places[i]) == 0)
            status = pd_fail("%s: is given for two outputs; give each a file of its own",
                             places[i].path);
    for (int64_t i = 0; i < input_count && status == PD_OK; i++) {
        if (inputs[i] == NULL || stat(inputs[i], &about) != 0 || !S_ISREG(about.st_mode))
            continue;
        const place input = {.device = about.st_dev, .inode = about.st_ino, .below = ""};
        const place *same = bsearch(&input, places, (size_t)count, sizeof *places, compare_places);
        if (same != NULL)
            status = pd_fail("%s: is an input of this command and would be overwritten; give "
                             "another file",
                             same->path);
    }

cleanup:
    for (int64_t i = 0; places != NULL && i < output_count; i++)
        free(places[i].below);
    free(places);
    return status;
}

pd_status pd_output_check(const char *output, const char *const *inputs, int64_t input_count)
{
    return pd_outputs_check(&output, 1, inputs, input_count);
}
