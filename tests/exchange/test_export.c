/* Files for other programs: their structure, the arrays in them, the same bytes for the same model;
 * formats by name. What other programs compute from them is in tests/exchange/test_keras.sh. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pneumo/exchange/donor.h"
#include "pneumo/exchange/export.h"
#include "pneumo/io/file.h"

#include "exchange/network.h"
#include "golden/hashed.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <onnx.pb-c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zip.h>

static const pd_input input = {.size = SIDE, .channels = 3, .mean = 120.0f, .deviation = 60.0f};

typedef struct file {
    unsigned char *bytes;
    size_t size;
} file;

static pd_network *make_planned(void)
{
    pd_network *net = make_network();
    assert_int_equal(pd_network_plan(net, &plan, 0, false), PD_OK);
    pd_network_initialise(net, 1);
    return net;
}

/* Exports to `path` twice; both files must be the same. */
static void export_folded(file *out, pd_network *net, const char *path, bool fold)
{
    const pd_exchange_model model = {
        .name = "network", .network = net, .input = &input, .activation = "softmax"};
    const pd_export_options options = {.fold_batchnorm = fold};
    const pd_export_format *format;
    file again;
    assert_int_equal(pd_export_find(&format, path), PD_OK);
    assert_int_equal(format->write(path, &model, &options), PD_OK);
    assert_int_equal(pd_file_read(&out->bytes, &out->size, path, 1 << 24), PD_OK);
    assert_int_equal(format->write(path, &model, &options), PD_OK);
    assert_int_equal(pd_file_read(&again.bytes, &again.size, path, 1 << 24), PD_OK);
    assert_int_equal(out->size, again.size);
    assert_memory_equal(out->bytes, again.bytes, again.size);
    free(again.bytes);
}

static void export_twice(file *out, pd_network *net, const char *path)
{
    export_folded(out, net, path, false);
}

/* Asserts that member `index` is stored, as Keras' own are, and returns its text (free()). */
static char *read_member(zip_t *archive, zip_uint64_t index, const char *name)
{
    zip_stat_t about;
    assert_int_equal(zip_stat_index(archive, index, 0, &about), 0);
    assert_string_equal(about.name, name);
    assert_int_equal(about.comp_method, ZIP_CM_STORE);
    char *text = calloc(about.size + 1, 1);
    zip_file_t *member = zip_fopen_index(archive, index, 0);
    assert_non_null(text);
    assert_non_null(member);
    assert_int_equal(zip_fread(member, text, about.size), about.size);
    zip_fclose(member);
    return text;
}

static void keras_is_an_archive_of_three(void **state)
{
    (void)state;
    pd_network *net = make_planned();
    file exported;
    export_twice(&exported, net, "model.keras");
    zip_t *archive = zip_open("model.keras", ZIP_RDONLY, NULL);
    assert_non_null(archive);
    assert_int_equal(zip_get_num_entries(archive, 0), 3);
    char *metadata = read_member(archive, 0, "metadata.json");
    char *config = read_member(archive, 1, "config.json");
    char *weights = read_member(archive, 2, "model.weights.h5");
    assert_non_null(strstr(metadata, "\"keras_version\""));
    cJSON *json = cJSON_Parse(config);
    const cJSON *class = cJSON_GetObjectItem(json, "class_name");
    assert_string_equal(cJSON_GetStringValue(class), "Functional");
    assert_memory_equal(weights, "\x89HDF\r\n\x1a\n", 8);
    cJSON_Delete(json);
    free(metadata);
    free(config);
    free(weights);
    free(exported.bytes);
    zip_discard(archive);
    pd_network_destroy(&net);
}

static void weights_are_a_file_of_their_own(void **state)
{
    (void)state;
    pd_network *net = make_planned();
    file exported;
    export_twice(&exported, net, "model.weights.h5");
    assert_memory_equal(exported.bytes, "\x89HDF\r\n\x1a\n", 8);
    free(exported.bytes);
    pd_network_destroy(&net);
}

static void safetensors_hold_every_array(void **state)
{
    (void)state;
    pd_network *net = make_planned();
    file exported;
    uint64_t length = 0;
    size_t end = 0;
    export_twice(&exported, net, "model.safetensors");
    memcpy(&length, exported.bytes, sizeof length); /* little-endian, as this machine */
    assert_int_equal(length % 8, 0);
    cJSON *header = cJSON_ParseWithLength((char *)exported.bytes + sizeof length, length);
    assert_non_null(header);
    const unsigned char *data = exported.bytes + sizeof length + length;
    assert_int_equal(cJSON_GetArraySize(header), pd_network_tensor_count(net) + 1);
    for (int i = 0; i < pd_network_tensor_count(net); i++) {
        const pd_tensor *tensor = pd_network_tensor(net, i);
        char name[64];
        snprintf(name, sizeof name, "%s/%s", tensor->layer->name, tensor->param->name);
        const cJSON *entry = cJSON_GetObjectItem(header, name);
        assert_non_null(entry);
        assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(entry, "dtype")), "F32");
        assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(entry, "shape")),
                         tensor->param->rank);
        const cJSON *place = cJSON_GetObjectItem(entry, "data_offsets");
        size_t begin = (size_t)cJSON_GetArrayItem(place, 0)->valuedouble;
        assert_int_equal(begin, end);
        end = (size_t)cJSON_GetArrayItem(place, 1)->valuedouble;
        assert_int_equal(end - begin, tensor->size * sizeof(float));
        assert_memory_equal(data + begin, tensor->param->value, end - begin);
    }
    assert_int_equal(exported.size, sizeof length + length + end);
    cJSON_Delete(header);
    free(exported.bytes);
    pd_network_destroy(&net);
}

static int count_nodes(const Onnx__GraphProto *graph, const char *type)
{
    int count = 0;
    for (size_t i = 0; i < graph->n_node; i++)
        count += strcmp(graph->node[i]->op_type, type) == 0;
    return count;
}

static const Onnx__TensorProto *find_constant(const Onnx__GraphProto *graph, const char *name)
{
    for (size_t i = 0; i < graph->n_initializer; i++)
        if (strcmp(graph->initializer[i]->name, name) == 0)
            return graph->initializer[i];
    return NULL;
}

/* The kernel of the first layer, [3][3][3][8], is [8][3][3][3] in the file. */
static void assert_kernel(const Onnx__GraphProto *graph, const float *kernel)
{
    const Onnx__TensorProto *found = find_constant(graph, "image/kernel");
    static const int dims[] = {8, 3, 3, 3};
    assert_non_null(found);
    assert_int_equal(found->n_dims, 4);
    for (int i = 0; i < 4; i++)
        assert_int_equal(found->dims[i], dims[i]);
    assert_int_equal(found->raw_data.len, 8 * 3 * 9 * sizeof(float));
    for (int k = 0; k < 8; k++)
        for (int c = 0; c < 3; c++)
            for (int tap = 0; tap < 9; tap++) {
                float value;
                memcpy(&value,
                       found->raw_data.data + sizeof value * (size_t)((k * 3 + c) * 9 + tap),
                       sizeof value);
                assert_true(value == kernel[(tap * 3 + c) * 8 + k]);
            }
}

static void onnx_is_a_graph_of_operators(void **state)
{
    (void)state;
    pd_network *net = make_planned();
    for (int fold = 0; fold < 2; fold++) {
        file exported;
        export_folded(&exported, net, "model.onnx", fold == 1);
        Onnx__ModelProto *model = onnx__model_proto__unpack(NULL, exported.size, exported.bytes);
        assert_non_null(model);
        const Onnx__GraphProto *graph = model->graph;
        assert_int_equal(model->opset_import[0]->version, 13);
        assert_string_equal(graph->input[0]->name, "image");
        assert_string_equal(graph->output[0]->name, "probability");
        assert_string_equal(graph->output[1]->name, "logits");
        assert_int_equal(count_nodes(graph, "Conv"), 5);
        assert_int_equal(count_nodes(graph, "BatchNormalization"), fold ? 0 : 2);
        assert_int_equal(count_nodes(graph, "Relu"), 6);
        assert_int_equal(count_nodes(graph, "Softmax"), 1);
        assert_kernel(graph, pd_network_tensor(net, 0)->param->value);
        onnx__model_proto__free_unpacked(model, NULL);
        free(exported.bytes);
    }
    pd_network_destroy(&net);
}

/* Writes a network with its input and logits for other programs: tests/exchange/test_keras.sh. */
static void write_for_peers(pd_network *net, const char *name)
{
    enum { IMAGES = 4, OUTPUTS = 3, PIXELS = SIDE * SIDE };
    static float grey[IMAGES * PIXELS], x[IMAGES * PIXELS * 3];
    const char *const ends[] = {".keras", ".onnx", ".folded.onnx"};
    const float *logits;
    char path[64];
    file exported;
    hashed(grey, IMAGES * PIXELS, 7);
    for (int i = 0; i < IMAGES * PIXELS; i++) {
        grey[i] = 127.5f + 127.5f * grey[i];
        for (int c = 0; c < 3; c++)
            x[i * 3 + c] = (grey[i] - input.mean) * (1 / input.deviation);
    }
    const pd_exec exec = {.lanes = 1, .lane_samples = IMAGES, .total_lanes = 1, .threads = 1};
    assert_int_equal(pd_network_forward(net, &exec, x, &logits), PD_OK);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        snprintf(path, sizeof path, "%s%s", name, ends[i]);
        export_folded(&exported, net, path, i == 2);
        free(exported.bytes);
    }
    snprintf(path, sizeof path, "%s.grey", name);
    assert_int_equal(pd_file_write(path, grey, sizeof grey), PD_OK);
    snprintf(path, sizeof path, "%s.logits", name);
    assert_int_equal(pd_file_write(path, logits, IMAGES * OUTPUTS * sizeof *logits), PD_OK);
}

/* Every tensor away from its initial value. */
static void vary_weights(pd_network *net)
{
    for (int i = 0; i < pd_network_tensor_count(net); i++) {
        const pd_tensor *tensor = pd_network_tensor(net, i);
        const pd_param *param = tensor->param;
        float scale = param->decays ? (float)sqrt(6.0 / (double)param->fan_in) : 0.25f;
        float centre =
            strcmp(param->name, "gamma") == 0 || strcmp(param->name, "moving_variance") == 0 ? 1.0f
                                                                                             : 0.0f;
        hashed(param->value, tensor->size, (uint32_t)i + 1);
        for (size_t j = 0; j < tensor->size; j++)
            param->value[j] = centre + scale * param->value[j];
    }
}

static void every_layer_type_is_exported(void **state)
{
    (void)state;
    pd_network *nets[] = {make_network(), make_other_network()};
    static const char *const names[] = {"layers", "other-layers"};
    const pd_plan four = {.lanes = 1, .lane_samples = 4, .total_lanes = 1, .threads = 1};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pd_network_plan(nets[i], &four, 0, false), PD_OK);
        vary_weights(nets[i]);
        write_for_peers(nets[i], names[i]);
        pd_network_destroy(&nets[i]);
    }
}

/* Weights alone are read; a file that describes data.scaling = image is refused with a word on it.
 */
static void scaling_by_image_is_not_read_again(void **state)
{
    (void)state;
    static const char *const names[] = {"image.weights.h5", "image.keras", "image.safetensors"};
    const pd_input by_image = {.size = SIDE, .channels = 3, .scaling = PD_GREY_IMAGE};
    const pd_export_options options = {.fold_batchnorm = false};
    pd_network *net = make_planned();
    const pd_exchange_model model = {
        .name = "network", .network = net, .input = &by_image, .activation = "softmax"};
    for (int i = 0; i < 3; i++) {
        const pd_export_format *format;
        pd_donor donor;
        assert_int_equal(pd_export_find(&format, names[i]), PD_OK);
        assert_int_equal(format->write(names[i], &model, &options), PD_OK);
        assert_int_equal(pd_donor_read(&donor, names[i], &model), i == 0 ? PD_OK : PD_FAILED);
        if (i == 0)
            assert_int_equal(donor.count, pd_network_tensor_count(net));
        else
            assert_non_null(strstr(pd_error_message(), "if it comes from data.scaling = image"));
        pd_donor_free(&donor);
    }
    pd_network_destroy(&net);
}

static void names_choose_the_format(void **state)
{
    (void)state;
    const pd_export_format *keras, *other;
    assert_int_equal(pd_export_find(&keras, "folder.h5/a.KERAS"), PD_OK);
    assert_string_equal(keras->extension, ".keras");
    assert_int_equal(pd_export_find(&other, "a.weights.h5"), PD_OK);
    assert_string_equal(other->extension, ".weights.h5");
    static const char *const unknown[] = {"a.h5", ".keras", "keras", "", "a.keras/b"};
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++)
        assert_int_equal(pd_export_find(&other, unknown[i]), PD_USAGE);
    assert_non_null(
        strstr(pd_error_message(), "unknown format; give a name that ends in .keras, "));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keras_is_an_archive_of_three),
        cmocka_unit_test(weights_are_a_file_of_their_own),
        cmocka_unit_test(safetensors_hold_every_array),
        cmocka_unit_test(onnx_is_a_graph_of_operators),
        cmocka_unit_test(every_layer_type_is_exported),
        cmocka_unit_test(scaling_by_image_is_not_read_again),
        cmocka_unit_test(names_choose_the_format),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
