#include "pneumo/evaluate/labelled.h"

#include "draw.h"
#include "listing.h"
#include "pneumo/base/memory.h"
#include "pneumo/base/text.h"
#include "pneumo/data/image.h"
#include "pneumo/data/patient.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

/* --- A data set --- */

static bool has_both(const pd_dataset_info *info, pd_fold fold)
{
    return info->counts[fold][PD_NORMAL] > 0 && info->counts[fold][PD_PNEUMONIA] > 0;
}

/* Sets fold to PD_FOLDS for all of them. */
static pd_status choose_fold(pd_fold *fold, const pd_labelled_options *options,
                             const pd_dataset_info *info, const pd_checkpoint *checkpoint)
{
    *fold = has_both(info, PD_VAL) ? PD_VAL : PD_FOLDS;
    if (options->fold != NULL)
        for (*fold = PD_TRAIN; *fold < PD_FOLDS; (*fold)++)
            if (strcasecmp(options->fold, pd_fold_names[*fold]) == 0)
                break;
    if (*fold != PD_VAL && strcmp(info->digest, checkpoint->data_digest) == 0)
        return pd_fail("%s: is the data set of the training, of which only the val fold serves to "
                       "calibrate: use --fold val, or images of another site",
                       options->data);
    return PD_OK;
}

static pd_status list_dataset(pd_labelled *self, const pd_labelled_options *options,
                              const pd_checkpoint *checkpoint)
{
    static const char *const names[PD_FOLDS + 1] = {"fold train", "fold val", "fold test",
                                                    "all folds"};
    pd_status status = PD_OK;
    pd_fold fold;
    PD_TRY(pd_dataset_open(&self->dataset, options->data));
    const pd_dataset_info *info = pd_dataset_get_info(self->dataset);
    const pd_sample *samples = pd_dataset_samples(self->dataset);
    PD_TRY(choose_fold(&fold, options, info, checkpoint));
    self->height = info->height;
    self->width = info->width;
    snprintf(self->source, sizeof self->source, "%s of a data set", names[fold]);
    snprintf(self->grouping, sizeof self->grouping, "%s", info->grouping);
    PD_TRY(pd_alloc(&self->samples, (size_t)info->count, sizeof *self->samples));
    for (int label = PD_NORMAL; label < PD_LABELS; label++)
        for (int64_t i = 0; i < info->count; i++)
            if ((int)samples[i].label == label && (fold == PD_FOLDS || samples[i].fold == fold))
                self->samples[self->count++] =
                    (pd_score){.id = i, .positive = label, .patient = samples[i].patient};
cleanup:
    return status;
}

/* --- Two folders --- */

static pd_status find_files(pd_labelled *self, const pd_labelled_options *options)
{
    for (int label = PD_NORMAL; label < PD_LABELS; label++) {
        struct stat about;
        const char *folder = options->folders[label];
        if (stat(folder, &about) != 0 || !S_ISDIR(about.st_mode))
            return pd_fail("%s: is not a folder; give the folder of the %s images", folder,
                           label == PD_NORMAL ? "normal" : "pneumonia");
        pd_status status = pd_files_find(&self->files[label], &folder, 1);
        if (status != PD_OK)
            return status;
    }
    return PD_OK;
}

/* A patient's number is that of its first sample. */
static pd_status find_patients(pd_labelled *self)
{
    pd_status status = PD_OK;
    const char **names = NULL;
    int64_t *first = NULL;
    PD_TRY(pd_alloc(&names, self->count, sizeof *names));
    PD_TRY(pd_alloc(&first, self->count, sizeof *first));
    for (size_t i = 0; i < self->count; i++)
        names[i] = pd_labelled_name(self, (int64_t)i);
    PD_TRY(pd_patients_group(first, NULL, names, (int64_t)self->count));
    for (size_t i = 0; i < self->count; i++)
        self->samples[i].patient = (int32_t)first[i];
cleanup:
    free(names);
    free(first);
    return status;
}

/* Collective. */
static pd_status share_files(pd_labelled *self, pd_comm *comm, const pd_labelled_options *options)
{
    pd_status status = PD_OK;
    if (pd_comm_rank(comm) == 0)
        status = find_files(self, options);
    PD_TRY(pd_comm_agree(comm, status));
    for (int label = PD_NORMAL; label < PD_LABELS; label++)
        PD_TRY(pd_listing_share(comm, &self->files[label]));
cleanup:
    return status;
}

static pd_status list_folders(pd_labelled *self, const pd_checkpoint *checkpoint)
{
    pd_status status = PD_OK;
    self->height = (int)checkpoint->image_height;
    self->width = (int)checkpoint->image_width;
    snprintf(self->source, sizeof self->source, "two folders");
    snprintf(self->grouping, sizeof self->grouping, "patient by file name, where it is known");
    size_t normal = (size_t)self->files[PD_NORMAL].count;
    PD_TRY(pd_alloc(&self->samples, normal + (size_t)self->files[PD_PNEUMONIA].count,
                    sizeof *self->samples));
    self->count = normal + (size_t)self->files[PD_PNEUMONIA].count;
    for (size_t i = 0; i < self->count; i++)
        self->samples[i] = (pd_score){.id = (int64_t)i, .positive = i >= normal};
    PD_TRY(find_patients(self));
cleanup:
    return status;
}

/* --- Both --- */

static pd_status draw(pd_labelled *self, const pd_labelled_options *options)
{
    pd_status status = PD_OK;
    if (options->each == 0)
        return PD_OK;
    PD_TRY(pd_draw_patients(self->samples, &self->count, options->each, options->seed));
    size_t used = strlen(self->source);
    snprintf(self->source + used, sizeof self->source - used, ", drawn by seed %" PRIu64,
             options->seed);
cleanup:
    if (status != PD_OK)
        pd_error_prefix(status, "%s",
                        options->data != NULL ? options->data : options->folders[PD_NORMAL]);
    return status;
}

pd_status pd_labelled_open(pd_labelled *out, pd_comm *comm, const pd_labelled_options *options,
                           const pd_checkpoint *checkpoint)
{
    pd_status status = PD_OK;
    *out = (pd_labelled){0};
    if (options->data == NULL)
        PD_TRY(share_files(out, comm, options));
    status = options->data != NULL ? list_dataset(out, options, checkpoint)
                                   : list_folders(out, checkpoint);
    if (status == PD_OK)
        status = draw(out, options);
    PD_TRY(pd_comm_agree(comm, status));
cleanup:
    return status;
}

void pd_labelled_close(pd_labelled *labelled)
{
    pd_dataset_destroy(&labelled->dataset);
    for (int label = PD_NORMAL; label < PD_LABELS; label++)
        pd_files_free(&labelled->files[label]);
    free(labelled->samples);
    labelled->samples = NULL;
}

const char *pd_labelled_name(const pd_labelled *labelled, int64_t id)
{
    if (labelled->dataset != NULL)
        return pd_dataset_samples(labelled->dataset)[id].name;
    int64_t normal = labelled->files[PD_NORMAL].count;
    return id < normal ? labelled->files[PD_NORMAL].paths[id]
                       : labelled->files[PD_PNEUMONIA].paths[id - normal];
}

static pd_status read_file(const pd_labelled *self, const char *path, uint8_t *pixels)
{
    pd_image image = {0};
    pd_status status = pd_image_read(&image, path);
    if (status == PD_OK)
        status = pd_image_resize(pixels, self->height, self->width, &image);
    pd_image_free(&image);
    return status;
}

/* The last failure as a line that begins with the path; never NULL but for want of memory. */
static char *describe_failure(const char *path)
{
    char *line = NULL;
    size_t length = strlen(path);
    bool named = strncmp(pd_error_message(), path, length) == 0;
    if (pd_format(&line, "%s%s%s", named ? "" : path, named ? "" : ": ", pd_error_message()) ==
        PD_OK)
        pd_text_make_printable(line);
    return line;
}

pd_status pd_labelled_read(const pd_labelled *labelled, size_t first, size_t count, int threads,
                           uint8_t *images, char **failed)
{
    const pd_score *samples = labelled->samples + first;
    size_t pixels = (size_t)labelled->height * (size_t)labelled->width;
    for (size_t i = 0; i < count; i++)
        failed[i] = NULL;
    if (labelled->dataset != NULL) {
        int64_t *ids = NULL;
        pd_status status = pd_alloc(&ids, count, sizeof *ids);
        for (size_t i = 0; i < count && status == PD_OK; i++)
            ids[i] = samples[i].id;
        if (status == PD_OK)
            status = pd_dataset_read(labelled->dataset, ids, (int64_t)count, images);
        free(ids);
        return status;
    }
    bool lost = false;
#pragma omp parallel for num_threads(threads) schedule(dynamic) reduction(|| : lost)
    for (size_t i = 0; i < count; i++) {
        const char *path = pd_labelled_name(labelled, samples[i].id);
        if (read_file(labelled, path, images + i * pixels) == PD_OK)
            continue;
        failed[i] = describe_failure(path);
        lost = lost || failed[i] == NULL;
    }
    return lost ? pd_fail("out of memory for a message") : PD_OK;
}
