#include "pneumo/io/foreign.h"

#include "pneumo/base/memory.h"

#include "hdf5.h"
#include "hdf5_array.h"
#include "hdf5_attribute.h"
#include "hdf5_heap.h"
#include "hdf5_memory.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct pd_foreign {
    pd_hdf5 hdf5;
    int64_t budget; /* bytes that further arrays may have */
};

static const char *const REMEDY = "download or save it again";

/* --- Opening --- */

pd_status pd_foreign_open(pd_foreign **out, const char *path)
{
    pd_status status = pd_alloc(out, 1, sizeof **out);
    if (status != PD_OK)
        return status;
    status = pd_hdf5_open(&(*out)->hdf5, path, REMEDY);
    if (status == PD_OK)
        status = pd_hdf5_check_heaps(&(*out)->hdf5, NULL);
    (*out)->budget = (*out)->hdf5.size;
    if (status != PD_OK)
        pd_foreign_close(out);
    return status;
}

pd_status pd_foreign_open_bytes(pd_foreign **out, const char *path, const void *bytes, size_t size)
{
    pd_status status = pd_alloc(out, 1, sizeof **out);
    if (status != PD_OK)
        return status;
    status = pd_hdf5_open_in_memory(&(*out)->hdf5, path, REMEDY, bytes, size);
    if (status == PD_OK)
        status = pd_hdf5_check_heaps(&(*out)->hdf5, bytes);
    (*out)->budget = (*out)->hdf5.size;
    if (status != PD_OK)
        pd_foreign_close(out);
    return status;
}

void pd_foreign_close(pd_foreign **file)
{
    if (*file == NULL)
        return;
    pd_hdf5_close(&(*file)->hdf5.id);
    free(*file);
    *file = NULL;
}

/* --- What is there --- */

size_t pd_foreign_size(const pd_foreign *file)
{
    return (size_t)file->hdf5.size;
}

static const char *name_of(const char *object)
{
    return object[0] == '\0' ? "/" : object;
}

bool pd_foreign_has(const pd_foreign *file, const char *object)
{
    char prefix[1024];
    /* HDF5 asks for a link only if all before it exist. */
    for (const char *end = object; *end != '\0';) {
        end += strcspn(end + 1, "/") + 1;
        int length = (int)(end - object);
        if (snprintf(prefix, sizeof prefix, "%.*s", length, object) >= (int)sizeof prefix ||
            H5Lexists(file->hdf5.id, prefix, H5P_DEFAULT) <= 0)
            return false;
    }
    return object[0] == '\0' || H5Oexists_by_name(file->hdf5.id, object, H5P_DEFAULT) > 0;
}

bool pd_foreign_has_attribute(const pd_foreign *file, const char *object, const char *name)
{
    return pd_foreign_has(file, object) &&
           H5Aexists_by_name(file->hdf5.id, name_of(object), name, H5P_DEFAULT) > 0;
}

/* --- Texts --- */

pd_status pd_foreign_get_text(char **out, const pd_foreign *file, const char *object,
                              const char *name)
{
    char **texts = NULL;
    int64_t count = 0;
    *out = NULL;
    pd_status status =
        pd_hdf5_get_foreign_texts(&file->hdf5, name_of(object), name, 0, &texts, &count);
    if (status == PD_OK)
        status = pd_strdup(out, texts[0]);
    free(texts);
    return status;
}

/* Appends the texts of `more` to those of *texts, both single blocks. */
static pd_status join(char ***texts, int *count, char *const *more, int64_t more_count)
{
    size_t bytes = 0;
    int total = *count + (int)more_count;
    char **joined = NULL;
    for (int i = 0; i < total; i++)
        bytes += strlen(i < *count ? (*texts)[i] : more[i - *count]) + 1;
    pd_status status = pd_alloc(&joined, (size_t)total * sizeof *joined + bytes, 1);
    if (status != PD_OK)
        return status;
    char *at = (char *)(joined + total);
    for (int i = 0; i < total; i++) {
        const char *text = i < *count ? (*texts)[i] : more[i - *count];
        joined[i] = strcpy(at, text);
        at += strlen(text) + 1;
    }
    free(*texts);
    *texts = joined;
    *count = total;
    return PD_OK;
}

static pd_status append(char ***out, int *count, const pd_foreign *file, const char *object,
                        const char *name)
{
    enum { TEXTS_MAX = 1 << 20 };
    pd_status status = PD_OK;
    char **more = NULL;
    int64_t more_count = 0;
    PD_TRY(pd_hdf5_get_foreign_texts(&file->hdf5, name_of(object), name, 1, &more, &more_count));
    if (more_count > TEXTS_MAX - *count) {
        status = pd_hdf5_fail_read(&file->hdf5, "attribute '%s' of '%s' has too many texts", name,
                                   name_of(object));
        goto cleanup;
    }
    status = join(out, count, more, more_count);

cleanup:
    free(more);
    return status;
}

pd_status pd_foreign_get_texts(char ***out, int *count, const pd_foreign *file, const char *object,
                               const char *name)
{
    pd_status status = PD_OK;
    char *piece = NULL;
    *out = NULL;
    *count = 0;
    bool cut = !pd_foreign_has_attribute(file, object, name);
    if (!cut) {
        status = append(out, count, file, object, name);
        goto cleanup;
    }
    for (int i = 0; cut; i++) {
        free(piece);
        PD_TRY(pd_format(&piece, "%s%d", name, i));
        cut = pd_foreign_has_attribute(file, object, piece);
        if (cut)
            PD_TRY(append(out, count, file, object, piece));
        else if (i == 0)
            status = pd_hdf5_fail_read(&file->hdf5, "attribute '%s' of '%s' is missing", name,
                                       name_of(object));
    }

cleanup:
    free(piece);
    if (status != PD_OK) {
        free(*out);
        *out = NULL;
    }
    return status;
}

/* --- Arrays --- */

/* Checks the shape and stores it. */
static pd_status store_shape(pd_array *out, pd_foreign *file, const char *object, int rank,
                             const hsize_t *dims)
{
    int64_t floats = 1;
    out->rank = rank == 0 ? 1 : rank;
    out->dims[0] = 1;
    for (int i = 0; i < rank; i++) {
        if (dims[i] < 1 || dims[i] > INT_MAX ||
            __builtin_mul_overflow(floats, (int64_t)dims[i], &floats))
            return pd_hdf5_fail_read(&file->hdf5, "array '%s' has the wrong shape", object);
        out->dims[i] = (int)dims[i];
    }
    if (floats > file->budget)
        return pd_hdf5_fail_read(&file->hdf5, "names more arrays than it holds");
    file->budget -= floats;
    return PD_OK;
}

/* Reads `count` bfloat16, the upper halves of floats, little-endian. */
static herr_t read_bfloat16(hid_t data, hid_t stored, float *out, size_t count)
{
    unsigned char *bytes = (unsigned char *)out;
    herr_t result = H5Dread(data, stored, H5S_ALL, H5S_ALL, H5P_DEFAULT, out);
    for (size_t i = count; i-- > 0 && result >= 0;) {
        unsigned bits = (unsigned)bytes[2 * i] << 16 | (unsigned)bytes[2 * i + 1] << 24;
        memcpy(&out[i], &bits, sizeof bits);
    }
    return result;
}

pd_status pd_foreign_get_array(pd_array *out, pd_foreign *file, const char *object)
{
    pd_status status = PD_OK;
    hid_t data = H5I_INVALID_HID, stored = H5I_INVALID_HID;
    hsize_t dims[PD_ARRAY_RANK_MAX];
    int rank = 0;
    size_t count = 1;
    out->data = NULL;
    PD_TRY(pd_hdf5_get_rank(&file->hdf5, object, &rank));
    if (rank > PD_ARRAY_RANK_MAX) {
        status = pd_hdf5_fail_read(&file->hdf5, "array '%s' has %d dimensions", object, rank);
        goto cleanup;
    }
    PD_TRY(pd_hdf5_open_data(&data, &stored, &file->hdf5, object, rank, dims));
    bool opaque = H5Tget_class(stored) == H5T_OPAQUE && H5Tget_size(stored) == 2;
    bool number = H5Tget_class(stored) == H5T_FLOAT || H5Tget_class(stored) == H5T_INTEGER;
    if (!opaque && (!number || H5Tget_size(stored) > sizeof(double))) {
        status = pd_hdf5_fail_read(&file->hdf5, "array '%s' does not hold numbers", object);
        goto cleanup;
    }
    PD_TRY(store_shape(out, file, object, rank, dims));
    for (int i = 0; i < out->rank; i++)
        count *= (size_t)out->dims[i];
    PD_TRY(pd_alloc(&out->data, count, sizeof *out->data));
    herr_t result = opaque
                        ? read_bfloat16(data, stored, out->data, count)
                        : H5Dread(data, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, out->data);
    if (result < 0)
        status = pd_hdf5_fail_read(&file->hdf5, "array '%s' is damaged", object);

cleanup:
    if (status != PD_OK) {
        free(out->data);
        out->data = NULL;
    }
    pd_hdf5_close(&stored);
    pd_hdf5_close(&data);
    return status;
}
