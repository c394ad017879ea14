#include "scan.h"

#include "image_format.h"
#include "pneumo/base/memory.h"
#include "pneumo/io/file.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char *const fold_folders[PD_FOLDS] = {"train", "val", "test"};

static bool is_folder(const char *path)
{
    struct stat about;
    return stat(path, &about) == 0 && S_ISDIR(about.st_mode);
}

static bool is_image(DIR *directory, const char *name)
{
    struct stat about;
    return name[0] != '.' && pd_image_format_of_path(name) != NULL &&
           fstatat(dirfd(directory), name, &about, 0) == 0 && S_ISREG(about.st_mode);
}

static pd_status append_sample(pd_scan *scan, int64_t *capacity, const pd_sample *sample)
{
    if (scan->count == *capacity) {
        pd_sample *larger;
        int64_t wanted = *capacity ? *capacity * 2 : 1024;
        pd_status status = pd_alloc(&larger, (size_t)wanted, sizeof *larger);
        if (status != PD_OK)
            return status;
        if (scan->count > 0)
            memcpy(larger, scan->samples, (size_t)scan->count * sizeof *larger);
        free(scan->samples);
        scan->samples = larger;
        *capacity = wanted;
    }
    scan->samples[scan->count++] = *sample;
    return PD_OK;
}

/* Reads the next entry but "." and ".."; *name is NULL at the end. */
static pd_status next_entry(const char **name, DIR *directory, const char *path)
{
    for (;;) {
        errno = 0;
        struct dirent *entry = readdir(directory);
        *name = entry != NULL ? entry->d_name : NULL;
        if (entry == NULL)
            return errno == 0 ? PD_OK
                              : pd_fail("cannot read the folder %s: %s", path, strerror(errno));
        if (strcmp(*name, ".") != 0 && strcmp(*name, "..") != 0)
            return PD_OK;
    }
}

/* Appends below/name, or counts it as skipped if it is not an image. */
static pd_status scan_entry(pd_scan *scan, int64_t *capacity, DIR *directory, const char *below,
                            const char *name, pd_sample sample)
{
    if (!is_image(directory, name)) {
        scan->skipped++;
        return PD_OK;
    }
    pd_status status = pd_format(&sample.name, "%s/%s", below, name);
    if (status != PD_OK)
        return status;
    status = append_sample(scan, capacity, &sample);
    if (status != PD_OK)
        free(sample.name);
    return status;
}

/* Appends the images of folder/below, such as "train/NORMAL", with the fold and label of `sample`.
 */
static pd_status scan_class(pd_scan *scan, int64_t *capacity, const char *folder, const char *below,
                            pd_sample sample)
{
    pd_status status = PD_OK;
    char *path = NULL;
    const char *name;
    DIR *directory = NULL;
    int64_t before = scan->count;

    PD_TRY(pd_format(&path, "%s/%s", folder, below));
    directory = opendir(path);
    if (directory == NULL) {
        status =
            errno == ENOENT
                ? pd_fail("%s is missing; each class needs a folder, NORMAL and PNEUMONIA", path)
                : pd_fail("cannot read the folder %s: %s", path, strerror(errno));
        goto cleanup;
    }
    for (;;) {
        PD_TRY(next_entry(&name, directory, path));
        if (name == NULL)
            break;
        PD_TRY(scan_entry(scan, capacity, directory, below, name, sample));
    }
    if (scan->count == before) {
        char extensions[PD_IMAGE_FORMAT_TEXT];
        status = pd_fail("%s contains no %s files", path, pd_image_format_extensions(extensions));
    }

cleanup:
    if (directory != NULL)
        closedir(directory);
    free(path);
    return status;
}

static pd_status scan_fold(pd_scan *scan, int64_t *capacity, const char *folder, const char *prefix,
                           pd_fold fold)
{
    pd_status status = PD_OK;
    for (int label = 0; label < PD_LABELS && status == PD_OK; label++) {
        char below[32];
        snprintf(below, sizeof below, "%s%s", prefix, pd_label_names[label]);
        status = scan_class(scan, capacity, folder, below,
                            (pd_sample){.fold = fold, .label = (pd_label)label});
    }
    return status;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const pd_sample *)a)->name, ((const pd_sample *)b)->name);
}

/* Finds out which of folder/{train,val,test} and folder/{NORMAL,PNEUMONIA} exist. */
static pd_status find_layout(bool folds[PD_FOLDS], bool *any_fold, const char *folder)
{
    bool any_class = false;
    if (!is_folder(folder))
        return pd_file_exists(folder)
                   ? pd_fail("%s is not a folder; give the folder that contains the images", folder)
                   : pd_fail("there is no folder %s; give the folder that contains the images",
                             folder);
    *any_fold = false;
    for (int i = 0; i < PD_FOLDS + PD_LABELS; i++) {
        char *path;
        pd_status status = pd_format(&path, "%s/%s", folder,
                                     i < PD_FOLDS ? fold_folders[i] : pd_label_names[i - PD_FOLDS]);
        if (status != PD_OK)
            return status;
        bool found = is_folder(path);
        free(path);
        if (i < PD_FOLDS) {
            folds[i] = found;
            *any_fold = *any_fold || found;
        } else {
            any_class = any_class || found;
        }
    }
    if (*any_fold && any_class)
        return pd_fail("%s contains both folds (train, val, test) and classes (NORMAL, "
                       "PNEUMONIA); give a folder that contains one of the two",
                       folder);
    if (!*any_fold && !any_class)
        return pd_fail("%s contains none of the folders train, val, test, NORMAL and PNEUMONIA; "
                       "give the folder that contains them",
                       folder);
    return PD_OK;
}

pd_status pd_scan_folder(pd_scan *out, const char *folder)
{
    pd_status status;
    int64_t capacity = 0;
    bool folds[PD_FOLDS];

    *out = (pd_scan){0};
    PD_TRY(find_layout(folds, &out->has_folds, folder));
    if (!out->has_folds)
        PD_TRY(scan_fold(out, &capacity, folder, "", PD_TRAIN));
    for (int fold = 0; out->has_folds && fold < PD_FOLDS; fold++) {
        if (!folds[fold])
            continue;
        char prefix[16];
        snprintf(prefix, sizeof prefix, "%s/", fold_folders[fold]);
        PD_TRY(scan_fold(out, &capacity, folder, prefix, (pd_fold)fold));
    }
    qsort(out->samples, (size_t)out->count, sizeof *out->samples, compare_names);

cleanup:
    return status;
}

void pd_scan_free(pd_scan *scan)
{
    for (int64_t i = 0; i < scan->count; i++)
        free(scan->samples[i].name);
    free(scan->samples);
    *scan = (pd_scan){0};
}
