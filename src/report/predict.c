#include "pneumo/report/predict.h"

#include "pneumo/base/clock.h"
#include "pneumo/base/log.h"
#include "pneumo/base/memory.h"
#include "pneumo/base/progress.h"
#include "pneumo/base/text.h"
#include "pneumo/data/files.h"
#include "pneumo/data/profile.h"
#include "pneumo/evaluate/classifier.h"
#include "pneumo/evaluate/listing.h"
#include "pneumo/io/dataset.h"
#include "pneumo/io/file.h"
#include "pneumo/train/threads.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Images go through the network in chunks that depend on the list of files alone, and are decoded
 * in blocks of several chunks, so that many threads have work. */
enum { CHUNK = 8, BLOCK = 8 * CHUNK, ERROR_SIZE = 256 };

typedef struct prediction {
    double probability;
    char error[ERROR_SIZE];      /* UTF-8; "" where there is a probability */
    char reason[PD_REASON_SIZE]; /* why a human should look; "" where none must */
} prediction;

typedef struct predictor {
    pd_comm *comm;
    const pd_predict_options *options;
    int threads;
    pd_classifier *classifier;
    pd_files files;
    uint8_t *packed;     /* [BLOCK][pd_classifier_packed_size] */
    prediction *answers; /* [BLOCK] */
    int64_t failed;      /* files without a prediction, of this rank */
    /* On rank 0: */
    FILE *out;
    char *temporary; /* NULL: standard output */
    pd_progress progress;
} predictor;

/* --- Output, on rank 0 --- */

static pd_status fail_to_write(const predictor *self, int reason)
{
    const char *name = self->options->output;
    return pd_fail("%s: cannot write: %s", name != NULL ? name : "standard output",
                   strerror(reason != 0 ? reason : EIO));
}

/* Rows go straight to standard output, so that who reads them sees them as they come. */
static pd_status write_rows(const predictor *self, const char *rows, size_t size)
{
    pd_progress_clear(); /* both may be one terminal */
    errno = 0;
    fwrite(rows, 1, size, self->out);
    return fflush(self->out) == 0 && !ferror(self->out) ? PD_OK : fail_to_write(self, errno);
}

static pd_status open_output(predictor *self)
{
    pd_status status = PD_OK;
    const char *path = self->options->output;
    const char header[] = "path,probability,label,refer,reason,error\n";
    self->out = stdout;
    if (path != NULL) {
        PD_TRY(pd_folder_make_above(path));
        PD_TRY(pd_file_temporary(&self->temporary, path));
        self->out = fopen(self->temporary, "we");
        if (self->out == NULL) {
            status = fail_to_write(self, errno);
            goto cleanup;
        }
    }
    if (self->options->format == PD_PREDICT_CSV)
        PD_TRY(write_rows(self, header, sizeof header - 1));
cleanup:
    return status;
}

/* Puts the finished file in its place; standard output needs nothing more. */
static pd_status commit_output(predictor *self)
{
    if (self->temporary == NULL)
        return PD_OK;
    FILE *out = self->out;
    self->out = NULL;
    if (fclose(out) != 0) /* network file systems report a full disk here */
        return fail_to_write(self, errno);
    pd_status status = pd_file_commit(self->temporary, self->options->output);
    if (status == PD_OK) {
        free(self->temporary);
        self->temporary = NULL;
    }
    return status;
}

/* Removes what was not committed. */
static void close_output(predictor *self)
{
    if (self->temporary == NULL)
        return;
    if (self->out != NULL)
        fclose(self->out);
    unlink(self->temporary);
    free(self->temporary);
}

/* --- Rows --- */

static const char *label_of(const predictor *self, double probability)
{
    double threshold = pd_classifier_checkpoint(self->classifier)->decision.threshold;
    return pd_label_names[probability >= threshold ? PD_PNEUMONIA : PD_NORMAL];
}

static bool is_referred(const prediction *answer)
{
    return answer->reason[0] != '\0';
}

static void print_csv(const predictor *self, FILE *rows, const char *path, const prediction *answer)
{
    char number[PD_TEXT_NUMBER];
    pd_text_write_csv(rows, path);
    if (answer->error[0] == '\0') {
        fprintf(rows, ",%s,%s,%s,", pd_text_number(number, answer->probability),
                label_of(self, answer->probability), is_referred(answer) ? "yes" : "no");
        pd_text_write_csv(rows, answer->reason);
        fputs(",\n", rows);
        return;
    }
    fputs(",,,,,", rows);
    pd_text_write_csv(rows, answer->error);
    fputc('\n', rows);
}

/* cJSON's calls take the NULL of a failed allocation for an object, and fail. */
static pd_status print_json(const predictor *self, FILE *rows, const char *path,
                            const prediction *answer)
{
    pd_status status = PD_OK;
    char number[PD_TEXT_NUMBER], *name = NULL, *text = NULL;
    cJSON *row = cJSON_CreateObject();
    PD_TRY(pd_strdup(&name, path));
    pd_text_make_utf8(name);
    bool ok = cJSON_AddStringToObject(row, "path", name) != NULL;
    if (answer->error[0] == '\0')
        ok =
            ok &&
            cJSON_AddRawToObject(row, "probability", pd_text_number(number, answer->probability)) &&
            cJSON_AddStringToObject(row, "label", label_of(self, answer->probability)) &&
            cJSON_AddBoolToObject(row, "refer", is_referred(answer)) &&
            cJSON_AddStringToObject(row, "reason", answer->reason) &&
            cJSON_AddNullToObject(row, "error");
    else
        ok = ok && cJSON_AddNullToObject(row, "probability") &&
             cJSON_AddNullToObject(row, "label") && cJSON_AddNullToObject(row, "refer") &&
             cJSON_AddNullToObject(row, "reason") &&
             cJSON_AddStringToObject(row, "error", answer->error);
    text = ok ? cJSON_PrintUnformatted(row) : NULL;
    if (text == NULL) {
        status = pd_fail("out of memory for the row of %s", path);
        goto cleanup;
    }
    fprintf(rows, "%s\n", text);
cleanup:
    cJSON_free(text);
    cJSON_Delete(row);
    free(name);
    return status;
}

/* The rows of the block's `count` files from number `first` on; *rows is released with free(). */
static pd_status print_rows(const predictor *self, int64_t first, int count, char **rows,
                            size_t *size)
{
    pd_status status = PD_OK;
    FILE *stream = open_memstream(rows, size);
    if (stream == NULL)
        return pd_fail("out of memory for %d rows", count);
    for (int i = 0; i < count && status == PD_OK; i++) {
        const char *path = self->files.paths[first + i];
        if (self->options->format == PD_PREDICT_CSV)
            print_csv(self, stream, path, &self->answers[i]);
        else
            status = print_json(self, stream, path, &self->answers[i]);
    }
    bool failed = ferror(stream) != 0;
    failed = fclose(stream) != 0 || failed;
    if (status == PD_OK && failed)
        status = pd_fail("out of memory for %d rows", count);
    return status;
}

/* --- Images --- */

/* Writes why the image, of which `packed` is the packed one, is unlike the training images; "" if
 * it is not, or if the checkpoint has no profile of them. */
static void check_image(const predictor *self, const pd_image *image, const uint8_t *packed,
                        char reason[PD_REASON_SIZE])
{
    const pd_checkpoint *checkpoint = pd_classifier_checkpoint(self->classifier);
    const pd_input *input = pd_classifier_input(self->classifier);
    pd_traits traits;
    reason[0] = '\0';
    if (!checkpoint->has_profile)
        return;
    pd_traits_measure(&traits, packed, input->height, input->width, image->height, image->width);
    pd_traits_compare(&traits, checkpoint->profile.mean);
    pd_trait outside = pd_profile_check(&checkpoint->profile, &traits);
    if (outside != PD_TRAITS)
        pd_profile_reason(reason, &checkpoint->profile, &traits, outside);
}

/* Decodes one file into its place of the block and compares it with the training images. */
static pd_status read_image(const predictor *self, const char *path, uint8_t *packed,
                            char reason[PD_REASON_SIZE])
{
    struct stat about;
    pd_image image = {0};
    if (stat(path, &about) != 0)
        return pd_fail("cannot open: %s", strerror(errno));
    /* A pipe would be waited for until somebody writes to it. */
    if (!S_ISREG(about.st_mode) && !S_ISDIR(about.st_mode))
        return pd_fail("not a regular file");
    pd_status status = pd_image_read(&image, path);
    if (status == PD_OK)
        status = pd_classifier_pack(self->classifier, &image, packed);
    if (status == PD_OK)
        check_image(self, &image, packed, reason);
    pd_image_free(&image);
    return status;
}

/* Messages that begin with the path need not: it has a column of its own. */
static const char *without_path(const char *message, const char *path)
{
    size_t length = strlen(path);
    bool begins = strncmp(message, path, length) == 0 && strncmp(message + length, ": ", 2) == 0;
    return begins ? message + length + 2 : message;
}

static void read_block(predictor *self, int64_t first, int count)
{
    const size_t size = pd_classifier_packed_size(self->classifier);
#pragma omp parallel for num_threads(self->threads) schedule(dynamic)
    for (int i = 0; i < count; i++) {
        const char *path = self->files.paths[first + i];
        prediction *answer = &self->answers[i];
        answer->error[0] = '\0';
        if (read_image(self, path, self->packed + (size_t)i * size, answer->reason) == PD_OK)
            continue;
        snprintf(answer->error, sizeof answer->error, "%s", without_path(pd_error_message(), path));
        pd_text_make_printable(answer->error);
    }
}

/* The band's reason gives way to that of an image unlike the training images, whose probability
 * means nothing. */
static void note_doubt(const predictor *self, prediction *answer)
{
    const pd_checkpoint *checkpoint = pd_classifier_checkpoint(self->classifier);
    double low = checkpoint->decision.refer_low, high = checkpoint->decision.refer_high;
    if (!is_referred(answer) && answer->probability >= low && answer->probability <= high)
        snprintf(answer->reason, sizeof answer->reason,
                 "in doubt: probability %.4g lies in the band %.4g to %.4g", answer->probability,
                 low, high);
}

/* Scores what was decoded of the chunk that begins at `begin` of the block. */
static pd_status score_chunk(predictor *self, int begin, int count)
{
    const size_t size = pd_classifier_packed_size(self->classifier);
    prediction *answers = self->answers + begin;
    const uint8_t *packed[CHUNK];
    pd_score scores[CHUNK];
    int places[CHUNK], good = 0;
    for (int i = 0; i < count; i++) {
        if (answers[i].error[0] != '\0')
            continue;
        packed[good] = self->packed + (size_t)(begin + i) * size;
        places[good++] = i;
    }
    if (good == 0)
        return PD_OK;
    pd_status status = pd_classifier_score(self->classifier, packed, good, scores);
    for (int i = 0; i < good && status == PD_OK; i++) {
        prediction *answer = &answers[places[i]];
        answer->probability = scores[i].probability;
        note_doubt(self, answer);
        if (!isfinite(answer->probability))
            snprintf(answer->error, sizeof answer->error,
                     "the network's answer is not a number: the checkpoint is damaged");
    }
    return status;
}

/* --- All of it --- */

/* Predicts one round of `count` files from number `first` on, each rank its own chunks of them, and
 * writes the rows. Collective. */
static pd_status predict_round(predictor *self, int64_t first, int count)
{
    pd_status status = PD_OK;
    char *rows = NULL;
    void *all = NULL;
    size_t size = 0, total;
    int rank = pd_comm_rank(self->comm), ranks = pd_comm_size(self->comm);
    int chunks = (count + CHUNK - 1) / CHUNK;
    int begin = rank * chunks / ranks * CHUNK, end = (rank + 1) * chunks / ranks * CHUNK;
    end = end < count ? end : count;
    read_block(self, first + begin, end - begin);
    for (int i = 0; i < end - begin && status == PD_OK; i += CHUNK) {
        int left = end - begin - i, size_of_chunk = left < CHUNK ? left : CHUNK;
        status = score_chunk(self, i, size_of_chunk);
        /* The other ranks are about as far. */
        pd_progress_update(&self->progress, (uint64_t)(first + (i + size_of_chunk) * ranks), NULL);
    }
    for (int i = 0; i < end - begin && status == PD_OK; i++)
        self->failed += self->answers[i].error[0] != '\0';
    if (status == PD_OK)
        status = print_rows(self, first + begin, end - begin, &rows, &size);
    PD_TRY(pd_comm_agree(self->comm, status));
    PD_TRY(pd_comm_gather(self->comm, rows, size, &all, &total));
    if (rank == 0)
        status = write_rows(self, all, total);
    status = pd_comm_agree(self->comm, status);
cleanup:
    free(rows);
    free(all);
    return status;
}

static pd_status find_files(predictor *self)
{
    const pd_predict_options *options = self->options;
    pd_status status = pd_files_find(&self->files, options->inputs, options->input_count);
    if (status == PD_OK && self->files.count == 0)
        status = pd_fail("%s%s: there are no files in it (hidden ones are left out)",
                         options->inputs[0], options->input_count > 1 ? " and the others" : "");
    return status;
}

static pd_status set_up(predictor *self)
{
    pd_status status = PD_OK;
    self->threads = pd_threads_choose(self->comm, self->options->threads);
    PD_TRY(pd_classifier_load(&self->classifier, self->options->checkpoint, CHUNK, self->threads));
    PD_TRY(pd_alloc(&self->packed, BLOCK, pd_classifier_packed_size(self->classifier)));
    PD_TRY(pd_alloc(&self->answers, BLOCK, sizeof *self->answers));
    if (pd_comm_rank(self->comm) == 0) {
        if (!pd_classifier_checkpoint(self->classifier)->has_profile)
            pd_log_warn("%s: it has no profile of its training images: images that are unlike them "
                        "are not noticed; train again to get one",
                        self->options->checkpoint);
        PD_TRY(find_files(self));
        PD_TRY(open_output(self));
    }
cleanup:
    return status;
}

/* The end of the work: its speed, and whether all files have their prediction. Collective. */
static pd_status conclude(predictor *self, double seconds)
{
    void *counts;
    size_t size;
    int64_t failed = 0;
    pd_status status =
        pd_comm_gather(self->comm, &self->failed, sizeof self->failed, &counts, &size);
    if (status != PD_OK)
        return status;
    for (size_t i = 0; i < size / sizeof failed; i++)
        failed += ((const int64_t *)counts)[i];
    free(counts);
    status = pd_comm_broadcast(self->comm, &failed, sizeof failed, 0);
    if (status != PD_OK)
        return status;
    char duration[32];
    long long good = self->files.count - failed;
    pd_log_info("%lld images in %s, %.1f images/s, ranks %d, threads %d", good,
                pd_clock_format(duration, sizeof duration, seconds),
                (double)good / (seconds + 1e-9), pd_comm_size(self->comm), self->threads);
    if (failed > 0)
        return pd_fail("%lld of %lld files %s no prediction: the column 'error' says why",
                       (long long)failed, (long long)self->files.count,
                       failed == 1 ? "has" : "have");
    return PD_OK;
}

pd_status pd_predict(pd_comm *comm, const pd_predict_options *options)
{
    pd_status status = PD_OK;
    predictor self = {.comm = comm, .options = options};
    pd_comm_set_position(comm, "reading the checkpoint");
    PD_TRY(pd_comm_agree(comm, set_up(&self)));
    PD_TRY(pd_listing_share(comm, &self.files));

    double start = pd_clock_now();
    int64_t round = (int64_t)BLOCK * pd_comm_size(comm);
    pd_progress_begin(&self.progress, "predicting", 0, (uint64_t)self.files.count);
    for (int64_t first = 0; first < self.files.count && status == PD_OK; first += round) {
        int64_t left = self.files.count - first;
        pd_comm_set_position(comm, "file %lld of %lld", (long long)first + 1,
                             (long long)self.files.count);
        status = predict_round(&self, first, (int)(left < round ? left : round));
    }
    pd_progress_end(&self.progress);
    if (status != PD_OK)
        goto cleanup;
    if (pd_comm_rank(comm) == 0)
        status = commit_output(&self);
    PD_TRY(pd_comm_agree(comm, status));
    status = conclude(&self, pd_clock_now() - start);
cleanup:
    close_output(&self);
    pd_files_free(&self.files);
    pd_classifier_destroy(&self.classifier);
    free(self.packed);
    free(self.answers);
    return status;
}
