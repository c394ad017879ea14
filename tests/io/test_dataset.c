#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pneumo/io/dataset.h"

#include "io/files.h"
#include "io/handles.h"
#include "io/hdf5_array.h"

#include <math.h>
#include <time.h>

enum { COUNT = 7, HEIGHT = 5, WIDTH = 6, PIXELS = HEIGHT * WIDTH };

static const char *const FOLDER = "io-dataset";
static const char *const PATH = "io-dataset/a.h5";
static const char *const DAMAGED = "io-dataset/damaged.h5";

static uint8_t images[COUNT * PIXELS];
static char names[COUNT][64];
static pd_sample samples[COUNT];
static pd_dataset_info info;

static void describe(void)
{
    info = (pd_dataset_info){.count = COUNT,
                             .height = HEIGHT,
                             .width = WIDTH,
                             .fold_policy = "by patient, 70/15/15, balanced",
                             .grouping = "file name",
                             .unknown_patients = 3,
                             .seed = UINT64_MAX,
                             .mean = 100.25,
                             .deviation = 50.5,
                             .duplicates = 3,
                             .digest = "00112233445566778899aabbccddeeff",
                             .version = "1.2.3"};
    for (int i = 0; i < COUNT; i++) {
        snprintf(names[i], sizeof names[i], i % 2 ? "PNEUMONIA/person%d_bacteria_1.jpeg" : "N/é%d",
                 i);
        samples[i] = (pd_sample){.label = i % 2 ? PD_PNEUMONIA : PD_NORMAL,
                                 .cause = i % 2 ? PD_CAUSE_BACTERIA : PD_CAUSE_NONE,
                                 .fold = i < 4   ? PD_TRAIN
                                         : i < 6 ? PD_VAL
                                                 : PD_TEST,
                                 .patient = 3 * i % COUNT,
                                 .height = (uint16_t)(100 * i),
                                 .width = (uint16_t)(i ? UINT16_MAX - i : 0),
                                 .name = names[i]};
    }
    for (int i = 0; i < COUNT * PIXELS; i++)
        images[i] = (uint8_t)(i * 7);
}

static int setup(void **state)
{
    (void)state;
    fresh_folder(FOLDER);
    describe();
    return 0;
}

/* Saves with files limited to `limit` bytes (0: no limit) once the new file exists. */
static pd_status save_limited(const char *path, size_t limit)
{
    pd_status status = PD_OK;
    pd_dataset *dataset = NULL;
    pd_dataset_info early = info;
    early.digest[0] = '\0';
    PD_TRY(pd_dataset_create(&dataset, path, &early, samples));
    if (limit > 0)
        limit_files(limit);
    PD_TRY(pd_dataset_write(dataset, 3, COUNT - 3, images + 3 * PIXELS));
    PD_TRY(pd_dataset_write(dataset, 0, 3, images));
    PD_TRY(pd_dataset_finish(dataset, &info));

cleanup:
    /* Unlike a full disk, the limit also applies to files in memory. */
    if (limit > 0)
        limit_files(0);
    pd_dataset_destroy(&dataset);
    return status;
}

static pd_status save(const char *path)
{
    return save_limited(path, 0);
}

/* Asserts that everything in the file is as written. */
static void assert_content(const pd_dataset *dataset, const uint8_t *read)
{
    const pd_dataset_info *found = pd_dataset_get_info(dataset);
    const pd_sample *sample = pd_dataset_samples(dataset);
    assert_int_equal(found->count, COUNT);
    assert_int_equal(found->height, HEIGHT);
    assert_int_equal(found->width, WIDTH);
    assert_string_equal(found->fold_policy, info.fold_policy);
    assert_string_equal(found->grouping, info.grouping);
    assert_int_equal(found->unknown_patients, info.unknown_patients);
    assert_true(found->seed == UINT64_MAX);
    assert_true(found->mean == 100.25 && found->deviation == 50.5);
    assert_int_equal(found->duplicates, 3);
    assert_string_equal(found->digest, info.digest);
    assert_string_equal(found->version, info.version);
    assert_int_equal(found->counts[PD_TRAIN][PD_NORMAL], 2);
    assert_int_equal(found->counts[PD_TRAIN][PD_PNEUMONIA], 2);
    assert_int_equal(found->counts[PD_VAL][PD_NORMAL], 1);
    assert_int_equal(found->counts[PD_VAL][PD_PNEUMONIA], 1);
    assert_int_equal(found->counts[PD_TEST][PD_NORMAL], 1);
    assert_int_equal(found->counts[PD_TEST][PD_PNEUMONIA], 0);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(sample[i].label, samples[i].label);
        assert_int_equal(sample[i].cause, samples[i].cause);
        assert_int_equal(sample[i].fold, samples[i].fold);
        assert_int_equal(sample[i].patient, samples[i].patient);
        assert_int_equal(sample[i].height, samples[i].height);
        assert_int_equal(sample[i].width, samples[i].width);
        assert_string_equal(sample[i].name, samples[i].name);
    }
    assert_memory_equal(read, images, sizeof images);
}

static const int64_t all[COUNT] = {0, 1, 2, 3, 4, 5, 6};

static void test_round_trip(void **state)
{
    (void)state;
    pd_dataset *dataset;
    uint8_t read[COUNT * PIXELS];
    assert_int_equal(save(PATH), PD_OK);
    assert_int_equal(count_files(FOLDER), 1);
    assert_int_equal(pd_dataset_open(&dataset, PATH), PD_OK);
    assert_int_equal(pd_dataset_read(dataset, all, COUNT, read), PD_OK);
    assert_content(dataset, read);
    pd_dataset_destroy(&dataset);
    assert_null(dataset);
    pd_dataset_destroy(&dataset);
    assert_no_handles();
}

static void test_read_in_any_order(void **state)
{
    (void)state;
    pd_dataset *dataset;
    const int64_t ids[] = {6, 2, 3, 4, 0, 0, 5, 6, 1};
    enum { IDS = sizeof ids / sizeof *ids };
    uint8_t read[IDS * PIXELS];
    assert_int_equal(save(PATH), PD_OK);
    assert_int_equal(pd_dataset_open(&dataset, PATH), PD_OK);
    assert_int_equal(pd_dataset_read(dataset, ids, IDS, read), PD_OK);
    for (int i = 0; i < IDS; i++)
        assert_memory_equal(read + i * PIXELS, images + ids[i] * PIXELS, PIXELS);
    assert_int_equal(pd_dataset_read(dataset, ids, 0, read), PD_OK);
    const int64_t beyond = COUNT, below = -1;
    assert_int_equal(pd_dataset_read(dataset, &beyond, 1, read), PD_FAILED);
    assert_message("there is no sample 7; the last is 6");
    assert_int_equal(pd_dataset_read(dataset, &below, 1, read), PD_FAILED);
    pd_dataset_destroy(&dataset);
}

static void test_same_bytes_a_second_later(void **state)
{
    (void)state;
    assert_int_equal(save(PATH), PD_OK);
    nanosleep(&(struct timespec){.tv_sec = 1, .tv_nsec = 100000000}, NULL);
    assert_int_equal(save("io-dataset/b.h5"), PD_OK);
    assert_same_file(PATH, "io-dataset/b.h5");
}

static void test_read_by_h5py(void **state)
{
    (void)state;
    assert_int_equal(save(PATH), PD_OK);
    read_by_h5py("dataset", PATH);
}

static void test_unfinished_leaves_nothing(void **state)
{
    (void)state;
    pd_dataset *dataset;
    assert_int_equal(pd_dataset_create(&dataset, PATH, &info, samples), PD_OK);
    assert_int_equal(pd_dataset_write(dataset, 0, 2, images), PD_OK);
    assert_false(pd_file_exists(PATH));
    assert_int_equal(pd_dataset_write(dataset, 5, 3, images), PD_FAILED);
    assert_message("cannot write images 5 to 7 of 7");
    pd_dataset_destroy(&dataset);
    assert_int_equal(count_files(FOLDER), 0);
}

/* Returns whether the file can be read; checks the content, or the message. */
static bool survives(const char *path)
{
    pd_dataset *dataset;
    uint8_t read[COUNT * PIXELS];
    pd_status status = pd_dataset_open(&dataset, path);
    if (status == PD_OK) {
        status = pd_dataset_read(dataset, all, COUNT, read);
        if (status == PD_OK)
            assert_content(dataset, read);
    } else {
        assert_null(dataset);
    }
    if (status != PD_OK)
        assert_int_equal(strncmp(pd_error_message(), path, strlen(path)), 0);
    pd_dataset_destroy(&dataset);
    assert_no_handles();
    return status == PD_OK;
}

static void test_cut_short_anywhere(void **state)
{
    (void)state;
    assert_int_equal(save(PATH), PD_OK);
    bytes whole = slurp(PATH);
    for (size_t size = 0; size < whole.size; size += 1 + whole.size / 200) {
        spill(DAMAGED, whole.data, size);
        assert_false(survives(DAMAGED));
    }
    spill(DAMAGED, whole.data, whole.size - 1);
    assert_false(survives(DAMAGED));
    assert_message("damaged or cut short; pack the images again");
    free(whole.data);
}

static void test_flipped_bytes_are_detected(void **state)
{
    (void)state;
    assert_int_equal(save(PATH), PD_OK);
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

static void test_damaged_image_is_named(void **state)
{
    (void)state;
    pd_dataset *dataset;
    uint8_t read[COUNT * PIXELS];
    assert_int_equal(save(PATH), PD_OK);
    bytes whole = slurp(PATH);
    unsigned char *at = memmem(whole.data, whole.size, images + 4 * PIXELS, PIXELS);
    assert_non_null(at);
    at[3] ^= 1;
    spill(DAMAGED, whole.data, whole.size);
    free(whole.data);
    assert_int_equal(pd_dataset_open(&dataset, DAMAGED), PD_OK);
    assert_int_equal(pd_dataset_read(dataset, all, 4, read), PD_OK);
    assert_int_equal(pd_dataset_read(dataset, all, COUNT, read), PD_FAILED);
    assert_message("io-dataset/damaged.h5: the image of sample 4 (N/é4) is damaged; pack");
    pd_dataset_destroy(&dataset);
}

/* Writes chunks of one item each in the order `order`; returns their layout. */
static pd_hdf5_layout layout_of(const hsize_t *order, hsize_t count, haddr_t *addresses)
{
    pd_hdf5 file;
    hid_t array;
    enum { BYTES = 5000 };
    static uint8_t item[BYTES];
    hsize_t dims[2] = {count, BYTES}, chunk[2] = {1, BYTES}, size;
    unsigned skipped;
    assert_int_equal(pd_hdf5_create(&file, DAMAGED, DAMAGED), PD_OK);
    const pd_hdf5_shape shape = {.stored = H5T_STD_U8LE, .rank = 2, .dims = dims};
    assert_int_equal(pd_hdf5_create_array(&array, &file, file.id, "a", &shape, chunk), PD_OK);
    hid_t memory = H5Screate_simple(2, chunk, NULL), stored = H5Dget_space(array);
    for (hsize_t i = 0; i < count; i++) {
        hsize_t place[2] = {order[i], 0};
        H5Sselect_hyperslab(stored, H5S_SELECT_SET, place, NULL, chunk, NULL);
        assert_true(H5Dwrite(array, H5T_NATIVE_UINT8, memory, stored, H5P_DEFAULT, item) >= 0);
    }
    for (hsize_t i = 0; i < count; i++) {
        hsize_t place[2] = {i, 0};
        assert_true(H5Dget_chunk_info_by_coord(array, place, &skipped, &addresses[i], &size) >= 0);
    }
    pd_hdf5_layout layout = pd_hdf5_chunk_layout(array, 2, (int64_t)count);
    H5Sclose(memory);
    H5Sclose(stored);
    pd_hdf5_close(&array);
    pd_hdf5_close(&file.id);
    return layout;
}

static void test_layout_of_chunks(void **state)
{
    (void)state;
    enum { CHUNKS = 3000 };
    static hsize_t order[CHUNKS];
    static haddr_t addresses[CHUNKS];
    for (hsize_t i = 0; i < CHUNKS; i++)
        order[i] = i;
    pd_hdf5_layout layout = layout_of(order, CHUNKS, addresses);
    assert_int_equal(layout.bytes, 5000 + 4);
    for (int64_t i = 1; i < CHUNKS; i++) {
        int64_t late = (int64_t)addresses[i] - (layout.start + i * layout.bytes);
        assert_in_range(late, 0, layout.slack);
    }
    /* In any other order the chunks are not contiguous. */
    order[1] = CHUNKS - 1;
    order[CHUNKS - 1] = 1;
    assert_int_equal(layout_of(order, CHUNKS, addresses).bytes, 0);
    assert_int_equal(layout_of(order, 1, addresses).bytes, 0);
    assert_no_handles();
}

static void assert_open_fails(const char *path, const char *part)
{
    pd_dataset *dataset;
    assert_int_equal(pd_dataset_open(&dataset, path), PD_FAILED);
    assert_null(dataset);
    assert_message(part);
}

static void test_not_a_data_set(void **state)
{
    (void)state;
    assert_open_fails("io-dataset/none.h5", "none.h5: cannot open: No such file or directory");
    assert_open_fails(FOLDER, "io-dataset: is not a regular file");
    spill(DAMAGED, (const unsigned char *)"[train]\nepochs = 3\n", 19);
    assert_open_fails(DAMAGED, "damaged.h5: is not an HDF5 file; pack");
    assert_int_equal(mkfifo("io-dataset/pipe", 0666), 0);
    assert_open_fails("io-dataset/pipe", "is not a regular file");
    H5Fclose(H5Fcreate(DAMAGED, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT));
    assert_open_fails(DAMAGED, "is an HDF5 file, but not a pneumo-dist data set; pack");
}

/* Applies `change` to a valid file, opened for writing; it must be refused. */
static void assert_refused(void (*change)(hid_t file), const char *part)
{
    assert_int_equal(save(DAMAGED), PD_OK);
    hid_t file = H5Fopen(DAMAGED, H5F_ACC_RDWR, H5P_DEFAULT);
    assert_true(file >= 0);
    change(file);
    assert_true(H5Fclose(file) >= 0);
    assert_open_fails(DAMAGED, part);
    assert_no_handles();
}

static void set_number(hid_t file, const char *name, int64_t value)
{
    hid_t attribute = H5Aopen(file, name, H5P_DEFAULT);
    assert_true(H5Awrite(attribute, H5T_NATIVE_INT64, &value) >= 0);
    H5Aclose(attribute);
}

/* Replaces the array by an unwritten one of that type, dims and chunk (0: contiguous). */
static void replace(hid_t file, const char *name, hid_t type, int rank, hsize_t n, hsize_t chunk)
{
    hsize_t dims[3] = {n, HEIGHT, WIDTH}, chunks[3] = {chunk, HEIGHT, WIDTH};
    H5Ldelete(file, name, H5P_DEFAULT);
    hid_t space = H5Screate_simple(rank, dims, NULL), creation = H5Pcreate(H5P_DATASET_CREATE);
    if (chunk > 0)
        H5Pset_chunk(creation, rank, chunks);
    hid_t array = H5Dcreate2(file, name, type, space, H5P_DEFAULT, creation, H5P_DEFAULT);
    assert_true(array >= 0);
    H5Dclose(array);
    H5Pclose(creation);
    H5Sclose(space);
}

/* Version 1 had no /shape. */
static void version_without_shapes(hid_t file)
{
    set_number(file, "format_version", 1);
    H5Ldelete(file, "shape", H5P_DEFAULT);
}
static void other_version(hid_t file)
{
    set_number(file, "format_version", 9);
}
static void other_format(hid_t file)
{
    hid_t attribute = H5Aopen(file, "format", H5P_DEFAULT), type = H5Aget_type(attribute);
    H5Awrite(attribute, type, "pneumo-dist dream ca");
    H5Tclose(type);
    H5Aclose(attribute);
}
static void no_seed(hid_t file)
{
    H5Adelete(file, "seed");
}
static void replace_by_text(hid_t file, const char *name, size_t width)
{
    hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate(H5S_SCALAR);
    H5Tset_size(type, width);
    H5Adelete(file, name);
    H5Aclose(H5Acreate2(file, name, type, space, H5P_DEFAULT, H5P_DEFAULT));
    H5Tclose(type);
    H5Sclose(space);
}
static void seed_of_text(hid_t file)
{
    replace_by_text(file, "seed", 8);
}
static void long_digest(hid_t file)
{
    replace_by_text(file, "content_digest", 40);
}
static void wrong_count(hid_t file)
{
    set_number(file, "count_val_normal", 2);
}
static void wrong_mean(hid_t file)
{
    hid_t attribute = H5Aopen(file, "mean", H5P_DEFAULT);
    H5Awrite(attribute, H5T_NATIVE_DOUBLE, &(double){NAN});
    H5Aclose(attribute);
}
static void no_labels(hid_t file)
{
    H5Ldelete(file, "label", H5P_DEFAULT);
}
static void group_for_labels(hid_t file)
{
    H5Ldelete(file, "label", H5P_DEFAULT);
    H5Gclose(H5Gcreate2(file, "label", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
}
static void labels_of_bytes(hid_t file)
{
    replace(file, "label", H5T_STD_U8LE, 1, COUNT, COUNT);
    hid_t array = H5Dopen2(file, "label", H5P_DEFAULT);
    H5Dwrite(array, H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL, H5P_DEFAULT, images);
    H5Dclose(array);
}
static void label_out_of_range(hid_t file)
{
    uint8_t values[COUNT] = {0, 0, 7};
    hid_t array = H5Dopen2(file, "label", H5P_DEFAULT), type = H5Dget_type(array);
    assert_true(H5Dwrite(array, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
    H5Tclose(type);
    H5Dclose(array);
}
static void set_second_patient(hid_t file, int32_t patient)
{
    int32_t values[COUNT] = {0, patient};
    hid_t array = H5Dopen2(file, "patient", H5P_DEFAULT);
    H5Dwrite(array, H5T_NATIVE_INT32, H5S_ALL, H5S_ALL, H5P_DEFAULT, values);
    H5Dclose(array);
}
static void negative_patient(hid_t file)
{
    set_second_patient(file, -5);
}
/* Appending takes memory by the largest number. */
static void patient_beyond_images(hid_t file)
{
    set_second_patient(file, COUNT);
}
static void enormous_patient(hid_t file)
{
    set_second_patient(file, INT32_MAX);
}
static void fewer_patients(hid_t file)
{
    int32_t values[COUNT] = {0};
    replace(file, "patient", H5T_STD_I32LE, 1, COUNT - 1, 0);
    hid_t array = H5Dopen2(file, "patient", H5P_DEFAULT);
    H5Dwrite(array, H5T_NATIVE_INT32, H5S_ALL, H5S_ALL, H5P_DEFAULT, values);
    H5Dclose(array);
}
static void two_dimensional_patients(hid_t file)
{
    replace(file, "patient", H5T_STD_I32LE, 2, COUNT, 0);
}
static void no_shapes(hid_t file)
{
    H5Ldelete(file, "shape", H5P_DEFAULT);
}
static void replace_shapes(hid_t file, hid_t type, hsize_t rows, hsize_t columns)
{
    static const uint16_t shapes[3 * COUNT] = {8, 8, 9, 9, 7, 0, 5, 5};
    hsize_t dims[2] = {rows, columns};
    H5Ldelete(file, "shape", H5P_DEFAULT);
    hid_t space = H5Screate_simple(2, dims, NULL);
    hid_t array = H5Dcreate2(file, "shape", type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(H5Dwrite(array, H5T_NATIVE_UINT16, H5S_ALL, H5S_ALL, H5P_DEFAULT, shapes) >= 0);
    H5Dclose(array);
    H5Sclose(space);
}
static void shapes_of_wide_numbers(hid_t file)
{
    replace_shapes(file, H5T_STD_U32LE, COUNT, 2);
}
static void fewer_shapes(hid_t file)
{
    replace_shapes(file, H5T_STD_U16LE, COUNT - 1, 2);
}
static void shapes_of_three_numbers(hid_t file)
{
    replace_shapes(file, H5T_STD_U16LE, COUNT, 3);
}
static void shape_without_width(hid_t file)
{
    replace_shapes(file, H5T_STD_U16LE, COUNT, 2);
}
static void names_of_variable_width(hid_t file)
{
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, H5T_VARIABLE);
    replace(file, "name", type, 1, 1, 1);
    H5Tclose(type);
}
static void enormous_images(hid_t file)
{
    replace(file, "images", H5T_STD_U8LE, 3, (hsize_t)1 << 60, 1);
}
static void enormous_contiguous_names(hid_t file)
{
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, 1 << 20);
    replace(file, "name", type, 1, (hsize_t)1 << 40, 0);
    H5Tclose(type);
}
static void enormous_chunks(hid_t file)
{
    replace(file, "patient", H5T_STD_I32LE, 1, (hsize_t)1 << 28, (hsize_t)1 << 28);
}
static void no_images(hid_t file)
{
    replace(file, "images", H5T_STD_U8LE, 3, 0, 0);
}
static void unwritten_images(hid_t file)
{
    replace(file, "images", H5T_STD_U8LE, 3, COUNT, 1);
}
/* With their checksums, the chunks that are there take as much room as all without. */
static void patient_without_chunk(hid_t file)
{
    const int32_t values[COUNT] = {0};
    const hsize_t dims[1] = {COUNT}, chunk[1] = {1}, first[1] = {0}, written[1] = {COUNT - 1};
    H5Ldelete(file, "patient", H5P_DEFAULT);
    hid_t space = H5Screate_simple(1, dims, NULL), creation = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_chunk(creation, 1, chunk);
    H5Pset_fletcher32(creation);
    hid_t array =
        H5Dcreate2(file, "patient", H5T_STD_I32LE, space, H5P_DEFAULT, creation, H5P_DEFAULT);
    H5Sselect_hyperslab(space, H5S_SELECT_SET, first, NULL, written, NULL);
    assert_true(H5Dwrite(array, H5T_NATIVE_INT32, space, space, H5P_DEFAULT, values) >= 0);
    H5Dclose(array);
    H5Pclose(creation);
    H5Sclose(space);
}
static void images_elsewhere(hid_t file)
{
    H5Ldelete(file, "images", H5P_DEFAULT);
    H5Lcreate_external("a.h5", "/images", file, "images", H5P_DEFAULT, H5P_DEFAULT);
}
static void negative_duplicates(hid_t file)
{
    set_number(file, "duplicates", -1);
}
static void negative_unknown_patients(hid_t file)
{
    set_number(file, "unknown_patients", -2);
}
/* HDF5 reads the nearest number that fits. */
static void count_of_unsigned(hid_t file)
{
    hid_t space = H5Screate(H5S_SCALAR);
    H5Adelete(file, "duplicates");
    hid_t attribute =
        H5Acreate2(file, "duplicates", H5T_STD_U64LE, space, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(H5Awrite(attribute, H5T_NATIVE_UINT64, &(uint64_t){UINT64_MAX}) >= 0);
    H5Aclose(attribute);
    H5Sclose(space);
}
static void images_in_another_file(hid_t file)
{
    hsize_t dims[3] = {COUNT, HEIGHT, WIDTH};
    H5Ldelete(file, "images", H5P_DEFAULT);
    hid_t space = H5Screate_simple(3, dims, NULL), creation = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_external(creation, "a.h5", 0, sizeof images);
    H5Dclose(H5Dcreate2(file, "images", H5T_STD_U8LE, space, H5P_DEFAULT, creation, H5P_DEFAULT));
    H5Pclose(creation);
    H5Sclose(space);
}

static void test_wrong_content(void **state)
{
    (void)state;
    static const struct {
        void (*change)(hid_t);
        const char *part;
    } cases[] = {
        {other_version, "has format version 9, but this program reads 2; pack"},
        {version_without_shapes, "has format version 1, but this program reads 2; pack the images "
                                 "again with this version of 'pneumo-dist pack'"},
        {no_shapes, "array '/shape' is missing"},
        {shapes_of_wide_numbers, "array '/shape' has the wrong type"},
        {fewer_shapes, "'/shape' has 6 entries for 7 images"},
        {shapes_of_three_numbers, "array '/shape' has the wrong shape"},
        {shape_without_width, "'/shape' of sample 2 is 7, 0"},
        {other_format, "is a pneumo-dist dream ca, not a pneumo-dist data set"},
        {no_seed, "attribute 'seed' of '/' is missing"},
        {seed_of_text, "attribute 'seed' of '/' has the wrong type"},
        {long_digest, "attribute 'content_digest' of '/' is not a text of at most 32 bytes"},
        {wrong_count, "its class counts do not match its labels"},
        {wrong_mean, "is out of range"},
        {negative_duplicates, "its number of duplicates, -1, or of images of unknown patients"},
        {negative_unknown_patients, "of unknown patients, -2, is negative; pack"},
        {count_of_unsigned, "attribute 'duplicates' of '/' is out of range; pack"},
        {no_labels, "array '/label' is missing"},
        {group_for_labels, "array '/label' is missing"},
        {labels_of_bytes, "array '/label' has the wrong type"},
        {label_out_of_range, "'/label' of sample 2 is 7, but only 0 to 1 exist"},
        {negative_patient, "'/patient' of sample 1 is -5, not from 0 to 6; pack"},
        {patient_beyond_images, "'/patient' of sample 1 is 7, not from 0 to 6; pack"},
        {enormous_patient, "'/patient' of sample 1 is 2147483647, not from 0 to 6; pack"},
        {fewer_patients, "'/patient' has 6 entries for 7 images"},
        {two_dimensional_patients, "array '/patient' has the wrong shape"},
        {names_of_variable_width, "array '/name' is incomplete"},
        {enormous_images, "array '/images' is incomplete"},
        {enormous_contiguous_names, "array '/name' is incomplete"},
        {enormous_chunks, "array '/patient' is incomplete"},
        {no_images, "holds no images"},
        {unwritten_images, "array '/images' is incomplete"},
        {patient_without_chunk, "array '/patient' is incomplete"},
        {images_elsewhere, "array '/images' is missing"},
        {images_in_another_file, "array '/images' is incomplete"},
    };
    assert_int_equal(save(PATH), PD_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_refused(cases[i].change, cases[i].part);
}

/* Files of earlier versions do not say how many patients are unknown. */
static void test_unknown_patients_are_optional(void **state)
{
    (void)state;
    pd_dataset *dataset;
    assert_int_equal(save(PATH), PD_OK);
    hid_t file = H5Fopen(PATH, H5F_ACC_RDWR, H5P_DEFAULT);
    H5Adelete(file, "unknown_patients");
    H5Fclose(file);
    assert_int_equal(pd_dataset_open(&dataset, PATH), PD_OK);
    assert_int_equal(pd_dataset_get_info(dataset)->unknown_patients, -1);
    assert_int_equal(pd_dataset_get_info(dataset)->duplicates, info.duplicates);
    pd_dataset_destroy(&dataset);
}

static void test_full_disk_changes_nothing(void **state)
{
    (void)state;
    assert_int_equal(save(PATH), PD_OK);
    bytes old = slurp(PATH);
    for (size_t size = 100; size < old.size; size += 97) {
        assert_int_equal(save_limited(PATH, size), PD_FAILED);
        assert_no_handles();
        assert_message("io-dataset/a.h5: cannot write: File too large");
        assert_int_equal(count_files(FOLDER), 1);
    }
    bytes kept = slurp(PATH);
    assert_int_equal(kept.size, old.size);
    assert_memory_equal(kept.data, old.data, old.size);
    free(old.data);
    free(kept.data);
    assert_int_equal(save(PATH), PD_OK);
}

static void test_small_disk_fails_at_once(void **state)
{
    (void)state;
    pd_dataset *dataset;
    info.height = info.width = 4096;
    limit_files(1 << 20);
    assert_int_equal(pd_dataset_create(&dataset, PATH, &info, samples), PD_FAILED);
    limit_files(0);
    assert_null(dataset);
    assert_message("io-dataset/a.h5: cannot write: File too large");
    assert_int_equal(count_files(FOLDER), 0);
    assert_no_handles();
}

static void test_write_to_invalid_path(void **state)
{
    (void)state;
    spill("io-dataset/f", images, 1);
    assert_int_equal(save("io-dataset/f/a.h5"), PD_FAILED);
    assert_message("io-dataset/f/a.h5: cannot write: Not a directory");
    assert_int_equal(save("io-dataset/none/a.h5"), PD_FAILED);
    assert_message("io-dataset/none/a.h5: cannot write: No such file or directory");
    info.count = 0;
    assert_int_equal(save(PATH), PD_FAILED);
    assert_message("without images");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_round_trip, setup),
        cmocka_unit_test_setup(test_read_in_any_order, setup),
        cmocka_unit_test_setup(test_same_bytes_a_second_later, setup),
        cmocka_unit_test_setup(test_read_by_h5py, setup),
        cmocka_unit_test_setup(test_unfinished_leaves_nothing, setup),
        cmocka_unit_test_setup(test_cut_short_anywhere, setup),
        cmocka_unit_test_setup(test_flipped_bytes_are_detected, setup),
        cmocka_unit_test_setup(test_damaged_image_is_named, setup),
        cmocka_unit_test_setup(test_layout_of_chunks, setup),
        cmocka_unit_test_setup(test_not_a_data_set, setup),
        cmocka_unit_test_setup(test_wrong_content, setup),
        cmocka_unit_test_setup(test_unknown_patients_are_optional, setup),
        cmocka_unit_test_setup(test_full_disk_changes_nothing, setup),
        cmocka_unit_test_setup(test_small_disk_fails_at_once, setup),
        cmocka_unit_test_setup(test_write_to_invalid_path, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
