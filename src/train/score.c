#include "pneumo/train/score.h"

#include "pneumo/base/memory.h"
#include "pneumo/base/progress.h"
#include "pneumo/data/images.h"
#include "pneumo/nn/loss.h"
#include "pneumo/train/setup.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Chunks whose images are asked for ahead, that being scored included. */
enum { AHEAD = 8 };

struct pd_scorer {
    pd_comm *comm;
    const pd_job *job;
    const pd_dataset *dataset;
    pd_input input;
    int chunk, classes;
    bool mirrored;
    int64_t *ids; /* of the whole fold */
    size_t count;
    size_t first, own; /* this rank's ids: whole chunks, but for the last */
    pd_images *images;
    const uint8_t **pixels; /* [chunk] */
    float *x;               /* [chunk][size][size][channels] */
    float *logits;          /* [chunk][outputs] */
    pd_score *scores;
};

pd_status pd_scorer_create(pd_scorer **out, pd_comm *comm, const pd_job *job, const pd_input *input,
                           const pd_dataset *dataset, pd_fold fold, int chunk, bool mirrored,
                           bool hold)
{
    pd_status status = PD_OK;
    const pd_dataset_info *info = pd_dataset_get_info(dataset);
    const pd_sample *samples = pd_dataset_samples(dataset);
    pd_scorer *self = NULL;
    *out = NULL;
    PD_TRY(pd_alloc(&self, 1, sizeof *self));
    self->comm = comm;
    self->job = job;
    self->dataset = dataset;
    self->input = *input;
    self->chunk = chunk;
    self->classes = pd_setup_classes(job);
    self->mirrored = mirrored;
    PD_TRY(pd_alloc(&self->ids, (size_t)info->count, sizeof *self->ids));
    for (int64_t i = 0; i < info->count; i++)
        if (samples[i].fold == fold && pd_setup_class(job, &samples[i]) >= 0)
            self->ids[self->count++] = i;

    size_t chunks = (self->count + (size_t)chunk - 1) / (size_t)chunk;
    size_t rank = (size_t)pd_comm_rank(comm), ranks = (size_t)pd_comm_size(comm);
    self->first = rank * chunks / ranks * (size_t)chunk;
    size_t end = (rank + 1) * chunks / ranks * (size_t)chunk;
    self->own = (end < self->count ? end : self->count) - self->first;
    PD_TRY(pd_images_create(&self->images, dataset, self->ids + self->first, self->own, hold,
                            (size_t)chunk));
    PD_TRY(pd_alloc(&self->pixels, (size_t)chunk, sizeof *self->pixels));
    PD_TRY(pd_alloc(&self->x,
                    (size_t)chunk * (size_t)self->input.size * (size_t)self->input.size *
                        (size_t)self->input.channels,
                    sizeof *self->x));
    PD_TRY(pd_alloc(&self->logits, (size_t)(chunk * self->classes), sizeof *self->logits));
    PD_TRY(pd_alloc(&self->scores, self->own, sizeof *self->scores));
    *out = self;
    self = NULL;
cleanup:
    pd_scorer_destroy(&self);
    return status;
}

void pd_scorer_destroy(pd_scorer **scorer)
{
    if (*scorer == NULL)
        return;
    free((*scorer)->ids);
    pd_images_destroy(&(*scorer)->images);
    free((*scorer)->pixels);
    free((*scorer)->x);
    free((*scorer)->logits);
    free((*scorer)->scores);
    free(*scorer);
    *scorer = NULL;
}

const int64_t *pd_scorer_ids(const pd_scorer *scorer, size_t *count)
{
    *count = scorer->count;
    return scorer->ids;
}

/* Exchanges left and right of x [count][size][size][channels]. */
static void mirror(const pd_input *input, float *x, int count, int threads)
{
    int size = input->size, channels = input->channels;
#pragma omp parallel for num_threads(threads)
    for (int row = 0; row < count * size; row++) {
        float *pixels = x + (size_t)row * (size_t)size * (size_t)channels;
        for (int left = 0, right = size - 1; left < right; left++, right--) {
            for (int i = 0; i < channels; i++) {
                float pixel = pixels[left * channels + i];
                pixels[left * channels + i] = pixels[right * channels + i];
                pixels[right * channels + i] = pixel;
            }
        }
    }
}

/* The log-odds of pneumonia: of one output that output, of three (normal, bacteria, virus) those of
 * either cause. */
static double log_odds(const float *logits, size_t outputs)
{
    if (outputs == 1)
        return (double)logits[0];
    double sum = 0, largest = (double)logits[1];
    for (size_t i = 2; i < outputs; i++)
        largest = fmax(largest, (double)logits[i]);
    for (size_t i = 1; i < outputs; i++)
        sum += exp((double)logits[i] - largest);
    return largest + log(sum) - (double)logits[0];
}

static int likeliest(const float *logits, size_t outputs)
{
    int best = 0;
    if (outputs == 1)
        return logits[0] >= 0;
    for (size_t i = 1; i < outputs; i++)
        if (logits[i] > logits[best])
            best = (int)i;
    return best;
}

pd_status pd_scores_infer(pd_score *scores, pd_network *network, const pd_input *input, float *x,
                          int count, bool mirrored, int threads, float *logits)
{
    pd_exec exec = {.lanes = 1, .lane_samples = count, .total_lanes = 1, .threads = threads};
    const float *y;
    size_t outputs = pd_shape_size(pd_network_output(network));
    pd_status status = pd_network_forward(network, &exec, x, &y);
    if (status != PD_OK)
        return status;
    if (logits != NULL)
        memcpy(logits, y, (size_t)count * outputs * sizeof *logits);
    for (int i = 0; i < count; i++) {
        scores[i].logit = log_odds(y + (size_t)i * outputs, outputs);
        scores[i].predicted = likeliest(y + (size_t)i * outputs, outputs);
        scores[i].mirrored = (double)NAN;
    }
    if (!mirrored)
        return PD_OK;
    mirror(input, x, count, threads);
    status = pd_network_forward(network, &exec, x, &y);
    for (int i = 0; i < count && status == PD_OK; i++)
        scores[i].mirrored = log_odds(y + (size_t)i * outputs, outputs);
    return status;
}

void pd_scores_decide(pd_score *scores, size_t count, double temperature, bool flip)
{
    for (size_t i = 0; i < count; i++) {
        double logit = flip ? (scores[i].logit + scores[i].mirrored) / 2 : scores[i].logit;
        scores[i].probability = pd_loss_probability(logit / temperature);
    }
}

/* What the data set knows of a sample, and its loss. */
static void complete(const pd_scorer *self, int64_t id, const float *logits, pd_score *score)
{
    const pd_sample *sample = &pd_dataset_samples(self->dataset)[id];
    score->id = id;
    score->positive = sample->label == PD_PNEUMONIA;
    score->truth = pd_setup_class(self->job, sample);
    score->patient = sample->patient;
    const float target = (float)score->truth;
    if (self->classes == 2)
        pd_loss_binary(logits, &target, NULL, 1, 1, 0.0, 1.0, NULL, &score->loss);
    else
        pd_loss_softmax(logits, &score->truth, NULL, self->classes, 1, 1, 0.0, 1.0, NULL,
                        &score->loss);
}

/* Scores `count` samples from own index `begin` on. */
static pd_status score_chunk(pd_scorer *self, pd_network *network, int threads, size_t begin,
                             size_t count)
{
    const int64_t *ids = self->ids + self->first + begin;
    pd_score *scores = self->scores + begin;
    size_t floats =
        (size_t)self->input.size * (size_t)self->input.size * (size_t)self->input.channels;
    const pd_view view = pd_view_plain();
    pd_status status = pd_images_fetch(self->images, ids, count, self->pixels);
    if (status != PD_OK)
        return status;
#pragma omp parallel for num_threads(threads)
    for (size_t i = 0; i < count; i++)
        pd_view_render(&view, &self->input, self->pixels[i], self->x + i * floats);
    status = pd_scores_infer(scores, network, &self->input, self->x, (int)count, self->mirrored,
                             threads, self->logits);
    if (status != PD_OK)
        return status;
    size_t outputs = pd_shape_size(pd_network_output(network));
    for (size_t i = 0; i < count; i++)
        complete(self, ids[i], self->logits + i * outputs, &scores[i]);
    pd_scores_decide(scores, count, 1, false);
    return PD_OK;
}

pd_status pd_scorer_run(pd_scorer *scorer, pd_network *network, int threads, const char *label,
                        pd_score **scores, size_t *count)
{
    pd_status status = PD_OK;
    pd_progress progress;
    size_t chunk = (size_t)scorer->chunk, asked = 0, bytes;
    *scores = NULL;
    *count = 0;
    if (label != NULL)
        pd_progress_begin(&progress, label, 0, scorer->own);
    for (size_t begin = 0; begin < scorer->own && status == PD_OK; begin += chunk) {
        size_t left = scorer->own - begin;
        size_t ahead = left < AHEAD * chunk ? scorer->own : begin + AHEAD * chunk;
        pd_images_prefetch(scorer->images, scorer->ids + scorer->first + asked, ahead - asked);
        asked = ahead;
        status = score_chunk(scorer, network, threads, begin, left < chunk ? left : chunk);
        if (label != NULL)
            pd_progress_update(&progress, begin + chunk, NULL);
    }
    if (label != NULL)
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
