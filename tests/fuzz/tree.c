#include "tree.h"

#include "fuzz.h"

#include "io/hdf5.h"
#include "pneumo/io/file.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EDITS = 12, SEEDS = 256, OBJECTS = 1024, VALUE_BYTES = 1 << 16, TEXT_BYTES = 80000 };

/* What to do with which object, in the order of H5Ovisit, and its how manyth attribute. */
typedef struct edit {
    uint8_t action, object[2], attribute, type, shape, layout, value;
    uint8_t data[8];
} edit;

_Static_assert(sizeof(edit) == 16, "an edit has 16 bytes");

typedef struct tree {
    hid_t file;
    char *paths[OBJECTS];
    int count;
} tree;

/* --- Objects --- */

static herr_t add_path(hid_t object, const char *name, const H5O_info_t *info, void *out)
{
    tree *t = out;
    char path[1024];
    (void)object;
    (void)info;
    snprintf(path, sizeof path, "/%s", strcmp(name, ".") == 0 ? "" : name);
    t->paths[t->count++] = strdup(path);
    return t->count == OBJECTS;
}

static void list_objects(tree *t)
{
    while (t->count > 0)
        free(t->paths[--t->count]);
    pd_hdf5_visit(t->file, "/", add_path, t);
    if (t->count == 0)
        t->paths[t->count++] = strdup("/");
}

static int number_of(const uint8_t bytes[2])
{
    return bytes[0] | bytes[1] << 8;
}

static const char *path_at(const tree *t, int number)
{
    return t->paths[number % t->count];
}

static const char *path_of(const tree *t, const edit *e)
{
    return path_at(t, number_of(e->object));
}

/* Another object, by the edit's data. */
static const char *other_path(const tree *t, const edit *e)
{
    return path_at(t, number_of(e->data));
}

/* --- Values --- */

static uint64_t data_of(const edit *e)
{
    uint64_t data;
    memcpy(&data, e->data, sizeof data);
    return data;
}

static int64_t integer_of(const edit *e)
{
    static const int64_t extremes[] = {0,         1,         -1,        2,     3,
                                       255,       256,       65535,     65536, INT32_MAX,
                                       INT32_MIN, 1LL << 31, 1LL << 32, 16384, INT64_MAX,
                                       INT64_MIN, 1LL << 62, 1000000,   46341, -1000};
    const size_t count = sizeof extremes / sizeof *extremes, number = e->value % (count + 2);
    return number < count    ? extremes[number]
           : number == count ? (int64_t)(data_of(e) & 0xff)
                             : (int64_t)data_of(e);
}

static double real_of(const edit *e)
{
    static const double extremes[] = {0,     -0.0, 1,    -1,    0.5,   2,     1e-300,
                                      1e300, 1e38, 1e39, 1e-45, 255.5, 1e-10, -1e-300};
    const size_t count = sizeof extremes / sizeof *extremes, number = e->value % (count + 4);
    double value = (double)NAN;
    if (number < count)
        return extremes[number];
    if (number == count)
        memcpy(&value, e->data, sizeof value);
    return number == count + 1 ? (double)INFINITY : number == count + 2 ? -(double)INFINITY : value;
}

/* Writes a value of the type, which has `size` bytes. */
static void set_item(unsigned char *item, hid_t type, size_t size, const edit *e)
{
    const int64_t integer = integer_of(e);
    const double real = real_of(e);
    unsigned char number[64] = {0};
    switch (H5Tget_class(type)) {
    case H5T_INTEGER:
    case H5T_ENUM:
    case H5T_BITFIELD:
        memcpy(item, &integer, size < sizeof integer ? size : sizeof integer);
        break;
    case H5T_FLOAT:
        memcpy(number, &real, sizeof real);
        if (size <= sizeof number && H5Tconvert(H5T_NATIVE_DOUBLE, type, 1, number, NULL, 0) >= 0)
            memcpy(item, number, size);
        break;
    default:
        memcpy(item + (e->value % size), e->data,
               size - e->value % size < sizeof e->data ? size - e->value % size : sizeof e->data);
        break;
    }
}

static bool has_pointers(hid_t type)
{
    return H5Tdetect_class(type, H5T_VLEN) > 0 || H5Tdetect_class(type, H5T_REFERENCE) > 0 ||
           H5Tis_variable_str(type) > 0 || H5Tdetect_class(type, H5T_STRING) < 0;
}

/* --- Texts --- */

/* The next number in a text, from `at` on; NULL: none. */
static char *find_number(char *at)
{
    at += strcspn(at, "0123456789");
    return *at == '\0' ? NULL : at;
}

/* Replaces the bytes [at, at + old) of a text by `new`. */
static void splice(char *text, char *at, size_t old, const char *new)
{
    char rest[TEXT_BYTES];
    snprintf(rest, sizeof rest, "%s", at + old);
    snprintf(at, TEXT_BYTES - (size_t)(at - text), "%s%s", new, rest);
}

static void edit_number(char *text, const edit *e)
{
    char digits[32], *at = find_number(text);
    for (int i = number_of(e->data) % 256; i > 0 && at != NULL; i--) {
        char *next = find_number(at + strspn(at, "0123456789"));
        at = next != NULL ? next : find_number(text);
    }
    snprintf(digits, sizeof digits, "%lld", (long long)integer_of(e));
    if (at != NULL)
        splice(text, at, strspn(at, "0123456789"), digits);
}

/* Replaces a quoted part by another one of the same text. */
static void edit_quoted(char *text, const edit *e)
{
    char *starts[512], copy[128];
    int count = 0;
    for (char *at = strchr(text, '"'); at != NULL && count < 512; at = strchr(at, '"')) {
        starts[count++] = ++at;
        at += strcspn(at, "\"");
        at += *at == '"';
    }
    if (count == 0)
        return;
    char *to = starts[number_of(e->data) % count], *from = starts[number_of(e->data + 2) % count];
    snprintf(copy, sizeof copy, "%.*s", (int)strcspn(from, "\""), from);
    splice(text, to, strcspn(to, "\""), copy);
}

/* Changes a text of TEXT_BYTES. */
static void edit_text(char *text, const tree *t, const edit *e)
{
    static const char *const words[] = {
        ".",    "..",   "/",    "a/b",      "../x",      "nan",        "[]",         "{}",
        "\"",   "null", "true", "imported", "fold",      "fixed",      "vgg16",      "resnet",
        "mlp2", ":0",   "\xff", "\n",       "[1, 2, 3]", "{\"a\": 1}", "Functional", "kernel:0"};
    const size_t length = strlen(text), at = length == 0 ? 0 : (size_t)number_of(e->data) % length;
    char piece[9] = {0};
    memcpy(piece, e->data, 8);
    switch (e->value % 10) {
    case 0:
        text[0] = '\0';
        break;
    case 1:
        memset(text, 'a', TEXT_BYTES - 1);
        text[e->data[0] < 128 ? 300 : TEXT_BYTES - 1] = '\0';
        break;
    case 2:
        snprintf(text, TEXT_BYTES, "%s", piece);
        break;
    case 3:
        snprintf(text, TEXT_BYTES, "%s", strrchr(other_path(t, e), '/') + 1);
        break;
    case 4:
        text[at] = '\0';
        break;
    case 5:
        splice(text, text + at, e->data[2] % (length - at + 1), piece + 3);
        break;
    case 6:
        edit_quoted(text, e);
        break;
    case 7:
        snprintf(text, TEXT_BYTES, "%s", words[e->data[0] % (sizeof words / sizeof *words)]);
        break;
    default:
        edit_number(text, e);
        break;
    }
}

/* --- Types, shapes and storage --- */

static hid_t text_type(size_t size)
{
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, size);
    return type;
}

static hid_t half_type(void)
{
    hid_t type = H5Tcopy(H5T_IEEE_F32LE);
    H5Tset_fields(type, 15, 10, 5, 0, 10);
    H5Tset_size(type, 2);
    H5Tset_ebias(type, 15);
    return type;
}

static hid_t enum_type(hid_t base)
{
    hid_t type = H5Tenum_create(base);
    unsigned char value[8] = {0};
    H5Tenum_insert(type, "NORMAL", value);
    value[0] = 1;
    H5Tenum_insert(type, "PNEUMONIA", value);
    return type;
}

static hid_t compound_type(void)
{
    hid_t type = H5Tcreate(H5T_COMPOUND, 16);
    H5Tinsert(type, "epoch", 0, H5T_STD_I32LE);
    H5Tinsert(type, "loss", 8, H5T_IEEE_F64LE);
    return type;
}

/* The caller closes it. */
static hid_t make_type(int number)
{
    const hid_t simple[] = {H5T_STD_I8LE,  H5T_STD_U8LE,       H5T_STD_I16LE,   H5T_STD_U16LE,
                            H5T_STD_I32LE, H5T_STD_U32LE,      H5T_STD_I64LE,   H5T_STD_U64LE,
                            H5T_STD_I32BE, H5T_IEEE_F32LE,     H5T_IEEE_F64LE,  H5T_IEEE_F32BE,
                            H5T_STD_B8LE,  H5T_NATIVE_LDOUBLE, H5T_STD_REF_OBJ, H5T_C_S1};
    const hsize_t three[] = {3};
    const int count = sizeof simple / sizeof *simple, kinds = count + 11;
    switch (number % kinds - count) {
    case 0:
        return half_type();
    case 1:
        return text_type(8);
    case 2:
        return text_type(300);
    case 3:
        return text_type(60000);
    case 4:
        return text_type(H5T_VARIABLE);
    case 5:
        return enum_type(H5T_STD_U8LE);
    case 6:
        return enum_type(H5T_STD_I64LE);
    case 7:
        return compound_type();
    case 8:
        return H5Tcreate(H5T_OPAQUE, number % 2 == 0 ? 2 : 16);
    case 9:
        return H5Tarray_create2(H5T_IEEE_F32LE, 1, three);
    case 10:
        return H5Tvlen_create(H5T_STD_I32LE);
    default:
        return H5Tcopy(simple[number % kinds]);
    }
}

/* The caller closes it. */
static hid_t make_space(hid_t old, const edit *e)
{
    static const struct {
        int rank;
        hsize_t dims[4];
    } shapes[] = {{1, {0}},
                  {1, {1}},
                  {1, {2}},
                  {1, {7}},
                  {1, {1 << 20}},
                  {1, {1ULL << 33}},
                  {1, {1ULL << 62}},
                  {2, {1, 1}},
                  {2, {2, 3}},
                  {2, {1, 0}},
                  {2, {1ULL << 32, 1ULL << 31}},
                  {3, {1, 1, 1}},
                  {3, {1, 1ULL << 31, 1}},
                  {4, {1, 1, 1, 1}},
                  {4, {3, 1, 0, 2}}};
    const int count = sizeof shapes / sizeof *shapes, number = e->shape % (count + 8);
    hsize_t dims[H5S_MAX_RANK] = {0};
    int rank = H5Sget_simple_extent_ndims(old);
    if (number < count)
        return H5Screate_simple(shapes[number].rank, shapes[number].dims, NULL);
    if (number == count)
        return H5Screate(H5S_SCALAR);
    if (number == count + 1)
        return H5Screate(H5S_NULL);
    if (number == count + 2) {
        for (rank = 0; rank < H5S_MAX_RANK; rank++)
            dims[rank] = 1;
        return H5Screate_simple(e->data[0] % 2 == 0 ? H5S_MAX_RANK : 5, dims, NULL);
    }
    if (rank <= 0 || number >= count + 5)
        return H5Scopy(old);
    H5Sget_simple_extent_dims(old, dims, NULL);
    if (number == count + 3)
        dims[e->data[0] % rank] = e->data[1];
    else
        dims[e->data[0] % rank] += e->data[1] % 2 == 0 ? 1 : -1ULL;
    return H5Screate_simple(rank, dims, NULL);
}

/* Chunks and filters. */
static void set_chunks(hid_t creation, hid_t space, const edit *e)
{
    hsize_t chunk[H5S_MAX_RANK];
    const int rank = H5Sget_simple_extent_dims(space, chunk, NULL);
    if (rank <= 0)
        return;
    for (int i = 0; i < rank; i++)
        chunk[i] = e->layout % 3 == 0 || chunk[i] == 0 ? 1 : chunk[i];
    if (e->layout % 3 == 1)
        chunk[e->data[2] % rank] = 1U << (e->data[3] % 32);
    H5Pset_chunk(creation, rank, chunk);
    switch (e->layout / 16 % 6) {
    case 1:
        H5Pset_deflate(creation, 1);
        break;
    case 2:
        H5Pset_shuffle(creation);
        break;
    case 3:
        H5Pset_fletcher32(creation);
        H5Pset_fletcher32(creation);
        break;
    case 4:
        H5Pset_scaleoffset(creation, H5Z_SO_INT, 0);
        break;
    default:
        H5Pset_fletcher32(creation);
        break;
    }
}

/* The caller closes it. */
static hid_t make_creation(hid_t space, const edit *e)
{
    hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_fill_time(creation, H5D_FILL_TIME_NEVER);
    switch (e->layout % 8) {
    case 0:
        break;
    case 1:
        H5Pset_layout(creation, H5D_COMPACT);
        break;
    case 2:
        H5Pset_external(creation, "/dev/zero", 0, H5F_UNLIMITED);
        break;
    case 3:
        H5Pset_virtual(creation, space, e->data[0] % 2 == 0 ? "." : "gone.h5", "/images", space);
        break;
    default:
        set_chunks(creation, space, e);
        break;
    }
    return creation;
}

/* The items of a new object; NULL: too many, or of a type with pointers. The caller frees them. */
static unsigned char *make_items(hid_t type, hid_t space, const edit *e)
{
    const hssize_t count = H5Sget_simple_extent_npoints(space);
    const size_t size = H5Tget_size(type);
    if (count < 1 || count > VALUE_BYTES || has_pointers(type) ||
        size > 2 * VALUE_BYTES / (size_t)count)
        return NULL;
    unsigned char *items = calloc((size_t)count, size);
    fuzz_check(items != NULL, "memory for a value");
    for (hssize_t i = 0; i < count; i++)
        set_item(items + (size_t)i * size, type, size, e);
    return items;
}

/* --- Attributes --- */

/* The edit's attribute; the caller closes it. */
static hid_t open_attribute(const tree *t, const edit *e)
{
    hid_t object = H5Oopen(t->file, path_of(t, e), H5P_DEFAULT);
    const int count = object < 0 ? 0 : H5Aget_num_attrs(object);
    hid_t attribute =
        count <= 0 ? H5I_INVALID_HID
                   : H5Aopen_by_idx(object, ".", H5_INDEX_NAME, H5_ITER_INC,
                                    (hsize_t)(e->attribute % count), H5P_DEFAULT, H5P_DEFAULT);
    if (object >= 0)
        H5Oclose(object);
    return attribute;
}

/* Writes an attribute in place of that of the same name; `items` may be NULL. */
static void put_attribute(const tree *t, const edit *e, const char *name, const hid_t form[2],
                          const void *items)
{
    hid_t object = H5Oopen(t->file, path_of(t, e), H5P_DEFAULT);
    if (object < 0)
        return;
    H5Adelete(object, name);
    hid_t attribute = H5Acreate2(object, name, form[0], form[1], H5P_DEFAULT, H5P_DEFAULT);
    if (attribute >= 0 && items != NULL)
        H5Awrite(attribute, form[0], items);
    pd_hdf5_close(&attribute);
    H5Oclose(object);
}

static void delete_attribute(const tree *t, const edit *e)
{
    char name[256];
    hid_t attribute = open_attribute(t, e);
    if (attribute >= 0 && H5Aget_name(attribute, sizeof name, name) >= 0)
        H5Adelete_by_name(t->file, path_of(t, e), name, H5P_DEFAULT);
    pd_hdf5_close(&attribute);
}

static void rename_attribute(const tree *t, const edit *e)
{
    char name[256], *text = calloc(1, TEXT_BYTES);
    hid_t attribute = open_attribute(t, e);
    fuzz_check(text != NULL, "memory for a name");
    if (attribute >= 0 && H5Aget_name(attribute, sizeof name, name) >= 0) {
        snprintf(text, TEXT_BYTES, "%s", name);
        edit_text(text, t, e);
        pd_hdf5_close(&attribute);
        H5Arename_by_name(t->file, path_of(t, e), name, text, H5P_DEFAULT);
    }
    pd_hdf5_close(&attribute);
    free(text);
}

/* Another type or shape. */
static void replace_attribute(const tree *t, const edit *e)
{
    char name[256];
    hid_t attribute = open_attribute(t, e);
    if (attribute < 0 || H5Aget_name(attribute, sizeof name, name) < 0) {
        pd_hdf5_close(&attribute);
        return;
    }
    hid_t old = H5Aget_space(attribute);
    hid_t form[2] = {e->type < 64 ? H5Aget_type(attribute) : make_type(e->type),
                     make_space(old, e)};
    unsigned char *items = make_items(form[0], form[1], e);
    pd_hdf5_close(&attribute);
    /* HDF5 crashes later if it fails to make an attribute, as it does with a large one. */
    if ((size_t)H5Sget_simple_extent_npoints(form[1]) <= VALUE_BYTES / H5Tget_size(form[0]))
        put_attribute(t, e, name, form, items);
    free(items);
    pd_hdf5_close(&form[1]);
    pd_hdf5_close(&form[0]);
    pd_hdf5_close(&old);
}

/* Changes a text, which keeps its length and padding, or is written anew. */
static void edit_attribute_text(const tree *t, const edit *e, hid_t attribute, hid_t type,
                                hid_t space)
{
    const size_t size = H5Tget_size(type);
    const hssize_t count = H5Sget_simple_extent_npoints(space);
    char name[256], *text = calloc(1, TEXT_BYTES), *items = NULL;
    if (count < 1 || size >= TEXT_BYTES || (size_t)count > (1 << 20) / size)
        goto cleanup;
    items = calloc((size_t)count, size);
    fuzz_check(items != NULL && text != NULL, "memory for a text");
    if (H5Aget_name(attribute, sizeof name, name) < 0 || H5Aread(attribute, type, items) < 0)
        goto cleanup;
    char *item = items + (size_t)(e->data[7] % count) * size;
    memcpy(text, item, size);
    edit_text(text, t, e);
    if (count > 1 || e->type % 4 == 0) {
        memset(item, 0, size);
        memcpy(item, text, strnlen(text, size));
        H5Awrite(attribute, type, items);
    } else {
        const char *pointer = text;
        const bool variable = e->type % 4 == 1;
        hid_t form[2] = {text_type(variable          ? H5T_VARIABLE
                                   : text[0] == '\0' ? 1
                                                     : strlen(text)),
                         space};
        put_attribute(t, e, name, form, variable ? (const void *)&pointer : text);
        pd_hdf5_close(&form[0]);
    }

cleanup:
    free(items);
    free(text);
}

/* The same for texts of variable length, which all become the changed one. */
static void edit_attribute_texts(const tree *t, const edit *e, hid_t attribute, hid_t type,
                                 hid_t space)
{
    const hssize_t count = H5Sget_simple_extent_npoints(space);
    char **items = NULL, **changed = NULL, *text = calloc(1, TEXT_BYTES);
    if (count < 1 || count > VALUE_BYTES)
        goto cleanup;
    items = calloc((size_t)count, sizeof *items);
    changed = calloc((size_t)count, sizeof *changed);
    fuzz_check(items != NULL && changed != NULL && text != NULL, "memory for texts");
    if (H5Aread(attribute, type, items) < 0)
        goto cleanup;
    memcpy(changed, items, (size_t)count * sizeof *items);
    const size_t at = e->data[7] % (size_t)count;
    snprintf(text, TEXT_BYTES, "%s", items[at] == NULL ? "" : items[at]);
    edit_text(text, t, e);
    changed[at] = text;
    H5Awrite(attribute, type, changed);
    H5Dvlen_reclaim(type, space, H5P_DEFAULT, items);

cleanup:
    free(items);
    free(changed);
    free(text);
}

static void edit_attribute_items(const edit *e, hid_t attribute, hid_t type, hid_t space)
{
    const hssize_t count = H5Sget_simple_extent_npoints(space);
    const size_t size = H5Tget_size(type);
    if (count < 1 || has_pointers(type) || (size_t)count > VALUE_BYTES / size)
        return;
    unsigned char *items = calloc((size_t)count, size);
    fuzz_check(items != NULL, "memory for values");
    if (H5Aread(attribute, type, items) >= 0) {
        set_item(items + (size_t)(e->data[7] % count) * size, type, size, e);
        H5Awrite(attribute, type, items);
    }
    free(items);
}

static void edit_attribute(const tree *t, const edit *e)
{
    hid_t attribute = open_attribute(t, e);
    if (attribute < 0)
        return;
    hid_t type = H5Aget_type(attribute), space = H5Aget_space(attribute);
    if (H5Tis_variable_str(type) > 0)
        edit_attribute_texts(t, e, attribute, type, space);
    else if (H5Tget_class(type) == H5T_STRING)
        edit_attribute_text(t, e, attribute, type, space);
    else
        edit_attribute_items(e, attribute, type, space);
    pd_hdf5_close(&space);
    pd_hdf5_close(&type);
    pd_hdf5_close(&attribute);
}

/* --- Data sets --- */

/* The items of a data set in its own type; NULL: too many. The caller frees them. */
static unsigned char *read_items(hid_t data, hid_t type, hssize_t count)
{
    const size_t size = H5Tget_size(type);
    hid_t creation = H5Dget_create_plist(data);
    const H5D_layout_t layout = H5Pget_layout(creation);
    pd_hdf5_close(&creation);
    if (layout == H5D_VIRTUAL || count < 1 || has_pointers(type) ||
        (size_t)count > VALUE_BYTES / size)
        return NULL;
    unsigned char *items = calloc((size_t)count, size);
    fuzz_check(items != NULL, "memory for values");
    if (H5Dread(data, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, items) >= 0)
        return items;
    free(items);
    return NULL;
}

static void edit_data(const tree *t, const edit *e)
{
    hid_t data = H5Dopen2(t->file, path_of(t, e), H5P_DEFAULT);
    if (data < 0)
        return;
    hid_t type = H5Dget_type(data), space = H5Dget_space(data);
    const hssize_t count = H5Sget_simple_extent_npoints(space);
    const size_t size = H5Tget_size(type);
    unsigned char *items = read_items(data, type, count);
    if (items != NULL) {
        set_item(items + (size_t)number_of(e->data + 6) % (size_t)count * size, type, size, e);
        H5Dwrite(data, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, items);
    }
    free(items);
    pd_hdf5_close(&space);
    pd_hdf5_close(&type);
    pd_hdf5_close(&data);
}

/* Another type, shape or storage, of which the items may be missing. */
static void replace_data(const tree *t, const edit *e)
{
    const char *path = path_of(t, e);
    hid_t data = H5Dopen2(t->file, path, H5P_DEFAULT);
    hid_t old_type = data < 0 ? H5Tcopy(H5T_STD_U8LE) : H5Dget_type(data);
    hid_t old_space = data < 0 ? H5Screate(H5S_SCALAR) : H5Dget_space(data);
    hid_t type = e->type < 128 ? H5Tcopy(old_type) : make_type(e->type);
    hid_t space = make_space(old_space, e), creation = make_creation(space, e);
    const hssize_t count = H5Sget_simple_extent_npoints(space);
    unsigned char *items = NULL;
    if (e->value % 4 != 0 && data >= 0 && H5Sget_simple_extent_npoints(old_space) == count &&
        H5Tequal(old_type, type) > 0)
        items = read_items(data, type, count);
    else if (e->value % 4 != 0)
        items = make_items(type, space, e);
    pd_hdf5_close(&data);
    H5Ldelete(t->file, path, H5P_DEFAULT);
    data = H5Dcreate2(t->file, path, type, space, H5P_DEFAULT, creation, H5P_DEFAULT);
    /* HDF5 follows virtual data that consist of themselves until its stack is full. */
    if (data >= 0 && items != NULL && H5Pget_layout(creation) != H5D_VIRTUAL)
        H5Dwrite(data, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, items);
    free(items);
    pd_hdf5_close(&data);
    pd_hdf5_close(&creation);
    pd_hdf5_close(&space);
    pd_hdf5_close(&type);
    pd_hdf5_close(&old_space);
    pd_hdf5_close(&old_type);
}

/* --- Links --- */

static void delete_object(const tree *t, const edit *e)
{
    H5Ldelete(t->file, path_of(t, e), H5P_DEFAULT);
}

/* Renames an object, or moves it to where another one is. */
static void move_object(const tree *t, const edit *e)
{
    char *text = calloc(1, TEXT_BYTES);
    const char *path = path_of(t, e), *to = other_path(t, e);
    fuzz_check(text != NULL, "memory for a name");
    if (e->value % 16 < 8) {
        snprintf(text, TEXT_BYTES, "%s", path);
        edit_text(text, t, e);
        to = text;
    }
    if (H5Lexists(t->file, to, H5P_DEFAULT) > 0 && strcmp(to, path) != 0)
        H5Ldelete(t->file, to, H5P_DEFAULT);
    H5Lmove(t->file, path, t->file, to, H5P_DEFAULT, H5P_DEFAULT);
    free(text);
}

static void copy_object(const tree *t, const edit *e)
{
    const char *path = path_of(t, e), *to = other_path(t, e);
    if (strncmp(path, to, strlen(path)) == 0 || strncmp(path, to, strlen(to)) == 0)
        return;
    H5Ldelete(t->file, to, H5P_DEFAULT);
    H5Ocopy(t->file, path, t->file, to, H5P_DEFAULT, H5P_DEFAULT);
}

/* A link in place of an object, to another one, to itself or to nothing. */
static void put_soft_link(const tree *t, const edit *e)
{
    const char *path = path_of(t, e);
    H5Ldelete(t->file, path, H5P_DEFAULT);
    H5Lcreate_soft(e->value % 8 == 0   ? "/gone"
                   : e->value % 8 == 1 ? path
                                       : other_path(t, e),
                   t->file, path, H5P_DEFAULT, H5P_DEFAULT);
}

/* A second name; with a group that is above, a cycle. */
static void put_hard_link(const tree *t, const edit *e)
{
    const char *path = path_of(t, e), *to = other_path(t, e);
    hid_t object = H5Oopen(t->file, to, H5P_DEFAULT);
    if (object < 0)
        return;
    H5Ldelete(t->file, path, H5P_DEFAULT);
    H5Lcreate_hard(object, ".", t->file, path, H5P_DEFAULT, H5P_DEFAULT);
    H5Oclose(object);
}

static hid_t follow_nothing(const char *name, hid_t group, const void *value, size_t size,
                            hid_t access, hid_t transfer)
{
    (void)name;
    (void)group;
    (void)value;
    (void)size;
    (void)access;
    (void)transfer;
    return H5I_INVALID_HID;
}

/* The program does without the class of external links, which HDF5 needs to make one. */
static void put_external_link(const tree *t, const edit *e)
{
    static const H5L_class_t external = {.version = H5L_LINK_CLASS_T_VERS,
                                         .id = H5L_TYPE_EXTERNAL,
                                         .comment = "external",
                                         .trav_func = follow_nothing};
    char value[256] = {0};
    const char *path = path_of(t, e);
    const char *file = e->value % 2 == 0 ? "gone.h5" : "tree.h5";
    const int length = snprintf(value + 1, sizeof value - 1, "%s", file);
    const int more = snprintf(value + 2 + length, 128, "%s", other_path(t, e));
    if (H5Lregister(&external) < 0)
        return;
    H5Ldelete(t->file, path, H5P_DEFAULT);
    H5Lcreate_ud(t->file, path, H5L_TYPE_EXTERNAL, value,
                 (size_t)(3 + length + (more < 128 ? more : 127)), H5P_DEFAULT, H5P_DEFAULT);
    H5Lunregister(H5L_TYPE_EXTERNAL);
}

/* A group or a type in place of an object. */
static void put_other_kind(const tree *t, const edit *e)
{
    const char *path = path_of(t, e);
    H5Ldelete(t->file, path, H5P_DEFAULT);
    if (e->value % 2 == 0) {
        hid_t group = H5Gcreate2(t->file, path, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
        pd_hdf5_close(&group);
        return;
    }
    hid_t type = make_type(e->type);
    H5Tcommit2(t->file, path, type, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    pd_hdf5_close(&type);
}

/* --- Files --- */

/* Values are what readers check most. */
static void (*const actions[])(const tree *, const edit *) = {
    edit_attribute,    edit_attribute,    edit_attribute,   edit_attribute,   edit_attribute,
    edit_data,         edit_data,         replace_data,     replace_data,     replace_data,
    replace_attribute, replace_attribute, delete_attribute, rename_attribute, delete_object,
    move_object,       copy_object,       put_soft_link,    put_hard_link,    put_external_link,
    put_other_kind};

static char *seeds[SEEDS];
static int seed_count;

static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

/* The folder of the seeds: $FUZZ_SEEDS, or seeds in the build folder. */
static void find_folder(char out[PATH_MAX], const char *fuzzer)
{
    char self[PATH_MAX] = {0};
    const char *given = getenv("FUZZ_SEEDS");
    if (given == NULL && readlink("/proc/self/exe", self, sizeof self - 1) > 0)
        for (int i = 0; i < 3; i++)
            *strrchr(self, '/') = '\0';
    if (given != NULL)
        snprintf(out, PATH_MAX, "%s/%s", given, fuzzer);
    else
        snprintf(out, PATH_MAX, "%.*s/seeds/%s", PATH_MAX / 2, self, fuzzer);
}

static void find_seeds(const char *fuzzer)
{
    char folder[PATH_MAX], path[2 * PATH_MAX], head[8];
    struct dirent **entries;
    find_folder(folder, fuzzer);
    const int count = scandir(folder, &entries, is_visible, alphasort);
    for (int i = 0; i < count; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        FILE *file = fopen(path, "rb");
        if (file != NULL && fread(head, 1, 8, file) == 8 && memcmp(head, "\x89HDF", 4) == 0 &&
            seed_count < SEEDS)
            seeds[seed_count++] = strdup(path);
        if (file != NULL)
            fclose(file);
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
    fuzz_check(seed_count > 0, "seeds: make them with tests/fuzz/seeds.sh");
}

/* Writes the file anew with the edits. Returns whether HDF5 could. */
static bool edit_file(const char *path, const uint8_t *bytes, size_t size)
{
    tree t = {.count = 0};
    hid_t access = pd_hdf5_file_access();
    H5Pset_fapl_core(access, 1 << 16, true);
    t.file = H5Fopen(path, H5F_ACC_RDWR, access);
    pd_hdf5_close(&access);
    for (size_t i = 0; i < EDITS && 1 + (i + 1) * sizeof(edit) <= size && t.file >= 0; i++) {
        edit e;
        memcpy(&e, bytes + 1 + i * sizeof e, sizeof e);
        list_objects(&t);
        actions[e.action % (sizeof actions / sizeof *actions)](&t, &e);
    }
    return t.file >= 0 && pd_hdf5_close(&t.file) >= 0;
}

/* HDF5 crashes while it writes some of these trees, which is not what is tested here. */
static bool edit_in_child(const char *path, const uint8_t *bytes, size_t size)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGALRM};
    enum { SECONDS = 4 };
    int status;
    pid_t child = fork();
    fuzz_check(child >= 0, "a process for the edits");
    if (child == 0) {
        for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
            signal(signals[i], SIG_DFL);
        alarm(SECONDS);
        _exit(edit_file(path, bytes, size) ? 0 : 1);
    }
    while (waitpid(child, &status, 0) < 0)
        fuzz_check(errno == EINTR, "the end of the edits");
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

const char *fuzz_tree(const char *name, const char *fuzzer, const uint8_t *bytes, size_t size)
{
    unsigned char *seed;
    size_t seed_size;
    pd_hdf5_start();
    if (seed_count == 0)
        find_seeds(fuzzer);
    const char *from = seeds[size == 0 ? 0 : bytes[0] % seed_count];
    fuzz_check(pd_file_read(&seed, &seed_size, from, 1 << 30) == PD_OK, "a seed");
    const char *path = fuzz_file(name, seed, seed_size);
    free(seed);
    return edit_in_child(path, bytes, size) ? path : NULL;
}

/* --- Mutation --- */

size_t LLVMFuzzerMutate(uint8_t *bytes, size_t size, size_t room);

size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t size, size_t room, unsigned seed)
{
    const size_t most = room < 1 + sizeof(edit) ? 0 : (room - 1) / sizeof(edit);
    size_t edits = size < 1 ? 0 : (size - 1) / sizeof(edit);
    unsigned state = seed;
    if (most == 0)
        return LLVMFuzzerMutate(bytes, size, room);
    if (size == 0)
        bytes[0] = 0;
    edits = edits > EDITS ? EDITS : edits;
    const size_t place = (size_t)rand_r(&state) % (edits + 1);
    uint8_t *at = bytes + 1 + place * sizeof(edit);
    const int choice = rand_r(&state) % 8;
    if (choice == 0) {
        bytes[0] = (uint8_t)rand_r(&state);
    } else if ((choice < 4 && edits < most && edits < EDITS) || edits == 0) {
        memmove(at + sizeof(edit), at, (edits - place) * sizeof(edit));
        for (size_t i = 0; i < sizeof(edit); i++)
            at[i] = (uint8_t)(rand_r(&state) >> 8);
        edits++;
    } else if (choice == 4 && place < edits) {
        memmove(at, at + sizeof(edit), (edits - place - 1) * sizeof(edit));
        edits--;
    } else if (place < edits) {
        at[(size_t)rand_r(&state) % sizeof(edit)] = (uint8_t)(rand_r(&state) >> 8);
    }
    return 1 + edits * sizeof(edit);
}
