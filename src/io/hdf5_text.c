#include "hdf5_text.h"

#include "pneumo/base/memory.h"

hid_t pd_hdf5_text_type(size_t width)
{
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, width);
    H5Tset_strpad(type, H5T_STR_NULLPAD);
    H5Tset_cset(type, H5T_CSET_UTF8);
    return type;
}

bool pd_hdf5_is_fixed_text(hid_t type)
{
    return H5Tget_class(type) == H5T_STRING && H5Tis_variable_str(type) == 0;
}

hid_t pd_hdf5_memory_text_type(hid_t stored, size_t width)
{
    hid_t type = H5Tcopy(stored);
    H5Tset_size(type, width + 1);
    H5Tset_strpad(type, H5T_STR_NULLTERM);
    return type;
}

pd_status pd_hdf5_alloc_texts(char ***out, size_t count, size_t width)
{
    char **texts;
    pd_status status = pd_alloc(&texts, count, sizeof *texts + width + 1);
    *out = texts;
    for (size_t i = 0; i < count && status == PD_OK; i++)
        texts[i] = (char *)(texts + count) + i * (width + 1);
    return status;
}
