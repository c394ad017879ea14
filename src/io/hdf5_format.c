#include "hdf5_format.h"

#include "hdf5_attribute.h"

#include <string.h>
#include <sys/stat.h>

pd_status pd_hdf5_put_format(const pd_hdf5 *file, const char *format, int64_t version,
                             const char *program)
{
    pd_status status = PD_OK;
    PD_TRY(pd_hdf5_put_text(file, file->id, "format", format));
    PD_TRY(pd_hdf5_put_number(file, file->id, "format_version", H5T_NATIVE_INT64, &version));
    PD_TRY(pd_hdf5_put_text(file, file->id, "program_version", program));

cleanup:
    return status;
}

pd_status pd_hdf5_check_format(const pd_hdf5 *file, const char *format, int64_t version)
{
    pd_status status = PD_OK;
    char found[64];
    int64_t number;
    if (H5Aexists_by_name(file->id, "/", "format", H5P_DEFAULT) <= 0)
        return pd_hdf5_fail_read(file, "is an HDF5 file, but not a %s", format);
    PD_TRY(pd_hdf5_get_text(file, "/", "format", found, sizeof found));
    if (strcmp(found, format) != 0) {
        status = pd_hdf5_fail_read(file, "is a %s, not a %s", found, format);
        goto cleanup;
    }
    PD_TRY(pd_hdf5_get_number(file, "/", "format_version", H5T_NATIVE_INT64, &number));
    if (number != version)
        status = pd_hdf5_fail_read(file, "has format version %lld, but this program reads %lld",
                                   (long long)number, (long long)version);

cleanup:
    return status;
}

pd_status pd_hdf5_recognise(bool *is, const char *path, const char *remedy, const char *format)
{
    pd_hdf5 file;
    char found[64];
    *is = false;
    pd_status status = pd_hdf5_open(&file, path, remedy);
    if (status == PD_OK)
        *is = pd_hdf5_get_text(&file, "/", "format", found, sizeof found) == PD_OK &&
              strcmp(found, format) == 0;
    pd_hdf5_close(&file.id);
    return status;
}

pd_status pd_hdf5_check_replaced(const char *path, const char *format)
{
    struct stat about;
    bool is = false;
    if (stat(path, &about) != 0 || !S_ISREG(about.st_mode) || about.st_size == 0)
        return PD_OK;
    if (pd_hdf5_recognise(&is, path, "give another file", format) == PD_OK && is)
        return PD_OK;
    return pd_fail("%s: exists, but is not a readable %s; give another file, or remove it first",
                   path, format);
}
