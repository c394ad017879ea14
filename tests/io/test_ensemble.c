/* The ensemble file: round trips, damaged files give messages of one line, a checkpoint is an
 * ensemble of one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pneumo/io/ensemble.h"

#include "io/files.h"
#include "io/handles.h"

#include <math.h>
#include <time.h>

static const char *const FOLDER = "io-ensemble";
static const char *const PATH = "io-ensemble/average.h5";
static const char *const OTHER = "io-ensemble/other.h5";

enum { MEMBERS = 3, SIDE = 3, CHANNELS = 16, FLOATS = SIDE * SIDE * CHANNELS * CHANNELS };

static float values[MEMBERS][FLOATS];
static const char *layers[] = {"block1_conv1"};
static pd_array weights[MEMBERS];
static pd_history_row history[1];
static pd_checkpoint members[MEMBERS];
static pd_ensemble made;

static int setup(void **state)
{
    (void)state;
    fresh_folder(FOLDER);
    made = (pd_ensemble){.count = MEMBERS};
    for (int m = 0; m < MEMBERS; m++) {
        for (int i = 0; i < FLOATS; i++)
            values[m][i] = (float)(i + 100 * m) / 8;
        weights[m] =
            (pd_array){"block1_conv1", "kernel", 4, {SIDE, SIDE, CHANNELS, CHANNELS}, values[m]};
        members[m] = (pd_checkpoint){
            .arrays.layer_count = 1,
            .arrays.layers = layers,
            .arrays.weight_count = 1,
            .arrays.weights = &weights[m],
            .arrays.slot_count = 1,
            .arrays.slots = {{"momentum", 1, &weights[m]}},
            .state.history_count = 1,
            .state.history = history,
            .state.epoch = 4 + m,
            .state.seed = (uint64_t)m,
            .model_config = "{\"class_name\": \"Functional\"}",
            .has_input = true,
            .input = {.height = 8, .width = 8, .deviation = 1, .size = 8, .channels = 1},
            .job_name = "cnn-deep",
            .model = "cnn",
            .version = "1.2.3",
            .data_digest = "00112233445566778899aabbccddeeff",
            .has_decision = true,
            .decision.threshold = 0.25 * (m + 1),
            .decision.refer_high = 1,
            .decision.rule = "some rule",
            .decision.fold = "val",
            .decision.temperature = 1.5,
            .decision.views = 2,
            .test_looks = 2 * m,
            .job = "[data]\n"};
        made.members[m] = &members[m];
    }
    pd_ensemble_summarise(&made);
    made.whole.decision.threshold = 0.625;
    made.whole.decision.temperature = 0.75;
    made.whole.decision.refer_high = 1;
    return 0;
}

static void assert_content(const pd_ensemble *found)
{
    assert_int_equal(found->count, MEMBERS);
    assert_true(found->is_file);
    for (int m = 0; m < MEMBERS; m++) {
        const pd_checkpoint *member = found->members[m];
        assert_non_null(strstr(found->names[m], ".h5, member "));
        assert_int_equal(member->arrays.weight_count, 1);
        assert_memory_equal(member->arrays.weights[0].data, values[m], sizeof values[m]);
        assert_int_equal(member->arrays.slot_count, 0);
        assert_string_equal(member->model_config, "{\"class_name\": \"Functional\"}");
        assert_int_equal(member->input.size, 8);
        assert_int_equal(member->state.epoch, 4 + m);
        assert_true(member->decision.threshold == members[m].decision.threshold);
        assert_int_equal(member->decision.views, 2);
        assert_int_equal(member->test_looks, 2 * m);
        assert_string_equal(member->job, "[data]\n");
    }
    assert_true(found->whole.has_decision);
    assert_true(found->whole.decision.threshold == 0.625);
    assert_true(found->whole.decision.temperature == 0.75);
    assert_int_equal(found->whole.decision.views, 1);
    assert_string_equal(found->whole.job_name, "average of 3: cnn-deep");
}

/* `whole` has nothing that describes a single run, and the maximum of test_looks. */
static void test_summary(void **state)
{
    (void)state;
    assert_false(made.whole.has_decision);
    assert_int_equal(made.whole.test_looks, 4);
    assert_int_equal(made.whole.state.epoch, 0);
    assert_int_equal(made.whole.state.history_count, 0);
    assert_string_equal(made.whole.model, "cnn");
    snprintf(members[2].model, sizeof members[2].model, "vgg16");
    snprintf(members[1].job_name, sizeof members[1].job_name, "other");
    pd_ensemble_summarise(&made);
    assert_string_equal(made.whole.model, "several models");
    assert_string_equal(made.whole.job_name, "average of 3");
    pd_ensemble one = {.count = 1, .members = {&members[0]}};
    pd_ensemble_summarise(&one);
    assert_memory_equal(&one.whole, &members[0], sizeof one.whole);
}

static void test_round_trip(void **state)
{
    (void)state;
    pd_ensemble *found;
    bool is;
    assert_int_equal(pd_ensemble_save(PATH, &made), PD_OK);
    assert_int_equal(count_files(FOLDER), 1);
    assert_int_equal(pd_ensemble_load(&found, PATH), PD_OK);
    assert_content(found);
    nanosleep(&(struct timespec){.tv_sec = 1, .tv_nsec = 100000000}, NULL);
    assert_int_equal(pd_ensemble_save(OTHER, found), PD_OK);
    assert_same_file(PATH, OTHER);
    assert_int_equal(pd_ensemble_recognise(&is, PATH), PD_OK);
    assert_true(is);
    assert_int_equal(pd_checkpoint_recognise(&is, PATH), PD_OK);
    assert_false(is);
    pd_ensemble_destroy(&found);
    assert_no_handles();
}

static void test_checkpoint_is_one(void **state)
{
    (void)state;
    pd_ensemble *found;
    bool is;
    assert_int_equal(pd_checkpoint_save(PATH, &members[1]), PD_OK);
    assert_int_equal(pd_ensemble_load(&found, PATH), PD_OK);
    assert_int_equal(found->count, 1);
    assert_false(found->is_file);
    assert_true(found->whole.decision.threshold == members[1].decision.threshold);
    assert_int_equal(found->whole.arrays.slot_count, 1);
    pd_ensemble_destroy(&found);
    assert_int_equal(pd_ensemble_recognise(&is, PATH), PD_OK);
    assert_false(is);
    assert_int_equal(pd_ensemble_load(&found, OTHER), PD_FAILED);
    assert_message("io-ensemble/other.h5: cannot open: ");
}

/* Returns whether the file loads; checks the content, or the message. */
static bool survives(const char *path)
{
    pd_ensemble *found;
    pd_status status = pd_ensemble_load(&found, path);
    if (status == PD_OK) {
        assert_content(found);
    } else {
        assert_null(found);
        assert_int_equal(strncmp(pd_error_message(), path, strlen(path)), 0);
        assert_null(strchr(pd_error_message(), '\n'));
    }
    pd_ensemble_destroy(&found);
    assert_no_handles();
    return status == PD_OK;
}

static void test_damage(void **state)
{
    (void)state;
    int detected = 0;
    assert_int_equal(pd_ensemble_save(PATH, &made), PD_OK);
    bytes whole = slurp(PATH);
    for (size_t size = 0; size < whole.size; size += 1 + whole.size / 60) {
        spill(OTHER, whole.data, size);
        assert_false(survives(OTHER));
    }
    for (size_t at = 0; at < whole.size; at += 1 + whole.size / 400) {
        whole.data[at] ^= 0x10;
        spill(OTHER, whole.data, whole.size);
        whole.data[at] ^= 0x10;
        detected += !survives(OTHER);
    }
    assert_true(detected > 50); /* the others are in unused bytes */
    free(whole.data);
}

static void overwrite(hid_t file, const char *group, const char *name, int64_t value)
{
    hid_t object = H5Oopen(file, group, H5P_DEFAULT);
    hid_t attribute = H5Aopen(object, name, H5P_DEFAULT);
    assert_true(H5Awrite(attribute, H5T_NATIVE_INT64, &value) >= 0);
    H5Aclose(attribute);
    H5Oclose(object);
}

static void change(const char *group, const char *name, int64_t value)
{
    hid_t file = H5Fopen(PATH, H5F_ACC_RDWR, H5P_DEFAULT);
    overwrite(file, group, name, value);
    H5Fclose(file);
}

static void test_wrong_content(void **state)
{
    (void)state;
    pd_ensemble *found;
    const struct {
        const char *group, *attribute;
        int64_t value;
        const char *message;
    } cases[] = {
        {"/members", "count", 4, "average.h5: "},
        {"/members", "count", 0, "average.h5: has 0 members; it must have 1 to 64; create it"},
        {"/members", "count", 65, "average.h5: has 65 members"},
        {"/members/2", "format_version", 9, "average.h5, member 2: has format version 9"},
        {"/members/3/state", "epoch", -1, "average.h5, member 3: its epoch, step or lanes"},
        {"/", "format_version", 7, "average.h5: has format version 7"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(pd_ensemble_save(PATH, &made), PD_OK);
        change(cases[i].group, cases[i].attribute, cases[i].value);
        assert_int_equal(pd_ensemble_load(&found, PATH), PD_FAILED);
        assert_message(cases[i].message);
        assert_no_handles();
    }
}

static void put_data(hid_t file, const char *path, hid_t type, hsize_t count, bool compressed)
{
    hid_t space = H5Screate_simple(1, &count, NULL), creation = H5Pcreate(H5P_DATASET_CREATE);
    void *items = calloc((size_t)count, H5Tget_size(type));
    if (compressed) {
        H5Pset_chunk(creation, 1, &count);
        H5Pset_deflate(creation, 9);
    }
    hid_t data = H5Dcreate2(file, path, type, space, H5P_DEFAULT, creation, H5P_DEFAULT);
    assert_true(H5Dwrite(data, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, items) >= 0);
    H5Dclose(data);
    H5Pclose(creation);
    H5Sclose(space);
    free(items);
}
/* HDF5's copy crashes on some of these. */
static void text_of_variable_length(hid_t file)
{
    hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate(H5S_SCALAR);
    hid_t object = H5Oopen(file, "members/2/state", H5P_DEFAULT);
    const char *text = "cnn";
    H5Tset_size(type, H5T_VARIABLE);
    H5Adelete(object, "model");
    hid_t attribute = H5Acreate2(object, "model", type, space, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(H5Awrite(attribute, type, &text) >= 0);
    H5Aclose(attribute);
    H5Oclose(object);
    H5Sclose(space);
    H5Tclose(type);
}
static void list_of_variable_length(hid_t file)
{
    hid_t type = H5Tvlen_create(H5T_STD_I32LE);
    put_data(file, "members/2/more", type, 3, false);
    H5Tclose(type);
}
static void reference(hid_t file)
{
    put_data(file, "members/2/more", H5T_STD_REF_OBJ, 3, false);
}
/* Small in the file, large when it is copied. */
static void compressed_zeros(hid_t file)
{
    put_data(file, "members/2/more", H5T_STD_U8LE, 1 << 24, true);
}
static void one_array_many_times(hid_t file)
{
    char name[32];
    put_data(file, "members/2/more", H5T_STD_U8LE, 1 << 20, false);
    for (int i = 0; i < 40; i++) {
        snprintf(name, sizeof name, "members/2/more%d", i);
        assert_true(H5Lcreate_hard(file, "members/2/more", file, name, H5P_DEFAULT, H5P_DEFAULT) >=
                    0);
    }
}
static void one_member_many_times(hid_t file)
{
    char name[32];
    overwrite(file, "members", "count", PD_MEMBERS_MAX);
    for (int i = MEMBERS + 1; i <= PD_MEMBERS_MAX; i++) {
        snprintf(name, sizeof name, "members/%d", i);
        assert_true(H5Lcreate_hard(file, "members/1", file, name, H5P_DEFAULT, H5P_DEFAULT) >= 0);
    }
}
static void stored_type(hid_t file)
{
    hid_t type = H5Tcopy(H5T_STD_I32LE);
    H5Tcommit2(file, "members/2/more", type, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    H5Tclose(type);
}
/* Leads out of the member, which is checked. */
static void soft_link(hid_t file)
{
    put_data(file, "elsewhere", H5T_STD_U8LE, 1 << 24, true);
    H5Lcreate_soft("/elsewhere", file, "members/2/more", H5P_DEFAULT, H5P_DEFAULT);
}
static void group_in_itself(hid_t file)
{
    H5Lcreate_hard(file, "members/2", file, "members/2/state/more", H5P_DEFAULT, H5P_DEFAULT);
}

static void test_foreign_members(void **state)
{
    (void)state;
    static const struct {
        void (*change)(hid_t);
        const char *part; /* of the message; NULL: it is harmless */
    } cases[] = {
        {text_of_variable_length, "attribute 'model' in '/members/2' has the wrong type; create"},
        {list_of_variable_length, "array '/members/2/more' has the wrong type; create"},
        {reference, "array '/members/2/more' has the wrong type; create"},
        {compressed_zeros, "array '/members/2/more' is compressed, which"},
        {one_array_many_times, "'/members/2' names more arrays than the file holds; create"},
        {one_member_many_times, "names more arrays than it holds; create"},
        {stored_type, "'/members/2/more' is neither a group nor an array; create"},
        {soft_link, "'/members/2/more' is neither a group nor an array; create"},
        {group_in_itself, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pd_ensemble *found;
        assert_int_equal(pd_ensemble_save(PATH, &made), PD_OK);
        hid_t file = H5Fopen(PATH, H5F_ACC_RDWR, H5P_DEFAULT);
        cases[i].change(file);
        assert_true(H5Fclose(file) >= 0);
        assert_int_equal(pd_ensemble_load(&found, PATH), cases[i].part == NULL ? PD_OK : PD_FAILED);
        if (cases[i].part != NULL) {
            assert_message("io-ensemble/average.h5");
            assert_message(cases[i].part);
        }
        pd_ensemble_destroy(&found);
        assert_no_handles();
    }
}

static void test_full_disk_changes_nothing(void **state)
{
    (void)state;
    assert_int_equal(pd_ensemble_save(PATH, &made), PD_OK);
    bytes before = slurp(PATH);
    made.whole.decision.threshold = 0.5;
    limit_files(before.size / 2);
    assert_int_equal(pd_ensemble_save(PATH, &made), PD_FAILED);
    limit_files(0);
    assert_message("average.h5: cannot write: ");
    bytes after = slurp(PATH);
    assert_int_equal(after.size, before.size);
    assert_memory_equal(after.data, before.data, before.size);
    assert_int_equal(count_files(FOLDER), 1);
    free(before.data);
    free(after.data);
}

static void test_too_many_members(void **state)
{
    (void)state;
    pd_ensemble full = {.count = PD_MEMBERS_MAX};
    pd_checkpoint *one = &members[0];
    assert_int_equal(pd_ensemble_add(&full, "a.h5", &one), PD_FAILED);
    assert_ptr_equal(one, &members[0]);
    assert_message("at most 64 members");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_summary, setup),
        cmocka_unit_test_setup(test_round_trip, setup),
        cmocka_unit_test_setup(test_checkpoint_is_one, setup),
        cmocka_unit_test_setup(test_damage, setup),
        cmocka_unit_test_setup(test_wrong_content, setup),
        cmocka_unit_test_setup(test_foreign_members, setup),
        cmocka_unit_test_setup(test_full_disk_changes_nothing, setup),
        cmocka_unit_test_setup(test_too_many_members, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
