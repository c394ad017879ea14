/* Files in Keras' layout as Keras itself writes them; test_checkpoint.c has this program's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "io/files.h"
#include "io/handles.h"
#include "io/hdf5_array.h"
#include "io/hdf5_attribute.h"
#include "io/keras.h"

static const char *const FOLDER = "io-keras";
static const char *const PATH = "io-keras/model.h5";

static const float values[6] = {1, 2, 3, 4, 5, 6};

static int setup(void **state)
{
    (void)state;
    fresh_folder(FOLDER);
    return 0;
}

/* Writes float [2][3] at `name`, whose groups must exist. */
static void put_array(const pd_hdf5 *file, hid_t group, const char *name)
{
    const hsize_t dims[2] = {2, 3};
    const pd_hdf5_shape shape = {H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, 2, dims};
    assert_int_equal(pd_hdf5_put_array(file, group, name, &shape, values), PD_OK);
}

/* Writes an empty list as h5py does. */
static void put_empty_list(hid_t group, const char *name)
{
    hid_t space = H5Screate_simple(1, (const hsize_t[]){0}, NULL);
    H5Aclose(H5Acreate2(group, name, H5T_IEEE_F64LE, space, H5P_DEFAULT, H5P_DEFAULT));
    H5Sclose(space);
}

/* Writes layer "conv" with two weights and layer "pool" with none into the group `root`, or / . */
static void write_model(const char *root, const char *scope, const char *const weights[2])
{
    static const char *const layers[2] = {"conv", "pool"};
    pd_hdf5 file;
    hid_t model, conv, pool;
    assert_int_equal(pd_hdf5_create(&file, PATH, PATH), PD_OK);
    if (root[0] == '\0')
        model = H5Gopen2(file.id, "/", H5P_DEFAULT);
    else
        assert_int_equal(pd_hdf5_put_group(&model, &file, file.id, root), PD_OK);
    assert_int_equal(pd_hdf5_put_texts(&file, model, "layer_names", layers, 2), PD_OK);
    assert_int_equal(pd_hdf5_put_group(&conv, &file, model, "conv"), PD_OK);
    assert_int_equal(pd_hdf5_put_group(&pool, &file, model, "pool"), PD_OK);
    assert_int_equal(pd_hdf5_put_texts(&file, conv, "weight_names", weights, 2), PD_OK);
    put_empty_list(pool, "weight_names");
    if (scope[0] != '\0')
        H5Gclose(H5Gcreate2(conv, scope, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    for (int i = 0; i < 2; i++)
        put_array(&file, conv, weights[i]);
    H5Gclose(pool);
    H5Gclose(conv);
    H5Gclose(model);
    pd_hdf5_close(&file.id);
}

/* Reads the model back; its weights must have these scopes and names. */
static void assert_model(const char *root, const char *scope, const char *first, const char *second)
{
    const char *const names[2] = {first, second};
    pd_hdf5 file;
    char **layers, group[64];
    int layer_count, count = 0;
    pd_array *arrays = NULL;
    assert_int_equal(pd_hdf5_open(&file, PATH, "use another file"), PD_OK);
    int64_t budget = file.size;
    assert_string_equal(pd_keras_root(&file), root);
    assert_int_equal(pd_keras_get_layers(&file, root, &layers, &layer_count), PD_OK);
    assert_int_equal(layer_count, 2);
    assert_string_equal(layers[0], "conv");
    assert_string_equal(layers[1], "pool");
    for (int i = 0; i < layer_count; i++) {
        snprintf(group, sizeof group, "%s/%s", root, layers[i]);
        assert_int_equal(pd_keras_get_weights(&file, group, &arrays, &count, &budget), PD_OK);
    }
    assert_int_equal(count, 2);
    for (int i = 0; i < count; i++) {
        assert_string_equal(arrays[i].layer, scope);
        assert_string_equal(arrays[i].weight, names[i]);
        assert_int_equal(arrays[i].rank, 2);
        assert_int_equal(arrays[i].dims[0], 2);
        assert_int_equal(arrays[i].dims[1], 3);
        assert_memory_equal(arrays[i].data, values, sizeof values);
    }
    assert_int_equal(budget, file.size - 2 * (int64_t)sizeof values);
    pd_array_free_all(arrays, count);
    free(layers);
    pd_hdf5_close(&file.id);
    assert_no_handles();
}

/* model.save: below /model_weights, the scope is the layer. */
static void test_below_model_weights(void **state)
{
    (void)state;
    write_model("model_weights", "conv", (const char *[]){"conv/kernel:0", "conv/bias:0"});
    assert_model("/model_weights", "conv", "kernel", "bias");
}

/* model.save_weights: at the root. */
static void test_at_the_root(void **state)
{
    (void)state;
    write_model("", "conv", (const char *[]){"conv/kernel:0", "conv/bias:0"});
    assert_model("", "conv", "kernel", "bias");
}

/* Keras 2.2 numbers the scope within the layer. */
static void test_scope_other_than_layer(void **state)
{
    (void)state;
    write_model("model_weights", "conv_1", (const char *[]){"conv_1/kernel:0", "conv_1/bias:0"});
    assert_model("/model_weights", "conv_1", "kernel", "bias");
}

/* Keras 3 nests scopes and omits the suffix. */
static void test_nested_scope_without_suffix(void **state)
{
    (void)state;
    pd_hdf5 file;
    write_model("", "sequential", (const char *[]){"sequential/a", "sequential/b"});
    assert_model("", "sequential", "a", "b");
    static const char *const names[1] = {"sequential/conv_2/kernel"};
    assert_int_equal(pd_hdf5_create(&file, PATH, PATH), PD_OK);
    hid_t group = H5Gopen2(file.id, "/", H5P_DEFAULT);
    H5Gclose(H5Gcreate2(group, "sequential", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    H5Gclose(H5Gcreate2(group, "sequential/conv_2", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    put_array(&file, group, names[0]);
    assert_int_equal(pd_hdf5_put_texts(&file, group, "weight_names", names, 1), PD_OK);
    H5Gclose(group);
    pd_hdf5_close(&file.id);

    pd_array *arrays = NULL;
    int count = 0;
    int64_t budget = sizeof values;
    assert_int_equal(pd_hdf5_open(&file, PATH, "use another file"), PD_OK);
    assert_int_equal(pd_keras_get_weights(&file, "/", &arrays, &count, &budget), PD_OK);
    assert_int_equal(count, 1);
    assert_string_equal(arrays[0].layer, "sequential/conv_2");
    assert_string_equal(arrays[0].weight, "kernel");
    assert_int_equal(budget, 0);
    /* Appends; the budget is spent. */
    assert_int_equal(pd_keras_get_weights(&file, "/", &arrays, &count, &budget), PD_FAILED);
    assert_message("model.h5: names more arrays than it holds; use another file");
    assert_int_equal(count, 2);
    pd_array_free_all(arrays, count);
    pd_hdf5_close(&file.id);
    assert_no_handles();
}

/* Keras 1 has no scopes. */
static void test_without_scope(void **state)
{
    (void)state;
    write_model("", "", (const char *[]){"conv_W:0", "conv_b:0"});
    assert_model("", "", "conv_W", "conv_b");
}

static void test_name_without_weight(void **state)
{
    (void)state;
    static const char *const names[1] = {"conv/:0"};
    pd_hdf5 file;
    pd_array *arrays = NULL;
    int count = 0;
    int64_t budget = 1000;
    assert_int_equal(pd_hdf5_create(&file, PATH, PATH), PD_OK);
    assert_int_equal(pd_hdf5_put_texts(&file, file.id, "weight_names", names, 1), PD_OK);
    pd_hdf5_close(&file.id);
    assert_int_equal(pd_hdf5_open(&file, PATH, "use another file"), PD_OK);
    assert_int_equal(pd_keras_get_weights(&file, "/", &arrays, &count, &budget), PD_FAILED);
    assert_message("'conv/:0' is not the name of a weight");
    pd_array_free_all(arrays, count);
    pd_hdf5_close(&file.id);
    assert_no_handles();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_below_model_weights, setup),
        cmocka_unit_test_setup(test_at_the_root, setup),
        cmocka_unit_test_setup(test_scope_other_than_layer, setup),
        cmocka_unit_test_setup(test_nested_scope_without_suffix, setup),
        cmocka_unit_test_setup(test_without_scope, setup),
        cmocka_unit_test_setup(test_name_without_weight, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
