#include "pneumo/evaluate/calibrate.h"

#include "calibrate_cross.h"
#include "pneumo/base/log.h"
#include "pneumo/base/memory.h"
#include "pneumo/base/progress.h"
#include "pneumo/data/identity.h"
#include "pneumo/evaluate/classifier.h"
#include "pneumo/io/file.h"
#include "pneumo/train/setup.h"
#include "pneumo/train/threads.h"
#include "pneumo/train/validation.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Images go through the network in chunks that depend on their list alone, and are read in blocks
 * of several chunks, so that many threads have work. */
enum { CHUNK = 8, BLOCK = 8 * CHUNK };

/* An image as its rank knows it; all zero but for the id if it could not be read. */
typedef struct scored {
    pd_score score;
    pd_identity identity;
    bool good;
} scored;

typedef struct calibrator {
    pd_comm *comm;
    const pd_calibrate_options *options;
    int threads;
    pd_classifier *classifier;
    pd_labelled labelled;
    pd_inference inference; /* on the labelled images; borrows its network */
    size_t pixels;
    uint8_t *images;     /* [BLOCK][pixels] */
    char *failed[BLOCK]; /* why a file cannot be read; NULL: it can */
    scored *own;         /* this rank's; then on rank 0: */
    scored *all;         /* [count], good ones without duplicates, as labelled */
    pd_score *scores;    /* [count], the same */
    size_t count;
    pd_calibrate_result *result;
} calibrator;

/* --- Scoring --- */

/* Scores the good images among `count` of the block from `begin` on. */
static pd_status score_chunk(calibrator *self, size_t begin, size_t count, scored *out)
{
    const uint8_t *images[CHUNK];
    pd_score scores[CHUNK];
    size_t places[CHUNK], good = 0;
    for (size_t i = 0; i < count; i++) {
        if (!out[i].good)
            continue;
        images[good] = self->images + (begin + i) * self->pixels;
        places[good++] = i;
    }
    if (good == 0)
        return PD_OK;
    pd_status status = pd_inference_run(&self->inference, images, (int)good, scores);
    for (size_t i = 0; i < good && status == PD_OK; i++) {
        out[places[i]].score.logit = scores[i].logit;
        memcpy(out[places[i]].score.views, scores[i].views, sizeof scores[i].views);
    }
    return status;
}

/* What cannot be read is an error, or a warning. */
static pd_status judge_files(calibrator *self, size_t count)
{
    pd_status status = PD_OK;
    for (size_t i = 0; i < count; i++) {
        if (self->failed[i] == NULL)
            continue;
        if (self->options->skip_bad)
            pd_log_warn("%s; it is left out", self->failed[i]);
        else if (status == PD_OK)
            status = pd_fail("%s (--skip-bad goes on without such files)", self->failed[i]);
    }
    return status;
}

/* Reads and scores samples [first, first + count) of the list into out[count]. */
static pd_status score_block(calibrator *self, size_t first, size_t count, scored *out)
{
    pd_status status = PD_OK;
    PD_TRY(
        pd_labelled_read(&self->labelled, first, count, self->threads, self->images, self->failed));
    PD_TRY(judge_files(self, count));
    for (size_t i = 0; i < count; i++) {
        out[i].score = self->labelled.samples[first + i];
        out[i].good = self->failed[i] == NULL;
        if (out[i].good)
            out[i].identity =
                pd_identity_of(self->images + i * self->pixels, self->inference.input.height,
                               self->inference.input.width);
    }
    for (size_t i = 0; i < count; i += CHUNK)
        PD_TRY(score_chunk(self, i, count - i < CHUNK ? count - i : CHUNK, out + i));
cleanup:
    for (size_t i = 0; i < count; i++) {
        free(self->failed[i]);
        self->failed[i] = NULL;
    }
    return status;
}

/* Scores this rank's whole chunks of the list, and gathers all on rank 0. Collective. */
static pd_status score_all(calibrator *self)
{
    pd_status status = PD_OK;
    pd_progress progress;
    void *all;
    size_t bytes, count = self->labelled.count, chunks = (count + CHUNK - 1) / CHUNK;
    size_t rank = (size_t)pd_comm_rank(self->comm), ranks = (size_t)pd_comm_size(self->comm);
    size_t begin = rank * chunks / ranks * CHUNK, end = (rank + 1) * chunks / ranks * CHUNK;
    end = end < count ? end : count;
    begin = begin < end ? begin : end;
    pd_comm_set_position(self->comm, "scoring the images");
    status = pd_alloc(&self->own, end - begin, sizeof *self->own);
    pd_progress_begin(&progress, "scoring", 0, end - begin);
    for (size_t i = begin; i < end && status == PD_OK; i += BLOCK) {
        size_t block = end - i < BLOCK ? end - i : BLOCK;
        status = score_block(self, i, block, self->own + (i - begin));
        pd_progress_update(&progress, i + block - begin, NULL);
    }
    pd_progress_end(&progress);
    PD_TRY(pd_comm_agree(self->comm, status));
    PD_TRY(pd_comm_gather(self->comm, self->own, (end - begin) * sizeof *self->own, &all, &bytes));
    self->all = all;
    self->count = bytes / sizeof *self->all;
cleanup:
    return status;
}

/* --- Deciding, on rank 0 --- */

static int compare_identities(const void *a, const void *b)
{
    const scored *x = *(const scored *const *)a, *y = *(const scored *const *)b;
    int order = pd_identity_compare(&x->identity, &y->identity);
    return order != 0 ? order : (x > y) - (x < y);
}

/* Of images with the same pixels the first of the list stays good. */
static pd_status drop_duplicates(calibrator *self)
{
    pd_status status = PD_OK;
    scored **order = NULL;
    size_t good = 0;
    PD_TRY(pd_alloc(&order, self->count, sizeof(scored *)));
    for (size_t i = 0; i < self->count; i++)
        if (self->all[i].good)
            order[good++] = &self->all[i];
    qsort(order, good, sizeof *order, compare_identities);
    for (size_t i = 1, first = 0; i < good; i++) {
        if (pd_identity_compare(&order[i]->identity, &order[first]->identity) != 0) {
            first = i;
            continue;
        }
        if (order[i]->score.positive != order[first]->score.positive) {
            status = pd_fail("%s and %s are the same image under two labels",
                             pd_labelled_name(&self->labelled, order[first]->score.id),
                             pd_labelled_name(&self->labelled, order[i]->score.id));
            goto cleanup;
        }
        order[i]->good = false;
        self->result->duplicates++;
    }
cleanup:
    free(order);
    return status;
}

/* Leaves the good ones, counts them, and refuses too few. */
static pd_status collect(calibrator *self)
{
    pd_status status = PD_OK;
    pd_calibrate_result *result = self->result;
    size_t kept = 0, listed = self->count;
    PD_TRY(drop_duplicates(self));
    for (size_t i = 0; i < listed; i++)
        if (self->all[i].good)
            self->all[kept++] = self->all[i];
    self->count = kept;
    result->bad = (int64_t)(listed - kept) - result->duplicates;
    PD_TRY(pd_alloc(&self->scores, kept, sizeof *self->scores));
    for (size_t i = 0; i < kept; i++) {
        self->scores[i] = self->all[i].score;
        result->images[self->scores[i].positive]++;
    }
    for (int label = PD_NORMAL; label < PD_LABELS; label++)
        if (result->images[label] < PD_CALIBRATE_LEAST) {
            status =
                pd_fail("%s: there are %" PRId64 " %s images to calibrate by; at least %d of "
                        "each class are needed",
                        self->options->images.data != NULL ? self->options->images.data
                                                           : self->options->images.folders[label],
                        result->images[label], label == PD_NORMAL ? "normal" : "pneumonia",
                        PD_CALIBRATE_LEAST);
            goto cleanup;
        }
cleanup:
    return status;
}

static int compare_numbers(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

static pd_status count_patients(calibrator *self)
{
    int32_t *patients = NULL;
    pd_status status = pd_alloc(&patients, self->count, sizeof *patients);
    for (size_t i = 0; i < self->count && status == PD_OK; i++)
        patients[i] = self->scores[i].patient;
    if (status == PD_OK)
        qsort(patients, self->count, sizeof *patients, compare_numbers);
    for (size_t i = 0; i < self->count && status == PD_OK; i++)
        self->result->patients += i == 0 || patients[i] != patients[i - 1];
    free(patients);
    return status;
}

/* The checkpoint's own decision on these images. */
static pd_status judge_before(calibrator *self)
{
    const pd_checkpoint *checkpoint = pd_classifier_checkpoint(self->classifier);
    pd_decision *before = &self->result->before;
    *before = checkpoint->decision;
    pd_scores_decide(self->scores, self->count, before->temperature, before->views);
    return pd_metrics_compute(&self->result->judged_before, self->scores, self->count,
                              before->threshold);
}

/* The job's rule, with what the options say otherwise. */
static pd_decision_rule make_rule(const calibrator *self, const char *where)
{
    const pd_calibrate_options *options = self->options;
    pd_decision_rule rule = pd_decision_rule_of(pd_classifier_job(self->classifier), where);
    if (options->rule != NULL)
        rule.threshold =
            strcmp(options->rule, "both") == 0 ? PD_THRESHOLD_BOTH : PD_THRESHOLD_SENSITIVITY;
    if (!isnan(options->target_sensitivity))
        rule.target_sensitivity = options->target_sensitivity;
    if (!isnan(options->target_specificity))
        rule.target_specificity = options->target_specificity;
    rule.views = pd_views_of(pd_classifier_checkpoint(self->classifier)->decision.views);
    return rule;
}

static void store_decision(calibrator *self)
{
    pd_decision *decision = &pd_classifier_checkpoint(self->classifier)->decision;
    *decision = self->result->after;
    snprintf(decision->fold, sizeof decision->fold, "calibration");
}

/* The digest of a folder is that of its images: the normal ones, then the others, each ascending.
 */
static pd_status store_site(calibrator *self, const pd_decision_rule *rule)
{
    pd_status status = PD_OK;
    const pd_calibrate_result *result = self->result;
    pd_site *site = &pd_classifier_checkpoint(self->classifier)->site;
    size_t normal = (size_t)result->images[PD_NORMAL];
    free(site->images);
    *site = (pd_site){.target_sensitivity = rule->target_sensitivity,
                      .target_specificity = rule->target_specificity,
                      .normal = result->images[PD_NORMAL],
                      .pneumonia = result->images[PD_PNEUMONIA],
                      .image_height = self->inference.input.height,
                      .image_width = self->inference.input.width};
    PD_TRY(pd_alloc(&site->images, self->count, sizeof *site->images));
    site->count = (int64_t)self->count;
    for (size_t i = 0; i < self->count; i++)
        site->images[i] = self->all[i].identity;
    snprintf(site->source, sizeof site->source, "%s", result->source);
    snprintf(site->rule, sizeof site->rule, "%s",
             rule->threshold == PD_THRESHOLD_BOTH ? "both" : "sensitivity");
    qsort(site->images, normal, sizeof *site->images, pd_identity_compare);
    qsort(site->images + normal, self->count - normal, sizeof *site->images, pd_identity_compare);
    if (self->labelled.dataset != NULL)
        snprintf(site->data_digest, sizeof site->data_digest, "%s",
                 pd_dataset_get_info(self->labelled.dataset)->digest);
    else
        pd_identity_digest(site->data_digest, site->images, self->count);
    qsort(site->images, self->count, sizeof *site->images, pd_identity_compare);
cleanup:
    return status;
}

/* All that rank 0 does with the scores. */
static pd_status decide(calibrator *self)
{
    pd_status status = PD_OK;
    char where[80];
    pd_calibrate_result *result = self->result;
    *result = (pd_calibrate_result){0};
    snprintf(result->source, sizeof result->source, "%s", self->labelled.source);
    snprintf(result->grouping, sizeof result->grouping, "%s", self->labelled.grouping);
    PD_TRY(collect(self));
    PD_TRY(count_patients(self));
    snprintf(where, sizeof where, "%" PRId64 " normal and %" PRId64 " pneumonia calibration images",
             result->images[PD_NORMAL], result->images[PD_PNEUMONIA]);
    pd_decision_rule rule = make_rule(self, where);
    PD_TRY(judge_before(self));
    PD_TRY(pd_decision_make(&result->after, NULL, &rule, self->scores, self->count));
    PD_TRY(pd_metrics_compute(&result->judged_after, self->scores, self->count,
                              result->after.threshold));
    PD_TRY(
        pd_calibrate_cross(result, &rule, self->scores, self->count, self->options->images.seed));
    store_decision(self);
    PD_TRY(store_site(self, &rule));
    PD_TRY(pd_folder_make_above(self->options->output));
    PD_TRY(pd_checkpoint_save(self->options->output, pd_classifier_checkpoint(self->classifier)));
cleanup:
    return status;
}

/* --- All of it --- */

static bool is_same_file(const char *a, const char *b)
{
    struct stat x, y;
    return b != NULL && stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev &&
           x.st_ino == y.st_ino;
}

static pd_status set_up(calibrator *self)
{
    pd_status status = PD_OK;
    const pd_calibrate_options *options = self->options;
    if (is_same_file(options->output, options->checkpoint) ||
        is_same_file(options->output, options->images.data))
        return pd_fail("%s: would be overwritten; give another file with --output",
                       options->output);
    self->threads = pd_threads_choose(self->comm, options->threads);
    PD_TRY(pd_classifier_load(&self->classifier, options->checkpoint, CHUNK, self->threads));
    if (pd_classifier_count(self->classifier) > 1) {
        status =
            pd_fail("%s: is an average of %d checkpoints, which cannot be calibrated: give one "
                    "of its members",
                    options->checkpoint, pd_classifier_count(self->classifier));
        goto cleanup;
    }
    pd_decision_rule rule = make_rule(self, "");
    if (rule.threshold == PD_THRESHOLD_BOTH &&
        (rule.target_sensitivity >= 1 || rule.target_specificity >= 1))
        status = pd_fail("%s: rule both needs targets below 1; its job asks for %g and %g",
                         options->checkpoint, rule.target_sensitivity, rule.target_specificity);
cleanup:
    return status;
}

/* After the list is known, which tells the size of the images. */
static pd_status make_room(calibrator *self)
{
    pd_status status = PD_OK;
    self->inference = pd_classifier_at(self->classifier, 0)->inference;
    self->inference.input.height = self->labelled.height;
    self->inference.input.width = self->labelled.width;
    PD_TRY(pd_inference_prepare(&self->inference, CHUNK));
    self->pixels = (size_t)self->labelled.height * (size_t)self->labelled.width;
    PD_TRY(pd_alloc(&self->images, BLOCK * self->pixels, sizeof *self->images));
cleanup:
    return status;
}

pd_status pd_calibrate(pd_comm *comm, const pd_calibrate_options *options,
                       pd_calibrate_result *result)
{
    pd_status status = PD_OK;
    calibrator self = {.comm = comm, .options = options, .result = result};
    pd_comm_set_position(comm, "reading the checkpoint");
    PD_TRY(pd_comm_agree(comm, set_up(&self)));
    PD_TRY(pd_labelled_open(&self.labelled, comm, &options->images,
                            pd_classifier_checkpoint(self.classifier)));
    PD_TRY(pd_comm_agree(comm, make_room(&self)));
    PD_TRY(score_all(&self));
    if (pd_comm_rank(comm) == 0)
        status = decide(&self);
    PD_TRY(pd_comm_agree(comm, status));
cleanup:
    pd_labelled_close(&self.labelled);
    pd_classifier_destroy(&self.classifier);
    free(self.images);
    pd_inference_free(&self.inference);
    free(self.own);
    free(self.all);
    free(self.scores);
    return status;
}
