#include "hdf5_attribute.h"

#include "pneumo/base/memory.h"

#include "hdf5_text.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Closes `space`. */
static pd_status put_attribute(const pd_hdf5 *file, hid_t object, const char *name, hid_t type,
                               hid_t space, const void *value)
{
    pd_status status = PD_OK;
    errno = 0;
    hid_t attribute = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    if (attribute < 0 || H5Awrite(attribute, type, value) < 0)
        status = pd_hdf5_fail_write(file);
    pd_hdf5_close(&attribute);
    pd_hdf5_close(&space);
    return status;
}

pd_status pd_hdf5_put_number(const pd_hdf5 *file, hid_t object, const char *name, hid_t type,
                             const void *value)
{
    return put_attribute(file, object, name, type, H5Screate(H5S_SCALAR), value);
}

pd_status pd_hdf5_put_text(const pd_hdf5 *file, hid_t object, const char *name, const char *text)
{
    /* HDF5 has no text type of width 0; an empty text is a single padding zero. */
    hid_t type = pd_hdf5_text_type(text[0] == '\0' ? 1 : strlen(text));
    pd_status status = put_attribute(file, object, name, type, H5Screate(H5S_SCALAR), text);
    pd_hdf5_close(&type);
    return status;
}

pd_status pd_hdf5_put_texts(const pd_hdf5 *file, hid_t object, const char *name,
                            const char *const *texts, int count)
{
    pd_status status = PD_OK;
    char *block = NULL;
    size_t width = 1;
    hsize_t dims[1] = {(hsize_t)count};
    for (int i = 0; i < count; i++)
        width = strlen(texts[i]) > width ? strlen(texts[i]) : width;
    hid_t type = pd_hdf5_text_type(width);
    PD_TRY(pd_alloc(&block, (size_t)count, width));
    for (int i = 0; i < count; i++)
        memcpy(block + (size_t)i * width, texts[i], strlen(texts[i]));
    PD_TRY(put_attribute(file, object, name, type, H5Screate_simple(1, dims, NULL), block));

cleanup:
    pd_hdf5_close(&type);
    free(block);
    return status;
}

/* Opens attribute `name` of `object`; fails unless it has `rank` dimensions and is no larger than
 * the file. The caller closes *out and *type, which are valid or H5I_INVALID_HID. */
static pd_status open_attribute(hid_t *out, hid_t *type, hsize_t *count, const pd_hdf5 *file,
                                const char *object, const char *name, int rank)
{
    *type = H5I_INVALID_HID;
    *out = H5Aopen_by_name(file->id, object, name, H5P_DEFAULT, H5P_DEFAULT);
    if (*out < 0)
        return pd_hdf5_fail_read(file, "attribute '%s' of '%s' is missing", name, object);
    *type = H5Aget_type(*out);
    hid_t space = H5Aget_space(*out);
    hssize_t items = H5Sget_simple_extent_npoints(space);
    bool fits = *type >= 0 && H5Sget_simple_extent_ndims(space) == rank && items >= 0 &&
                H5Aget_storage_size(*out) <= (hsize_t)file->size;
    pd_hdf5_close(&space);
    if (!fits)
        return pd_hdf5_fail_read(file, "attribute '%s' of '%s' has the wrong shape", name, object);
    *count = (hsize_t)items;
    return PD_OK;
}

bool pd_hdf5_has_attribute(const pd_hdf5 *file, const char *object, const char *name)
{
    return H5Aexists_by_name(file->id, object, name, H5P_DEFAULT) > 0;
}

/* Reads an integer as HDF5 would, which turns what does not fit into the nearest value; *fits says
 * whether it did. */
static herr_t read_integer(hid_t attribute, hid_t stored, hid_t type, void *value, bool *fits)
{
    const bool is_signed = H5Tget_sign(stored) == H5T_SGN_2;
    unsigned char wide[sizeof(int64_t)], again[sizeof(int64_t)];
    const hid_t widest = is_signed ? H5T_NATIVE_INT64 : H5T_NATIVE_UINT64;
    herr_t result = H5Aread(attribute, widest, wide);
    *fits = false;
    if (result < 0 || H5Tget_size(stored) > sizeof wide)
        return result;
    memcpy(again, wide, sizeof wide);
    result = H5Tconvert(widest, type, 1, again, NULL, H5P_DEFAULT);
    memcpy(value, again, H5Tget_size(type));
    if (result >= 0)
        result = H5Tconvert(type, widest, 1, again, NULL, H5P_DEFAULT);
    *fits = memcmp(again, wide, sizeof wide) == 0;
    return result;
}

static herr_t read_number(hid_t attribute, hid_t stored, hid_t type, void *value, bool *fits)
{
    *fits = true;
    return H5Tget_class(type) == H5T_INTEGER ? read_integer(attribute, stored, type, value, fits)
                                             : H5Aread(attribute, type, value);
}

pd_status pd_hdf5_get_number(const pd_hdf5 *file, const char *object, const char *name, hid_t type,
                             void *value)
{
    pd_status status = PD_OK;
    hid_t attribute, stored;
    hsize_t count = 0;
    bool fits;
    PD_TRY(open_attribute(&attribute, &stored, &count, file, object, name, 0));
    if (count != 1 || H5Tget_class(stored) != H5Tget_class(type))
        status = pd_hdf5_fail_read(file, "attribute '%s' of '%s' has the wrong type", name, object);
    else if (read_number(attribute, stored, type, value, &fits) < 0)
        status = pd_hdf5_fail_read(file, "attribute '%s' of '%s' is damaged", name, object);
    else if (!fits)
        status = pd_hdf5_fail_read(file, "attribute '%s' of '%s' is out of range", name, object);

cleanup:
    pd_hdf5_close(&stored);
    pd_hdf5_close(&attribute);
    return status;
}

pd_status pd_hdf5_get_text(const pd_hdf5 *file, const char *object, const char *name, char *text,
                           size_t size)
{
    pd_status status = PD_OK;
    hid_t attribute, stored, memory = H5I_INVALID_HID;
    hsize_t count = 0;
    PD_TRY(open_attribute(&attribute, &stored, &count, file, object, name, 0));
    if (count != 1 || !pd_hdf5_is_fixed_text(stored) || H5Tget_size(stored) >= size) {
        status =
            pd_hdf5_fail_read(file, "attribute '%s' of '%s' is not a text of at most %zu bytes",
                              name, object, size - 1);
        goto cleanup;
    }
    memory = pd_hdf5_memory_text_type(stored, size - 1);
    if (H5Aread(attribute, memory, text) < 0)
        status = pd_hdf5_fail_read(file, "attribute '%s' of '%s' is damaged", name, object);

cleanup:
    pd_hdf5_close(&memory);
    pd_hdf5_close(&stored);
    pd_hdf5_close(&attribute);
    return status;
}

pd_status pd_hdf5_get_long_text(const pd_hdf5 *file, const char *object, const char *name,
                                char **out)
{
    pd_status status = PD_OK;
    hid_t attribute, stored;
    hsize_t count = 0;
    char *text = NULL;
    size_t size;
    *out = NULL;
    PD_TRY(open_attribute(&attribute, &stored, &count, file, object, name, 0));
    size = H5Tget_size(stored) + 1;
    PD_TRY(pd_alloc(&text, size, 1));
    PD_TRY(pd_hdf5_get_text(file, object, name, text, size));
    *out = text;
    text = NULL;

cleanup:
    free(text);
    pd_hdf5_close(&stored);
    pd_hdf5_close(&attribute);
    return status;
}

/* --- Lists of texts, of fixed or variable length --- */

/* HDF5 stores a text of variable length as a reference, which begins with the length, and reads
 * them all at once. Several references can name one text, so that a small file asks for any amount
 * of memory. This conversion gives the references themselves. */
static herr_t keep_references(hid_t from, hid_t to, H5T_cdata_t *data, size_t count, size_t stride,
                              size_t background_stride, void *buffer, void *background, hid_t plist)
{
    (void)from;
    (void)to;
    (void)count;
    (void)stride;
    (void)background_stride;
    (void)buffer;
    (void)background;
    (void)plist;
    data->need_bkg = H5T_BKG_NO;
    return 0;
}

/* Whether the attribute's texts together are no longer than the file. */
static bool texts_fit(const pd_hdf5 *file, hid_t attribute, hid_t stored, size_t count)
{
    size_t size = (size_t)H5Aget_storage_size(attribute) / count;
    unsigned char *references = NULL;
    int64_t total = 0;
    if (size < sizeof(uint32_t) || pd_alloc(&references, count, size) != PD_OK)
        return false;
    hid_t raw = H5Tcreate(H5T_OPAQUE, size);
    bool fit = H5Tregister(H5T_PERS_SOFT, "references", stored, raw, keep_references) >= 0 &&
               H5Aread(attribute, raw, references) >= 0;
    H5Tunregister(H5T_PERS_SOFT, "references", stored, raw, keep_references);
    for (size_t i = 0; i < count && fit; i++) {
        uint32_t length;
        memcpy(&length, references + i * size, sizeof length);
        total += (int64_t)le32toh(length);
        fit = total <= file->size;
    }
    pd_hdf5_close(&raw);
    free(references);
    return fit;
}

/* Copies texts, of which HDF5 may have left some out, into one block. */
static pd_status copy_texts(char ***out, char *const *texts, size_t count)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += texts[i] == NULL ? 1 : strlen(texts[i]) + 1;
    pd_status status = pd_alloc(out, count * sizeof **out + bytes, 1);
    if (status != PD_OK)
        return status;
    char *at = (char *)(*out + count);
    for (size_t i = 0; i < count; i++) {
        (*out)[i] = strcpy(at, texts[i] == NULL ? "" : texts[i]);
        at += strlen(at) + 1;
    }
    return PD_OK;
}

static pd_status get_variable_texts(const pd_hdf5 *file, hid_t attribute, hid_t stored,
                                    size_t count, char ***out)
{
    pd_status status = PD_OK;
    char **texts = NULL;
    if (!texts_fit(file, attribute, stored, count))
        return pd_hdf5_fail_read(file, "an attribute has more text than the file");
    hid_t memory = H5Tcopy(stored), space = H5Aget_space(attribute);
    PD_TRY(pd_alloc(&texts, count, sizeof *texts));
    if (H5Aread(attribute, memory, texts) < 0) {
        status = pd_hdf5_fail_read(file, "an attribute with text is damaged");
        goto cleanup;
    }
    status = copy_texts(out, texts, count);
    H5Dvlen_reclaim(memory, space, H5P_DEFAULT, texts);

cleanup:
    free(texts);
    pd_hdf5_close(&space);
    pd_hdf5_close(&memory);
    return status;
}

static pd_status get_fixed_texts(const pd_hdf5 *file, hid_t attribute, hid_t stored, size_t count,
                                 char ***out)
{
    pd_status status = PD_OK;
    hid_t memory = pd_hdf5_memory_text_type(stored, H5Tget_size(stored));
    PD_TRY(pd_hdf5_alloc_texts(out, count, H5Tget_size(stored)));
    if (H5Aread(attribute, memory, (*out)[0]) < 0)
        status = pd_hdf5_fail_read(file, "an attribute with text is damaged");

cleanup:
    pd_hdf5_close(&memory);
    return status;
}

/* Only files of other programs have texts of variable length. */
static pd_status get_texts(const pd_hdf5 *file, const char *object, const char *name, int rank,
                           bool foreign, char ***out, int64_t *count)
{
    pd_status status = PD_OK;
    hid_t attribute, stored;
    hsize_t items = 0;
    *out = NULL;
    PD_TRY(open_attribute(&attribute, &stored, &items, file, object, name, rank));
    /* h5py, and so Keras, stores an empty list as numbers. */
    if (items > 0 && H5Tget_class(stored) != H5T_STRING)
        status = pd_hdf5_fail_read(file, "attribute '%s' of '%s' is not text", name, object);
    else if (items == 0 && rank == 0) /* a null dataspace, h5py's Empty */
        status = pd_hdf5_fail_read(file, "attribute '%s' of '%s' is empty", name, object);
    else if (items == 0)
        status = pd_hdf5_alloc_texts(out, 0, 0);
    else if (pd_hdf5_is_fixed_text(stored))
        status = get_fixed_texts(file, attribute, stored, (size_t)items, out);
    else if (foreign)
        status = get_variable_texts(file, attribute, stored, (size_t)items, out);
    else
        status = pd_hdf5_fail_read(file, "attribute '%s' of '%s' is not text of fixed width", name,
                                   object);
    *count = (int64_t)items;

cleanup:
    if (status != PD_OK) {
        free(*out);
        *out = NULL;
    }
    pd_hdf5_close(&stored);
    pd_hdf5_close(&attribute);
    return status;
}

pd_status pd_hdf5_get_texts(const pd_hdf5 *file, const char *object, const char *name, char ***out,
                            int64_t *count)
{
    return get_texts(file, object, name, 1, false, out, count);
}

pd_status pd_hdf5_get_foreign_texts(const pd_hdf5 *file, const char *object, const char *name,
                                    int rank, char ***out, int64_t *count)
{
    return get_texts(file, object, name, rank, true, out, count);
}
