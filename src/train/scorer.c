#include "pneumo/train/scorer.h"

#include "pneumo/base/memory.h"
#include "pneumo/base/progress.h"
#include "pneumo/base/stop.h"
#include "pneumo/data/images.h"
#include "pneumo/data/lanes.h"
#include "pneumo/train/inference.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>

/* Chunks whose images are prefetched, the current one included. */
enum { AHEAD = 8 };

struct pd_scorer {
    pd_comm *comm;
    pd_scorer_options options;
    int64_t *ids; /* of all ranks */
    size_t count;
    size_t first, own; /* this rank's ids: whole chunks, except at the end */
    pd_images *images;
    pd_inference inference;
    const uint8_t **pixels; /* [chunk] */
    uint8_t *changed;       /* [chunk][height][width] */
    float *scratch;         /* [threads][pd_change_scratch] */
    pd_score *scores;
};

/* --- Which images --- */

static pd_status choose_ids(pd_scorer *scorer)
{
    const pd_scorer_options *options = &scorer->options;
    const pd_sample *samples = pd_dataset_samples(options->dataset);
    const pd_task *task = &pd_tasks[options->job->task];
    int64_t total = pd_dataset_get_info(options->dataset)->count;
    pd_status status = pd_alloc(&scorer->ids, (size_t)total, sizeof *scorer->ids);
    for (int64_t i = 0; i < total && status == PD_OK; i++)
        if (samples[i].fold == options->fold && task->class_of(&samples[i]) >= 0 &&
            (options->skip == NULL || !options->skip[i]))
            scorer->ids[scorer->count++] = i;
    return status;
}

pd_status pd_scorer_create(pd_scorer **out, pd_comm *comm, const pd_scorer_options *options)
{
    pd_status status = PD_OK;
    const pd_input *input = &options->input;
    pd_scorer *scorer = NULL;
    *out = NULL;
    PD_TRY(pd_alloc(&scorer, 1, sizeof *scorer));
    scorer->comm = comm;
    scorer->options = *options;
    PD_TRY(choose_ids(scorer));

    size_t chunk = (size_t)options->chunk, chunks = (scorer->count + chunk - 1) / chunk;
    size_t rank = (size_t)pd_comm_rank(comm), ranks = (size_t)pd_comm_size(comm);
    scorer->first = rank * chunks / ranks * chunk;
    size_t end = (rank + 1) * chunks / ranks * chunk;
    scorer->own = (end < scorer->count ? end : scorer->count) - scorer->first;
    PD_TRY(pd_images_create(&scorer->images, options->dataset, scorer->ids + scorer->first,
                            scorer->own, options->hold, chunk));
    scorer->inference = (pd_inference){.task = &pd_tasks[options->job->task],
                                       .input = *input,
                                       .views = options->views,
                                       .threads = options->threads};
    PD_TRY(pd_inference_prepare(&scorer->inference, options->chunk));
    PD_TRY(pd_alloc(&scorer->pixels, chunk, sizeof *scorer->pixels));
    PD_TRY(pd_alloc(&scorer->changed, chunk, (size_t)input->height * (size_t)input->width));
    PD_TRY(pd_alloc(&scorer->scratch, (size_t)options->threads,
                    pd_change_scratch(input->height, input->width) * sizeof *scorer->scratch));
    PD_TRY(pd_alloc(&scorer->scores, scorer->own, sizeof *scorer->scores));
    *out = scorer;
    scorer = NULL;
cleanup:
    pd_scorer_destroy(&scorer);
    return status;
}

void pd_scorer_destroy(pd_scorer **scorer)
{
    if (*scorer == NULL)
        return;
    free((*scorer)->ids);
    pd_images_destroy(&(*scorer)->images);
    pd_inference_free(&(*scorer)->inference);
    free((*scorer)->pixels);
    free((*scorer)->changed);
    free((*scorer)->scratch);
    free((*scorer)->scores);
    free(*scorer);
    *scorer = NULL;
}

const int64_t *pd_scorer_ids(const pd_scorer *scorer, size_t *count)
{
    *count = scorer->count;
    return scorer->ids;
}

/* --- Scoring --- */

/* Adds what the data set says of the sample, and the loss of its logits[outputs]. */
static void complete(const pd_scorer *scorer, int64_t id, const float *logits, pd_score *score)
{
    const pd_sample *sample = &pd_dataset_samples(scorer->options.dataset)[id];
    const pd_task *task = scorer->inference.task;
    score->id = id;
    score->positive = sample->label == PD_PNEUMONIA;
    score->truth = task->class_of(sample);
    score->patient = sample->patient;
    const float target = (float)score->truth;
    task->loss(&(const pd_loss_batch){.lanes = 1,
                                      .lane_samples = 1,
                                      .outputs = task->outputs,
                                      .logits = logits,
                                      .targets = &target,
                                      .labels = &score->truth,
                                      .scale = 1,
                                      .lane_losses = &score->loss});
}

/* The change of the image at `place` of the ids; NULL: none. */
static const pd_change *change_of(const pd_scoring *scoring, size_t place)
{
    if (scoring->change == PD_CHANGE_NONE)
        return NULL;
    if (scoring->change != PD_CHANGE_DEALT)
        return &pd_changes[scoring->change];
    return &pd_changes[(place + (size_t)scoring->round * PD_CHANGE_STRIDE) % PD_CHANGES];
}

/* Replaces pixels[count] by changed images; the first is at `place` of the ids. */
static pd_status change_images(pd_scorer *scorer, const pd_scoring *scoring, size_t place,
                               size_t count)
{
    const pd_input *input = &scorer->options.input;
    size_t bytes = (size_t)input->height * (size_t)input->width;
    size_t scratch = pd_change_scratch(input->height, input->width);
    int failures = 0;
#pragma omp parallel for num_threads(scorer->options.threads) schedule(dynamic) reduction(+ : failures)
    for (size_t i = 0; i < count; i++) {
        const pd_change *change = change_of(scoring, place + i);
        if (change == NULL)
            continue;
        uint8_t *out = scorer->changed + i * bytes;
        const pd_grey_image image = {
            .height = input->height, .width = input->width, .pixels = scorer->pixels[i]};
        failures +=
            pd_change_apply(change, scorer->options.job->seed, scorer->ids[place + i], &image, out,
                            scorer->scratch + (size_t)omp_get_thread_num() * scratch) != PD_OK;
        scorer->pixels[i] = out;
    }
    return failures == 0 ? PD_OK : pd_fail("out of memory while changing images");
}

/* Scores `count` samples from own index `begin` on. */
static pd_status score_chunk(pd_scorer *scorer, const pd_scoring *scoring, size_t begin,
                             size_t count)
{
    pd_status status = PD_OK;
    const int64_t *ids = scorer->ids + scorer->first + begin;
    pd_score *scores = scorer->scores + begin;
    PD_TRY(pd_images_fetch(scorer->images, ids, count, scorer->pixels));
    PD_TRY(change_images(scorer, scoring, scorer->first + begin, count));
    PD_TRY(pd_inference_run(&scorer->inference, scorer->pixels, (int)count, scores));
    size_t outputs = (size_t)scorer->inference.task->outputs;
    for (size_t i = 0; i < count; i++)
        complete(scorer, ids[i], scorer->inference.logits + i * outputs, &scores[i]);
    pd_scores_decide(scores, count, 1, 1);
cleanup:
    return status;
}

pd_status pd_scorer_run(pd_scorer *scorer, pd_network *network, const pd_scoring *scoring,
                        pd_score **scores, size_t *count)
{
    pd_status status = PD_OK;
    pd_progress progress;
    size_t chunk = (size_t)scorer->options.chunk, asked = 0, bytes;
    *scores = NULL;
    *count = 0;
    scorer->inference.network = network;
    if (scoring->label != NULL)
        pd_progress_begin(&progress, scoring->label, 0, scorer->own);
    for (size_t begin = 0; begin < scorer->own && status == PD_OK; begin += chunk) {
        size_t left = scorer->own - begin;
        size_t ahead = left < AHEAD * chunk ? scorer->own : begin + AHEAD * chunk;
        pd_images_prefetch(scorer->images, scorer->ids + scorer->first + asked, ahead - asked);
        asked = ahead;
        status = scoring->stops && pd_stop_requested()
                     ? PD_STOPPED
                     : score_chunk(scorer, scoring, begin, left < chunk ? left : chunk);
        if (scoring->label != NULL)
            pd_progress_update(&progress, begin + chunk, NULL);
    }
    if (scoring->label != NULL)
        pd_progress_end(&progress);
    status = pd_comm_agree(scorer->comm, status);
    if (status != PD_OK)
        return status;
    void *gathered;
    status = pd_comm_gather(scorer->comm, scorer->scores, scorer->own * sizeof(pd_score), &gathered,
                            &bytes);
    *scores = gathered;
    *count = bytes / sizeof(pd_score);
    return status;
}
