#include "profile_internal.h"

#include "hdf5_array.h"
#include "hdf5_attribute.h"

#include <stdio.h>

const char *const pd_trait_names[PD_TRAITS] = {"side", "ratio",     "black",   "deviation",
                                               "mean", "sharpness", "likeness"};

/* The members of a trait's range and the suffixes of their attributes. */
enum { RANGE_FIELDS = 4 };
static const struct {
    const char *suffix;
    size_t offset;
} range_fields[RANGE_FIELDS] = {{"low", offsetof(pd_trait_range, low)},
                                {"high", offsetof(pd_trait_range, high)},
                                {"least", offsetof(pd_trait_range, least)},
                                {"most", offsetof(pd_trait_range, most)}};

/* "sharpness_low" */
static void name_range(char name[32], int trait, int number)
{
    snprintf(name, 32, "%s_%s", pd_trait_names[trait], range_fields[number].suffix);
}

pd_status pd_profile_put(const pd_hdf5 *file, const pd_profile *profile)
{
    static const char *const meaning =
        "low to high hold 99.9 % of the training images; below least or above most, an image is "
        "unlike them";
    const hsize_t dims[2] = {PD_PROFILE_GRID, PD_PROFILE_GRID};
    const pd_hdf5_shape shape = {H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, 2, dims};
    pd_status status = PD_OK;
    hid_t group = H5I_INVALID_HID;
    char name[32];
    PD_TRY(pd_hdf5_put_group(&group, file, file->id, "profile"));
    PD_TRY(pd_hdf5_put_text(file, group, "meaning", meaning));
    PD_TRY(pd_hdf5_put_number(file, group, "images", H5T_NATIVE_INT64, &profile->images));
    for (int i = 0; i < PD_TRAITS * RANGE_FIELDS; i++) {
        int trait = i / RANGE_FIELDS, number = i % RANGE_FIELDS;
        name_range(name, trait, number);
        PD_TRY(pd_hdf5_put_number(file, group, name, H5T_NATIVE_DOUBLE,
                                  (const char *)&profile->ranges[trait] +
                                      range_fields[number].offset));
    }
    PD_TRY(pd_hdf5_put_array(file, group, "mean_image", &shape, profile->mean));

cleanup:
    pd_hdf5_close(&group);
    return status;
}

static pd_status get_mean_image(const pd_hdf5 *file, pd_profile *profile)
{
    pd_status status = PD_OK;
    hid_t data = H5I_INVALID_HID;
    hsize_t dims[2];
    PD_TRY(pd_hdf5_open_array(&data, file, "/profile/mean_image", H5T_IEEE_F32LE, 2, dims));
    if (dims[0] != PD_PROFILE_GRID || dims[1] != PD_PROFILE_GRID)
        status = pd_hdf5_fail_read(file, "array '/profile/mean_image' has the wrong shape");
    else if (H5Dread(data, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, profile->mean) < 0)
        status = pd_hdf5_fail_read(file, "array '/profile/mean_image' is damaged");
    for (int i = 0; i < PD_PROFILE_GRID * PD_PROFILE_GRID && status == PD_OK; i++)
        if (!(profile->mean[i] >= 0 && profile->mean[i] <= 255))
            status = pd_hdf5_fail_read(
                file, "array '/profile/mean_image' contains %g, which is not a grey value",
                (double)profile->mean[i]);

cleanup:
    pd_hdf5_close(&data);
    return status;
}

pd_status pd_profile_get(const pd_hdf5 *file, pd_profile *profile)
{
    pd_status status = PD_OK;
    char name[32];
    PD_TRY(pd_hdf5_get_number(file, "/profile", "images", H5T_NATIVE_INT64, &profile->images));
    for (int i = 0; i < PD_TRAITS * RANGE_FIELDS; i++) {
        int trait = i / RANGE_FIELDS, number = i % RANGE_FIELDS;
        name_range(name, trait, number);
        PD_TRY(pd_hdf5_get_number(file, "/profile", name, H5T_NATIVE_DOUBLE,
                                  (char *)&profile->ranges[trait] + range_fields[number].offset));
    }
    for (int i = 0; i < PD_TRAITS; i++)
        /* With a NaN as limit, every image would pass. */
        if (!(profile->ranges[i].least <= profile->ranges[i].most)) {
            status = pd_hdf5_fail_read(file, "'/profile' has invalid limits for '%s'",
                                       pd_trait_names[i]);
            goto cleanup;
        }
    PD_TRY(get_mean_image(file, profile));

cleanup:
    return status;
}
