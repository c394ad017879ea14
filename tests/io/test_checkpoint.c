#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pneumo/io/checkpoint.h"

#include "io/files.h"
#include "io/handles.h"

#include <math.h>
#include <time.h>

static const char *const FOLDER = "io-checkpoint";
static const char *const PATH = "io-checkpoint/last.h5";
static const char *const DAMAGED = "io-checkpoint/damaged.h5";

enum { WEIGHTS = 4, TRAINABLE = 3, LAYERS = 2 };

static float values[3][36];
static const char *layers[LAYERS] = {"block1_conv1", "dense"};
static pd_array weights[WEIGHTS] = {
    {"block1_conv1", "kernel", 4, {3, 3, 1, 4}, values[0]},
    {"block1_conv1", "bias", 1, {4}, values[1]},
    {"dense", "kernel", 2, {4, 1}, values[2]},
    {"dense", "bias", 1, {1}, values[1]},
};
static pd_history_row history[2];
static pd_identity identities[3] = {{{1}}, {{1, 2}}, {{255, 254, 253}}};
static pd_checkpoint made;

static int setup(void **state)
{
    (void)state;
    fresh_folder(FOLDER);
    for (int i = 0; i < 36; i++) {
        values[0][i] = (float)i / 8;
        values[1][i] = -1.5f * (float)i;
        values[2][i] = i == 1 ? NAN : 1e-30f * (float)i;
    }
    /* The padding after `epoch` differs, since it must not reach the file. */
    memset(&history[0], 0x55, sizeof history[0]);
    memset(&history[1], 0xaa, sizeof history[1]);
    for (int i = 0; i < 2; i++) {
        history[i].epoch = i + 1;
        history[i].learning_rate = 0.1;
        history[i].train_loss = 0.5 - i;
        history[i].val_loss = 0.25 * i;
        history[i].val_auc = 0.9;
        history[i].val_accuracy = 0.8;
        history[i].val_sensitivity = 0.7;
        history[i].val_specificity = i == 0 ? (double)NAN : 0.6;
        history[i].gradient_norm = 3.5;
        history[i].val_stress_auc = i == 0 ? 0.75 : (double)NAN;
    }
    made = (pd_checkpoint){
        .arrays.layer_count = LAYERS,
        .arrays.layers = layers,
        .arrays.weight_count = WEIGHTS,
        .arrays.weights = weights,
        .arrays.slot_count = 2,
        .arrays.slots = {{"momentum", TRAINABLE, weights}, {"average", WEIGHTS, weights}},
        .model_config = "{\"class_name\": \"Functional\"}",
        .has_input = true,
        .input = {.height = 224,
                  .width = 225,
                  .mean = 120.25f,
                  .deviation = 60.5f,
                  .scaling = PD_GREY_IMAGE,
                  .size = 112,
                  .channels = 3},
        .state.history_count = 2,
        .state.history = history,
        .state.epoch = 2,
        .state.step = 1234,
        .state.epoch_step = 17,
        .state.seed = UINT64_MAX - 1,
        .state.lanes = 8,
        .state.best_metric = 0.987,
        .state.best_epoch = 1,
        .state.patience_left = -3,
        .state.plateau_left = 4,
        .pixel_mean = 120.25,
        .pixel_deviation = 60.5,
        .image_height = 224,
        .image_width = 225,
        .job_name = "cnn-deep",
        .state.learning_scale = 0.5,
        .state.epoch_loss_sum = 1.25,
        .state.epoch_norm_sum = 2.75,
        .state.finished = true,
        .data_digest = "00112233445566778899aabbccddeeff",
        .model = "vgg16",
        .version = "1.2.3",
        .has_decision = true,
        .decision.threshold = 0.625,
        .decision.target_sensitivity = 0.95,
        .decision.rule = "least threshold with sensitivity of at least 0.95",
        .decision.fold = "VAL",
        .decision.temperature = 1.375,
        .decision.views = 6,
        .decision.refer_low = 0.125,
        .decision.refer_high = 0.875,
        .test_looks = 3,
        .has_profile = true,
        .profile = {.images = 3634},
        .site = {.source = "fold val of a data set",
                 .data_digest = "ffeeddccbbaa99887766554433221100",
                 .rule = "both",
                 .target_sensitivity = 0.9375,
                 .target_specificity = 0.875,
                 .normal = 2,
                 .pneumonia = 1,
                 .image_height = 224,
                 .image_width = 192,
                 .count = 3,
                 .images = identities},
        .job = "[train]\nepochs = 3 ; für drei\n",
    };
    for (int i = 0; i < PD_TRAITS; i++) {
        double low = i == PD_TRAIT_RATIO ? (double)NAN : i + 0.25;
        made.profile.ranges[i] = (pd_trait_range){low, i + 0.5, i + 0.125, i + 1.0 / 3};
    }
    for (int i = 0; i < PD_PROFILE_GRID * PD_PROFILE_GRID; i++)
        made.profile.mean[i] = (float)i / 3;
    return 0;
}

static void assert_arrays(const pd_array *found, int found_count, const pd_array *expected,
                          int count)
{
    assert_int_equal(found_count, count);
    for (int i = 0; i < count; i++) {
        size_t size = sizeof(float);
        assert_string_equal(found[i].layer, expected[i].layer);
        assert_string_equal(found[i].weight, expected[i].weight);
        assert_int_equal(found[i].rank, expected[i].rank);
        for (int d = 0; d < expected[i].rank; d++) {
            assert_int_equal(found[i].dims[d], expected[i].dims[d]);
            size *= (size_t)expected[i].dims[d];
        }
        assert_memory_equal(found[i].data, expected[i].data, size);
    }
}

static void assert_site(const pd_site *found, const pd_site *expected)
{
    assert_string_equal(found->source, expected->source);
    assert_string_equal(found->data_digest, expected->data_digest);
    assert_string_equal(found->rule, expected->rule);
    assert_true(found->target_sensitivity == expected->target_sensitivity);
    assert_true(found->target_specificity == expected->target_specificity);
    assert_int_equal(found->normal, expected->normal);
    assert_int_equal(found->pneumonia, expected->pneumonia);
    assert_int_equal(found->image_height, expected->image_height);
    assert_int_equal(found->image_width, expected->image_width);
    assert_int_equal(found->count, expected->count);
    assert_memory_equal(found->images, expected->images,
                        (size_t)expected->count * sizeof *found->images);
}

static void assert_content(const pd_checkpoint *found)
{
    assert_int_equal(found->arrays.layer_count, LAYERS);
    for (int i = 0; i < LAYERS; i++)
        assert_string_equal(found->arrays.layers[i], layers[i]);
    assert_arrays(found->arrays.weights, found->arrays.weight_count, weights, WEIGHTS);
    assert_int_equal(found->arrays.slot_count, 2);
    for (int i = 0; i < 2; i++) {
        assert_string_equal(found->arrays.slots[i].name, made.arrays.slots[i].name);
        assert_arrays(found->arrays.slots[i].arrays, found->arrays.slots[i].count,
                      made.arrays.slots[i].arrays, made.arrays.slots[i].count);
    }
    assert_string_equal(found->model_config, made.model_config);
    assert_true(found->has_input);
    assert_int_equal(found->input.height, made.input.height);
    assert_int_equal(found->input.width, made.input.width);
    assert_true(found->input.mean == made.input.mean);
    assert_true(found->input.deviation == made.input.deviation);
    assert_int_equal(found->input.scaling, made.input.scaling);
    assert_int_equal(found->input.size, made.input.size);
    assert_int_equal(found->input.channels, made.input.channels);
    assert_int_equal(found->state.history_count, 2);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(found->state.history[i].epoch, history[i].epoch);
        assert_memory_equal(&found->state.history[i].learning_rate, &history[i].learning_rate,
                            sizeof history[i] - offsetof(pd_history_row, learning_rate));
    }
    assert_int_equal(found->state.epoch, made.state.epoch);
    assert_int_equal(found->state.step, made.state.step);
    assert_int_equal(found->state.epoch_step, made.state.epoch_step);
    assert_true(found->state.seed == made.state.seed);
    assert_int_equal(found->state.lanes, made.state.lanes);
    assert_true(found->state.best_metric == made.state.best_metric);
    assert_int_equal(found->state.best_epoch, made.state.best_epoch);
    assert_int_equal(found->state.patience_left, made.state.patience_left);
    assert_int_equal(found->state.plateau_left, made.state.plateau_left);
    assert_true(found->pixel_mean == made.pixel_mean);
    assert_true(found->pixel_deviation == made.pixel_deviation);
    assert_int_equal(found->image_height, made.image_height);
    assert_int_equal(found->image_width, made.image_width);
    assert_string_equal(found->job_name, made.job_name);
    assert_true(found->state.learning_scale == made.state.learning_scale);
    assert_true(found->state.epoch_loss_sum == made.state.epoch_loss_sum);
    assert_true(found->state.epoch_norm_sum == made.state.epoch_norm_sum);
    assert_int_equal(found->state.finished, made.state.finished);
    assert_string_equal(found->data_digest, made.data_digest);
    assert_string_equal(found->model, made.model);
    assert_string_equal(found->version, made.version);
    assert_int_equal(found->has_decision, made.has_decision);
    assert_true(found->decision.threshold == made.decision.threshold);
    assert_true(found->decision.target_sensitivity == made.decision.target_sensitivity);
    assert_string_equal(found->decision.rule, made.decision.rule);
    assert_string_equal(found->decision.fold, made.decision.fold);
    assert_true(found->decision.temperature == made.decision.temperature);
    assert_int_equal(found->decision.views, made.decision.views);
    assert_true(found->decision.refer_low == made.decision.refer_low);
    assert_true(found->decision.refer_high == made.decision.refer_high);
    assert_int_equal(found->test_looks, made.test_looks);
    assert_int_equal(found->has_profile, made.has_profile);
    assert_int_equal(found->profile.images, made.profile.images);
    assert_memory_equal(found->profile.ranges, made.profile.ranges, sizeof made.profile.ranges);
    assert_memory_equal(found->profile.mean, made.profile.mean, sizeof made.profile.mean);
    assert_site(&found->site, &made.site);
    assert_string_equal(found->job, made.job);
}

static void test_round_trip(void **state)
{
    (void)state;
    pd_checkpoint *found;
    bool is = false;
    assert_int_equal(pd_checkpoint_save(PATH, &made), PD_OK);
    assert_int_equal(count_files(FOLDER), 1);
    assert_int_equal(pd_checkpoint_recognise(&is, PATH), PD_OK);
    assert_true(is);
    assert_int_equal(pd_checkpoint_load(&found, PATH), PD_OK);
    assert_content(found);
    const pd_array *bias =
        pd_array_find(found->arrays.weights, found->arrays.weight_count, "dense", "bias");
    assert_ptr_equal(bias, &found->arrays.weights[3]);
    assert_null(pd_array_find(found->arrays.weights, found->arrays.weight_count, "dense", "gamma"));
    pd_checkpoint_destroy(&found);
    assert_null(found);
    pd_checkpoint_destroy(&found);
    assert_no_handles();
}

static void test_round_trip_of_empty(void **state)
{
    (void)state;
    pd_checkpoint *found;
    pd_checkpoint empty = {.state.best_metric = (double)NAN};
    assert_int_equal(pd_checkpoint_save(PATH, &empty), PD_OK);
    assert_int_equal(pd_checkpoint_load(&found, PATH), PD_OK);
    assert_null(found->model_config);
    assert_false(found->has_input);
    assert_int_equal(found->arrays.layer_count, 0);
    assert_int_equal(found->arrays.weight_count, 0);
    assert_int_equal(found->arrays.slot_count, 0);
    assert_int_equal(found->state.history_count, 0);
    assert_true(isnan(found->state.best_metric));
    assert_false(found->state.finished);
    assert_false(found->has_decision);
    assert_false(found->has_profile);
    assert_int_equal(found->site.count, 0);
    assert_null(found->site.images);
    assert_string_equal(found->model, "");
    assert_string_equal(found->job, "");
    pd_checkpoint_destroy(&found);
}

/* An inconsistent calibration is refused. */
static void test_wrong_calibration(void **state)
{
    (void)state;
    pd_checkpoint *found;
    pd_checkpoint wrong = made;
    wrong.site.normal = 3;
    assert_int_equal(pd_checkpoint_save(PATH, &wrong), PD_OK);
    assert_int_equal(pd_checkpoint_load(&found, PATH), PD_FAILED);
    assert_message("'/calibration' has a wrong number of images");
    pd_identity unsorted[3] = {identities[1], identities[0], identities[2]};
    wrong = made;
    wrong.site.images = unsorted;
    assert_int_equal(pd_checkpoint_save(PATH, &wrong), PD_OK);
    assert_int_equal(pd_checkpoint_load(&found, PATH), PD_FAILED);
    assert_message("'/calibration/images' is not in ascending order");
    assert_no_handles();
}

/* Arrays of several chunks, more weights than fit in a group's header, a job over 64 KiB. */
static void test_round_trip_of_many_layers(void **state)
{
    (void)state;
    enum { MANY = 60, ROWS = 900, COLUMNS = 701, JOB = 100000 };
    pd_checkpoint *found;
    static char names[MANY][16];
    static pd_array many[MANY];
    const char *many_layers[MANY];
    float *data = malloc(sizeof(float) * ROWS * COLUMNS);
    char *job = malloc(JOB + 1);
    for (int i = 0; i < ROWS * COLUMNS; i++)
        data[i] = (float)i;
    memset(job, 'j', JOB);
    job[JOB] = '\0';
    for (int i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof names[i], "layer%d", i);
        many_layers[i] = names[i];
        many[i] = (pd_array){names[i], "kernel", 1, {3}, data};
    }
    many[7] = (pd_array){names[7], "kernel", 2, {ROWS, COLUMNS}, data};
    many[8] = (pd_array){names[8], "kernel", 4, {3, 3, 5, 10007}, data};
    pd_checkpoint much = {.arrays.layer_count = MANY,
                          .arrays.layers = many_layers,
                          .arrays.weight_count = MANY,
                          .arrays.weights = many,
                          .arrays.slot_count = 1,
                          .arrays.slots = {{"mean", MANY, many}},
                          .job = job};
    assert_int_equal(pd_checkpoint_save(PATH, &much), PD_OK);
    assert_int_equal(pd_checkpoint_save("io-checkpoint/again.h5", &much), PD_OK);
    assert_same_file(PATH, "io-checkpoint/again.h5");
    assert_int_equal(pd_checkpoint_load(&found, PATH), PD_OK);
    assert_arrays(found->arrays.weights, found->arrays.weight_count, many, MANY);
    assert_arrays(found->arrays.slots[0].arrays, found->arrays.slots[0].count, many, MANY);
    assert_string_equal(found->job, job);
    pd_checkpoint_destroy(&found);
    free(data);
    free(job);
}

/* History rows of version 0.1 lack the last member, which is then NAN. */
static void test_former_history(void **state)
{
    (void)state;
    pd_checkpoint *loaded;
    unlink(PATH);
    assert_int_equal(pd_checkpoint_save(PATH, &made), PD_OK);
    hid_t file = H5Fopen(PATH, H5F_ACC_RDWR, H5P_DEFAULT);
    hid_t array = H5Dopen2(file, "history", H5P_DEFAULT), type = H5Dget_type(array);
    hid_t space = H5Dget_space(array), former = H5Tcreate(H5T_COMPOUND, H5Tget_size(type) - 8);
    int members = H5Tget_nmembers(type);
    for (int i = 0; i < members - 1; i++) {
        char *name = H5Tget_member_name(type, (unsigned)i);
        hid_t member = H5Tget_member_type(type, (unsigned)i);
        H5Tinsert(former, name, H5Tget_member_offset(type, (unsigned)i), member);
        H5Tclose(member);
        H5free_memory(name);
    }
    char rows[2][128];
    assert_true(H5Tget_size(type) <= sizeof rows[0]);
    assert_true(H5Dread(array, former, H5S_ALL, H5S_ALL, H5P_DEFAULT, rows) >= 0);
    H5Dclose(array);
    H5Ldelete(file, "history", H5P_DEFAULT);
    array = H5Dcreate2(file, "history", former, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(H5Dwrite(array, former, H5S_ALL, H5S_ALL, H5P_DEFAULT, rows) >= 0);
    H5Dclose(array);
    H5Sclose(space);
    H5Tclose(type);
    H5Tclose(former);
    H5Fclose(file);
    if (pd_checkpoint_load(&loaded, PATH) != PD_OK)
        fail_msg("%s", pd_error_message());
    assert_int_equal(loaded->state.history_count, 2);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(loaded->state.history[i].epoch, i + 1);
        assert_float_equal(loaded->state.history[i].gradient_norm, 3.5, 0);
        assert_true(isnan(loaded->state.history[i].val_stress_auc));
    }
    pd_checkpoint_destroy(&loaded);
}

static void test_same_bytes_a_second_later(void **state)
{
    (void)state;
    assert_int_equal(pd_checkpoint_save(PATH, &made), PD_OK);
    nanosleep(&(struct timespec){.tv_sec = 1, .tv_nsec = 100000000}, NULL);
    /* Padding in a history row is not content. */
    ((unsigned char *)history)[sizeof(int32_t)] ^= 0xff;
    assert_int_equal(pd_checkpoint_save("io-checkpoint/best.h5", &made), PD_OK);
    assert_same_file(PATH, "io-checkpoint/best.h5");
}

static void test_loaded_saves_the_same(void **state)
{
    (void)state;
    pd_checkpoint *found;
    assert_int_equal(pd_checkpoint_save(PATH, &made), PD_OK);
    assert_int_equal(pd_checkpoint_load(&found, PATH), PD_OK);
    assert_int_equal(pd_checkpoint_save("io-checkpoint/best.h5", found), PD_OK);
    pd_checkpoint_destroy(&found);
    assert_same_file(PATH, "io-checkpoint/best.h5");
}

static void test_read_by_h5py(void **state)
{
    (void)state;
    assert_int_equal(pd_checkpoint_save(PATH, &made), PD_OK);
    read_by_h5py("checkpoint", PATH);
}

/* Returns whether the file loads; checks the content, or the message. */
static bool survives(const char *path)
{
    pd_checkpoint *found;
    pd_status status = pd_checkpoint_load(&found, path);
    if (status == PD_OK) {
        assert_content(found);
    } else {
        assert_null(found);
        assert_int_equal(strncmp(pd_error_message(), path, strlen(path)), 0);
    }
    pd_checkpoint_destroy(&found);
    assert_no_handles();
    return status == PD_OK;
}

static void test_cut_short_anywhere(void **state)
{
    (void)state;
    assert_int_equal(pd_checkpoint_save(PATH, &made), PD_OK);
    bytes whole = slurp(PATH);
    for (size_t size = 0; size < whole.size; size += 1 + whole.size / 200) {
        spill(DAMAGED, whole.data, size);
        assert_false(survives(DAMAGED));
    }
    spill(DAMAGED, whole.data, whole.size - 1);
    assert_false(survives(DAMAGED));
    assert_message("is damaged or cut short; use another checkpoint");
    free(whole.data);
}

static void test_flipped_bytes_are_detected(void **state)
{
    (void)state;
    assert_int_equal(pd_checkpoint_save(PATH, &made), PD_OK);
    bytes whole = slurp(PATH);
    int detected = 0;
    for (size_t at = 0; at < whole.size; at += 1 + whole.size / 400) {
        whole.data[at] ^= 0x10;
        spill(DAMAGED, whole.data, whole.size);
        whole.data[at] ^= 0x10;
        detected += !survives(DAMAGED);
    }
    /* The others are in unused bytes. */
    assert_true(detected > 50);
    free(whole.data);
}

static void test_damaged_weight_is_named(void **state)
{
    (void)state;
    pd_checkpoint *found;
    assert_int_equal(pd_checkpoint_save(PATH, &made), PD_OK);
    bytes whole = slurp(PATH);
    unsigned char *at = memmem(whole.data, whole.size, values[0], sizeof values[0]);
    assert_non_null(at);
    at[50] ^= 1;
    spill(DAMAGED, whole.data, whole.size);
    free(whole.data);
    assert_int_equal(pd_checkpoint_load(&found, DAMAGED), PD_FAILED);
    assert_message("array '/model_weights/block1_conv1/block1_conv1/kernel:0' is damaged");
}

static void put_texts(hid_t file, const char *group, const char *name, hsize_t count,
                      const char *text)
{
    hid_t object = H5Oopen(file, group, H5P_DEFAULT), type = H5Tcopy(H5T_C_S1);
    hid_t space = H5Screate_simple(1, &count, NULL);
    size_t width = strlen(text) / (size_t)count;
    H5Tset_size(type, width);
    H5Tset_strpad(type, H5T_STR_NULLPAD);
    H5Adelete(object, name);
    hid_t attribute = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(H5Awrite(attribute, type, text) >= 0);
    H5Aclose(attribute);
    H5Sclose(space);
    H5Tclose(type);
    H5Oclose(object);
}
static void other_version(hid_t file)
{
    hid_t attribute = H5Aopen(file, "format_version", H5P_DEFAULT);
    H5Awrite(attribute, H5T_NATIVE_INT64, &(int64_t){9});
    H5Aclose(attribute);
}
static void negative_step(hid_t file)
{
    hid_t group = H5Gopen2(file, "state", H5P_DEFAULT);
    hid_t attribute = H5Aopen(group, "step", H5P_DEFAULT);
    assert_true(H5Awrite(attribute, H5T_NATIVE_INT64, &(int64_t){-1}) >= 0);
    H5Aclose(attribute);
    H5Gclose(group);
}
static void no_state(hid_t file)
{
    H5Ldelete(file, "state", H5P_DEFAULT);
}
static void put_input_text(hid_t file, const char *name, const char *text)
{
    hid_t group = H5Gopen2(file, "input", H5P_DEFAULT), type = H5Tcopy(H5T_C_S1);
    hid_t space = H5Screate(H5S_SCALAR);
    H5Tset_size(type, strlen(text));
    H5Adelete(group, name);
    hid_t attribute = H5Acreate2(group, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(H5Awrite(attribute, type, text) >= 0);
    H5Aclose(attribute);
    H5Sclose(space);
    H5Tclose(type);
    H5Gclose(group);
}
static void unknown_scaling(hid_t file)
{
    put_input_text(file, "scaling", "log");
}
static void unknown_resizing(hid_t file)
{
    put_input_text(file, "resizing", "nearest");
}
static void text_for_size(hid_t file)
{
    put_input_text(file, "size", "112");
}
static void channels_below_one(hid_t file)
{
    hid_t group = H5Gopen2(file, "input", H5P_DEFAULT);
    hid_t attribute = H5Aopen(group, "channels", H5P_DEFAULT);
    assert_true(H5Awrite(attribute, H5T_NATIVE_INT64, &(int64_t){0}) >= 0);
    H5Aclose(attribute);
    H5Gclose(group);
}
static void model_config_of_variable_length(hid_t file)
{
    const char *text = "{}";
    hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate(H5S_SCALAR);
    H5Tset_size(type, H5T_VARIABLE);
    H5Adelete(file, "model_config");
    hid_t attribute = H5Acreate2(file, "model_config", type, space, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(H5Awrite(attribute, type, &text) >= 0);
    H5Aclose(attribute);
    H5Sclose(space);
    H5Tclose(type);
}
static void no_job(hid_t file)
{
    H5Ldelete(file, "job", H5P_DEFAULT);
}
static void no_weight(hid_t file)
{
    H5Ldelete(file, "model_weights/dense/dense/bias:0", H5P_DEFAULT);
}
static void group_for_weight(hid_t file)
{
    no_weight(file);
    H5Gclose(H5Gcreate2(file, "model_weights/dense/dense/bias:0", H5P_DEFAULT, H5P_DEFAULT,
                        H5P_DEFAULT));
}
static void weight_of_doubles(hid_t file)
{
    no_weight(file);
    hsize_t dims[1] = {1};
    hid_t space = H5Screate_simple(1, dims, NULL);
    hid_t array = H5Dcreate2(file, "model_weights/dense/dense/bias:0", H5T_NATIVE_DOUBLE, space,
                             H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    H5Dwrite(array, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, history);
    H5Dclose(array);
    H5Sclose(space);
}
static void weight_of_five_dimensions(hid_t file)
{
    no_weight(file);
    hsize_t dims[5] = {1, 1, 1, 1, 1};
    hid_t space = H5Screate_simple(5, dims, NULL);
    H5Dclose(H5Dcreate2(file, "model_weights/dense/dense/bias:0", H5T_IEEE_F32LE, space,
                        H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    H5Sclose(space);
}
static void enormous_weight(hid_t file)
{
    no_weight(file);
    hsize_t dims[4] = {1u << 31, 1u << 31, 1u << 31, 1};
    hsize_t chunk[4] = {1, 1, 1, 1};
    hid_t space = H5Screate_simple(2, dims, NULL), creation = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_chunk(creation, 2, chunk);
    H5Dclose(H5Dcreate2(file, "model_weights/dense/dense/bias:0", H5T_IEEE_F32LE, space,
                        H5P_DEFAULT, creation, H5P_DEFAULT));
    H5Pclose(creation);
    H5Sclose(space);
}
static void compressed_weight(hid_t file)
{
    no_weight(file);
    hsize_t dims[1] = {1000}, chunk[1] = {1000};
    hid_t space = H5Screate_simple(1, dims, NULL), creation = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_chunk(creation, 1, chunk);
    H5Pset_deflate(creation, 9);
    hid_t array = H5Dcreate2(file, "model_weights/dense/dense/bias:0", H5T_IEEE_F32LE, space,
                             H5P_DEFAULT, creation, H5P_DEFAULT);
    float zeros[1000] = {0};
    H5Dwrite(array, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, zeros);
    H5Dclose(array);
    H5Pclose(creation);
    H5Sclose(space);
}
static void weight_without_layer(hid_t file)
{
    H5Lmove(file, "model_weights/dense/dense/kernel:0", file, "model_weights/dense/kernel:0",
            H5P_DEFAULT, H5P_DEFAULT);
    put_texts(file, "model_weights/dense", "weight_names", 1, "kernel:0");
}
static void weight_of_another_layer(hid_t file)
{
    H5Gclose(H5Gcreate2(file, "model_weights/dense/flat", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    H5Lmove(file, "model_weights/dense/dense/bias:0", file, "model_weights/dense/flat/bias:0",
            H5P_DEFAULT, H5P_DEFAULT);
    put_texts(file, "model_weights/dense", "weight_names", 1, "flat/bias:0");
}
static void one_weight_many_times(hid_t file)
{
    enum { TIMES = 1000, LENGTH = 21 };
    char *names = malloc(TIMES * LENGTH + 1);
    for (int i = 0; i < TIMES; i++)
        memcpy(names + i * LENGTH, "block1_conv1/kernel:0", LENGTH + 1);
    put_texts(file, "model_weights/block1_conv1", "weight_names", TIMES, names);
    free(names);
}
static void missing_layer(hid_t file)
{
    put_texts(file, "model_weights", "layer_names", 2, "dens2dens3");
}
static void six_slots(hid_t file)
{
    put_texts(file, "optimizer", "slot_names", 6, "abcdef");
}
static void limit_that_is_nan(hid_t file)
{
    hid_t group = H5Gopen2(file, "profile", H5P_DEFAULT);
    hid_t attribute = H5Aopen(group, "sharpness_most", H5P_DEFAULT);
    assert_true(H5Awrite(attribute, H5T_NATIVE_DOUBLE, &(double){NAN}) >= 0);
    H5Aclose(attribute);
    H5Gclose(group);
}
static void profile_without_a_trait(hid_t file)
{
    hid_t group = H5Gopen2(file, "profile", H5P_DEFAULT);
    H5Adelete(group, "ratio_low");
    H5Gclose(group);
}
static void put_mean_image(hid_t file, hsize_t width, float grey)
{
    enum { CELLS = PD_PROFILE_GRID * PD_PROFILE_GRID };
    hsize_t dims[2] = {CELLS / width, width};
    float cells[CELLS] = {0};
    cells[CELLS - 1] = grey;
    H5Ldelete(file, "profile/mean_image", H5P_DEFAULT);
    hid_t space = H5Screate_simple(2, dims, NULL);
    hid_t array = H5Dcreate2(file, "profile/mean_image", H5T_IEEE_F32LE, space, H5P_DEFAULT,
                             H5P_DEFAULT, H5P_DEFAULT);
    H5Dwrite(array, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, cells);
    H5Dclose(array);
    H5Sclose(space);
}
static void wide_mean_image(hid_t file)
{
    put_mean_image(file, 2 * PD_PROFILE_GRID, 0);
}
static void bright_mean_image(hid_t file)
{
    put_mean_image(file, PD_PROFILE_GRID, 256);
}
static void put_number(hid_t file, const char *group, const char *name, hid_t type, double value)
{
    hid_t object = H5Oopen(file, group, H5P_DEFAULT), space = H5Screate(H5S_SCALAR);
    H5Adelete(object, name);
    hid_t attribute = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(H5Awrite(attribute, H5T_NATIVE_DOUBLE, &value) >= 0);
    H5Aclose(attribute);
    H5Sclose(space);
    H5Oclose(object);
}
static void threshold_above_one(hid_t file)
{
    put_number(file, "decision", "threshold", H5T_NATIVE_DOUBLE, 1.5);
}
static void threshold_that_is_nan(hid_t file)
{
    put_number(file, "decision", "threshold", H5T_NATIVE_DOUBLE, (double)NAN);
}
static void band_above_threshold(hid_t file)
{
    put_number(file, "decision", "refer_low", H5T_NATIVE_DOUBLE, 0.75);
}
static void band_without_end(hid_t file)
{
    put_number(file, "decision", "refer_high", H5T_NATIVE_DOUBLE, (double)INFINITY);
}
static void target_below_zero(hid_t file)
{
    put_number(file, "decision", "target_sensitivity", H5T_NATIVE_DOUBLE, -0.5);
}
static void no_temperature(hid_t file)
{
    put_number(file, "decision", "temperature", H5T_NATIVE_DOUBLE, 0);
}
static void no_views(hid_t file)
{
    put_number(file, "decision", "views", H5T_NATIVE_INT64, 0);
}
static void negative_looks(hid_t file)
{
    put_number(file, "decision", "test_looks", H5T_NATIVE_INT64, -1);
}
/* HDF5 reads the nearest number that fits. */
static void views_of_33_bits(hid_t file)
{
    put_number(file, "decision", "views", H5T_NATIVE_INT64, 4294967298.0);
}
static void negative_seed(hid_t file)
{
    put_number(file, "state", "seed", H5T_NATIVE_INT64, -1);
}
static void epoch_of_64_bits(hid_t file)
{
    put_number(file, "state", "epoch", H5T_STD_U64LE, 9.5e18);
}
static void best_epoch_to_come(hid_t file)
{
    put_number(file, "state", "best_epoch", H5T_NATIVE_INT64, 3);
}
static void mean_without_end(hid_t file)
{
    put_number(file, "state", "pixel_mean", H5T_NATIVE_DOUBLE, (double)INFINITY);
}
static void no_deviation(hid_t file)
{
    put_input_text(file, "scaling", "fold");
    put_number(file, "input", "deviation", H5T_NATIVE_DOUBLE, 0);
}
/* As a float it is 0. */
static void deviation_below_floats(hid_t file)
{
    put_input_text(file, "scaling", "fixed");
    for (int i = 1; i <= 3; i++) {
        char name[16];
        snprintf(name, sizeof name, "mean_%d", i);
        put_number(file, "input", name, H5T_NATIVE_DOUBLE, 0);
        snprintf(name, sizeof name, "deviation_%d", i);
        put_number(file, "input", name, H5T_NATIVE_DOUBLE, 1e-300);
    }
}
static void history_of_numbers(hid_t file)
{
    hsize_t dims[1] = {3};
    H5Ldelete(file, "history", H5P_DEFAULT);
    hid_t space = H5Screate_simple(1, dims, NULL);
    hid_t array = H5Dcreate2(file, "history", H5T_NATIVE_DOUBLE, space, H5P_DEFAULT, H5P_DEFAULT,
                             H5P_DEFAULT);
    H5Dwrite(array, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, history);
    H5Dclose(array);
    H5Sclose(space);
}

static void test_wrong_content(void **state)
{
    (void)state;
    static const struct {
        void (*change)(hid_t);
        const char *part;
    } cases[] = {
        {other_version, "has format version 9, but this program reads 1; use"},
        {negative_step, "its epoch, step or lanes are negative"},
        {no_state, "of '/state' is missing"},
        {unknown_scaling, "'/input/scaling' is 'log', which is unknown"},
        {unknown_resizing, "'/input/resizing' is 'nearest', which is unknown"},
        {text_for_size, "attribute 'size' of '/input' has the wrong type"},
        {channels_below_one, "'/input/channels' is 0, not a positive number"},
        {model_config_of_variable_length, "attribute 'model_config' of '/' is not a text"},
        {no_job, "array '/job' is missing"},
        {no_weight, "'/model_weights/dense/dense/bias:0' is missing"},
        {group_for_weight, "'/model_weights/dense/dense/bias:0' is missing"},
        {weight_of_doubles, "'/model_weights/dense/dense/bias:0' has the wrong type"},
        {weight_of_five_dimensions, "'/model_weights/dense/dense/bias:0' has the wrong shape"},
        {enormous_weight, "'/model_weights/dense/dense/bias:0' is incomplete"},
        {compressed_weight, "'/model_weights/dense/dense/bias:0' is compressed, which is not "
                            "supported; save it without compression (h5repack -f NONE)"},
        {weight_without_layer, "'/model_weights/dense' lists weight 'kernel' of layer ''"},
        {weight_of_another_layer, "'/model_weights/dense' lists weight 'bias' of layer 'flat'"},
        {one_weight_many_times, "names more arrays than it holds"},
        {missing_layer, "attribute 'weight_names' of '/model_weights/dens2' is missing"},
        {six_slots, "has 6 optimiser slots, more than 5"},
        {limit_that_is_nan, "'/profile' has invalid limits for 'sharpness'"},
        {profile_without_a_trait, "'ratio_low' of '/profile' is missing"},
        {wide_mean_image, "'/profile/mean_image' has the wrong shape"},
        {bright_mean_image, "'/profile/mean_image' contains 256, which is not a grey value"},
        {history_of_numbers, "array '/history' has the wrong type"},
        {threshold_above_one, "'/decision/threshold' is 1.5, which is not a probability; use"},
        {threshold_that_is_nan, "'/decision/threshold' is nan, which is not a probability; use"},
        {band_above_threshold, "'/decision' has a band of doubt from 0.75 to 0.875"},
        {band_without_end, "'/decision' has a band of doubt from 0.125 to inf"},
        {target_below_zero, "'/decision/target_sensitivity' is -0.5, not from 0 to 1"},
        {no_temperature, "'/decision/temperature' is 0, which is not a positive number"},
        {no_views, "'/decision' has 0 views"},
        {negative_looks, "-1 evaluations of the test fold"},
        {views_of_33_bits, "attribute 'views' of '/decision' is out of range"},
        {negative_seed, "attribute 'seed' of '/state' is out of range"},
        {epoch_of_64_bits, "attribute 'epoch' of '/state' is out of range"},
        {best_epoch_to_come, "its best epoch is 3, but it has 2 epochs"},
        {mean_without_end, "its pixel mean or deviation is not finite"},
        {no_deviation, "'/input' has an impossible scaling: (grey - 120.25) / 0"},
        {deviation_below_floats, "'/input' has an impossible scaling: (grey - 0) / 0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pd_checkpoint *found;
        assert_int_equal(pd_checkpoint_save(DAMAGED, &made), PD_OK);
        hid_t file = H5Fopen(DAMAGED, H5F_ACC_RDWR, H5P_DEFAULT);
        assert_true(file >= 0);
        cases[i].change(file);
        assert_true(H5Fclose(file) >= 0);
        assert_int_equal(pd_checkpoint_load(&found, DAMAGED), PD_FAILED);
        assert_no_handles();
        assert_null(found);
        assert_message(cases[i].part);
        assert_message("io-checkpoint/damaged.h5: ");
    }
}

/* Above 64 KiB HDF5 stores an attribute in another way. */
static void test_long_model_config(void **state)
{
    (void)state;
    enum { LENGTH = 200000 };
    pd_checkpoint *found;
    pd_checkpoint large = made;
    char *text = malloc(LENGTH + 1);
    assert_non_null(text);
    for (int i = 0; i < LENGTH; i++)
        text[i] = (char)('a' + i % 26);
    text[LENGTH] = '\0';
    large.model_config = text;
    assert_int_equal(pd_checkpoint_save(PATH, &large), PD_OK);
    assert_int_equal(pd_checkpoint_load(&found, PATH), PD_OK);
    assert_string_equal(found->model_config, text);
    assert_int_equal(pd_checkpoint_save(DAMAGED, found), PD_OK);
    assert_same_file(PATH, DAMAGED);
    pd_checkpoint_destroy(&found);
    free(text);
    assert_no_handles();
}

static void test_not_a_checkpoint(void **state)
{
    (void)state;
    pd_checkpoint *found;
    bool is = true;
    assert_int_equal(pd_checkpoint_load(&found, "io-checkpoint/none.h5"), PD_FAILED);
    assert_message("none.h5: cannot open: No such file or directory");
    spill(DAMAGED, (const unsigned char *)"epoch,loss\n1,0.5\n", 17);
    assert_int_equal(pd_checkpoint_load(&found, DAMAGED), PD_FAILED);
    assert_message("damaged.h5: is not an HDF5 file; use another checkpoint");
    assert_int_equal(pd_checkpoint_recognise(&is, DAMAGED), PD_FAILED);
    assert_false(is);
    H5Fclose(H5Fcreate(DAMAGED, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT));
    assert_int_equal(pd_checkpoint_load(&found, DAMAGED), PD_FAILED);
    assert_message("is an HDF5 file, but not a pneumo-dist checkpoint");
    assert_int_equal(pd_checkpoint_recognise(&is, DAMAGED), PD_OK);
    assert_false(is);
}

static void test_full_disk_changes_nothing(void **state)
{
    (void)state;
    pd_checkpoint other = made;
    other.state.step++;
    assert_int_equal(pd_checkpoint_save(PATH, &made), PD_OK);
    bytes old = slurp(PATH);
    for (size_t size = 100; size < old.size; size += 1 + old.size / 20) {
        limit_files(size);
        assert_int_equal(pd_checkpoint_save(PATH, &other), PD_FAILED);
        limit_files(0);
        assert_message("io-checkpoint/last.h5: cannot write: File too large");
        assert_int_equal(count_files(FOLDER), 1);
    }
    free(old.data);
    assert_true(survives(PATH));
}

static void test_save_invalid(void **state)
{
    (void)state;
    pd_array slashed = {"dense", "a/b", 1, {1}, values[0]};
    pd_array flat = {"dense", "bias", 0, {1}, values[0]};
    spill("io-checkpoint/f", (const unsigned char *)"x", 1);
    assert_int_equal(pd_checkpoint_save("io-checkpoint/f/last.h5", &made), PD_FAILED);
    assert_message("io-checkpoint/f/last.h5: cannot write: Not a directory");
    made.arrays.weight_count = 1;
    made.arrays.weights = &slashed;
    assert_int_equal(pd_checkpoint_save(PATH, &made), PD_FAILED);
    assert_message("'a/b' is not a valid name of a layer or weight");
    made.arrays.weights = &flat;
    assert_int_equal(pd_checkpoint_save(PATH, &made), PD_FAILED);
    assert_message("weight 'bias' of layer 'dense' has 0 dimensions");
    assert_int_equal(count_files(FOLDER), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_round_trip, setup),
        cmocka_unit_test_setup(test_round_trip_of_empty, setup),
        cmocka_unit_test_setup(test_wrong_calibration, setup),
        cmocka_unit_test_setup(test_round_trip_of_many_layers, setup),
        cmocka_unit_test_setup(test_former_history, setup),
        cmocka_unit_test_setup(test_same_bytes_a_second_later, setup),
        cmocka_unit_test_setup(test_loaded_saves_the_same, setup),
        cmocka_unit_test_setup(test_read_by_h5py, setup),
        cmocka_unit_test_setup(test_cut_short_anywhere, setup),
        cmocka_unit_test_setup(test_flipped_bytes_are_detected, setup),
        cmocka_unit_test_setup(test_damaged_weight_is_named, setup),
        cmocka_unit_test_setup(test_wrong_content, setup),
        cmocka_unit_test_setup(test_long_model_config, setup),
        cmocka_unit_test_setup(test_not_a_checkpoint, setup),
        cmocka_unit_test_setup(test_full_disk_changes_nothing, setup),
        cmocka_unit_test_setup(test_save_invalid, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
