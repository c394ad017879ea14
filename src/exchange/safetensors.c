/* ".safetensors": the length of a JSON header, in 8 bytes; the header, with name, type, shape and
 * place of every array; the arrays as little-endian floats. Names are <layer>/<weight>, layouts
 * those of Keras; the metadata has the model as Keras' JSON. */
#include "export_internal.h"
#include "json.h"
#include "pneumo/base/memory.h"
#include "pneumo/exchange/keras_config.h"
#include "pneumo/io/file.h"
#include "weights.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

static void put_metadata(bool *ok, cJSON *header, const char *config)
{
    cJSON *metadata = pd_json_object(ok, header, "__metadata__");
    pd_json_text(ok, metadata, "format", "np");
    pd_json_text(ok, metadata, "layout", "kernels height, width, input, output channels");
    pd_json_text(ok, metadata, "model_config", config);
}

/* Adds an array that lies at [begin, end) behind the header. */
static pd_status put_array(bool *ok, cJSON *header, const pd_array *array, size_t begin, size_t end)
{
    char *name;
    pd_status status = pd_format(&name, "%s/%s", array->layer, array->weight);
    if (status != PD_OK)
        return status;
    cJSON *entry = pd_json_object(ok, header, name);
    pd_json_text(ok, entry, "dtype", "F32");
    cJSON *shape = pd_json_array(ok, entry, "shape");
    for (int i = 0; i < array->rank; i++)
        pd_json_integer(ok, shape, NULL, array->dims[i]);
    cJSON *place = pd_json_array(ok, entry, "data_offsets");
    pd_json_integer(ok, place, NULL, (int64_t)begin);
    pd_json_integer(ok, place, NULL, (int64_t)end);
    free(name);
    return PD_OK;
}

/* Stores the header at *text (free()) and the arrays' bytes at *size. */
static pd_status make_header(char **text, size_t *size, const pd_exchange_model *model)
{
    pd_status status = PD_OK;
    bool ok = true;
    char *config = NULL;
    cJSON *header = cJSON_CreateObject();
    *size = 0;
    PD_TRY(pd_keras_config_write(&config, model));
    put_metadata(&ok, header, config);
    for (int i = 0; i < pd_network_layer_count(model->network); i++) {
        const pd_layer *layer = pd_network_layer(model->network, i);
        for (int j = 0; j < layer->param_count; j++) {
            const pd_array array = pd_weights_view(layer, j);
            size_t end = *size + pd_param_size(&layer->params[j]) * sizeof(float);
            PD_TRY(put_array(&ok, header, &array, *size, end));
            *size = end;
        }
    }
    status = pd_json_print(text, header, ok);

cleanup:
    cJSON_Delete(header);
    free(config);
    return status;
}

/* Copies floats as little-endian numbers; returns the end of the copy. */
static unsigned char *put_floats(unsigned char *out, const float *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        bits = htole32(bits);
        memcpy(out + i * sizeof bits, &bits, sizeof bits);
    }
    return out + count * sizeof *values;
}

static pd_status write_safetensors(const char *path, const pd_exchange_model *model,
                                   const pd_export_options *options)
{
    enum { ALIGNMENT = 8 }; /* of the arrays; spaces fill the header */
    pd_status status = PD_OK;
    char *header = NULL;
    unsigned char *bytes = NULL, *out;
    size_t floats;
    (void)options;
    PD_TRY(make_header(&header, &floats, model));
    size_t length = strlen(header), padded = (length + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    uint64_t stored = htole64(padded);
    PD_TRY(pd_alloc(&bytes, sizeof stored + padded + floats, 1));
    memcpy(bytes, &stored, sizeof stored);
    memcpy(bytes + sizeof stored, header, length);
    memset(bytes + sizeof stored + length, ' ', padded - length);
    out = bytes + sizeof stored + padded;
    for (int i = 0; i < pd_network_layer_count(model->network); i++) {
        const pd_layer *layer = pd_network_layer(model->network, i);
        for (int j = 0; j < layer->param_count; j++)
            out = put_floats(out, layer->params[j].value, pd_param_size(&layer->params[j]));
    }
    PD_TRY(pd_file_write(path, bytes, (size_t)(out - bytes)));

cleanup:
    free(header);
    free(bytes);
    return status;
}

const pd_export_format pd_export_safetensors = {
    .extension = ".safetensors", .about = "weights for many programs", .write = write_safetensors};
