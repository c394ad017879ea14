#include "pneumo/evaluate/evaluate.h"

#include "pneumo/base/log.h"
#include "pneumo/base/memory.h"
#include "pneumo/data/folds.h"
#include "pneumo/train/setup.h"
#include "pneumo/train/threads.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

pd_status pd_evaluate_validation(const pd_job *job, pd_score *scores, size_t count,
                                 const int64_t *ids, size_t id_count, pd_validation *out)
{
    pd_status status = PD_OK;
    pd_metrics metrics;
    double loss = 0;
    double least = fmin(1, job->target_sensitivity + job->sensitivity_margin);
    PD_TRY(pd_scores_check(scores, count, ids, id_count));
    PD_TRY(pd_threshold_choose(&out->threshold, scores, count, least));
    PD_TRY(pd_metrics_compute(&metrics, scores, count, out->threshold));
    for (size_t i = 0; i < count; i++) /* in the order of ids */
        loss += scores[i].loss;
    out->loss = loss / (double)count;
    out->auc = metrics.auc.value;
    out->accuracy = metrics.accuracy.value;
    out->balanced_accuracy = metrics.balanced_accuracy.value;
    out->sensitivity = metrics.sensitivity.value;
    out->specificity = metrics.specificity.value;
    snprintf(out->rule, sizeof out->rule,
             "highest specificity with sensitivity of at least %g %% on the validation fold",
             100 * least);
    /* A chosen threshold can hide a model that has one answer: 0.5 shows it. */
    pd_metrics half;
    PD_TRY(pd_metrics_compute(&half, scores, count, 0.5));
    const char *remark = pd_metrics_one_class(&half);
    snprintf(out->remark, sizeof out->remark, "%s", remark == NULL ? "" : remark);
cleanup:
    if (status != PD_OK)
        pd_fail_within(status, "validation fold");
    return status;
}

struct pd_evaluation {
    pd_checkpoint *checkpoint;
    pd_job job;
    pd_dataset *dataset;
    pd_network *network;
    pd_report report;
};

/* The figures of one fold's scores. */
static pd_status judge(const pd_evaluation *self, pd_score *scores, size_t count,
                       const pd_scorer *scorer, pd_report_fold *out)
{
    pd_status status = PD_OK;
    size_t id_count;
    const int64_t *ids = pd_scorer_ids(scorer, &id_count);
    PD_TRY(pd_scores_check(scores, count, ids, id_count));
    PD_TRY(pd_metrics_compute(&out->chosen, scores, count, self->checkpoint->threshold));
    PD_TRY(pd_metrics_compute(&out->half, scores, count, 0.5));
    out->present = true;
    out->has_causes = self->job.task == PD_TASK_CAUSE;
    for (size_t i = 0; i < count && out->has_causes; i++)
        out->causes[scores[i].truth][scores[i].predicted]++;
cleanup:
    return status;
}

/* Scores one fold; on rank 0 fills *out. Collective. */
static pd_status evaluate_fold(pd_evaluation *self, pd_comm *comm, pd_fold fold,
                               pd_report_fold *out)
{
    pd_status status = PD_OK;
    pd_scorer *scorer = NULL;
    pd_score *scores = NULL;
    size_t count;
    const char *name = fold == PD_VAL ? "scoring the validation fold" : "scoring the test fold";
    /* Another hospital's images are normalised as those were that the model knows. */
    pd_input input = pd_setup_input(&self->job, pd_dataset_get_info(self->dataset));
    input.mean = (float)self->checkpoint->pixel_mean;
    input.deviation = (float)self->checkpoint->pixel_deviation;
    status = pd_scorer_create(&scorer, comm, &self->job, &input, self->dataset, fold,
                              self->job.batch / self->job.lanes);
    PD_TRY(pd_comm_agree(comm, status));
    PD_TRY(pd_scorer_run(scorer, self->network, self->report.threads, name, &scores, &count));
    if (pd_comm_rank(comm) == 0)
        status = judge(self, scores, count, scorer, out);
    status = pd_comm_agree(comm, status);
cleanup:
    free(scores);
    pd_scorer_destroy(&scorer);
    return status;
}

/* Whether a fold that is asked for has images. */
static bool is_usable(const pd_evaluation *self, pd_fold fold, bool asked)
{
    const pd_sample *samples = pd_dataset_samples(self->dataset);
    int64_t count = pd_dataset_get_info(self->dataset)->count;
    for (int64_t i = 0; asked && i < count; i++)
        if (samples[i].fold == fold && pd_setup_class(&self->job, &samples[i]) >= 0)
            return true;
    return false;
}

static pd_status set_up(pd_evaluation *self, pd_comm *comm, const pd_evaluate_options *options)
{
    pd_status status = PD_OK;
    int32_t example;
    PD_TRY(pd_checkpoint_load(&self->checkpoint, options->checkpoint));
    if (!self->checkpoint->has_decision) {
        status = pd_fail("%s: it was saved before its first validation and has no threshold yet: "
                         "train on with --resume",
                         options->checkpoint);
        goto cleanup;
    }
    self->report.threads = pd_threads_choose(comm, options->threads);
    PD_TRY(pd_setup_from_checkpoint(self->checkpoint, options->checkpoint, options->data,
                                    self->report.threads, &self->job, &self->dataset,
                                    &self->network));
    const pd_dataset_info *info = pd_dataset_get_info(self->dataset);
    size_t parameters;
    pd_network_weights(self->network, &parameters);
    pd_report *report = &self->report;
    report->job_name = self->checkpoint->job_name;
    report->model = self->job.model;
    report->data_path = options->data != NULL ? options->data : self->job.file;
    report->data_digest = info->digest;
    report->version = PNEUMO_VERSION;
    report->seed = self->job.seed;
    report->ranks = pd_comm_size(comm);
    report->lanes = self->job.lanes;
    report->parameters = (int64_t)parameters;
    report->best_epoch = self->checkpoint->best_epoch;
    report->epochs = self->checkpoint->epoch;
    report->seconds = report->images_per_second = (double)NAN;
    report->target_sensitivity = self->job.target_sensitivity;
    report->target_specificity = self->job.target_specificity;
    report->decision_rule = self->checkpoint->decision_rule;
    report->other_data = strcmp(self->checkpoint->data_digest, info->digest) != 0;
    report->other_threshold = self->checkpoint->epoch_step > 0;
    PD_TRY(
        pd_folds_leaks(&report->leaks, &example, pd_dataset_samples(self->dataset), info->count));
cleanup:
    return status;
}

pd_status pd_evaluate(pd_evaluation **out, pd_comm *comm, const pd_evaluate_options *options)
{
    pd_status status = PD_OK;
    pd_evaluation *self = NULL;
    *out = NULL;
    PD_TRY(pd_alloc(&self, 1, sizeof *self));
    PD_TRY(pd_comm_agree(comm, set_up(self, comm, options)));
    bool val = is_usable(self, PD_VAL, options->val);
    bool test = is_usable(self, PD_TEST, options->test);
    if (!val && !test) {
        status = pd_fail("%s: there are no images in its %s: give another data set or fold",
                         self->report.data_path,
                         !options->test  ? "val fold"
                         : !options->val ? "test fold"
                                         : "val and test folds");
        goto cleanup;
    }
    if (options->val != val || options->test != test)
        pd_info("%s has no images in its %s fold, which is left out", self->report.data_path,
                val ? "test" : "val");
    if (val)
        PD_TRY(evaluate_fold(self, comm, PD_VAL, &self->report.val));
    if (test)
        PD_TRY(evaluate_fold(self, comm, PD_TEST, &self->report.test));
    *out = self;
    self = NULL;
cleanup:
    pd_evaluation_destroy(&self);
    return status;
}

void pd_evaluation_destroy(pd_evaluation **evaluation)
{
    if (*evaluation == NULL)
        return;
    pd_network_destroy(&(*evaluation)->network);
    pd_dataset_destroy(&(*evaluation)->dataset);
    pd_checkpoint_destroy(&(*evaluation)->checkpoint);
    free(*evaluation);
    *evaluation = NULL;
}

pd_report *pd_evaluation_report(pd_evaluation *evaluation)
{
    return &evaluation->report;
}
