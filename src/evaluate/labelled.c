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

/* Sets *fold; PD_FOLDS stands for all folds. */
static pd_status choose_fold(pd_fold *fold, const pd_labelled_options *options,
                             const pd_dataset_info *info, const pd_checkpoint *checkpoint)
{
    *fold = has_both(info, PD_VAL) ? PD_VAL : PD_FOLDS;
    if (options->fold != NULL)
        for (*fold = PD_TRAIN; *fold < PD_FOLDS; (*fold)++)
            if (strcasecmp(options->fold, pd_fold_names[*fold]) == 0)
                break;
    if (*fold != PD_VAL && strcmp(info->digest, checkpoint->data_digest) == 0)
        return pd_fail(
            "%s: the model was trained on this data set, so only its val fold can be used "
            "for calibration: give --fold val, or images of another site",
            options->data);
    return PD_OK;
}

static pd_status list_dataset(pd_labelled *labelled, const pd_labelled_options *options,
                              const pd_checkpoint *checkpoint)
{
    static const char *const names[PD_FOLDS + 1] = {"fold train", "fold val", "fold test",
                                                    "all folds"};
    pd_status status = PD_OK;
    pd_fold fold;
    PD_TRY(pd_dataset_open(&labelled->dataset, options->data));
    const pd_dataset_info *info = pd_dataset_get_info(labelled->dataset);
    const pd_sample *samples = pd_dataset_samples(labelled->dataset);
    PD_TRY(choose_fold(&fold, options, info, checkpoint));
    labelled->height = info->height;
    labelled->width = info->width;
    snprintf(labelled->source, sizeof labelled->source, "%s of a data set", names[fold]);
    snprintf(labelled->grouping, sizeof labelled->grouping, "%s", info->grouping);
    PD_TRY(pd_patients_unknown(&labelled->unknown_patients, labelled->dataset));
    PD_TRY(pd_alloc(&labelled->samples, (size_t)info->count, sizeof *labelled->samples));
    for (int label = PD_NORMAL; label < PD_LABELS; label++)
        for (int64_t i = 0; i < info->count; i++)
            if ((int)samples[i].label == label && (fold == PD_FOLDS || samples[i].fold == fold))
                labelled->samples[labelled->count++] =
                    (pd_score){.id = i, .positive = label, .patient = samples[i].patient};
cleanup:
    return status;
}

/* --- Two folders --- */

static pd_status find_files(pd_labelled *labelled, const pd_labelled_options *options)
{
    for (int label = PD_NORMAL; label < PD_LABELS; label++) {
        struct stat about;
        const char *folder = options->folders[label];
        if (stat(folder, &about) != 0 || !S_ISDIR(about.st_mode))
            return pd_fail("%s: is not a folder; give the folder of the %s images", folder,
                           label == PD_NORMAL ? "normal" : "pneumonia");
        pd_status status = pd_files_find(&labelled->files[label], &folder, 1);
        if (status != PD_OK)
            return status;
    }
    return PD_OK;
}

/* A patient's id is that of its first sample. */
static pd_status find_patients(pd_labelled *labelled)
{
    pd_status status = PD_OK;
    pd_patient_rules *rules = NULL;
    pd_patient_hints *hints = NULL;
    pd_patient_tally tally;
    int64_t *first = NULL;
    PD_TRY(pd_patient_rules_create(&rules, NULL));
    PD_TRY(pd_alloc(&hints, labelled->count, sizeof *hints));
    PD_TRY(pd_alloc(&first, labelled->count, sizeof *first));
    for (size_t i = 0; i < labelled->count; i++)
        hints[i].path = pd_labelled_name(labelled, (int64_t)i);
    PD_TRY(pd_patients_group(first, NULL, &tally, rules, hints, (int64_t)labelled->count));
    pd_patients_describe(labelled->grouping, sizeof labelled->grouping, &tally);
    labelled->unknown_patients = tally.images[PD_PATIENT_UNKNOWN];
    for (size_t i = 0; i < labelled->count; i++)
        labelled->samples[i].patient = (int32_t)first[i];
cleanup:
    pd_patient_rules_destroy(&rules);
    free(hints);
    free(first);
    return status;
}

/* Collective. */
static pd_status share_files(pd_labelled *labelled, pd_comm *comm,
                             const pd_labelled_options *options)
{
    pd_status status = PD_OK;
    if (pd_comm_rank(comm) == 0)
        status = find_files(labelled, options);
    PD_TRY(pd_comm_agree(comm, status));
    for (int label = PD_NORMAL; label < PD_LABELS; label++)
        PD_TRY(pd_listing_share(comm, &labelled->files[label]));
cleanup:
    return status;
}

static pd_status list_folders(pd_labelled *labelled, const pd_checkpoint *checkpoint)
{
    pd_status status = PD_OK;
    labelled->height = (int)checkpoint->image_height;
    labelled->width = (int)checkpoint->image_width;
    snprintf(labelled->source, sizeof labelled->source, "two folders");
    size_t normal = (size_t)labelled->files[PD_NORMAL].count;
    PD_TRY(pd_alloc(&labelled->samples, normal + (size_t)labelled->files[PD_PNEUMONIA].count,
                    sizeof *labelled->samples));
    labelled->count = normal + (size_t)labelled->files[PD_PNEUMONIA].count;
    for (size_t i = 0; i < labelled->count; i++)
        labelled->samples[i] = (pd_score){.id = (int64_t)i, .positive = i >= normal};
    PD_TRY(find_patients(labelled));
cleanup:
    return status;
}

/* --- Both --- */

static pd_status draw(pd_labelled *labelled, const pd_labelled_options *options)
{
    pd_status status = PD_OK;
    if (options->each == 0)
        return PD_OK;
    PD_TRY(pd_draw_patients(labelled->samples, &labelled->count, options->each, options->seed));
    size_t used = strlen(labelled->source);
    snprintf(labelled->source + used, sizeof labelled->source - used, ", drawn by seed %" PRIu64,
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

static pd_status read_file(const pd_labelled *labelled, const char *path, uint8_t *pixels)
{
    pd_image image = {0};
    pd_status status = pd_image_read(&image, path);
    if (status == PD_OK)
        status = pd_image_resize(pixels, labelled->height, labelled->width, &image);
    pd_image_free(&image);
    return status;
}

/* The last error message as a line that begins with the path; NULL only when memory runs out. */
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
