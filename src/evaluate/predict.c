#include "pneumo/evaluate/predict.h"

#include "ahead.h"
#include "file_image.h"
#include "listing.h"
#include "pneumo/base/clock.h"
#include "pneumo/base/log.h"
#include "pneumo/base/memory.h"
#include "pneumo/base/progress.h"
#include "pneumo/base/text.h"
#include "pneumo/data/files.h"
#include "pneumo/evaluate/classifier.h"
#include "pneumo/io/outputs.h"
#include "pneumo/metrics/decision.h"
#include "pneumo/train/threads.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Files are dealt to the ranks in chunks. Each rank takes a block of several chunks through the
 * network at a time, so that every thread has work, while the next block is decoded. */
enum { CHUNK = 8, LEAST_CHUNKS = 8, IMAGES_PER_THREAD = 4 };

typedef struct pd_predictor {
    pd_comm *comm;
    const pd_predict_options *options;
    int threads;
    int block; /* most files of a rank at a time; the same on all ranks */
    pd_classifier *classifier;
    pd_files files;
    uint8_t *packed;            /* [PD_AHEAD_PLACES][block][pd_classifier_packed_size] */
    pd_prediction *predictions; /* [PD_AHEAD_PLACES][block] */
    const uint8_t **good;       /* [block]: packed images that could be decoded */
    int *places;                /* [block]: theirs in the block */
    pd_score *scores;           /* [block] */
    pd_crew *crew;              /* computes, while the threads of `ahead` decode */
    pd_ahead *ahead;
    int64_t failed; /* on rank 0: files without a prediction */
    pd_progress progress;
} pd_predictor;

/* A block of all ranks. */
typedef struct pd_round {
    int64_t first;  /* file */
    int count;      /* files */
    int begin, own; /* this rank's, from number `begin` on */
} pd_round;

static pd_round round_at(const pd_predictor *predictor, int64_t number)
{
    int rank = pd_comm_rank(predictor->comm), ranks = pd_comm_size(predictor->comm);
    int64_t most = (int64_t)predictor->block * ranks, first = number * most;
    int64_t left = predictor->files.count - first;
    int count = (int)(left < most ? left : most), chunks = (count + CHUNK - 1) / CHUNK;
    int begin = rank * chunks / ranks * CHUNK, end = (rank + 1) * chunks / ranks * CHUNK;
    return (pd_round){first, count, begin, (end < count ? end : count) - begin};
}

/* --- Images, which other threads decode ahead --- */

static int count_images(void *context, int64_t number)
{
    return round_at(context, number).own;
}

/* Index of an image in packed and predictions. */
static size_t index_of(const pd_predictor *predictor, int64_t number, int image)
{
    return (size_t)(number % PD_AHEAD_PLACES) * (size_t)predictor->block + (size_t)image;
}

/* Removes the path from the start of a message, since it has a column of its own. */
static const char *without_path(const char *message, const char *path)
{
    size_t length = strlen(path);
    bool begins = strncmp(message, path, length) == 0 && strncmp(message + length, ": ", 2) == 0;
    return begins ? message + length + 2 : message;
}

static void read_image(void *context, int64_t number, int image)
{
    const pd_predictor *predictor = context;
    const pd_round at = round_at(predictor, number);
    const char *path = predictor->files.paths[at.first + at.begin + image];
    size_t index = index_of(predictor, number, image);
    pd_prediction *prediction = &predictor->predictions[index];
    uint8_t *packed = predictor->packed + index * pd_classifier_packed_size(predictor->classifier);
    prediction->error[0] = '\0';
    const char *file = strcmp(path, PD_PREDICT_STDIN) == 0 ? NULL : path;
    if (pd_file_image_read(predictor->classifier, file, packed, prediction->reason) == PD_OK)
        return;
    snprintf(prediction->error, sizeof prediction->error, "%s",
             without_path(pd_error_message(), path));
    pd_text_make_printable(prediction->error);
}

/* --- Scores --- */

/* Refers a probability in the band of doubt. For an image unlike the training images, whose
 * probability means nothing, that reason stays. */
static void note_doubt(const pd_predictor *predictor, pd_prediction *prediction)
{
    const pd_checkpoint *checkpoint = pd_classifier_checkpoint(predictor->classifier);
    double low = checkpoint->decision.refer_low, high = checkpoint->decision.refer_high;
    if (prediction->reason[0] == '\0' && prediction->probability >= low &&
        prediction->probability <= high)
        snprintf(prediction->reason, sizeof prediction->reason,
                 "in doubt: probability %.4g lies in the band %.4g to %.4g",
                 prediction->probability, low, high);
}

/* Scores the decoded images of this rank's block. */
static pd_status score_block(pd_predictor *predictor, int64_t number, int count)
{
    const size_t size = pd_classifier_packed_size(predictor->classifier);
    double threshold = pd_classifier_checkpoint(predictor->classifier)->decision.threshold;
    size_t first = index_of(predictor, number, 0);
    pd_prediction *predictions = predictor->predictions + first;
    int good = 0;
    for (int i = 0; i < count; i++) {
        if (predictions[i].error[0] != '\0')
            continue;
        predictor->good[good] = predictor->packed + (first + (size_t)i) * size;
        predictor->places[good++] = i;
    }
    if (good == 0)
        return PD_OK;
    pd_score *scores = predictor->scores;
    pd_status status = pd_classifier_score(predictor->classifier, predictor->good, good, scores);
    for (int i = 0; i < good && status == PD_OK; i++) {
        pd_prediction *prediction = &predictions[predictor->places[i]];
        prediction->probability = scores[i].probability;
        prediction->label = scores[i].probability >= threshold ? PD_PNEUMONIA : PD_NORMAL;
        note_doubt(predictor, prediction);
        if (!pd_score_is_finite(&scores[i]))
            snprintf(prediction->error, sizeof prediction->error,
                     "the network's output is not finite: the checkpoint is damaged");
    }
    return status;
}

/* --- All files --- */

/* Predicts a round, each rank its own files, and passes the predictions to the sink. Collective. */
static pd_status predict_round(pd_predictor *predictor, int64_t number)
{
    pd_status status = PD_OK;
    void *all = NULL;
    size_t total;
    const pd_round at = round_at(predictor, number);
    pd_ahead_next(predictor->ahead);
    status = score_block(predictor, number, at.own);
    PD_TRY(pd_comm_agree(predictor->comm, status));
    PD_TRY(pd_comm_gather(predictor->comm, predictor->predictions + index_of(predictor, number, 0),
                          (size_t)at.own * sizeof *predictor->predictions, &all, &total));
    if (pd_comm_rank(predictor->comm) == 0) {
        const pd_prediction_sink *sink = &predictor->options->sink;
        const pd_prediction *predictions = all;
        for (int i = 0; i < at.count; i++)
            predictor->failed += predictions[i].error[0] != '\0';
        status = sink->put(sink->context, (const char *const *)predictor->files.paths + at.first,
                           predictions, at.count);
    }
    status = pd_comm_agree(predictor->comm, status);
    pd_progress_update(&predictor->progress, (uint64_t)(at.first + at.count), NULL);
cleanup:
    free(all);
    return status;
}

static pd_status predict_rounds(pd_predictor *predictor)
{
    pd_status status = PD_OK;
    int64_t count = predictor->files.count;
    int64_t each = (int64_t)predictor->block * pd_comm_size(predictor->comm);
    const pd_ahead_options ahead = {.threads = predictor->threads,
                                    .blocks = (count + each - 1) / each,
                                    .context = predictor,
                                    .count = count_images,
                                    .make = read_image};
    PD_TRY(pd_comm_agree(predictor->comm, pd_ahead_start(&predictor->ahead, &ahead)));
    pd_progress_begin(&predictor->progress, "predicting", 0, (uint64_t)count);
    for (int64_t number = 0; number < ahead.blocks && status == PD_OK; number++) {
        pd_comm_set_position(predictor->comm, "file %lld of %lld", (long long)number * each + 1,
                             (long long)count);
        status = predict_round(predictor, number);
    }
    pd_progress_end(&predictor->progress);
cleanup:
    pd_ahead_stop(&predictor->ahead);
    return status;
}

static pd_status find_files(pd_predictor *predictor)
{
    const pd_predict_options *options = predictor->options;
    pd_status status = pd_files_find(&predictor->files, options->inputs, options->input_count);
    if (status == PD_OK && predictor->files.count == 0)
        status = pd_fail("%s%s: no files found (hidden files are skipped)", options->inputs[0],
                         options->input_count > 1 ? " and the others" : "");
    return status;
}

/* Fails if the output would replace the checkpoint or one of the files. */
static pd_status check_output(const pd_predictor *predictor)
{
    const pd_predict_options *options = predictor->options;
    pd_status status = pd_output_check(options->output, &options->checkpoint, 1);
    return status == PD_OK
               ? pd_output_check(options->output, predictor->files.paths, predictor->files.count)
               : status;
}

/* In memory; the file keeps its threshold. */
static void replace_threshold(pd_predictor *predictor)
{
    pd_decision *decision = &pd_classifier_checkpoint(predictor->classifier)->decision;
    double given = predictor->options->threshold;
    if (given <= 0)
        return;
    pd_log_info("threshold %.6g (--threshold) instead of %.6g, %s", given, decision->threshold,
                decision->rule);
    pd_decision_replace(decision, given, "given");
}

static int choose_block(int threads)
{
    int chunks = (IMAGES_PER_THREAD * threads + CHUNK - 1) / CHUNK;
    return (chunks > LEAST_CHUNKS ? chunks : LEAST_CHUNKS) * CHUNK;
}

static pd_status set_up(pd_predictor *predictor)
{
    pd_status status = PD_OK;
    const pd_prediction_sink *sink = &predictor->options->sink;
    const size_t block = (size_t)predictor->block;
    PD_TRY(pd_classifier_load(&predictor->classifier, predictor->options->checkpoint,
                              predictor->block, predictor->threads));
    replace_threshold(predictor);
    PD_TRY(pd_crew_create(&predictor->crew, predictor->threads));
    pd_classifier_use_crew(predictor->classifier, predictor->crew);
    PD_TRY(pd_alloc(&predictor->packed, PD_AHEAD_PLACES * block,
                    pd_classifier_packed_size(predictor->classifier)));
    PD_TRY(
        pd_alloc(&predictor->predictions, PD_AHEAD_PLACES * block, sizeof *predictor->predictions));
    PD_TRY(pd_alloc(&predictor->good, block, sizeof *predictor->good));
    PD_TRY(pd_alloc(&predictor->places, block, sizeof *predictor->places));
    PD_TRY(pd_alloc(&predictor->scores, block, sizeof *predictor->scores));
    if (pd_comm_rank(predictor->comm) == 0) {
        if (!pd_classifier_checkpoint(predictor->classifier)->has_profile)
            pd_log_warn("%s: no profile of the training images: images unlike them are not "
                        "detected; train again to add a profile",
                        predictor->options->checkpoint);
        PD_TRY(find_files(predictor));
        PD_TRY(check_output(predictor));
        status = sink->begin(sink->context);
    }
cleanup:
    return status;
}

/* Logs the speed and fails if a file has no prediction. Collective. */
static pd_status conclude(pd_predictor *predictor, double seconds)
{
    pd_status status =
        pd_comm_broadcast(predictor->comm, &predictor->failed, sizeof predictor->failed, 0);
    if (status != PD_OK)
        return status;
    int64_t failed = predictor->failed;
    char duration[32];
    long long good = predictor->files.count - failed;
    pd_log_info("%lld image%s in %s, %.1f images/s, ranks %d, threads %d", good,
                pd_text_plural(good), pd_clock_format(duration, sizeof duration, seconds),
                (double)good / (seconds + 1e-9), pd_comm_size(predictor->comm), predictor->threads);
    if (failed > 0)
        return pd_fail("%lld of %lld file%s %s no prediction: see the column 'error'",
                       (long long)failed, (long long)predictor->files.count,
                       pd_text_plural(predictor->files.count), failed == 1 ? "has" : "have");
    return PD_OK;
}

pd_status pd_predict(pd_comm *comm, const pd_predict_options *options)
{
    pd_status status = PD_OK;
    pd_predictor predictor = {.comm = comm, .options = options};
    const pd_prediction_sink *sink = &options->sink;
    pd_comm_set_position(comm, "reading the checkpoint");
    predictor.threads = pd_threads_choose(comm, options->threads);
    predictor.block = choose_block(predictor.threads);
    PD_TRY(pd_comm_broadcast(comm, &predictor.block, sizeof predictor.block, 0));
    PD_TRY(pd_comm_agree(comm, set_up(&predictor)));
    PD_TRY(pd_listing_share(comm, &predictor.files));

    double start = pd_clock_now();
    PD_TRY(predict_rounds(&predictor));
    if (pd_comm_rank(comm) == 0)
        status = sink->end(sink->context);
    PD_TRY(pd_comm_agree(comm, status));
    status = conclude(&predictor, pd_clock_now() - start);
cleanup:
    pd_files_free(&predictor.files);
    pd_classifier_destroy(&predictor.classifier);
    pd_crew_destroy(&predictor.crew);
    free(predictor.packed);
    free(predictor.predictions);
    free(predictor.good);
    free(predictor.places);
    free(predictor.scores);
    return status;
}
