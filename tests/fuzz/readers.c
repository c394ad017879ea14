#include "fuzz.h"

#include "pneumo/base/log.h"
#include "pneumo/base/memory.h"
#include "pneumo/evaluate/classifier.h"
#include "pneumo/io/checkpoint.h"
#include "pneumo/io/dataset.h"
#include "pneumo/train/import.h"
#include "pneumo/train/setup.h"
#include "train/snapshot.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- Checkpoints --- */

static void check_arrays(const pd_array *arrays, int count)
{
    for (int i = 0; i < count; i++) {
        const pd_array *array = &arrays[i];
        fuzz_check(array->layer != NULL && array->weight != NULL && array->data != NULL, "arrays");
        fuzz_check(array->rank >= 1 && array->rank <= PD_ARRAY_RANK_MAX, "ranks of arrays");
        for (int j = 0; j < array->rank; j++)
            fuzz_check(array->dims[j] > 0, "extents of arrays");
    }
}

static void check_decision(const pd_decision *decision)
{
    fuzz_check(decision->threshold >= 0 && decision->threshold <= nextafter(1, 2), "threshold");
    fuzz_check(decision->temperature > 0 && isfinite(decision->temperature), "temperature");
    fuzz_check(decision->views >= 1, "views");
    fuzz_check(decision->refer_low >= 0 && decision->refer_low <= decision->threshold &&
                   decision->refer_high >= decision->threshold &&
                   decision->refer_high <= nextafter(1, 2),
               "band of doubt");
    fuzz_check(decision->target_sensitivity >= 0 && decision->target_sensitivity <= 1,
               "target sensitivity");
}

static void check_checkpoint(const pd_checkpoint *checkpoint)
{
    const pd_train_state *state = &checkpoint->state;
    check_arrays(checkpoint->arrays.weights, checkpoint->arrays.weight_count);
    for (int i = 0; i < checkpoint->arrays.slot_count; i++)
        check_arrays(checkpoint->arrays.slots[i].arrays, checkpoint->arrays.slots[i].count);
    fuzz_check(checkpoint->job != NULL, "a job");
    fuzz_check(state->epoch >= 0 && state->step >= 0 && state->epoch_step >= 0 &&
                   state->lanes >= 0 && state->best_epoch >= 0 && state->history_count >= 0,
               "counts");
    if (checkpoint->has_input) {
        const pd_input *input = &checkpoint->input;
        fuzz_check(
            input->size >= 1 && input->channels >= 1 && input->height >= 1 && input->width >= 1 &&
                (input->scaling != PD_GREY_FOLD ||
                 (input->deviation != 0 && isfinite(input->mean) && isfinite(input->deviation))),
            "input");
    }
    if (checkpoint->has_decision)
        check_decision(&checkpoint->decision);
}

/* Continues training, as far as loading is concerned. */
static void resume(const pd_checkpoint *checkpoint)
{
    static pd_job job;
    const pd_plan plan = {.lanes = 1, .lane_samples = 1, .total_lanes = 1, .threads = 1};
    pd_status status = PD_OK;
    pd_network *network = NULL;
    pd_optimizer *optimizer = NULL;
    pd_input input;
    PD_TRY(pd_job_parse(&job, "checkpoint", checkpoint->job, NULL, 0));
    PD_TRY(pd_setup_checkpoint(&network, &input, &job, checkpoint));
    PD_TRY(pd_network_freeze(network, job.freeze));
    PD_TRY(pd_network_plan(network, &plan, 0, true));
    PD_TRY(pd_optimizer_create(&optimizer, &job.optimizer, network));
    PD_TRY(pd_snapshot_restore(checkpoint, network, optimizer));

cleanup:
    (void)status;
    pd_optimizer_destroy(&optimizer);
    pd_network_destroy(&network);
}

static void score(pd_classifier *classifier)
{
    uint8_t *image = NULL;
    pd_score scored = {0};
    fuzz_check(pd_alloc(&image, pd_classifier_packed_size(classifier), 1) == PD_OK, "an image");
    const uint8_t *const images[] = {image};
    if (pd_classifier_score(classifier, images, 1, &scored) == PD_OK)
        /* Weights may be NaN. */
        fuzz_check(!(scored.probability < 0 || scored.probability > 1), "probability");
    free(image);
}

static void check_ensemble(const pd_ensemble *ensemble)
{
    fuzz_check(ensemble->count >= 1 && ensemble->count <= PD_MEMBERS_MAX, "members");
    for (int i = 0; i < ensemble->count; i++)
        check_checkpoint(ensemble->members[i]);
    if (ensemble->whole.has_decision)
        check_decision(&ensemble->whole.decision);
}

void fuzz_read_checkpoint(const char *path)
{
    pd_ensemble *ensemble = NULL;
    pd_classifier *classifier = NULL;
    pd_log_set_quiet(true);
    if (pd_ensemble_load(&ensemble, path) == PD_OK) {
        check_ensemble(ensemble);
        resume(ensemble->members[0]);
        if (pd_classifier_create(&classifier, &ensemble, 1, 1) == PD_OK)
            score(classifier);
    }
    pd_classifier_destroy(&classifier);
    pd_ensemble_destroy(&ensemble);
    fuzz_check_handles();
}

/* --- Data sets --- */

static void check_samples(const pd_dataset *dataset)
{
    const pd_dataset_info *info = pd_dataset_get_info(dataset);
    const pd_sample *samples = pd_dataset_samples(dataset);
    int64_t sum = 0;
    fuzz_check(info->count > 0 && info->height > 0 && info->width > 0, "images");
    fuzz_check(info->duplicates >= 0 && info->unknown_patients >= -1 &&
                   info->unknown_patients <= info->count,
               "counts");
    for (int64_t i = 0; i < info->count; i++) {
        const pd_sample *sample = &samples[i];
        fuzz_check((unsigned)sample->label < PD_LABELS && (unsigned)sample->cause < PD_CAUSES &&
                       (unsigned)sample->fold < PD_FOLDS && sample->patient >= 0 &&
                       sample->patient < info->count && sample->name != NULL &&
                       sample->name[0] != '\0',
                   "samples");
    }
    for (int i = 0; i < PD_FOLDS * PD_LABELS; i++)
        sum += info->counts[i / PD_LABELS][i % PD_LABELS];
    fuzz_check(sum == info->count, "every image is in a fold");
}

void fuzz_read_dataset(const char *path)
{
    pd_dataset *dataset = NULL;
    uint8_t *image = NULL;
    if (pd_dataset_open(&dataset, path) == PD_OK) {
        const pd_dataset_info *info = pd_dataset_get_info(dataset);
        check_samples(dataset);
        const int64_t ids[] = {0, info->count / 2, info->count - 1};
        pd_dataset_prefetch(dataset, ids, 3);
        if (pd_alloc(&image, (size_t)info->height, (size_t)info->width) == PD_OK)
            for (int i = 0; i < 3; i++)
                pd_dataset_read(dataset, &ids[i], 1, image);
        free(image);
    }
    pd_dataset_destroy(&dataset);
    fuzz_check_handles();
}

/* --- Keras --- */

void fuzz_read_keras(const char *path)
{
    pd_import_options options = {.size = 8, .positive = 1, .causes = {0, 1, 2}};
    pd_import_summary summary;
    char output[256];
    snprintf(output, sizeof output, "%s/imported.h5", fuzz_folder());
    pd_status status = pd_import(output, path, &options, &summary);
    options.scaling = "0..1"; /* of models that do not say it */
    if (status != PD_OK)
        status = pd_import(output, path, &options, &summary);
    if (status == PD_OK) {
        pd_ensemble *ensemble = NULL;
        pd_classifier *classifier = NULL;
        fuzz_check(pd_ensemble_load(&ensemble, output) == PD_OK, "the checkpoint is read");
        check_ensemble(ensemble);
        fuzz_check(pd_classifier_create(&classifier, &ensemble, 1, 1) == PD_OK,
                   "the checkpoint is a classifier");
        score(classifier);
        pd_classifier_destroy(&classifier);
    }
    fuzz_check_handles();
}
