#include "pneumo/evaluate/predict.h"

#include "listing.h"
#include "pneumo/base/clock.h"
#include "pneumo/base/log.h"
#include "pneumo/base/memory.h"
#include "pneumo/base/progress.h"
#include "pneumo/base/text.h"
#include "pneumo/data/files.h"
#include "pneumo/data/profile.h"
#include "pneumo/evaluate/classifier.h"
#include "pneumo/metrics/decision.h"
#include "pneumo/train/threads.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Images go through the network in chunks that depend on the list of files alone, and are decoded
 * in blocks of several chunks, so that many threads have work. */
enum { CHUNK = 8, BLOCK = 8 * CHUNK };

typedef struct pd_predictor {
    pd_comm *comm;
    const pd_predict_options *options;
    int threads;
    pd_classifier *classifier;
    pd_files files;
    uint8_t *packed;            /* [BLOCK][pd_classifier_packed_size] */
    pd_prediction *predictions; /* [BLOCK] */
    int64_t failed;             /* on rank 0: files without a prediction */
    pd_progress progress;
} pd_predictor;

/* --- Images --- */

/* Writes why the image, whose packed form is `packed`, is unlike the training images; "" if it is
 * not, or if the checkpoint has no profile. */
static void check_image(const pd_predictor *predictor, const pd_image *image, const uint8_t *packed,
                        char reason[PD_REASON_SIZE])
{
    const pd_checkpoint *checkpoint = pd_classifier_checkpoint(predictor->classifier);
    const pd_input *input = pd_classifier_input(predictor->classifier);
    pd_traits traits;
    reason[0] = '\0';
    if (image->is_other)
        snprintf(reason, PD_REASON_SIZE, "modality %s, not a radiograph", image->modality);
    else if (image->projection == PD_PROJECTION_LATERAL)
        snprintf(reason, PD_REASON_SIZE, "lateral view");
    if (reason[0] != '\0')
        return;
    if (!checkpoint->has_profile)
        return;
    pd_traits_measure(&traits, packed, input->height, input->width, image->height, image->width);
    pd_traits_compare(&traits, checkpoint->profile.mean);
    pd_trait outside = pd_profile_check(&checkpoint->profile, &traits);
    if (outside != PD_TRAITS)
        pd_profile_reason(reason, &checkpoint->profile, &traits, outside);
}

/* Fails for what cannot be read as a file is: opening a pipe blocks until another process writes.
 */
static pd_status check_path(const char *path)
{
    struct stat about;
    if (stat(path, &about) != 0)
        return pd_fail("cannot open: %s", strerror(errno));
    return S_ISREG(about.st_mode) || S_ISDIR(about.st_mode) ? PD_OK : pd_fail("not a regular file");
}

/* Decodes one file to packed form and compares it with the training images. */
static pd_status read_image(const pd_predictor *predictor, const char *path, uint8_t *packed,
                            char reason[PD_REASON_SIZE])
{
    pd_image image = {0};
    bool piped = strcmp(path, PD_PREDICT_STDIN) == 0;
    pd_status status = PD_OK;
    if (!piped)
        status = check_path(path);
    else if (isatty(STDIN_FILENO))
        status = pd_fail("standard input is a terminal; pipe an image into the program");
    if (status == PD_OK)
        status = pd_image_read(&image, piped ? "/dev/stdin" : path);
    if (status == PD_OK)
        status = pd_classifier_pack(predictor->classifier, &image, packed);
    if (status == PD_OK)
        check_image(predictor, &image, packed, reason);
    pd_image_free(&image);
    return status;
}

/* Removes the path from the start of a message, since it has a column of its own. */
static const char *without_path(const char *message, const char *path)
{
    size_t length = strlen(path);
    bool begins = strncmp(message, path, length) == 0 && strncmp(message + length, ": ", 2) == 0;
    return begins ? message + length + 2 : message;
}

static void read_block(pd_predictor *predictor, int64_t first, int count)
{
    const size_t size = pd_classifier_packed_size(predictor->classifier);
#pragma omp parallel for num_threads(predictor->threads) schedule(dynamic)
    for (int i = 0; i < count; i++) {
        const char *path = predictor->files.paths[first + i];
        pd_prediction *prediction = &predictor->predictions[i];
        prediction->error[0] = '\0';
        if (read_image(predictor, path, predictor->packed + (size_t)i * size, prediction->reason) ==
            PD_OK)
            continue;
        snprintf(prediction->error, sizeof prediction->error, "%s",
                 without_path(pd_error_message(), path));
        pd_text_make_printable(prediction->error);
    }
}

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

/* Scores the decoded images of the chunk that starts at `begin` of the block. */
static pd_status score_chunk(pd_predictor *predictor, int begin, int count)
{
    const size_t size = pd_classifier_packed_size(predictor->classifier);
    double threshold = pd_classifier_checkpoint(predictor->classifier)->decision.threshold;
    pd_prediction *predictions = predictor->predictions + begin;
    const uint8_t *packed[CHUNK];
    pd_score scores[CHUNK];
    int places[CHUNK], good = 0;
    for (int i = 0; i < count; i++) {
        if (predictions[i].error[0] != '\0')
            continue;
        packed[good] = predictor->packed + (size_t)(begin + i) * size;
        places[good++] = i;
    }
    if (good == 0)
        return PD_OK;
    pd_status status = pd_classifier_score(predictor->classifier, packed, good, scores);
    for (int i = 0; i < good && status == PD_OK; i++) {
        pd_prediction *prediction = &predictions[places[i]];
        prediction->probability = scores[i].probability;
        prediction->label = scores[i].probability >= threshold ? PD_PNEUMONIA : PD_NORMAL;
        note_doubt(predictor, prediction);
        if (!isfinite(prediction->probability))
            snprintf(prediction->error, sizeof prediction->error,
                     "the network's output is not finite: the checkpoint is damaged");
    }
    return status;
}

/* --- All files --- */

/* Predicts one round of `count` files from number `first` on, each rank its own chunks of them, and
 * passes the predictions to the sink. Collective. */
static pd_status predict_round(pd_predictor *predictor, int64_t first, int count)
{
    pd_status status = PD_OK;
    void *all = NULL;
    size_t total;
    int rank = pd_comm_rank(predictor->comm), ranks = pd_comm_size(predictor->comm);
    int chunks = (count + CHUNK - 1) / CHUNK;
    int begin = rank * chunks / ranks * CHUNK, end = (rank + 1) * chunks / ranks * CHUNK;
    end = end < count ? end : count;
    int own = end - begin;
    read_block(predictor, first + begin, own);
    for (int i = 0; i < own && status == PD_OK; i += CHUNK) {
        int scored = own - i < CHUNK ? own - i : CHUNK;
        status = score_chunk(predictor, i, scored);
        /* The other ranks are about as far. */
        pd_progress_update(&predictor->progress, (uint64_t)(first + (int64_t)(i + scored) * ranks),
                           NULL);
    }
    PD_TRY(pd_comm_agree(predictor->comm, status));
    PD_TRY(pd_comm_gather(predictor->comm, predictor->predictions,
                          (size_t)own * sizeof *predictor->predictions, &all, &total));
    if (rank == 0) {
        const pd_prediction_sink *sink = &predictor->options->sink;
        const pd_prediction *predictions = all;
        for (int i = 0; i < count; i++)
            predictor->failed += predictions[i].error[0] != '\0';
        status = sink->put(sink->context, (const char *const *)predictor->files.paths + first,
                           predictions, count);
    }
    status = pd_comm_agree(predictor->comm, status);
cleanup:
    free(all);
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

static pd_status set_up(pd_predictor *predictor)
{
    pd_status status = PD_OK;
    const pd_prediction_sink *sink = &predictor->options->sink;
    predictor->threads = pd_threads_choose(predictor->comm, predictor->options->threads);
    PD_TRY(pd_classifier_load(&predictor->classifier, predictor->options->checkpoint, CHUNK,
                              predictor->threads));
    replace_threshold(predictor);
    PD_TRY(pd_alloc(&predictor->packed, BLOCK, pd_classifier_packed_size(predictor->classifier)));
    PD_TRY(pd_alloc(&predictor->predictions, BLOCK, sizeof *predictor->predictions));
    if (pd_comm_rank(predictor->comm) == 0) {
        if (!pd_classifier_checkpoint(predictor->classifier)->has_profile)
            pd_log_warn("%s: no profile of the training images: images unlike them are not "
                        "detected; train again to add a profile",
                        predictor->options->checkpoint);
        PD_TRY(find_files(predictor));
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
    pd_log_info("%lld images in %s, %.1f images/s, ranks %d, threads %d", good,
                pd_clock_format(duration, sizeof duration, seconds),
                (double)good / (seconds + 1e-9), pd_comm_size(predictor->comm), predictor->threads);
    if (failed > 0)
        return pd_fail("%lld of %lld files %s no prediction: see the column 'error'",
                       (long long)failed, (long long)predictor->files.count,
                       failed == 1 ? "has" : "have");
    return PD_OK;
}

pd_status pd_predict(pd_comm *comm, const pd_predict_options *options)
{
    pd_status status = PD_OK;
    pd_predictor predictor = {.comm = comm, .options = options};
    const pd_prediction_sink *sink = &options->sink;
    pd_comm_set_position(comm, "reading the checkpoint");
    PD_TRY(pd_comm_agree(comm, set_up(&predictor)));
    PD_TRY(pd_listing_share(comm, &predictor.files));

    double start = pd_clock_now();
    int64_t round = (int64_t)BLOCK * pd_comm_size(comm);
    pd_progress_begin(&predictor.progress, "predicting", 0, (uint64_t)predictor.files.count);
    for (int64_t first = 0; first < predictor.files.count && status == PD_OK; first += round) {
        int64_t left = predictor.files.count - first;
        pd_comm_set_position(comm, "file %lld of %lld", (long long)first + 1,
                             (long long)predictor.files.count);
        status = predict_round(&predictor, first, (int)(left < round ? left : round));
    }
    pd_progress_end(&predictor.progress);
    if (status != PD_OK)
        goto cleanup;
    if (pd_comm_rank(comm) == 0)
        status = sink->end(sink->context);
    PD_TRY(pd_comm_agree(comm, status));
    status = conclude(&predictor, pd_clock_now() - start);
cleanup:
    pd_files_free(&predictor.files);
    pd_classifier_destroy(&predictor.classifier);
    free(predictor.packed);
    free(predictor.predictions);
    return status;
}
