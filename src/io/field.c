#include "field.h"

#include "hdf5_attribute.h"

static hid_t number_type(pd_field_kind kind)
{
    return kind == PD_FIELD_REAL       ? H5T_NATIVE_DOUBLE
           : kind == PD_FIELD_UNSIGNED ? H5T_NATIVE_UINT64
                                       : H5T_NATIVE_INT64;
}

pd_status pd_fields_put(const pd_hdf5 *file, hid_t group, const pd_field *fields, int count,
                        const void *object)
{
    pd_status status = PD_OK;
    for (int i = 0; i < count && status == PD_OK; i++) {
        const char *value = (const char *)object + fields[i].offset;
        if (fields[i].kind == PD_FIELD_TEXT)
            status = pd_hdf5_put_text(file, group, fields[i].name, value);
        else
            status =
                pd_hdf5_put_number(file, group, fields[i].name, number_type(fields[i].kind), value);
    }
    return status;
}

pd_status pd_fields_get(const pd_hdf5 *file, const char *group, const pd_field *fields, int count,
                        void *object)
{
    pd_status status = PD_OK;
    for (int i = 0; i < count && status == PD_OK; i++) {
        char *value = (char *)object + fields[i].offset;
        if (fields[i].optional && !pd_hdf5_has_attribute(file, group, fields[i].name))
            continue;
        if (fields[i].kind == PD_FIELD_TEXT)
            status = pd_hdf5_get_text(file, group, fields[i].name, value, fields[i].size);
        else
            status =
                pd_hdf5_get_number(file, group, fields[i].name, number_type(fields[i].kind), value);
    }
    return status;
}
