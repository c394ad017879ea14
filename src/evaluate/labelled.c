#include "pneumo/evaluate/labelled.h"

#include "draw.h"
#include "ensemble_data.h"
#include "listing.h"
#include "pneumo/base/memory.h"
#include "pneumo/base/number.h"
#include "pneumo/base/progress.h"
#include "pneumo/base/text.h"
#include "pneumo/data/evidence.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

/* Files that are read between two updates of the progress line. */
enum { READ_BLOCK = 64 };

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
                              const pd_classifier_member *member)
{
    static const char *const names[PD_FOLDS + 1] = {"fold train", "fold val", "fold test",
                                                    "all folds"};
    pd_status status = PD_OK;
    pd_fold fold;
    PD_TRY(pd_ensemble_data_open_member(&labelled->dataset, member, options->data));
    const pd_dataset_info *info = pd_dataset_get_info(labelled->dataset);
    const pd_sample *samples = pd_dataset_samples(labelled->dataset);
    PD_TRY(choose_fold(&fold, options, info, member->checkpoint));
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

static int64_t file_count(const pd_labelled *labelled)
{
    return labelled->files[PD_NORMAL].count + labelled->files[PD_PNEUMONIA].count;
}

static const char *file_path(const pd_labelled *labelled, int64_t id)
{
    int64_t normal = labelled->files[PD_NORMAL].count;
    return id < normal ? labelled->files[PD_NORMAL].paths[id]
                       : labelled->files[PD_PNEUMONIA].paths[id - normal];
}

/* Reads this rank's files, and gathers what all tell of their patients on rank 0: *out [count],
 * free(); NULL on others. Collective. */
static pd_status gather_evidence(pd_evidence **out, const pd_labelled *labelled, pd_comm *comm,
                                 int threads)
{
    pd_status status;
    pd_progress progress;
    pd_failure failure = {0};
    pd_evidence *own = NULL;
    void *all = NULL;
    size_t bytes;
    int64_t rank = pd_comm_rank(comm), ranks = pd_comm_size(comm);
    int64_t first = pd_slice_first((int64_t)labelled->count, rank, ranks);
    int64_t count = pd_slice_first((int64_t)labelled->count, rank + 1, ranks) - first, done = 0;

    pd_comm_set_position(comm, "looking for patients");
    status = pd_alloc(&own, (size_t)count, sizeof *own);
    PD_TRY(pd_comm_agree(comm, status));
    pd_progress_begin(&progress, "looking for patients", 0, (uint64_t)count);
    while (done < count && !pd_failure_is_kept(&failure)) {
        int64_t end = done + READ_BLOCK < count ? done + READ_BLOCK : count;
#pragma omp parallel for num_threads(threads) schedule(dynamic)
        for (int64_t i = done; i < end; i++)
            pd_failure_keep(&failure, pd_evidence_read(&own[i], file_path(labelled, first + i)));
        done = end;
        pd_progress_update(&progress, (uint64_t)done, NULL);
    }
    pd_progress_end(&progress);
    PD_TRY(pd_comm_agree(comm, pd_failure_return(&failure)));
    PD_TRY(pd_comm_gather(comm, own, (size_t)count * sizeof *own, &all, &bytes));
    *out = all;
cleanup:
    free(own);
    return status;
}

/* Names files whose paths contain the identity of their patient by class and number. */
static pd_status set_aliases(pd_labelled *labelled, const pd_evidence *evidence)
{
    pd_status status = pd_alloc(&labelled->aliases, labelled->count, sizeof(char *));
    for (size_t i = 0; i < labelled->count && status == PD_OK; i++)
        if (evidence[i].names_patient)
            status = pd_image_make_alias(&labelled->aliases[i],
                                         pd_label_names[labelled->samples[i].positive], (int64_t)i);
    return status;
}

/* What rank 0 finds. */
typedef struct found_patients {
    char grouping[64];
    int64_t unknown;
} found_patients;

/* Finds patients[count] on rank 0. */
static pd_status group_files(int32_t *patients, found_patients *found, pd_labelled *labelled,
                             const pd_labelled_options *options, const pd_evidence *evidence)
{
    pd_status status;
    size_t count = labelled->count;
    const char **paths = NULL, **names = NULL;
    pd_label *labels = NULL;
    pd_patient_tally tally;

    PD_TRY(set_aliases(labelled, evidence));
    PD_TRY(pd_alloc(&paths, count, sizeof *paths));
    PD_TRY(pd_alloc(&names, count, sizeof *names));
    PD_TRY(pd_alloc(&labels, count, sizeof *labels));
    for (size_t i = 0; i < count; i++) {
        paths[i] = file_path(labelled, (int64_t)i);
        names[i] = pd_labelled_name(labelled, (int64_t)i);
        labels[i] = (pd_label)labelled->samples[i].positive;
    }
    const pd_evidence_list list = {.evidence = evidence,
                                   .paths = paths,
                                   .names = names,
                                   .labels = labels,
                                   .count = (int64_t)count,
                                   .pattern = options->patient_pattern,
                                   .folder = options->folders[PD_NORMAL]};
    PD_TRY(pd_evidence_group(patients, &tally, &list));
    pd_patients_describe(found->grouping, sizeof found->grouping, &tally);
    found->unknown = tally.images[PD_PATIENT_UNKNOWN];
cleanup:
    free(paths);
    free(names);
    free(labels);
    return status;
}

/* Sets the patient of each sample, and leaves out lateral views and other modalities. Collective.
 */
static pd_status find_patients(pd_labelled *labelled, pd_comm *comm,
                               const pd_labelled_options *options)
{
    pd_status status;
    pd_evidence *evidence = NULL;
    int32_t *patients = NULL;
    found_patients found = {0};

    PD_TRY(pd_comm_agree(comm, pd_alloc(&patients, labelled->count, sizeof *patients)));
    PD_TRY(gather_evidence(&evidence, labelled, comm, options->threads));
    if (pd_comm_rank(comm) == 0)
        status = group_files(patients, &found, labelled, options, evidence);
    PD_TRY(pd_comm_agree(comm, status));
    PD_TRY(pd_comm_broadcast(comm, patients, labelled->count * sizeof *patients, 0));
    PD_TRY(pd_comm_broadcast(comm, &found, sizeof found, 0));
    snprintf(labelled->grouping, sizeof labelled->grouping, "%s", found.grouping);
    labelled->unknown_patients = found.unknown;
    size_t kept = 0;
    for (size_t i = 0; i < labelled->count; i++) {
        if (patients[i] == PD_EVIDENCE_LEFT_OUT)
            continue;
        labelled->samples[kept] = labelled->samples[i];
        labelled->samples[kept++].patient = patients[i];
    }
    labelled->count = kept;
cleanup:
    free(evidence);
    free(patients);
    return status;
}

static pd_status list_samples(pd_labelled *labelled)
{
    size_t normal = (size_t)labelled->files[PD_NORMAL].count, count = (size_t)file_count(labelled);
    pd_status status = pd_alloc(&labelled->samples, count, sizeof *labelled->samples);
    if (status != PD_OK)
        return status;
    labelled->count = count;
    for (size_t i = 0; i < count; i++)
        labelled->samples[i] = (pd_score){.id = (int64_t)i, .positive = i >= normal};
    return PD_OK;
}

/* Collective. */
static pd_status list_folders(pd_labelled *labelled, pd_comm *comm,
                              const pd_labelled_options *options, const pd_checkpoint *checkpoint)
{
    pd_status status;
    labelled->height = (int)checkpoint->image_height;
    labelled->width = (int)checkpoint->image_width;
    snprintf(labelled->source, sizeof labelled->source, "two folders");
    PD_TRY(share_files(labelled, comm, options));
    PD_TRY(pd_comm_agree(comm, list_samples(labelled)));
    PD_TRY(find_patients(labelled, comm, options));
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
                           const pd_classifier_member *member)
{
    pd_status status = PD_OK;
    *out = (pd_labelled){0};
    if (options->data == NULL)
        PD_TRY(list_folders(out, comm, options, member->checkpoint));
    else
        status = list_dataset(out, options, member);
    if (status == PD_OK)
        status = draw(out, options);
    PD_TRY(pd_comm_agree(comm, status));
cleanup:
    return status;
}

void pd_labelled_close(pd_labelled *labelled)
{
    pd_dataset_destroy(&labelled->dataset);
    for (int64_t i = 0; labelled->aliases != NULL && i < file_count(labelled); i++)
        free(labelled->aliases[i]);
    free(labelled->aliases);
    labelled->aliases = NULL;
    for (int label = PD_NORMAL; label < PD_LABELS; label++)
        pd_files_free(&labelled->files[label]);
    free(labelled->samples);
    labelled->samples = NULL;
}

const char *pd_labelled_name(const pd_labelled *labelled, int64_t id)
{
    if (labelled->dataset != NULL)
        return pd_dataset_samples(labelled->dataset)[id].name;
    bool renamed = labelled->aliases != NULL && labelled->aliases[id] != NULL;
    return renamed ? labelled->aliases[id] : file_path(labelled, id);
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
    size_t broken = count; /* the first file that the system failed to read, or has no message */
#pragma omp parallel for num_threads(threads) schedule(dynamic) reduction(min : broken)
    for (size_t i = 0; i < count; i++) {
        const char *path = file_path(labelled, samples[i].id);
        if (read_file(labelled, path, images + i * pixels) == PD_OK)
            continue;
        bool by_system = pd_error_is_system();
        failed[i] = describe_failure(path);
        if ((by_system || failed[i] == NULL) && i < broken)
            broken = i;
    }
    if (broken == count)
        return PD_OK;
    return pd_fail("%s", failed[broken] != NULL ? failed[broken] : "out of memory for a message");
}
