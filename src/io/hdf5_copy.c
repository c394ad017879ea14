#include "hdf5_copy.h"

#include "pneumo/base/memory.h"

#include "hdf5_array.h"

#include <stdlib.h>
#include <string.h>

/* A file in memory may exceed its content by as much. */
enum { SLACK_BYTES = 16 << 20 };

typedef struct copying {
    const pd_hdf5 *to, *from;
    const char *object;
    pd_status status; /* of what a callback of HDF5 found */
} copying;

/* --- Checks. H5Ocopy crashes on texts of variable length whose place in the file is damaged, and
 * allocates whole chunks, which compression makes as large as 4 GiB in a small file. --- */

static bool has_fixed_size(hid_t type)
{
    if (H5Tget_class(type) == H5T_STRING)
        return H5Tis_variable_str(type) == 0;
    return H5Tdetect_class(type, H5T_VLEN) == 0 && H5Tdetect_class(type, H5T_REFERENCE) == 0 &&
           H5Tdetect_class(type, H5T_STRING) == 0;
}

/* H5A_operator2_t */
static herr_t check_attribute(hid_t object, const char *name, const H5A_info_t *about,
                              void *context)
{
    copying *c = context;
    (void)about;
    hid_t attribute = H5Aopen(object, name, H5P_DEFAULT);
    hid_t type = attribute < 0 ? H5I_INVALID_HID : H5Aget_type(attribute);
    if (type < 0 || !has_fixed_size(type))
        c->status = pd_hdf5_fail_read(c->from, "attribute '%s' in '%s' has the wrong type", name,
                                      c->object);
    pd_hdf5_close(&type);
    pd_hdf5_close(&attribute);
    return c->status == PD_OK ? 0 : -1;
}

static pd_status check_array(const pd_hdf5 *file, const char *path)
{
    pd_status status = PD_OK;
    hid_t array = H5I_INVALID_HID, type = H5I_INVALID_HID;
    hsize_t dims[H5S_MAX_RANK];
    int rank;
    PD_TRY(pd_hdf5_get_rank(file, path, &rank));
    PD_TRY(pd_hdf5_open_data(&array, &type, file, path, rank, dims));
    if (!has_fixed_size(type))
        status = pd_hdf5_fail_read(file, "array '%s' has the wrong type", path);

cleanup:
    pd_hdf5_close(&type);
    pd_hdf5_close(&array);
    return status;
}

/* H5O_iterate_t */
static herr_t check_object(hid_t group, const char *name, const H5O_info_t *about, void *context)
{
    copying *c = context;
    char *path = NULL;
    c->status = pd_format(&path, "%s/%s", c->object, name);
    if (c->status == PD_OK && about->type == H5O_TYPE_DATASET)
        c->status = check_array(c->from, path);
    else if (c->status == PD_OK && about->type != H5O_TYPE_GROUP)
        c->status = pd_hdf5_fail_read(c->from, "'%s' is neither a group nor an array", path);
    free(path);
    if (c->status == PD_OK && H5Aiterate_by_name(group, name, H5_INDEX_NAME, H5_ITER_INC, NULL,
                                                 check_attribute, c, H5P_DEFAULT) < 0)
        return -1;
    return c->status == PD_OK ? 0 : -1;
}

/* --- Copying --- */

/* H5L_iterate_t */
static herr_t copy_object(hid_t group, const char *name, const H5L_info_t *about, void *context)
{
    copying *c = context;
    hsize_t size = 0;
    if (about->type != H5L_TYPE_HARD) {
        /* It would be followed here, but its target is not checked. */
        c->status =
            pd_hdf5_fail_read(c->from, "'%s/%s' is neither a group nor an array", c->object, name);
        return -1;
    }
    if (H5Ocopy(group, name, c->to->id, name, H5P_DEFAULT, H5P_DEFAULT) < 0 ||
        H5Fget_filesize(c->to->id, &size) < 0)
        return -1;
    if (size > (hsize_t)c->from->size + SLACK_BYTES)
        c->status =
            pd_hdf5_fail_read(c->from, "'%s' names more arrays than the file holds", c->object);
    return c->status == PD_OK ? 0 : -1;
}

pd_status pd_hdf5_copy_group(const pd_hdf5 *to, const pd_hdf5 *from, const char *object)
{
    copying c = {.to = to, .from = from, .object = object, .status = PD_OK};
    bool copied = pd_hdf5_visit(from->id, object, check_object, &c) >= 0 &&
                  H5Literate_by_name(from->id, object, H5_INDEX_NAME, H5_ITER_INC, NULL,
                                     copy_object, &c, H5P_DEFAULT) >= 0;
    if (!copied && c.status == PD_OK)
        c.status = pd_hdf5_fail_read(from, "'%s' is damaged", object);
    return c.status;
}
