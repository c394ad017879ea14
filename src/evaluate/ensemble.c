#include "pneumo/evaluate/ensemble.h"

#include "mean.h"
#include "pneumo/base/log.h"
#include "pneumo/base/memory.h"
#include "pneumo/data/overlap.h"

#include "ensemble_data.h"
#include "pneumo/io/outputs.h"
#include "pneumo/train/validation.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* --- Compatible checkpoints --- */

/* Fails if a checkpoint is given twice. */
static pd_status check_others(const char *const *paths, int index)
{
    struct stat about, other;
    if (stat(paths[index], &about) != 0)
        return PD_OK; /* loading it reports the error */
    for (int i = 0; i < index; i++)
        if (stat(paths[i], &other) == 0 && about.st_dev == other.st_dev &&
            about.st_ino == other.st_ino)
            return pd_fail("%s: given twice", paths[index]);
    return PD_OK;
}

static pd_status load_members(pd_ensemble *ensemble, const pd_ensemble_options *options)
{
    pd_status status = PD_OK;
    pd_checkpoint *member = NULL;
    bool is_ensemble;
    for (int i = 0; i < options->count; i++) {
        PD_TRY(check_others(options->paths, i));
        if (pd_ensemble_recognise(&is_ensemble, options->paths[i]) == PD_OK && is_ensemble) {
            status = pd_fail("%s: is an average itself: give the checkpoints of its members",
                             options->paths[i]);
            goto cleanup;
        }
        PD_TRY(pd_checkpoint_load(&member, options->paths[i]));
        /* An ensemble does not store the images that calibration used. */
        if (member->site.count > 0) {
            status = pd_fail("%s: was calibrated for another site: give the original "
                             "checkpoint",
                             options->paths[i]);
            goto cleanup;
        }
        PD_TRY(pd_ensemble_add(ensemble, options->paths[i], &member));
    }
    pd_ensemble_summarise(ensemble);
cleanup:
    pd_checkpoint_destroy(&member);
    return status;
}

static pd_status load(pd_classifier **out, const pd_ensemble_options *options)
{
    pd_status status = PD_OK;
    pd_ensemble *ensemble = NULL;
    if (options->count == 1)
        return pd_classifier_load(out, options->paths[0], 0, options->threads);
    PD_TRY(pd_alloc(&ensemble, 1, sizeof *ensemble));
    PD_TRY(load_members(ensemble, options));
    PD_TRY(pd_classifier_create(out, &ensemble, 0, options->threads));
cleanup:
    pd_ensemble_destroy(&ensemble);
    return status;
}

/* Fails unless all members are parts of one cross-validation, or none is. */
static pd_status check_cross(const pd_classifier *classifier)
{
    const pd_classifier_member *first = pd_classifier_at(classifier, 0);
    for (int i = 1; i < pd_classifier_count(classifier); i++) {
        const pd_classifier_member *other = pd_classifier_at(classifier, i);
        if (first->job.cross != other->job.cross)
            return pd_fail("%s and %s: trained with data.cross = %d and %d: each was trained on "
                           "images that the other would be evaluated on",
                           first->name, other->name, first->job.cross, other->job.cross);
        if (first->job.cross > 0 &&
            strcmp(first->checkpoint->data_digest, other->checkpoint->data_digest) != 0)
            return pd_fail("%s and %s: parts of cross-validations of two data sets: each was "
                           "trained on images that the other would be evaluated on",
                           first->name, other->name);
    }
    return PD_OK;
}

/* Opens the data set that a member was trained on, with the folds of the file. */
static pd_status open_own(pd_dataset **out, const pd_classifier_member *member)
{
    pd_status status = pd_dataset_open(out, member->job.file);
    if (status != PD_OK)
        return pd_error_prefix(status, "%s: its folds cannot be compared", member->name);
    if (strcmp(pd_dataset_get_info(*out)->digest, member->checkpoint->data_digest) == 0)
        return PD_OK;
    return pd_fail("%s: its folds cannot be compared: %s is no longer the data set that it was "
                   "trained on",
                   member->name, member->job.file);
}

/* Fails if the data set that the decision is chosen on and those that members were trained on, or
 * any two of these, put a patient into two folds. */
static pd_status check_folds(const pd_classifier *classifier, const pd_dataset *dataset,
                             const char *path)
{
    pd_status status = PD_OK;
    int count = 1;
    pd_dataset *opened[PD_MEMBERS_MAX + 1] = {NULL};
    pd_overlap_side sides[PD_MEMBERS_MAX + 1] = {{dataset, path}};
    for (int i = 0; i < pd_classifier_count(classifier); i++) {
        const pd_classifier_member *member = pd_classifier_at(classifier, i);
        bool known = false;
        for (int j = 0; j < count && !known; j++)
            known = strcmp(pd_dataset_get_info(sides[j].dataset)->digest,
                           member->checkpoint->data_digest) == 0;
        if (known)
            continue;
        PD_TRY(open_own(&opened[count], member));
        sides[count] = (pd_overlap_side){opened[count], member->name};
        for (int j = 0; j < count; j++)
            PD_TRY(pd_overlap_check(&sides[j], &sides[count]));
        count++;
    }
cleanup:
    for (int i = 0; i <= PD_MEMBERS_MAX; i++)
        pd_dataset_destroy(&opened[i]);
    return status;
}

/* Together, the parts of a cross-validation were trained on all but the test fold of their data
 * set; another data set may contain the same images. */
static pd_status check_cross_data(const pd_classifier *classifier, const pd_dataset *dataset,
                                  const char *path)
{
    const pd_classifier_member *first = pd_classifier_at(classifier, 0);
    if (first->job.cross == 0 ||
        strcmp(pd_dataset_get_info(dataset)->digest, first->checkpoint->data_digest) == 0)
        return PD_OK;
    return pd_fail("%s: is not the data set that %s was trained on; the decision of parts of a "
                   "cross-validation must be chosen on that one",
                   path, first->name);
}

/* --- The decision --- */

/* Whether two jobs choose the decision alike. */
static bool same_rule(const pd_job *a, const pd_job *b)
{
    return a->decision.threshold == b->decision.threshold &&
           a->decision.target_sensitivity == b->decision.target_sensitivity &&
           a->decision.target_specificity == b->decision.target_specificity &&
           a->decision.sensitivity_margin == b->decision.sensitivity_margin &&
           a->decision.specificity_margin == b->decision.specificity_margin &&
           a->threshold_on == b->threshold_on &&
           (a->threshold_on != PD_THRESHOLD_ON_STRESS || a->stress_rounds == b->stress_rounds);
}

static void warn_of_rules(const pd_classifier *classifier)
{
    const pd_job *first = pd_classifier_job(classifier);
    for (int i = 1; i < pd_classifier_count(classifier); i++) {
        const pd_classifier_member *member = pd_classifier_at(classifier, i);
        if (!same_rule(&member->job, first))
            pd_log_warn("%s: its job has other [evaluate] keys for the threshold; the average uses "
                        "those of "
                        "%s",
                        member->name, pd_classifier_at(classifier, 0)->name);
    }
}

/* Damaged weights must not choose a threshold. */
static pd_status check_finite(const pd_score *scores, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!isfinite(scores[i].logit))
            return pd_fail("the mean of the models' logits of validation image %lld is not finite: "
                           "one of the checkpoints is damaged",
                           (long long)scores[i].id);
    return PD_OK;
}

/* The mean scores of the val fold, and those of its changed images where the job's threshold is
 * chosen on them. Collective. */
static pd_status score_validation(pd_validation_scores *out, pd_mean_scorer *scorer, pd_comm *comm,
                                  const pd_job *job)
{
    pd_status status = PD_OK;
    pd_score *scores = NULL;
    size_t count;
    pd_scoring scoring = {.label = "scoring the validation fold", .change = PD_CHANGE_NONE};
    out->ids = pd_mean_scorer_ids(scorer, &out->count);
    out->rounds = job->threshold_on == PD_THRESHOLD_ON_STRESS ? job->stress_rounds : 0;
    PD_TRY(pd_mean_scorer_run(scorer, &scoring, &out->clean, &out->clean_count));
    if (pd_comm_rank(comm) == 0 && out->rounds > 0)
        status = pd_alloc(&out->changed, (size_t)out->rounds * out->count, sizeof *out->changed);
    PD_TRY(pd_comm_agree(comm, status));
    scoring.change = PD_CHANGE_DEALT;
    for (; scoring.round < out->rounds; scoring.round++) {
        free(scores);
        PD_TRY(pd_mean_scorer_run(scorer, &scoring, &scores, &count));
        if (pd_comm_rank(comm) == 0 && count == out->count && count > 0)
            memcpy(out->changed + out->changed_count, scores, count * sizeof *scores);
        out->changed_count += count;
    }
cleanup:
    free(scores);
    return status;
}

static void take_decision(pd_classifier *classifier, const pd_ensemble_data *data,
                          const pd_decision *chosen)
{
    pd_checkpoint *whole = pd_classifier_checkpoint(classifier);
    pd_decision *decision = &whole->decision;
    whole->has_decision = true;
    *decision = *chosen;
    decision->views = 1;
    size_t used = strlen(decision->rule);
    if (data->out_of_fold)
        snprintf(decision->rule + used, sizeof decision->rule - used,
                 ", by members not trained on the image");
    snprintf(whole->data_digest, sizeof whole->data_digest, "%s",
             pd_dataset_get_info(data->datasets[0])->digest);
    snprintf(whole->version, sizeof whole->version, "%s", PNEUMO_VERSION);
}

/* Scores the val fold and chooses. Collective. */
static pd_status decide(pd_classifier *classifier, pd_comm *comm, const pd_ensemble_data *data)
{
    pd_status status = PD_OK;
    pd_member members[PD_MEMBERS_MAX];
    pd_mean_scorer *scorer = NULL;
    pd_validation_scores scores = {0};
    pd_validation chosen = {0};
    pd_job job = *pd_classifier_job(classifier);
    job.decision.views = PD_VIEWS_PLAIN; /* each member averages over its own views */
    pd_ensemble_data_members(members, classifier, data, PD_VAL);
    for (int i = 0; i < data->count; i++)
        members[i].options.hold = job.threshold_on == PD_THRESHOLD_ON_STRESS;
    PD_TRY(pd_comm_agree(comm, pd_mean_scorer_create(&scorer, comm, members, data->count)));
    PD_TRY(score_validation(&scores, scorer, comm, &job));
    if (pd_comm_rank(comm) == 0)
        status = check_finite(scores.clean, scores.clean_count);
    if (pd_comm_rank(comm) == 0 && status == PD_OK)
        status = pd_validation_compute(&job, &scores, &chosen);
    PD_TRY(pd_comm_agree(comm, status));
    PD_TRY(pd_comm_broadcast(comm, &chosen, sizeof chosen, 0));
    take_decision(classifier, data, &chosen.decision);
cleanup:
    pd_mean_scorer_destroy(&scorer);
    free(scores.clean);
    free(scores.changed);
    return status;
}

/* Whether to use options->data rather than the first member's own data set. */
static pd_status is_asked_for(bool *is, const pd_classifier *classifier,
                              const pd_ensemble_options *options)
{
    pd_dataset *dataset = NULL;
    *is = options->data != NULL;
    if (!*is || !options->only_own)
        return PD_OK;
    pd_status status = pd_dataset_open(&dataset, options->data);
    if (status == PD_OK)
        *is = strcmp(pd_dataset_get_info(dataset)->digest,
                     pd_classifier_at(classifier, 0)->checkpoint->data_digest) == 0;
    pd_dataset_destroy(&dataset);
    return status;
}

/* Fails if a member's training images are unknown, as of an imported model. */
static pd_status check_known(const pd_classifier *classifier)
{
    for (int i = 0; i < pd_classifier_count(classifier); i++) {
        const pd_classifier_member *member = pd_classifier_at(classifier, i);
        if (pd_checkpoint_is_import(member->checkpoint))
            return pd_fail(
                "%s: an imported model cannot be averaged: it does not tell which images "
                "it was trained on",
                member->name);
    }
    return PD_OK;
}

/* Fails if an output would replace a data set that a member was trained on: it may be read. */
static pd_status check_outputs(const pd_classifier *classifier, const pd_ensemble_options *options)
{
    const char *files[PD_MEMBERS_MAX];
    int count = pd_classifier_count(classifier);
    for (int i = 0; i < count; i++)
        files[i] = pd_classifier_at(classifier, i)->job.file;
    return pd_outputs_check(options->outputs, options->output_count, files, count);
}

static pd_status prepare(pd_classifier **out, pd_ensemble_data *data, pd_comm *comm,
                         const pd_ensemble_options *options)
{
    pd_status status = PD_OK;
    bool asked;
    PD_TRY(load(out, options));
    if (pd_comm_rank(comm) == 0)
        PD_TRY(check_outputs(*out, options));
    if (pd_classifier_count(*out) == 1 || options->count == 1)
        goto cleanup;
    PD_TRY(check_known(*out));
    PD_TRY(check_cross(*out));
    PD_TRY(is_asked_for(&asked, *out, options));
    const char *path = asked ? options->data : pd_classifier_job(*out)->file;
    PD_TRY(pd_ensemble_data_open(data, *out, path));
    PD_TRY(check_cross_data(*out, data->datasets[0], path));
    if (pd_comm_rank(comm) == 0) {
        warn_of_rules(*out);
        PD_TRY(check_folds(*out, data->datasets[0], path));
    }
cleanup:
    return status;
}

pd_status pd_ensemble_assemble(pd_classifier **out, pd_comm *comm,
                               const pd_ensemble_options *options)
{
    pd_status status = PD_OK;
    pd_classifier *classifier = NULL;
    pd_ensemble_data data = {0};
    *out = NULL;
    pd_comm_set_position(comm, "reading the checkpoint");
    PD_TRY(pd_comm_agree(comm, prepare(&classifier, &data, comm, options)));
    if (options->count > 1)
        PD_TRY(decide(classifier, comm, &data));
    *out = classifier;
    classifier = NULL;
cleanup:
    pd_ensemble_data_close(&data);
    pd_classifier_destroy(&classifier);
    return status;
}
