/* Files of weights: number types, shapes and damage of safetensors, torchvision's layouts, and
 * layers that Keras numbered. */
#include "exchange/donor_internal.h"
#include "pneumo/nn/network.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const path = "test.safetensors";

/* Writes a header and the arrays' bytes. */
static void write_file(const char *header, const void *bytes, size_t size)
{
    uint64_t length = strlen(header);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(&length, 1, sizeof length, file), sizeof length);
    assert_int_equal(fwrite(header, 1, length, file), length);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static void check(pd_status status)
{
    if (status != PD_OK)
        print_error("%s\n", pd_error_message());
    assert_int_equal(status, PD_OK);
}

static const pd_array *get(const pd_donor *donor, const char *layer, const char *weight)
{
    const pd_array *array = pd_array_find(donor->arrays, donor->count, layer, weight);
    assert_non_null(array);
    return array;
}

/* 1, -2, 0.5 and the smallest positive half; the same in bfloat16, but 1.5 for the last. */
static void numbers_of_all_types_are_read(void **state)
{
    (void)state;
    const float single[4] = {1, -2, 0.5f, 3e-30f};
    const uint16_t half[4] = {0x3c00, 0xc000, 0x3800, 0x0001};
    const uint16_t brain[4] = {0x3f80, 0xc000, 0x3f00, 0x3fc0};
    unsigned char bytes[32];
    pd_donor donor = {.count = 0};
    memcpy(bytes, single, 16);
    memcpy(bytes + 16, half, 8);
    memcpy(bytes + 24, brain, 8);
    write_file("{\"__metadata__\":{\"a\":\"b\"},"
               "\"x/a\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[0,16]},"
               "\"x/b\":{\"dtype\":\"F16\",\"shape\":[4],\"data_offsets\":[16,24]},"
               "\"y/z/c\":{\"dtype\":\"BF16\",\"shape\":[1,4],\"data_offsets\":[24,32]}}",
               bytes, sizeof bytes);
    assert_true(pd_donor_is_safetensors(path));
    check(pd_donor_read_safetensors(&donor, path));
    assert_int_equal(donor.count, 3);
    assert_int_equal(get(&donor, "x", "a")->rank, 2);
    assert_memory_equal(get(&donor, "x", "a")->data, single, sizeof single);
    const float *b = get(&donor, "x", "b")->data, *c = get(&donor, "y/z", "c")->data;
    assert_true(b[0] == 1 && b[1] == -2 && b[2] == 0.5f && b[3] == ldexpf(1, -24));
    assert_true(c[0] == 1 && c[1] == -2 && c[2] == 0.5f && c[3] == 1.5f);
    pd_donor_free(&donor);
}

static void damaged_headers_are_errors(void **state)
{
    (void)state;
    static const char *const headers[] = {
        "{",
        "[1]",
        "{\"x/a\":1}",
        "{\"x/a\":{\"dtype\":\"F32\",\"shape\":[2]}}",
        "{\"x/a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}",
        "{\"x/a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}}",
        "{\"x/a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[-8,0]}}",
        "{\"x/a\":{\"dtype\":\"F32\",\"shape\":[0.5],\"data_offsets\":[0,4]}}",
        "{\"x/a\":{\"dtype\":\"F32\",\"shape\":[1e300],\"data_offsets\":[0,4]}}",
        "{\"x/a\":{\"dtype\":\"F32\",\"shape\":[65536,65536,65536,65536],\"data_offsets\":[0,0]}}",
        "{\"x/a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1],\"data_offsets\":[0,4]}}",
        "{\"x/a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,8]}}",
        "{\"x/a\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[0,8]}}",
    };
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        pd_donor donor = {.count = 0};
        write_file(headers[i], (const char[8]){0}, 8);
        assert_int_equal(pd_donor_read_safetensors(&donor, path), PD_FAILED);
        assert_non_null(strstr(pd_error_message(), path));
        pd_donor_free(&donor);
    }
}

/* The header of a VGG16 with convolutions up to that number, of which all have the same arrays, and
 * the first dense layer: free(). */
static char *make_vgg16(int last)
{
    static const int numbers[] = {0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28};
    char *header = NULL;
    size_t size;
    FILE *out = open_memstream(&header, &size);
    assert_non_null(out);
    fputc('{', out);
    for (int i = 0; i < 13 && numbers[i] <= last; i++)
        fprintf(out,
                "\"features.%d.weight\":{\"dtype\":\"F32\",\"shape\":[2,2,1,2],"
                "\"data_offsets\":[0,32]},"
                "\"features.%d.bias\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[32,40]},",
                numbers[i], numbers[i]);
    fputs("\"classifier.0.weight\":{\"dtype\":\"F32\",\"shape\":[1,4],\"data_offsets\":[40,56]},"
          "\"classifier.0.bias\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[56,60]}}",
          out);
    assert_int_equal(fclose(out), 0);
    return header;
}

/* Kernels become height, width, input, output; the first dense layer reads an image of two channels
 * and two pixels, channel by channel there. */
static void torchvision_layouts_are_turned(void **state)
{
    (void)state;
    const float bytes[] = {/* features.0.weight [2][2][1][2] */ 1,
                           2,
                           3,
                           4,
                           5,
                           6,
                           7,
                           8,
                           /* features.0.bias */ 9,
                           10,
                           /* classifier.0.weight [1][4] */ 11,
                           12,
                           13,
                           14,
                           /* classifier.0.bias */ 15};
    pd_donor donor = {.count = 0};
    char *header = make_vgg16(28);
    write_file(header, bytes, sizeof bytes);
    free(header);
    check(pd_donor_read_safetensors(&donor, path));
    const pd_array *kernel = get(&donor, "block1_conv1", "kernel");
    const pd_array *dense = get(&donor, "fc1", "kernel");
    assert_memory_equal(kernel->dims, ((const int[]){1, 2, 2, 2}), 4 * sizeof(int));
    assert_memory_equal(kernel->data, ((const float[]){1, 5, 3, 7, 2, 6, 4, 8}), 32);
    assert_memory_equal(dense->dims, ((const int[]){4, 1}), 2 * sizeof(int));
    assert_memory_equal(dense->data, ((const float[]){11, 13, 12, 14}), 16);
    assert_true(donor.scaled && donor.input.channels == 3);
    assert_true(fabsf(donor.input.means[0] - 123.675f) < 1e-4f);
    pd_donor_free(&donor);
}

static void other_models_of_torchvision_are_refused(void **state)
{
    (void)state;
    pd_donor donor = {.count = 0};
    char *header = make_vgg16(26);
    write_file(header, (const char[60]){0}, 60);
    free(header);
    assert_int_equal(pd_donor_read_safetensors(&donor, path), PD_FAILED);
    assert_non_null(strstr(pd_error_message(), "no 'features.28.weight', so it is not"));
    pd_donor_free(&donor);
}

static void add(pd_donor *donor, const char *layer)
{
    pd_array array = {.rank = 1, .dims = {1}, .data = calloc(1, sizeof(float))};
    check(pd_donor_add(donor, layer, "kernel", &array));
}

/* The layers of a series are renamed in the order of their numbers, if there are as many. */
static void numbered_layers_get_the_names_of_the_network(void **state)
{
    (void)state;
    pd_network *network;
    pd_donor donor = {.count = 0};
    const pd_layer_spec conv = {.units = 1, .kernel_h = 1, .kernel_w = 1};
    const pd_plan plan = {.lanes = 1, .lane_samples = 1, .total_lanes = 1, .threads = 1};
    static const char *const names[] = {"block1_conv1", "conv2d", "conv2d_1", "norm_1", "norm_2"};
    check(pd_network_create(&network, (pd_shape){2, 2, 1}));
    for (int i = 0; i < 5; i++)
        pd_network_add(network, "conv", names[i], i, conv);
    check(pd_network_plan(network, &plan, 0, false));
    add(&donor, "conv2d_10"); /* behind conv2d_9 */
    add(&donor, "conv2d_9");
    add(&donor, "block1_conv1");
    add(&donor, "norm_5"); /* one of two */
    check(pd_donor_renumber(&donor, network));
    assert_string_equal(donor.arrays[0].layer, "conv2d_1");
    assert_string_equal(donor.arrays[1].layer, "conv2d");
    assert_string_equal(donor.arrays[2].layer, "block1_conv1");
    assert_string_equal(donor.arrays[3].layer, "norm_5");
    pd_donor_free(&donor);
    pd_network_destroy(&network);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_of_all_types_are_read),
        cmocka_unit_test(damaged_headers_are_errors),
        cmocka_unit_test(torchvision_layouts_are_turned),
        cmocka_unit_test(other_models_of_torchvision_are_refused),
        cmocka_unit_test(numbered_layers_get_the_names_of_the_network),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
