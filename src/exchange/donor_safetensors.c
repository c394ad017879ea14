/* Weights from safetensors: torchvision's VGG16 and VGG19, and what `export` writes. */
#include "donor_internal.h"

#include "pneumo/base/memory.h"
#include "pneumo/exchange/keras_model.h"
#include "pneumo/exchange/scaling.h"

#include <cjson/cJSON.h>
#include <endian.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { HEADER_MAX = 16 << 20, LENGTH_BYTES = 8 };

/* An open file. */
typedef struct file {
    FILE *stream;
    const char *path;
    char *text;     /* the header */
    cJSON *header;  /* parsed */
    uint64_t begin; /* of the arrays */
    uint64_t bytes; /* of the arrays */
} file;

/* --- The header --- */

bool pd_donor_is_safetensors(const char *path)
{
    unsigned char head[LENGTH_BYTES + 1] = {0};
    uint64_t length;
    FILE *stream = fopen(path, "rbe");
    bool read = stream != NULL && fread(head, 1, sizeof head, stream) == sizeof head;
    if (stream != NULL)
        fclose(stream);
    memcpy(&length, head, sizeof length);
    return read && head[LENGTH_BYTES] == '{' && le64toh(length) <= HEADER_MAX;
}

static pd_status fail_damaged(const file *f, const char *what)
{
    return pd_fail("%s: the safetensors file is damaged: %s; download it again", f->path, what);
}

static pd_status open_file(file *f, const char *path)
{
    pd_status status = PD_OK;
    struct stat stat;
    uint64_t length;
    f->path = path;
    f->stream = fopen(path, "rbe");
    if (f->stream == NULL || fstat(fileno(f->stream), &stat) != 0)
        return pd_fail("%s: cannot open: %s", path, strerror(errno));
    if (fread(&length, 1, sizeof length, f->stream) != sizeof length)
        return fail_damaged(f, "it has no header");
    length = le64toh(length);
    if (length > HEADER_MAX || (uint64_t)stat.st_size < length + LENGTH_BYTES)
        return fail_damaged(f, "its header is longer than the file");
    PD_TRY(pd_alloc(&f->text, length + 1, 1));
    if (fread(f->text, 1, length, f->stream) != length)
        return fail_damaged(f, "its header ends too early");
    f->header = cJSON_Parse(f->text);
    f->begin = LENGTH_BYTES + length;
    f->bytes = (uint64_t)stat.st_size - f->begin;
    if (!cJSON_IsObject(f->header))
        status = fail_damaged(f, "its header is not valid JSON, or is nested too deeply");

cleanup:
    return status;
}

static void close_file(file *f)
{
    if (f->stream != NULL)
        fclose(f->stream);
    cJSON_Delete(f->header);
    free(f->text);
}

/* --- One array --- */

/* A number type. */
typedef struct number_type {
    const char *name;
    size_t size;
    float (*get)(const unsigned char *bytes);
} number_type;

static float get_f32(const unsigned char *bytes)
{
    uint32_t bits;
    float value;
    memcpy(&bits, bytes, sizeof bits);
    bits = le32toh(bits);
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* The upper half of a float. */
static float get_bf16(const unsigned char *bytes)
{
    const unsigned char all[4] = {0, 0, bytes[0], bytes[1]};
    return get_f32(all);
}

/* Sign, 5 bits of exponent with bias 15, 10 bits of fraction. */
static float get_f16(const unsigned char *bytes)
{
    unsigned bits = bytes[0] | (unsigned)bytes[1] << 8;
    int exponent = (int)(bits >> 10 & 31), fraction = (int)(bits & 1023);
    float value = exponent == 0    ? ldexpf((float)fraction, -24)
                  : exponent == 31 ? (fraction == 0 ? INFINITY : NAN)
                                   : ldexpf((float)(1024 + fraction), exponent - 25);
    return bits >> 15 != 0 ? -value : value;
}

static const number_type types[] = {
    {"F32", 4, get_f32}, {"BF16", 2, get_bf16}, {"F16", 2, get_f16}};

static const number_type *find_type(const cJSON *entry)
{
    const cJSON *name = cJSON_GetObjectItemCaseSensitive(entry, "dtype");
    for (size_t i = 0; i < sizeof types / sizeof *types && cJSON_IsString(name); i++)
        if (strcmp(types[i].name, name->valuestring) == 0)
            return &types[i];
    return NULL;
}

/* A whole number that a double holds exactly. */
static bool get_integer(uint64_t *out, const cJSON *item)
{
    if (!cJSON_IsNumber(item) || item->valuedouble < 0 || item->valuedouble > 9e15 ||
        item->valuedouble != floor(item->valuedouble))
        return false;
    *out = (uint64_t)item->valuedouble;
    return true;
}

/* Reads the shape; false if it is impossible, or larger than the file. */
static bool get_shape(pd_array *out, size_t *count, const file *f, const cJSON *entry)
{
    const cJSON *shape = cJSON_GetObjectItemCaseSensitive(entry, "shape"), *item;
    uint64_t dim, total = 1;
    out->rank = 0;
    if (!cJSON_IsArray(shape) || cJSON_GetArraySize(shape) > PD_ARRAY_RANK_MAX)
        return false;
    for (item = shape->child; item != NULL; item = item->next) {
        if (!get_integer(&dim, item) || dim < 1 || dim > INT_MAX ||
            __builtin_mul_overflow(total, dim, &total) || total > f->bytes)
            return false;
        out->dims[out->rank++] = (int)dim;
    }
    if (out->rank == 0)
        out->dims[out->rank++] = 1;
    *count = (size_t)total;
    return true;
}

/* Reads an array as floats; out->data: free(). */
static pd_status read_array(pd_array *out, const file *f, const cJSON *entry)
{
    pd_status status = PD_OK;
    unsigned char *bytes = NULL;
    uint64_t begin, end;
    size_t count = 0;
    char what[160];
    const number_type *type = find_type(entry);
    const cJSON *offsets = cJSON_GetObjectItemCaseSensitive(entry, "data_offsets");
    snprintf(what, sizeof what, "array '%.100s' is not valid", entry->string);
    if (type == NULL)
        return pd_fail("%s: array '%.100s' is not of type F32, F16 or BF16", f->path,
                       entry->string);
    if (!get_shape(out, &count, f, entry) || cJSON_GetArraySize(offsets) != 2 ||
        !get_integer(&begin, offsets->child) || !get_integer(&end, offsets->child->next) ||
        begin > end || end > f->bytes || end - begin != count * type->size)
        return fail_damaged(f, what);
    PD_TRY(pd_alloc(&bytes, count, type->size));
    PD_TRY(pd_alloc(&out->data, count, sizeof *out->data));
    if (fseeko(f->stream, (off_t)(f->begin + begin), SEEK_SET) != 0 ||
        fread(bytes, type->size, count, f->stream) != count) {
        status = fail_damaged(f, what);
        goto cleanup;
    }
    for (size_t i = 0; i < count; i++)
        out->data[i] = type->get(bytes + i * type->size);

cleanup:
    free(bytes);
    return status;
}

/* --- torchvision: vgg.py numbers the modules of `features` and `classifier` --- */

static const int convolutions16[] = {0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28};
static const int convolutions19[] = {0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34};

typedef struct torch_model {
    const char *what;
    const int *convolutions;
    int count;
    int blocks[5]; /* convolutions of each */
} torch_model;

static const torch_model vgg16 = {"torchvision's VGG16", convolutions16, 13, {2, 2, 3, 3, 3}};
static const torch_model vgg19 = {"torchvision's VGG19", convolutions19, 16, {2, 2, 4, 4, 4}};

static bool has(const file *f, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(f->header, name) != NULL;
}

/* The entry "<module>.<number>.<weight>". */
static const cJSON *find(const file *f, const char *module, int number, const char *weight)
{
    char name[64];
    snprintf(name, sizeof name, "%s.%d.%s", module, number, weight);
    return cJSON_GetObjectItemCaseSensitive(f->header, name);
}

/* Output, input, height, width -> height, width, input, output. */
static pd_status transpose_kernel(pd_array *array)
{
    const int *d = array->dims;
    size_t k = (size_t)d[0], c = (size_t)d[1], pixels = (size_t)d[2] * (size_t)d[3];
    float *out;
    pd_status status = pd_alloc(&out, k * c * pixels, sizeof *out);
    if (status != PD_OK)
        return status;
    for (size_t o = 0; o < k; o++)
        for (size_t i = 0; i < c; i++)
            for (size_t p = 0; p < pixels; p++)
                out[(p * c + i) * k + o] = array->data[(o * c + i) * pixels + p];
    const int dims[4] = {d[2], d[3], d[1], d[0]};
    memcpy(array->dims, dims, sizeof dims);
    free(array->data);
    array->data = out;
    return PD_OK;
}

/* Outputs, inputs -> inputs, outputs. The inputs are an image of that many channels, channel by
 * channel there and pixel by pixel here. */
static pd_status transpose_dense(pd_array *array, int channels)
{
    size_t k = (size_t)array->dims[0], n = (size_t)array->dims[1], c = (size_t)channels, p = n / c;
    float *out;
    pd_status status = pd_alloc(&out, k * n, sizeof *out);
    if (status != PD_OK)
        return status;
    for (size_t o = 0; o < k; o++)
        for (size_t i = 0; i < c * p; i++)
            out[((i % p) * c + i / p) * k + o] = array->data[o * n + i];
    array->dims[0] = (int)n;
    array->dims[1] = (int)k;
    free(array->data);
    array->data = out;
    return PD_OK;
}

/* Fails unless the file has all convolutions: other models have some of the same names. */
static pd_status check_convolutions(const file *f, const torch_model *model)
{
    static const char *const weights[] = {"weight", "bias"};
    for (int i = 0; i < model->count; i++)
        for (int j = 0; j < 2; j++)
            if (find(f, "features", model->convolutions[i], weights[j]) == NULL)
                return pd_fail("%s: has 'features.0.weight' but no 'features.%d.%s', so it is not "
                               "%s; of torchvision's models, VGG16 and VGG19 are supported",
                               f->path, model->convolutions[i], weights[j], model->what);
    return PD_OK;
}

/* Adds "<module>.<number>.weight" and ".bias" as those of `layer`, if they are there. `channels` is
 * 0 for a convolution, else of the image that the dense layer reads; 1: a vector. */
static pd_status add_module(pd_donor *out, const file *f, const char *module, int number,
                            const char *layer, int channels)
{
    pd_status status = PD_OK;
    pd_array weight = {0}, bias = {0};
    const cJSON *weight_entry = find(f, module, number, "weight"),
                *bias_entry = find(f, module, number, "bias");
    if (weight_entry == NULL || bias_entry == NULL)
        return PD_OK;
    PD_TRY(read_array(&weight, f, weight_entry));
    PD_TRY(read_array(&bias, f, bias_entry));
    if (weight.rank != (channels > 0 ? 2 : 4) || (channels > 0 && weight.dims[1] % channels != 0)) {
        status = pd_fail("%s: '%s' has the wrong shape", f->path, weight_entry->string);
        goto cleanup;
    }
    PD_TRY(channels > 0 ? transpose_dense(&weight, channels) : transpose_kernel(&weight));
    PD_TRY(pd_donor_add(out, layer, "kernel", &weight));
    PD_TRY(pd_donor_add(out, layer, "bias", &bias));

cleanup:
    free(weight.data);
    free(bias.data);
    return status;
}

static pd_status read_torchvision(pd_donor *out, const file *f)
{
    static const char *const dense[] = {"fc1", "fc2", "predictions"}; /* 0, 3 and 6 */
    pd_status status = PD_OK;
    const torch_model *model = has(f, "features.34.weight") ? &vgg19 : &vgg16;
    char layer[32];
    int used = 0;
    snprintf(out->what, sizeof out->what, "%s", model->what);
    PD_TRY(check_convolutions(f, model));
    for (int block = 0; block < 5; block++)
        for (int i = 0; i < model->blocks[block]; i++) {
            snprintf(layer, sizeof layer, "block%d_conv%d", block + 1, i + 1);
            PD_TRY(add_module(out, f, "features", model->convolutions[used++], layer, 0));
        }
    int channels = out->count == 0 ? 1 : out->arrays[out->count - 1].dims[0]; /* of the last bias */
    for (int i = 0; i < 3; i++)
        PD_TRY(add_module(out, f, "classifier", 3 * i, dense[i], i == 0 ? channels : 1));
    out->scaled = true;
    out->input = (pd_input){.channels = PD_INPUT_CHANNELS, .scaling = PD_GREY_FIXED};
    status = pd_scaling_parse(&out->input, "torch");

cleanup:
    return status;
}

/* --- Our own exports: <layer>/<weight> --- */

static pd_status read_export(pd_donor *out, const file *f)
{
    pd_status status = PD_OK;
    pd_array array = {0};
    char *layer = NULL;
    const cJSON *entry;
    snprintf(out->what, sizeof out->what, "an export of ours");
    cJSON_ArrayForEach(entry, f->header)
    {
        const char *slash = strrchr(entry->string, '/');
        if (slash == NULL) /* the metadata */
            continue;
        free(layer);
        PD_TRY(pd_strdup(&layer, entry->string));
        layer[slash - entry->string] = '\0';
        PD_TRY(read_array(&array, f, entry));
        PD_TRY(pd_donor_add(out, layer, slash + 1, &array));
    }

cleanup:
    free(array.data);
    free(layer);
    return status;
}

/* Takes the scaling from the model that the metadata describes. */
static pd_status take_scaling(pd_donor *out, const file *f)
{
    pd_status status = PD_OK;
    const cJSON *metadata = cJSON_GetObjectItemCaseSensitive(f->header, "__metadata__");
    const cJSON *config = cJSON_GetObjectItemCaseSensitive(metadata, "model_config");
    pd_keras_model model = {.network = NULL};
    if (cJSON_IsString(config))
        PD_TRY(pd_keras_model_read(&model, f->path, config->valuestring, NULL));
    if (model.scaled) {
        out->scaled = true;
        out->input = model.input;
    }

cleanup:
    pd_keras_model_free(&model);
    return status;
}

pd_status pd_donor_read_safetensors(pd_donor *out, const char *path)
{
    pd_status status = PD_OK;
    file f = {.path = path};
    PD_TRY(open_file(&f, path));
    if (has(&f, "features.1.running_mean")) {
        status = pd_fail("%s: is torchvision's VGG with batch normalisation (vgg16_bn, vgg19_bn), "
                         "which is not supported; use vgg16 or vgg19",
                         path);
        goto cleanup;
    }
    if (has(&f, "features.0.weight")) {
        status = read_torchvision(out, &f);
        goto cleanup;
    }
    PD_TRY(read_export(out, &f));
    PD_TRY(take_scaling(out, &f));
    if (out->count == 0)
        status = pd_fail("%s: its arrays have no names of torchvision's VGG16 or VGG19, nor of an "
                         "export of ours; no others are supported",
                         path);

cleanup:
    close_file(&f);
    return status;
}
