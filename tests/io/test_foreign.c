/* HDF5 files of other programs: texts and arrays in the forms that Keras has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pneumo/io/file.h"
#include "pneumo/io/foreign.h"

#include "io/files.h"

#include <hdf5.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void put_attribute(hid_t object, const char *name, hid_t type, int count, const void *value)
{
    const hsize_t dims[1] = {(hsize_t)count};
    hid_t space = count == 0 ? H5Screate(H5S_SCALAR) : H5Screate_simple(1, dims, NULL);
    hid_t attribute = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(H5Awrite(attribute, type, value) >= 0);
    H5Aclose(attribute);
    H5Sclose(space);
}

/* As h5py's Empty. */
static void put_nothing(hid_t object, const char *name, hid_t type)
{
    hid_t space = H5Screate(H5S_NULL);
    H5Aclose(H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT));
    H5Sclose(space);
}

static void put_array(hid_t file, const char *name, hid_t type, int rank, const void *value)
{
    const hsize_t dims[2] = {2, 2};
    hid_t space = rank == 0 ? H5Screate(H5S_SCALAR) : H5Screate_simple(rank, dims, NULL);
    hid_t array = H5Dcreate2(file, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(H5Dwrite(array, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, value) >= 0);
    H5Dclose(array);
    H5Sclose(space);
}

static int make_file(void **state)
{
    (void)state;
    const char *const variable[] = {"conv", "a longer name", ""};
    const char fixed[2][8] = {"dense", "eight by"};
    const double doubles[4] = {1, -2, 0.5, 1e30};
    const float scalar = 7;
    const unsigned char bfloat16[8] = {0x80, 0x3f, 0x00, 0xc0, 0x00, 0x00, 0x80, 0x7f};
    const int integers[4] = {1, 2, 3, 4};
    hid_t file = H5Fcreate("foreign.h5", H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    hid_t variable_type = H5Tcopy(H5T_C_S1), fixed_type = H5Tcopy(H5T_C_S1);
    hid_t opaque = H5Tcreate(H5T_OPAQUE, 2);
    H5Tset_size(variable_type, H5T_VARIABLE);
    H5Tset_size(fixed_type, 8);
    H5Tset_strpad(fixed_type, H5T_STR_NULLPAD);
    put_attribute(file, "text", variable_type, 0, &variable[1]);
    put_attribute(file, "names", variable_type, 3, variable);
    put_attribute(file, "pieces0", fixed_type, 2, fixed);
    put_attribute(file, "pieces1", variable_type, 1, variable);
    put_attribute(file, "number", H5T_NATIVE_INT, 0, integers);
    put_nothing(file, "nothing", variable_type);
    put_array(file, "doubles", H5T_NATIVE_DOUBLE, 2, doubles);
    put_array(file, "scalar", H5T_NATIVE_FLOAT, 0, &scalar);
    put_array(file, "bfloat16", opaque, 2, bfloat16);
    put_array(file, "integers", H5T_NATIVE_INT, 2, integers);
    put_array(file, "texts", fixed_type, 1, fixed);
    hid_t group = H5Gcreate2(file, "group", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    H5Gclose(group);
    H5Tclose(opaque);
    H5Tclose(fixed_type);
    H5Tclose(variable_type);
    return H5Fclose(file) < 0;
}

static void check_texts(const pd_foreign *file)
{
    char *text, **texts;
    int count;
    assert_int_equal(pd_foreign_get_text(&text, file, "", "text"), PD_OK);
    assert_string_equal(text, "a longer name");
    free(text);
    assert_int_equal(pd_foreign_get_texts(&texts, &count, file, "", "names"), PD_OK);
    assert_int_equal(count, 3);
    assert_string_equal(texts[1], "a longer name");
    assert_string_equal(texts[2], "");
    free(texts);
    assert_int_equal(pd_foreign_get_texts(&texts, &count, file, "", "pieces"), PD_OK);
    assert_int_equal(count, 3);
    assert_string_equal(texts[1], "eight by");
    assert_string_equal(texts[2], "conv");
    free(texts);
    assert_int_equal(pd_foreign_get_text(&text, file, "", "nothing"), PD_FAILED);
    assert_non_null(strstr(pd_error_message(), "attribute 'nothing' of '/' is empty; download"));
    assert_int_equal(pd_foreign_get_text(&text, file, "", "number"), PD_FAILED);
    assert_int_equal(pd_foreign_get_texts(&texts, &count, file, "", "none"), PD_FAILED);
    assert_int_equal(pd_foreign_get_texts(&texts, &count, file, "group", "none"), PD_FAILED);
}

static void check_arrays(pd_foreign *file)
{
    const float doubles[4] = {1, -2, 0.5f, 1e30f}, halves[4] = {1, -2, 0, INFINITY};
    pd_array array = {0};
    assert_int_equal(pd_foreign_get_array(&array, file, "doubles"), PD_OK);
    assert_int_equal(array.rank, 2);
    assert_memory_equal(array.data, doubles, sizeof doubles);
    free(array.data);
    assert_int_equal(pd_foreign_get_array(&array, file, "bfloat16"), PD_OK);
    assert_memory_equal(array.data, halves, sizeof halves);
    free(array.data);
    assert_int_equal(pd_foreign_get_array(&array, file, "scalar"), PD_OK);
    assert_true(array.rank == 1 && array.dims[0] == 1 && array.data[0] == 7);
    free(array.data);
    assert_int_equal(pd_foreign_get_array(&array, file, "integers"), PD_OK);
    assert_true(array.data[3] == 4);
    free(array.data);
    assert_int_equal(pd_foreign_get_array(&array, file, "texts"), PD_FAILED);
    assert_int_equal(pd_foreign_get_array(&array, file, "group"), PD_FAILED);
    assert_int_equal(pd_foreign_get_array(&array, file, "none"), PD_FAILED);
    assert_null(array.data);
}

static void check_file(pd_foreign *file)
{
    assert_true(pd_foreign_has(file, "") && pd_foreign_has(file, "group"));
    assert_false(pd_foreign_has(file, "group/none") || pd_foreign_has(file, "none/none"));
    assert_true(pd_foreign_has_attribute(file, "", "text"));
    assert_false(pd_foreign_has_attribute(file, "none", "text"));
    check_texts(file);
    check_arrays(file);
}

static void test_file(void **state)
{
    (void)state;
    pd_foreign *file;
    assert_int_equal(pd_foreign_open(&file, "foreign.h5"), PD_OK);
    check_file(file);
    pd_foreign_close(&file);
    assert_null(file);
}

static void test_bytes(void **state)
{
    (void)state;
    unsigned char *content;
    size_t size;
    pd_foreign *file;
    assert_int_equal(pd_file_read(&content, &size, "foreign.h5", 1 << 20), PD_OK);
    assert_int_equal(pd_foreign_open_bytes(&file, "archive", content, size), PD_OK);
    memset(content, 0, size);
    check_file(file);
    pd_foreign_close(&file);
    assert_int_equal(pd_foreign_open_bytes(&file, "archive", content, size), PD_FAILED);
    assert_null(file);
    assert_non_null(strstr(pd_error_message(), "archive: the HDF5 file inside it is damaged"));
    free(content);
}

/* All arrays together are not larger than the file, however often they are read. */
static void test_budget(void **state)
{
    (void)state;
    pd_foreign *file;
    pd_array array = {0};
    assert_int_equal(pd_foreign_open(&file, "foreign.h5"), PD_OK);
    int reads = 0;
    while (reads < 100000 && pd_foreign_get_array(&array, file, "doubles") == PD_OK) {
        free(array.data);
        reads++;
    }
    assert_true(reads > 100 && reads < 100000);
    assert_non_null(strstr(pd_error_message(), "names more arrays than it holds"));
    pd_foreign_close(&file);
}

static void assert_opens(const bytes *content, bool opens)
{
    pd_foreign *file;
    spill("heap.h5", content->data, content->size);
    assert_int_equal(pd_foreign_open(&file, "heap.h5"), opens ? PD_OK : PD_FAILED);
    if (!opens)
        assert_message("heap.h5: a heap of its texts is damaged; download or save it again");
    pd_foreign_close(&file);
    assert_int_equal(pd_foreign_open_bytes(&file, "heap", content->data, content->size),
                     opens ? PD_OK : PD_FAILED);
    pd_foreign_close(&file);
}

/* HDF5 1.10 does not return from reading the text of a heap whose rest has no size, or where sizes
 * overflow. */
static void test_damaged_heap(void **state)
{
    (void)state;
    enum { HEADER = 16, INDEX = 0, SIZE = 8 };
    static const unsigned char size[8] = {0}, most[8] = {0xf0, 255, 255, 255, 255, 255, 255, 255},
                               like[16] = {'G', 'C', 'O', 'L', 1,   0,   0,   0,
                                           255, 255, 255, 255, 255, 255, 255, 127};
    bytes whole = slurp("foreign.h5");
    unsigned char *heap = memmem(whole.data, whole.size, "GCOL\1", 5), *first = heap + HEADER;
    unsigned char *rest = first, kept[sizeof like];
    assert_non_null(heap);
    assert_int_equal(first[INDEX], 1);
    while (rest[INDEX] != 0)
        rest += HEADER + (rest[SIZE] + 7) / 8 * 8;
    assert_opens(&whole, true);

    memcpy(kept, rest, sizeof kept);
    memcpy(rest + SIZE, size, sizeof size);
    assert_opens(&whole, false);
    memcpy(rest + SIZE, most, sizeof most);
    assert_opens(&whole, false);
    memcpy(rest, kept, sizeof kept);

    memcpy(kept, first, sizeof kept);
    memcpy(first + SIZE, most, sizeof most);
    assert_opens(&whole, false);
    first[SIZE] = 0; /* and larger than the heap */
    memset(first + SIZE + 2, 0, 6);
    assert_opens(&whole, false);
    memcpy(first, kept, sizeof kept);

    /* In the unused end of the heap: data that begins like a heap. */
    memcpy(rest + HEADER, like, sizeof like);
    assert_opens(&whole, true);

    /* Heaps in one another, each with one object, would take time quadratic in their number. */
    unsigned char *end = heap + heap[SIZE] + 256 * heap[SIZE + 1];
    for (unsigned char *inner = rest + HEADER; end - inner > 64; inner += 2 * (ptrdiff_t)HEADER) {
        const int64_t sizes[2] = {end - inner, end - inner - 2 * (ptrdiff_t)HEADER};
        memset(inner, 0, 2 * (size_t)HEADER);
        memcpy(inner, "GCOL\1", 5);
        memcpy(inner + SIZE, &sizes[0], sizeof sizes[0]);
        inner[HEADER] = 1;
        memcpy(inner + HEADER + SIZE, &sizes[1], sizeof sizes[1]);
    }
    assert_opens(&whole, false);
    free(whole.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_file),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_budget),
        cmocka_unit_test(test_damaged_heap),
    };
    return cmocka_run_group_tests(tests, make_file, NULL);
}
