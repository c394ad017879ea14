#include "pneumo/evaluate/calibrate.h"

#include "calibrate_cross.h"
#include "pneumo/base/log.h"
#include "pneumo/base/memory.h"
#include "pneumo/base/progress.h"
#include "pneumo/data/identity.h"
#include "pneumo/evaluate/classifier.h"
#include "pneumo/io/file.h"
#include "pneumo/io/outputs.h"
#include "pneumo/train/threads.h"
#include "pneumo/train/validation.h"
#include "trained.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Images go through the network in chunks that depend on their list alone, and are read in blocks
 * of several chunks, so that many threads have work. */
enum { CHUNK = 8, BLOCK = 8 * CHUNK };

/* A scored image; only the id is set if it could not be read. */
typedef struct scored {
    pd_score score;
    pd_identity identity;
    bool good;
} scored;

typedef struct pd_calibrator {
    pd_comm *comm;
    const pd_calibrate_options *options;
    int threads;
    pd_classifier *classifier;
    pd_labelled labelled;
    pd_inference inference; /* on the labelled images; borrows its network */
    size_t pixels;
    uint8_t *images;     /* [BLOCK][pixels] */
    char *failed[BLOCK]; /* why a file cannot be read; NULL: it can */
    scored *own;         /* of this rank; the following are on rank 0: */
    scored *all;         /* [count], readable ones without duplicates, in the order of labelled */
    pd_score *scores;    /* [count], the same */
    size_t count;
    pd_calibrate_result *result;
} pd_calibrator;

/* --- Scoring --- */

/* Scores the readable images among `count` of the block from `begin` on. */
static pd_status score_chunk(pd_calibrator *calibrator, size_t begin, size_t count, scored *out)
{
    const uint8_t *images[CHUNK];
    pd_score scores[CHUNK];
    size_t places[CHUNK], good = 0;
    for (size_t i = 0; i < count; i++) {
        if (!out[i].good)
            continue;
        images[good] = calibrator->images + (begin + i) * calibrator->pixels;
        places[good++] = i;
    }
    if (good == 0)
        return PD_OK;
    pd_status status = pd_inference_run(&calibrator->inference, images, (int)good, scores);
    for (size_t i = 0; i < good && status == PD_OK; i++) {
        out[places[i]].score.logit = scores[i].logit;
        memcpy(out[places[i]].score.views, scores[i].views, sizeof scores[i].views);
    }
    return status;
}

/* A file that cannot be read is an error, or with skip_bad a warning. */
static pd_status judge_files(pd_calibrator *calibrator, size_t count)
{
    pd_status status = PD_OK;
    for (size_t i = 0; i < count; i++) {
        if (calibrator->failed[i] == NULL)
            continue;
        if (calibrator->options->skip_bad)
            pd_log_warn("%s; it is left out", calibrator->failed[i]);
        else if (status == PD_OK)
            status = pd_fail("%s (--skip-bad skips such files)", calibrator->failed[i]);
    }
    return status;
}

/* Reads and scores samples [first, first + count) of the list into out[count]. */
static pd_status score_block(pd_calibrator *calibrator, size_t first, size_t count, scored *out)
{
    pd_status status = PD_OK;
    PD_TRY(pd_labelled_read(&calibrator->labelled, first, count, calibrator->threads,
                            calibrator->images, calibrator->failed));
    PD_TRY(judge_files(calibrator, count));
    for (size_t i = 0; i < count; i++) {
        out[i].score = calibrator->labelled.samples[first + i];
        out[i].good = calibrator->failed[i] == NULL;
        if (out[i].good)
            out[i].identity = pd_identity_of(calibrator->images + i * calibrator->pixels,
                                             calibrator->inference.input.height,
                                             calibrator->inference.input.width);
    }
    for (size_t i = 0; i < count; i += CHUNK)
        PD_TRY(score_chunk(calibrator, i, count - i < CHUNK ? count - i : CHUNK, out + i));
cleanup:
    for (size_t i = 0; i < count; i++) {
        free(calibrator->failed[i]);
        calibrator->failed[i] = NULL;
    }
    return status;
}

/* Scores this rank's chunks of the list, and gathers all scores on rank 0. Collective. */
static pd_status score_all(pd_calibrator *calibrator)
{
    pd_status status = PD_OK;
    pd_progress progress;
    void *all;
    size_t bytes, count = calibrator->labelled.count, chunks = (count + CHUNK - 1) / CHUNK;
    size_t rank = (size_t)pd_comm_rank(calibrator->comm),
           ranks = (size_t)pd_comm_size(calibrator->comm);
    size_t begin = rank * chunks / ranks * CHUNK, end = (rank + 1) * chunks / ranks * CHUNK;
    end = end < count ? end : count;
    begin = begin < end ? begin : end;
    pd_comm_set_position(calibrator->comm, "scoring the images");
    status = pd_alloc(&calibrator->own, end - begin, sizeof *calibrator->own);
    pd_progress_begin(&progress, "scoring", 0, end - begin);
    for (size_t i = begin; i < end && status == PD_OK; i += BLOCK) {
        size_t block = end - i < BLOCK ? end - i : BLOCK;
        status = score_block(calibrator, i, block, calibrator->own + (i - begin));
        pd_progress_update(&progress, i + block - begin, NULL);
    }
    pd_progress_end(&progress);
    PD_TRY(pd_comm_agree(calibrator->comm, status));
    PD_TRY(pd_comm_gather(calibrator->comm, calibrator->own,
                          (end - begin) * sizeof *calibrator->own, &all, &bytes));
    calibrator->all = all;
    calibrator->count = bytes / sizeof *calibrator->all;
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

/* Of images with the same pixels, keeps the first of the list. */
static pd_status drop_duplicates(pd_calibrator *calibrator)
{
    pd_status status = PD_OK;
    scored **order = NULL;
    size_t good = 0;
    PD_TRY(pd_alloc(&order, calibrator->count, sizeof(scored *)));
    for (size_t i = 0; i < calibrator->count; i++)
        if (calibrator->all[i].good)
            order[good++] = &calibrator->all[i];
    qsort(order, good, sizeof *order, compare_identities);
    for (size_t i = 1, first = 0; i < good; i++) {
        if (pd_identity_compare(&order[i]->identity, &order[first]->identity) != 0) {
            first = i;
            continue;
        }
        if (order[i]->score.positive != order[first]->score.positive) {
            status = pd_fail("%s and %s are the same image under two labels",
                             pd_labelled_name(&calibrator->labelled, order[first]->score.id),
                             pd_labelled_name(&calibrator->labelled, order[i]->score.id));
            goto cleanup;
        }
        order[i]->good = false;
        calibrator->result->duplicates++;
    }
cleanup:
    free(order);
    return status;
}

/* Keeps the readable images without duplicates and counts them; too few are an error. */
static pd_status collect(pd_calibrator *calibrator)
{
    pd_status status = PD_OK;
    pd_calibrate_result *result = calibrator->result;
    size_t kept = 0, listed = calibrator->count;
    PD_TRY(drop_duplicates(calibrator));
    for (size_t i = 0; i < listed; i++)
        if (calibrator->all[i].good)
            calibrator->all[kept++] = calibrator->all[i];
    calibrator->count = kept;
    result->bad = (int64_t)(listed - kept) - result->duplicates;
    PD_TRY(pd_alloc(&calibrator->scores, kept, sizeof *calibrator->scores));
    for (size_t i = 0; i < kept; i++) {
        calibrator->scores[i] = calibrator->all[i].score;
        result->images[calibrator->scores[i].positive]++;
    }
    for (int label = PD_NORMAL; label < PD_LABELS; label++)
        if (result->images[label] < PD_CALIBRATE_LEAST) {
            status = pd_fail("%s: there are %" PRId64 " %s images to calibrate by; at least %d of "
                             "each class are needed",
                             calibrator->options->images.data != NULL
                                 ? calibrator->options->images.data
                                 : calibrator->options->images.folders[label],
                             result->images[label], label == PD_NORMAL ? "normal" : "pneumonia",
                             PD_CALIBRATE_LEAST);
            goto cleanup;
        }
cleanup:
    return status;
}

/* Counts the images that the decision so far was chosen on. */
static void count_before(pd_calibrator *calibrator, const pd_trained *trained,
                         const pd_identity *identities)
{
    const pd_checkpoint *checkpoint = pd_classifier_checkpoint(calibrator->classifier);
    const pd_site *site = &checkpoint->site;
    const pd_input *input = &calibrator->inference.input;
    int64_t *before = &calibrator->result->before_images;
    if (site->count == 0) {
        bool on_val = strncmp(checkpoint->decision.fold, "val", 3) == 0;
        *before = on_val ? trained->val : 0;
    } else if (site->image_height != input->height || site->image_width != input->width)
        pd_log_warn("the checkpoint was calibrated on images of another size, which cannot be "
                    "recognised: if these are among them, 'before' is optimistic, too");
    else
        for (size_t i = 0; i < calibrator->count; i++)
            *before += bsearch(&identities[i], site->images, (size_t)site->count,
                               sizeof *identities, pd_identity_compare) != NULL;
}

/* Refuses images that the model was trained or tested on, or warns that they are not recognised. */
static pd_status check_training(pd_calibrator *calibrator)
{
    pd_status status = PD_OK;
    const pd_classifier_member *member = pd_classifier_at(calibrator->classifier, 0);
    pd_trained trained;
    pd_identity *identities = NULL;
    PD_TRY(pd_alloc(&identities, calibrator->count, sizeof *identities));
    for (size_t i = 0; i < calibrator->count; i++)
        identities[i] = calibrator->all[i].identity;
    PD_TRY(pd_trained_find(&trained, member, &calibrator->labelled, identities, calibrator->count));
    if (trained.reason[0] != '\0')
        pd_log_warn("the images cannot be compared with those of the training (%s): if they "
                    "include training or test images, the figures are too good",
                    trained.reason);
    if (trained.taken > 0) {
        status = pd_fail(
            "%lld of %zu images %s in the train or test fold of %s, which the model was trained "
            "on, for example %s: give images of another site, or --data %s --fold val",
            (long long)trained.taken, calibrator->count, trained.taken == 1 ? "is" : "are",
            member->job.file,
            pd_labelled_name(&calibrator->labelled, calibrator->all[trained.example].score.id),
            member->job.file);
        goto cleanup;
    }
    count_before(calibrator, &trained, identities);
cleanup:
    free(identities);
    return status;
}

static int compare_numbers(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

static pd_status count_patients(pd_calibrator *calibrator)
{
    int32_t *patients = NULL;
    pd_status status = pd_alloc(&patients, calibrator->count, sizeof *patients);
    for (size_t i = 0; i < calibrator->count && status == PD_OK; i++)
        patients[i] = calibrator->scores[i].patient;
    if (status == PD_OK)
        qsort(patients, calibrator->count, sizeof *patients, compare_numbers);
    for (size_t i = 0; i < calibrator->count && status == PD_OK; i++)
        calibrator->result->patients += i == 0 || patients[i] != patients[i - 1];
    free(patients);
    return status;
}

/* The checkpoint's own decision on these images. */
static pd_status judge_before(pd_calibrator *calibrator)
{
    const pd_checkpoint *checkpoint = pd_classifier_checkpoint(calibrator->classifier);
    pd_decision *before = &calibrator->result->before;
    *before = checkpoint->decision;
    pd_scores_decide(calibrator->scores, calibrator->count, before->temperature, before->views);
    return pd_metrics_compute(&calibrator->result->judged_before, calibrator->scores,
                              calibrator->count, before->threshold);
}

/* The job's rule, overridden by the options. */
static pd_decision_rule make_rule(const pd_calibrator *calibrator, const char *where)
{
    const pd_calibrate_options *options = calibrator->options;
    pd_decision_rule rule = pd_decision_rule_of(pd_classifier_job(calibrator->classifier), where);
    pd_threshold_rule own = rule.threshold;
    if (options->rule != NULL)
        rule.threshold =
            strcmp(options->rule, "both") == 0 ? PD_THRESHOLD_BOTH : PD_THRESHOLD_SENSITIVITY;
    /* The job's margins belong to its own rule. */
    if (rule.threshold != own)
        rule.sensitivity_margin = rule.specificity_margin = 0;
    if (!isnan(options->target_sensitivity))
        rule.target_sensitivity = options->target_sensitivity;
    if (!isnan(options->target_specificity))
        rule.target_specificity = options->target_specificity;
    rule.views = pd_views_of(pd_classifier_checkpoint(calibrator->classifier)->decision.views);
    return rule;
}

static void store_decision(pd_calibrator *calibrator)
{
    pd_decision *decision = &pd_classifier_checkpoint(calibrator->classifier)->decision;
    *decision = calibrator->result->after;
    snprintf(decision->fold, sizeof decision->fold, "calibration");
}

/* The digest of folders is that of their images: first normal, then pneumonia, each in ascending
 * order.
 */
static pd_status store_site(pd_calibrator *calibrator, const pd_decision_rule *rule)
{
    pd_status status = PD_OK;
    const pd_calibrate_result *result = calibrator->result;
    pd_site *site = &pd_classifier_checkpoint(calibrator->classifier)->site;
    size_t normal = (size_t)result->images[PD_NORMAL];
    free(site->images);
    *site = (pd_site){.target_sensitivity = rule->target_sensitivity,
                      .target_specificity = rule->target_specificity,
                      .normal = result->images[PD_NORMAL],
                      .pneumonia = result->images[PD_PNEUMONIA],
                      .image_height = calibrator->inference.input.height,
                      .image_width = calibrator->inference.input.width};
    PD_TRY(pd_alloc(&site->images, calibrator->count, sizeof *site->images));
    site->count = (int64_t)calibrator->count;
    for (size_t i = 0; i < calibrator->count; i++)
        site->images[i] = calibrator->all[i].identity;
    snprintf(site->source, sizeof site->source, "%s", result->source);
    snprintf(site->rule, sizeof site->rule, "%s",
             rule->threshold == PD_THRESHOLD_BOTH ? "both" : "sensitivity");
    qsort(site->images, normal, sizeof *site->images, pd_identity_compare);
    qsort(site->images + normal, calibrator->count - normal, sizeof *site->images,
          pd_identity_compare);
    if (calibrator->labelled.dataset != NULL)
        snprintf(site->data_digest, sizeof site->data_digest, "%s",
                 pd_dataset_get_info(calibrator->labelled.dataset)->digest);
    else
        pd_identity_digest(site->data_digest, site->images, calibrator->count);
    qsort(site->images, calibrator->count, sizeof *site->images, pd_identity_compare);
cleanup:
    return status;
}

/* Chooses the decision and writes the checkpoint; on rank 0. */
static pd_status decide(pd_calibrator *calibrator)
{
    pd_status status = PD_OK;
    char where[80];
    pd_calibrate_result *result = calibrator->result;
    *result = (pd_calibrate_result){0};
    snprintf(result->source, sizeof result->source, "%s", calibrator->labelled.source);
    snprintf(result->grouping, sizeof result->grouping, "%s", calibrator->labelled.grouping);
    result->unknown_patients = calibrator->labelled.unknown_patients;
    PD_TRY(collect(calibrator));
    PD_TRY(check_training(calibrator));
    PD_TRY(count_patients(calibrator));
    snprintf(where, sizeof where, "%" PRId64 " normal and %" PRId64 " pneumonia calibration images",
             result->images[PD_NORMAL], result->images[PD_PNEUMONIA]);
    pd_decision_rule rule = make_rule(calibrator, where);
    PD_TRY(judge_before(calibrator));
    PD_TRY(pd_decision_make(&result->after, NULL, &rule, calibrator->scores, calibrator->count));
    PD_TRY(pd_metrics_compute(&result->judged_after, calibrator->scores, calibrator->count,
                              result->after.threshold));
    PD_TRY(pd_calibrate_cross(&result->held_out, &result->parts, &rule, calibrator->scores,
                              calibrator->count, calibrator->options->images.seed));
    store_decision(calibrator);
    PD_TRY(store_site(calibrator, &rule));
    PD_TRY(pd_folder_make_above(calibrator->options->output));
    PD_TRY(pd_checkpoint_save(calibrator->options->output,
                              pd_classifier_checkpoint(calibrator->classifier)));
cleanup:
    return status;
}

/* --- The command --- */

static pd_status set_up(pd_calibrator *calibrator)
{
    pd_status status = PD_OK;
    const pd_calibrate_options *options = calibrator->options;
    /* Images and data sets are not checkpoints, so the second check protects them, too. */
    PD_TRY(pd_output_check(options->output, &options->checkpoint, 1));
    PD_TRY(pd_checkpoint_check_replaced(options->output));
    calibrator->threads = pd_threads_choose(calibrator->comm, options->threads);
    PD_TRY(pd_classifier_load(&calibrator->classifier, options->checkpoint, CHUNK,
                              calibrator->threads));
    if (pd_classifier_count(calibrator->classifier) > 1) {
        status =
            pd_fail("%s: is an average of %d checkpoints, which cannot be calibrated: give one "
                    "of its members",
                    options->checkpoint, pd_classifier_count(calibrator->classifier));
        goto cleanup;
    }
    pd_decision_rule rule = make_rule(calibrator, "");
    double sensitivity = rule.target_sensitivity + rule.sensitivity_margin;
    double specificity = rule.target_specificity + rule.specificity_margin;
    if (rule.threshold == PD_THRESHOLD_BOTH && (sensitivity >= 1 || specificity >= 1))
        status = pd_fail("%s: rule 'both' needs targets below 1; with the margins of its job they "
                         "are %g and %g",
                         options->checkpoint, sensitivity, specificity);
cleanup:
    return status;
}

/* Allocates for the size of the listed images. */
static pd_status allocate(pd_calibrator *calibrator)
{
    pd_status status = PD_OK;
    calibrator->inference = pd_classifier_at(calibrator->classifier, 0)->inference;
    calibrator->inference.input.height = calibrator->labelled.height;
    calibrator->inference.input.width = calibrator->labelled.width;
    PD_TRY(pd_inference_prepare(&calibrator->inference, CHUNK));
    calibrator->pixels = (size_t)calibrator->labelled.height * (size_t)calibrator->labelled.width;
    PD_TRY(pd_alloc(&calibrator->images, BLOCK * calibrator->pixels, sizeof *calibrator->images));
cleanup:
    return status;
}

pd_status pd_calibrate(pd_comm *comm, const pd_calibrate_options *options,
                       pd_calibrate_result *result)
{
    pd_status status = PD_OK;
    pd_calibrator calibrator = {.comm = comm, .options = options, .result = result};
    pd_comm_set_position(comm, "reading the checkpoint");
    PD_TRY(pd_comm_agree(comm, set_up(&calibrator)));
    pd_labelled_options images = options->images;
    images.threads = calibrator.threads;
    PD_TRY(pd_labelled_open(&calibrator.labelled, comm, &images,
                            pd_classifier_at(calibrator.classifier, 0)));
    PD_TRY(pd_comm_agree(comm, allocate(&calibrator)));
    PD_TRY(score_all(&calibrator));
    pd_comm_set_position(comm, "choosing the decision");
    if (pd_comm_rank(comm) == 0)
        status = decide(&calibrator);
    PD_TRY(pd_comm_agree(comm, status));
cleanup:
    pd_labelled_close(&calibrator.labelled);
    pd_classifier_destroy(&calibrator.classifier);
    free(calibrator.images);
    pd_inference_free(&calibrator.inference);
    free(calibrator.own);
    free(calibrator.all);
    free(calibrator.scores);
    return status;
}
