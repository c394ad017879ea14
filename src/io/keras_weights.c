#include "pneumo/io/keras_weights.h"

#include "hdf5_array.h"
#include "hdf5_attribute.h"
#include "hdf5_memory.h"

#include <stdio.h>
#include <stdlib.h>

static pd_status put_layer(const pd_hdf5 *file, hid_t parent, const pd_keras_vars *layer)
{
    pd_status status = PD_OK;
    hid_t group = H5I_INVALID_HID, vars = H5I_INVALID_HID;
    PD_TRY(pd_hdf5_put_group(&group, file, parent, layer->group));
    PD_TRY(pd_hdf5_put_group(&vars, file, group, "vars"));
    PD_TRY(pd_hdf5_put_text(file, vars, "name", layer->layer));
    for (int i = 0; i < layer->count; i++) {
        const pd_array *array = &layer->arrays[i];
        hsize_t dims[PD_ARRAY_RANK_MAX];
        char number[16];
        for (int d = 0; d < array->rank; d++)
            dims[d] = (hsize_t)array->dims[d];
        const pd_hdf5_shape shape = {H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, array->rank, dims};
        snprintf(number, sizeof number, "%d", i);
        PD_TRY(pd_hdf5_put_array(file, vars, number, &shape, array->data));
    }

cleanup:
    pd_hdf5_close(&vars);
    pd_hdf5_close(&group);
    return status;
}

pd_status pd_keras_weights_make(void **bytes, size_t *size, const char *path,
                                const pd_keras_vars *layers, int count)
{
    pd_status status = PD_OK;
    pd_hdf5 file = {.id = H5I_INVALID_HID};
    pd_hdf5_image image = {.bytes = NULL};
    hid_t group = H5I_INVALID_HID;
    *bytes = NULL;
    PD_TRY(pd_hdf5_create_in_memory(&file, path, &image));
    PD_TRY(pd_hdf5_put_group(&group, &file, file.id, "layers"));
    for (int i = 0; i < count; i++)
        PD_TRY(put_layer(&file, group, &layers[i]));
    pd_hdf5_close(&group);
    PD_TRY(pd_hdf5_close_in_memory(&file, &image));
    *bytes = image.bytes;
    *size = image.size;
    image.bytes = NULL;

cleanup:
    pd_hdf5_close(&group);
    pd_hdf5_close(&file.id);
    free(image.bytes);
    return status;
}
