#include "pneumo/io/dataset.h"

#include "pneumo/base/memory.h"
#include "pneumo/io/file.h"

#include "field.h"
#include "hdf5_array.h"
#include "hdf5_attribute.h"
#include "hdf5_format.h"
#include "hdf5_text.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const FORMAT = "pneumo-dist data set";
enum { FORMAT_VERSION = 2 }; /* 2: with /shape */

const char *const pd_label_names[PD_LABELS] = {"NORMAL", "PNEUMONIA"};
const char *const pd_cause_names[PD_CAUSES] = {"NONE", "BACTERIA", "VIRUS", "UNKNOWN"};
const char *const pd_fold_names[PD_FOLDS] = {"TRAIN", "VAL", "TEST"};

/* The attributes of / besides those of the format. */
#define FIELD(member, name, kind) PD_FIELD(pd_dataset_info, member, name, kind)
static const pd_field info_fields[] = {
    FIELD(fold_policy, "fold_policy", TEXT),
    FIELD(grouping, "grouping", TEXT),
    FIELD(seed, "seed", UNSIGNED),
    FIELD(mean, "mean", REAL),
    FIELD(deviation, "deviation", REAL),
    FIELD(duplicates, "duplicates", INTEGER),
    PD_FIELD_OPTIONAL(pd_dataset_info, unknown_patients, "unknown_patients", INTEGER),
    FIELD(digest, "content_digest", TEXT),
    FIELD(counts[PD_TRAIN][PD_NORMAL], "count_train_normal", INTEGER),
    FIELD(counts[PD_TRAIN][PD_PNEUMONIA], "count_train_pneumonia", INTEGER),
    FIELD(counts[PD_VAL][PD_NORMAL], "count_val_normal", INTEGER),
    FIELD(counts[PD_VAL][PD_PNEUMONIA], "count_val_pneumonia", INTEGER),
    FIELD(counts[PD_TEST][PD_NORMAL], "count_test_normal", INTEGER),
    FIELD(counts[PD_TEST][PD_PNEUMONIA], "count_test_pneumonia", INTEGER),
};
enum { INFO_FIELDS = sizeof info_fields / sizeof *info_fields };

struct pd_dataset {
    char *path;
    char *temporary; /* path of the file being written, else NULL */
    pd_hdf5 file;
    hid_t images;
    pd_hdf5_layout layout; /* of the images, if open for reading */
    pd_dataset_info info;
    pd_sample *samples;
    char **names; /* the samples' names point into it */
};

static pd_status create_handle(pd_dataset **out, const char *path)
{
    pd_status status = PD_OK;
    pd_dataset *dataset = NULL;
    PD_TRY(pd_alloc(&dataset, 1, sizeof *dataset));
    dataset->file.id = H5I_INVALID_HID;
    dataset->images = H5I_INVALID_HID;
    PD_TRY(pd_strdup(&dataset->path, path));
    *out = dataset;
    dataset = NULL;

cleanup:
    free(dataset);
    return status;
}

void pd_samples_count(int64_t counts[PD_FOLDS][PD_LABELS], const pd_sample *samples, int64_t count)
{
    memset(counts, 0, sizeof(int64_t) * PD_FOLDS * PD_LABELS);
    for (int64_t i = 0; i < count; i++)
        counts[samples[i].fold][samples[i].label]++;
}

/* uint8 with values from 0. The caller closes it. */
static hid_t enum_type(const char *const *names, int count)
{
    hid_t type = H5Tenum_create(H5T_STD_U8LE);
    for (int i = 0; i < count; i++) {
        uint8_t value = (uint8_t)i;
        H5Tenum_insert(type, names[i], &value);
    }
    return type;
}

/* --- Writing. --- */

static pd_status write_enum(const pd_hdf5 *file, const char *name, const char *const *names,
                            int names_count, const uint8_t *values, int64_t count)
{
    hsize_t dims[1] = {(hsize_t)count};
    hid_t type = enum_type(names, names_count);
    const pd_hdf5_shape shape = {type, type, 1, dims};
    pd_status status = pd_hdf5_put_array(file, file->id, name, &shape, values);
    pd_hdf5_close(&type);
    return status;
}

static pd_status write_names(const pd_hdf5 *file, const pd_sample *samples, int64_t count)
{
    pd_status status = PD_OK;
    char *block = NULL;
    size_t width = 1;
    hsize_t dims[1] = {(hsize_t)count};
    for (int64_t i = 0; i < count; i++)
        width = strlen(samples[i].name) > width ? strlen(samples[i].name) : width;
    hid_t type = pd_hdf5_text_type(width);
    PD_TRY(pd_alloc(&block, (size_t)count, width));
    for (int64_t i = 0; i < count; i++)
        memcpy(block + (size_t)i * width, samples[i].name, strlen(samples[i].name));
    const pd_hdf5_shape shape = {type, type, 1, dims};
    PD_TRY(pd_hdf5_put_array(file, file->id, "name", &shape, block));

cleanup:
    pd_hdf5_close(&type);
    free(block);
    return status;
}

static pd_status write_shapes(const pd_hdf5 *file, const pd_sample *samples, int64_t count)
{
    pd_status status = PD_OK;
    uint16_t(*shapes)[2] = NULL;
    hsize_t dims[2] = {(hsize_t)count, 2};
    PD_TRY(pd_alloc(&shapes, (size_t)count, sizeof *shapes));
    for (int64_t i = 0; i < count; i++) {
        shapes[i][0] = samples[i].height;
        shapes[i][1] = samples[i].width;
    }
    const pd_hdf5_shape shape = {H5T_STD_U16LE, H5T_NATIVE_UINT16, 2, dims};
    PD_TRY(pd_hdf5_put_array(file, file->id, "shape", &shape, shapes));

cleanup:
    free(shapes);
    return status;
}

static pd_status write_samples(const pd_hdf5 *file, const pd_sample *samples, int64_t count)
{
    pd_status status = PD_OK;
    uint8_t *bytes = NULL;
    int32_t *patients = NULL;
    hsize_t dims[1] = {(hsize_t)count};
    PD_TRY(pd_alloc(&bytes, (size_t)count, sizeof *bytes));
    PD_TRY(pd_alloc(&patients, (size_t)count, sizeof *patients));
    for (int64_t i = 0; i < count; i++)
        bytes[i] = (uint8_t)samples[i].label;
    PD_TRY(write_enum(file, "label", pd_label_names, PD_LABELS, bytes, count));
    for (int64_t i = 0; i < count; i++)
        bytes[i] = (uint8_t)samples[i].cause;
    PD_TRY(write_enum(file, "cause", pd_cause_names, PD_CAUSES, bytes, count));
    for (int64_t i = 0; i < count; i++)
        bytes[i] = (uint8_t)samples[i].fold;
    PD_TRY(write_enum(file, "fold", pd_fold_names, PD_FOLDS, bytes, count));
    for (int64_t i = 0; i < count; i++)
        patients[i] = samples[i].patient;
    const pd_hdf5_shape shape = {H5T_STD_I32LE, H5T_NATIVE_INT32, 1, dims};
    PD_TRY(pd_hdf5_put_array(file, file->id, "patient", &shape, patients));
    PD_TRY(write_names(file, samples, count));
    PD_TRY(write_shapes(file, samples, count));

cleanup:
    free(bytes);
    free(patients);
    return status;
}

static pd_status write_info(const pd_hdf5 *file, const pd_dataset_info *info)
{
    pd_status status = pd_hdf5_put_format(file, FORMAT, FORMAT_VERSION, info->version);
    return status == PD_OK ? pd_fields_put(file, file->id, info_fields, INFO_FIELDS, info) : status;
}

pd_status pd_dataset_check_replaced(const char *path)
{
    return pd_hdf5_check_replaced(path, FORMAT);
}

pd_status pd_dataset_create(pd_dataset **out, const char *path, const pd_dataset_info *info,
                            const pd_sample *samples)
{
    pd_status status = PD_OK;
    pd_dataset *dataset = NULL;
    int64_t bytes = 0;
    *out = NULL;
    if (info->count < 1 || info->height < 1 || info->width < 1)
        return pd_fail("%s: cannot write a data set without images", path);
    PD_TRY(create_handle(&dataset, path));
    PD_TRY(pd_file_temporary(&dataset->temporary, path));
    PD_TRY(pd_hdf5_create(&dataset->file, dataset->path, dataset->temporary));
    dataset->info = *info;
    pd_samples_count(dataset->info.counts, samples, info->count);
    PD_TRY(write_samples(&dataset->file, samples, info->count));
    hsize_t dims[3] = {(hsize_t)info->count, (hsize_t)info->height, (hsize_t)info->width};
    hsize_t chunk[3] = {1, dims[1], dims[2]};
    const pd_hdf5_shape shape = {.stored = H5T_STD_U8LE, .rank = 3, .dims = dims};
    PD_TRY(pd_hdf5_create_array(&dataset->images, &dataset->file, dataset->file.id, "images",
                                &shape, chunk));
    /* Fail now on a disk that is too small, not after hours of packing. */
    if (__builtin_mul_overflow(info->count, (int64_t)info->height * info->width, &bytes) ||
        bytes > INT64_MAX / 2) {
        status = pd_fail("%s: cannot write: the images exceed the largest possible file", path);
        goto cleanup;
    }
    PD_TRY(pd_hdf5_reserve(&dataset->file, bytes));
    *out = dataset;
    dataset = NULL;

cleanup:
    pd_dataset_destroy(&dataset);
    return status;
}

/* Reads images [first, first + count) into `to`, or writes them from `from` if `to` is NULL. */
static herr_t transfer(const pd_dataset *dataset, int64_t first, int64_t count, uint8_t *to,
                       const uint8_t *from)
{
    hsize_t start[3] = {(hsize_t)first, 0, 0};
    hsize_t extent[3] = {(hsize_t)count, (hsize_t)dataset->info.height,
                         (hsize_t)dataset->info.width};
    hid_t stored = H5Dget_space(dataset->images);
    hid_t memory = H5Screate_simple(3, extent, NULL);
    herr_t result = H5Sselect_hyperslab(stored, H5S_SELECT_SET, start, NULL, extent, NULL);
    if (result >= 0 && to != NULL)
        result = H5Dread(dataset->images, H5T_NATIVE_UINT8, memory, stored, H5P_DEFAULT, to);
    else if (result >= 0)
        result = H5Dwrite(dataset->images, H5T_NATIVE_UINT8, memory, stored, H5P_DEFAULT, from);
    pd_hdf5_close(&memory);
    pd_hdf5_close(&stored);
    return result;
}

pd_status pd_dataset_write(pd_dataset *dataset, int64_t first, int64_t count, const uint8_t *images)
{
    pd_hdf5_start();
    if (first < 0 || count < 0 || first > dataset->info.count - count)
        return pd_fail("%s: cannot write images %lld to %lld of %lld", dataset->path,
                       (long long)first, (long long)(first + count - 1),
                       (long long)dataset->info.count);
    errno = 0;
    if (count > 0 && transfer(dataset, first, count, NULL, images) < 0)
        return pd_hdf5_fail_write(&dataset->file);
    return PD_OK;
}

pd_status pd_dataset_finish(pd_dataset *dataset, const pd_dataset_info *info)
{
    pd_status status = PD_OK;
    pd_dataset_info final = *info;
    pd_hdf5_start();
    memcpy(final.counts, dataset->info.counts, sizeof final.counts);
    PD_TRY(write_info(&dataset->file, &final));
    PD_TRY(pd_hdf5_reserve(&dataset->file, 0));
    errno = 0;
    if (pd_hdf5_close(&dataset->images) < 0 || pd_hdf5_close(&dataset->file.id) < 0) {
        status = pd_hdf5_fail_write(&dataset->file);
        goto cleanup;
    }
    PD_TRY(pd_file_commit(dataset->temporary, dataset->path));
    free(dataset->temporary);
    dataset->temporary = NULL;

cleanup:
    return status;
}

/* --- Reading. --- */

static pd_status read_info(const pd_hdf5 *file, pd_dataset_info *info)
{
    pd_status status = PD_OK;
    PD_TRY(pd_hdf5_check_format(file, FORMAT, FORMAT_VERSION));
    PD_TRY(pd_hdf5_get_text(file, "/", "program_version", info->version, sizeof info->version));
    info->unknown_patients = -1;
    PD_TRY(pd_fields_get(file, "/", info_fields, INFO_FIELDS, info));
    if (!(info->mean >= 0 && info->mean <= 255 && info->deviation >= 0 && info->deviation <= 255))
        status = pd_hdf5_fail_read(file, "mean %g or deviation %g is out of range", info->mean,
                                   info->deviation);
    else if (info->duplicates < 0 || info->unknown_patients < -1)
        status = pd_hdf5_fail_read(file,
                                   "its number of duplicates, %lld, or of images of unknown "
                                   "patients, %lld, is negative",
                                   (long long)info->duplicates, (long long)info->unknown_patients);

cleanup:
    return status;
}

static pd_status open_images(pd_dataset *dataset)
{
    pd_status status = PD_OK;
    hsize_t dims[3];
    PD_TRY(pd_hdf5_open_array(&dataset->images, &dataset->file, "/images", H5T_STD_U8LE, 3, dims));
    if (dims[0] < 1 || dims[1] < 1 || dims[2] < 1 || dims[1] > INT_MAX || dims[2] > INT_MAX) {
        status = pd_hdf5_fail_read(&dataset->file, "holds no images");
        goto cleanup;
    }
    dataset->info.count = (int64_t)dims[0];
    dataset->info.height = (int)dims[1];
    dataset->info.width = (int)dims[2];
    dataset->layout = pd_hdf5_chunk_layout(dataset->images, 3, dataset->info.count);

cleanup:
    return status;
}

static pd_status check_count(const pd_hdf5 *file, const char *object, int64_t found, int64_t count)
{
    if (found == count)
        return PD_OK;
    return pd_hdf5_fail_read(file, "'%s' has %lld entries for %lld images", object,
                             (long long)found, (long long)count);
}

/* Reads an array of `count` enum values, all below `names_count`. */
static pd_status read_enum(const pd_hdf5 *file, const char *object, const char *const *names,
                           int names_count, uint8_t **out, int64_t count)
{
    pd_status status = PD_OK;
    uint8_t *values = NULL;
    int64_t found = 0;
    *out = NULL;
    hid_t type = enum_type(names, names_count);
    PD_TRY(pd_hdf5_get_vector(file, object, type, type, sizeof *values, &values, &found));
    PD_TRY(check_count(file, object, found, count));
    for (int64_t i = 0; i < count; i++) {
        if (values[i] >= names_count) {
            status = pd_hdf5_fail_read(file, "'%s' of sample %lld is %d, but only 0 to %d exist",
                                       object, (long long)i, values[i], names_count - 1);
            goto cleanup;
        }
    }
    *out = values;
    values = NULL;

cleanup:
    pd_hdf5_close(&type);
    free(values);
    return status;
}

/* Reads '/shape' into the samples. */
static pd_status read_shapes(const pd_hdf5 *file, pd_sample *samples, int64_t count)
{
    pd_status status = PD_OK;
    hid_t array = H5I_INVALID_HID;
    hsize_t dims[2];
    uint16_t(*shapes)[2] = NULL;
    PD_TRY(pd_hdf5_open_array(&array, file, "/shape", H5T_STD_U16LE, 2, dims));
    PD_TRY(check_count(file, "/shape", (int64_t)dims[0], count));
    if (dims[1] != 2) {
        status = pd_hdf5_fail_read(file, "array '/shape' has the wrong shape");
        goto cleanup;
    }
    PD_TRY(pd_alloc(&shapes, (size_t)count, sizeof *shapes));
    if (H5Dread(array, H5T_NATIVE_UINT16, H5S_ALL, H5S_ALL, H5P_DEFAULT, shapes) < 0) {
        status = pd_hdf5_fail_read(file, "array '/shape' is damaged");
        goto cleanup;
    }
    for (int64_t i = 0; i < count; i++) {
        samples[i].height = shapes[i][0];
        samples[i].width = shapes[i][1];
        if ((samples[i].height == 0) != (samples[i].width == 0)) {
            status = pd_hdf5_fail_read(file, "'/shape' of sample %lld is %d, %d", (long long)i,
                                       samples[i].height, samples[i].width);
            goto cleanup;
        }
    }

cleanup:
    free(shapes);
    pd_hdf5_close(&array);
    return status;
}

static pd_status read_samples(pd_dataset *dataset)
{
    pd_status status = PD_OK;
    const pd_hdf5 *file = &dataset->file;
    int64_t count = dataset->info.count, found = 0;
    uint8_t *labels = NULL, *causes = NULL, *folds = NULL;
    int32_t *patients = NULL;
    int64_t counts[PD_FOLDS][PD_LABELS];

    PD_TRY(read_enum(file, "/label", pd_label_names, PD_LABELS, &labels, count));
    PD_TRY(read_enum(file, "/cause", pd_cause_names, PD_CAUSES, &causes, count));
    PD_TRY(read_enum(file, "/fold", pd_fold_names, PD_FOLDS, &folds, count));
    PD_TRY(pd_hdf5_get_vector(file, "/patient", H5T_STD_I32LE, H5T_NATIVE_INT32, sizeof *patients,
                              &patients, &found));
    PD_TRY(check_count(file, "/patient", found, count));
    PD_TRY(pd_hdf5_get_text_array(file, "/name", 1, &dataset->names, &found));
    PD_TRY(check_count(file, "/name", found, count));
    PD_TRY(pd_alloc(&dataset->samples, (size_t)count, sizeof *dataset->samples));
    for (int64_t i = 0; i < count; i++) {
        if (patients[i] < 0 || patients[i] >= count) {
            status = pd_hdf5_fail_read(file, "'/patient' of sample %lld is %d, not from 0 to %lld",
                                       (long long)i, patients[i], (long long)count - 1);
            goto cleanup;
        }
        dataset->samples[i] = (pd_sample){.label = (pd_label)labels[i],
                                          .cause = (pd_cause)causes[i],
                                          .fold = (pd_fold)folds[i],
                                          .patient = patients[i],
                                          .name = dataset->names[i]};
    }
    PD_TRY(read_shapes(file, dataset->samples, count));
    pd_samples_count(counts, dataset->samples, count);
    if (memcmp(counts, dataset->info.counts, sizeof counts) != 0)
        status = pd_hdf5_fail_read(file, "its class counts do not match its labels");

cleanup:
    free(labels);
    free(causes);
    free(folds);
    free(patients);
    return status;
}

pd_status pd_dataset_open(pd_dataset **out, const char *path)
{
    pd_status status = PD_OK;
    pd_dataset *dataset = NULL;
    *out = NULL;
    if (!pd_file_exists(path))
        return pd_fail("%s: cannot open: %s; create it with 'pneumo-dist pack FOLDER -o %s'", path,
                       strerror(errno), path);
    PD_TRY(create_handle(&dataset, path));
    PD_TRY(pd_hdf5_open(&dataset->file, dataset->path,
                        "pack the images again with this version of 'pneumo-dist pack', or give "
                        "another data set"));
    PD_TRY(read_info(&dataset->file, &dataset->info));
    PD_TRY(open_images(dataset));
    PD_TRY(read_samples(dataset));
    *out = dataset;
    dataset = NULL;

cleanup:
    pd_dataset_destroy(&dataset);
    return status;
}

void pd_dataset_destroy(pd_dataset **dataset)
{
    pd_dataset *old = *dataset;
    if (old == NULL)
        return;
    *dataset = NULL;
    if (old->temporary != NULL)
        pd_hdf5_abandon(&old->file);
    pd_hdf5_close(&old->images);
    pd_hdf5_close(&old->file.id);
    if (old->temporary != NULL)
        pd_file_discard(old->temporary);
    free(old->temporary);
    free(old->path);
    free(old->samples);
    free(old->names);
    free(old);
}

const pd_dataset_info *pd_dataset_get_info(const pd_dataset *dataset)
{
    return &dataset->info;
}

const pd_sample *pd_dataset_samples(const pd_dataset *dataset)
{
    return dataset->samples;
}

void pd_dataset_set_folds(pd_dataset *dataset, const pd_fold *folds, const char *policy)
{
    for (int64_t i = 0; i < dataset->info.count; i++)
        dataset->samples[i].fold = folds[i];
    pd_samples_count(dataset->info.counts, dataset->samples, dataset->info.count);
    snprintf(dataset->info.fold_policy, sizeof dataset->info.fold_policy, "%s", policy);
}

pd_status pd_dataset_read(const pd_dataset *dataset, const int64_t *ids, int64_t count,
                          uint8_t *images)
{
    size_t size = (size_t)dataset->info.height * (size_t)dataset->info.width;
    pd_hdf5_start();
    for (int64_t i = 0; i < count; i++) {
        if (ids[i] < 0 || ids[i] >= dataset->info.count)
            return pd_fail("%s: there is no sample %lld; the last is %lld", dataset->path,
                           (long long)ids[i], (long long)dataset->info.count - 1);
    }
    /* One at a time: for a range of chunks HDF5 is slower and needs kilobytes of memory per chunk.
     */
    for (int64_t i = 0; i < count; i++) {
        bool read = transfer(dataset, ids[i], 1, images + (size_t)i * size, NULL) >= 0;
        pd_status status = pd_hdf5_check_unchanged(&dataset->file);
        if (status != PD_OK)
            return status;
        if (!read)
            return pd_hdf5_fail_read(&dataset->file, "the image of sample %lld (%s) is damaged",
                                     (long long)ids[i], dataset->samples[ids[i]].name);
    }
    return PD_OK;
}

void pd_dataset_prefetch(const pd_dataset *dataset, const int64_t *ids, size_t count)
{
    const pd_hdf5_layout *layout = &dataset->layout;
    for (size_t i = 0; i < count && layout->bytes > 0; i++)
        pd_hdf5_prefetch(&dataset->file, layout->start + ids[i] * layout->bytes,
                         layout->bytes + layout->slack);
}
