#include "site_internal.h"

#include "field.h"
#include "hdf5_array.h"

#include <string.h>

static const pd_field fields[] = {
    PD_FIELD(pd_site, source, "source", TEXT),
    PD_FIELD(pd_site, data_digest, "data_digest", TEXT),
    PD_FIELD(pd_site, rule, "rule", TEXT),
    PD_FIELD(pd_site, target_sensitivity, "target_sensitivity", REAL),
    PD_FIELD(pd_site, target_specificity, "target_specificity", REAL),
    PD_FIELD(pd_site, normal, "normal", INTEGER),
    PD_FIELD(pd_site, pneumonia, "pneumonia", INTEGER),
    PD_FIELD(pd_site, image_height, "image_height", INTEGER),
    PD_FIELD(pd_site, image_width, "image_width", INTEGER),
};
enum { FIELDS = sizeof fields / sizeof *fields };

/* A pd_identity. The caller closes it. */
static hid_t identity_type(void)
{
    return H5Tarray_create(H5T_STD_U8LE, 1, (const hsize_t[]){sizeof(pd_identity)});
}

pd_status pd_site_put(const pd_hdf5 *file, const pd_site *site)
{
    pd_status status = PD_OK;
    hid_t group = H5I_INVALID_HID, type = H5I_INVALID_HID;
    const hsize_t dims[1] = {(hsize_t)site->count};
    if (site->count == 0)
        return PD_OK;
    PD_TRY(pd_hdf5_put_group(&group, file, file->id, "calibration"));
    PD_TRY(pd_fields_put(file, group, fields, FIELDS, site));
    type = identity_type();
    const pd_hdf5_shape shape = {type, type, 1, dims};
    PD_TRY(pd_hdf5_put_array(file, group, "images", &shape, site->images));

cleanup:
    pd_hdf5_close(&type);
    pd_hdf5_close(&group);
    return status;
}

pd_status pd_site_get(const pd_hdf5 *file, pd_site *site)
{
    pd_status status = PD_OK;
    hid_t type = H5I_INVALID_HID;
    if (H5Lexists(file->id, "calibration", H5P_DEFAULT) <= 0)
        return PD_OK;
    PD_TRY(pd_fields_get(file, "/calibration", fields, FIELDS, site));
    type = identity_type();
    PD_TRY(pd_hdf5_get_vector(file, "/calibration/images", type, type, sizeof *site->images,
                              &site->images, &site->count));
    if (site->normal < 1 || site->pneumonia < 1 || site->normal > site->count ||
        site->pneumonia != site->count - site->normal)
        status = pd_hdf5_fail_read(file, "'/calibration' has a wrong number of images");
    for (int64_t i = 1; i < site->count && status == PD_OK; i++)
        if (memcmp(&site->images[i - 1], &site->images[i], sizeof *site->images) >= 0)
            status = pd_hdf5_fail_read(file, "'/calibration/images' is not in ascending order");

cleanup:
    pd_hdf5_close(&type);
    return status;
}
