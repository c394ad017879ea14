#include "pneumo/evaluate/evaluate.h"
#include "pneumo/base/text.h"

#include "ensemble_data.h"
#include "outside.h"
#include "pneumo/base/log.h"
#include "pneumo/base/memory.h"
#include "pneumo/data/folds.h"
#include "pneumo/data/overlap.h"
#include "pneumo/data/patient.h"
#include "pneumo/evaluate/ensemble.h"
#include "pneumo/io/lock.h"
#include "pneumo/io/outputs.h"
#include "pneumo/metrics/calibration.h"
#include "pneumo/metrics/decision.h"
#include "pneumo/train/threads.h"
#include "results_fold.h"
#include "seen.h"
#include "stress_internal.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct pd_evaluation {
    pd_classifier *classifier;
    pd_ensemble_data data;
    uint8_t *seen;             /* from pd_seen_find; NULL: none */
    pd_decision decision;      /* of the checkpoint, or with another threshold */
    double target_sensitivity; /* that the threshold is yet to be chosen for; 0: none */
    pd_results results;
};

static const pd_dataset *dataset_of(const pd_evaluation *evaluation)
{
    return evaluation->data.shown;
}

/* Sets members to score a fold without the images of patients with images that calibration used. */
static void set_up_members(const pd_evaluation *evaluation, pd_member *members, pd_fold fold)
{
    pd_ensemble_data_members(members, evaluation->classifier, &evaluation->data, fold);
    for (int i = 0; i < evaluation->data.count; i++)
        members[i].options.skip = evaluation->seen;
}

/* Scores a fold under every acquisition change; on rank 0 fills *out. Collective. */
static pd_status stress_fold(pd_evaluation *evaluation, pd_comm *comm, pd_fold fold, pd_stress *out)
{
    pd_member members[PD_MEMBERS_MAX];
    set_up_members(evaluation, members, fold);
    for (int i = 0; i < evaluation->data.count; i++)
        members[i].options.hold = true;
    pd_comm_set_position(comm, "stress test of the %s fold",
                         fold == PD_VAL ? "validation" : "test");
    pd_status status =
        pd_stress_run(out, comm, members, evaluation->data.count, &evaluation->decision,
                      (size_t)pd_classifier_job(evaluation->classifier)->stress_images);
    if (status == PD_OK)
        pd_log_info("stress test of the %s fold: %lld of %lld images under %d changes",
                    fold == PD_VAL ? "validation" : "test", (long long)out->images,
                    (long long)out->fold_images, PD_CHANGES);
    return status;
}

/* Chooses the threshold for the target sensitivity on the scores of the validation fold. On rank 0.
 */
static pd_status choose_threshold(pd_evaluation *evaluation, pd_score *scores, size_t count)
{
    pd_status status = PD_OK;
    pd_decision *decision = &evaluation->decision;
    double threshold;
    char how[sizeof decision->rule];
    pd_scores_decide(scores, count, decision->temperature, decision->views);
    PD_TRY(pd_threshold_choose(&threshold, scores, count, evaluation->target_sensitivity));
    snprintf(how, sizeof how,
             "%.6g, highest specificity with sensitivity of at least %g %% on the validation fold "
             "of this data set (--target-sensitivity)",
             threshold, 100 * evaluation->target_sensitivity);
    pd_decision_replace(decision, threshold, how);
    PD_TRY(pd_band_choose(&decision->refer_low, &decision->refer_high, scores, count, threshold,
                          PD_BAND_ERROR));
    snprintf(decision->fold, sizeof decision->fold, "val");
cleanup:
    if (status != PD_OK)
        pd_error_prefix(status, "validation fold");
    return status;
}

/* The number of images of the fold that are left out. */
static int64_t count_seen(const pd_evaluation *evaluation, pd_fold fold)
{
    const pd_task *task = &pd_tasks[pd_classifier_job(evaluation->classifier)->task];
    const pd_sample *samples = pd_dataset_samples(dataset_of(evaluation));
    int64_t seen = 0;
    for (int64_t i = 0; i < pd_dataset_get_info(dataset_of(evaluation))->count; i++)
        seen += evaluation->seen != NULL && evaluation->seen[i] && samples[i].fold == fold &&
                task->class_of(&samples[i]) >= 0;
    return seen;
}

/* Scores one fold; on rank 0 fills *out. Collective. */
static pd_status evaluate_fold(pd_evaluation *evaluation, pd_comm *comm, pd_fold fold,
                               pd_results_fold *out)
{
    pd_status status = PD_OK;
    pd_mean_scorer *scorer = NULL;
    pd_score *scores = NULL;
    size_t count, id_count;
    pd_member members[PD_MEMBERS_MAX];
    const pd_checkpoint *checkpoint = pd_classifier_checkpoint(evaluation->classifier);
    const char *name = fold == PD_VAL ? "scoring the validation fold" : "scoring the test fold";
    pd_comm_set_position(comm, "%s", name);
    const pd_scoring scoring = {.label = name, .change = PD_CHANGE_NONE};
    set_up_members(evaluation, members, fold);
    PD_TRY(
        pd_comm_agree(comm, pd_mean_scorer_create(&scorer, comm, members, evaluation->data.count)));
    PD_TRY(pd_mean_scorer_run(scorer, &scoring, &scores, &count));
    const int64_t *ids = pd_mean_scorer_ids(scorer, &id_count);
    PD_TRY(pd_outside_count(&out->outside, comm, checkpoint, dataset_of(evaluation), ids, id_count,
                            evaluation->results.threads));
    if (pd_comm_rank(comm) == 0 && fold == PD_VAL && evaluation->target_sensitivity > 0)
        status = choose_threshold(evaluation, scores, count);
    PD_TRY(pd_comm_agree(comm, status));
    PD_TRY(pd_comm_broadcast(comm, &evaluation->decision, sizeof evaluation->decision, 0));
    if (pd_comm_rank(comm) == 0) {
        const pd_fold_basis basis = {
            .decision = &evaluation->decision,
            .ids = ids,
            .id_count = id_count,
            .samples = evaluation->results.samples,
            .seed = evaluation->results.seed,
            .has_causes = pd_tasks[pd_classifier_job(evaluation->classifier)->task].has_causes};
        out->scores = scores;
        out->score_count = count;
        out->left_out = count_seen(evaluation, fold);
        scores = NULL;
        status = pd_results_fold_compute(out, &basis);
    }
    status = pd_comm_agree(comm, status);
    if (status == PD_OK && out->left_out > 0)
        pd_log_info(
            "%s fold: left out: %" PRId64 " image%s of %s with images that calibration used",
            fold == PD_VAL ? "validation" : "test", out->left_out, pd_text_plural(out->left_out),
            pd_patients_noun(evaluation->results.unknown_patients));
cleanup:
    free(scores);
    pd_mean_scorer_destroy(&scorer);
    return status;
}

/* Whether a requested fold has images. */
static bool is_usable(const pd_evaluation *evaluation, pd_fold fold, bool asked)
{
    const pd_job *job = pd_classifier_job(evaluation->classifier);
    const pd_sample *samples = pd_dataset_samples(dataset_of(evaluation));
    int64_t count = pd_dataset_get_info(dataset_of(evaluation))->count;
    for (int64_t i = 0; asked && i < count; i++)
        if (samples[i].fold == fold && pd_tasks[job->task].class_of(&samples[i]) >= 0)
            return true;
    return false;
}

/* Finds the images of patients with images that calibration used. Collective. */
static pd_status find_seen(pd_evaluation *evaluation, pd_comm *comm)
{
    const pd_site *site = &pd_classifier_checkpoint(evaluation->classifier)->site;
    if (site->count == 0)
        return PD_OK;
    evaluation->results.unrecognised = !pd_seen_comparable(site, dataset_of(evaluation));
    if (evaluation->results.unrecognised)
        return PD_OK;
    pd_comm_set_position(comm, "searching for images of the calibration");
    return pd_seen_find(&evaluation->seen, comm, site, dataset_of(evaluation));
}

/* The class of which all images of the fold are left out; PD_LABELS: none. */
static pd_label find_used_up(const pd_evaluation *evaluation, pd_fold fold)
{
    const pd_job *job = pd_classifier_job(evaluation->classifier);
    const pd_sample *samples = pd_dataset_samples(dataset_of(evaluation));
    int64_t seen[PD_LABELS] = {0}, fresh[PD_LABELS] = {0};
    for (int64_t i = 0; i < pd_dataset_get_info(dataset_of(evaluation))->count; i++)
        if (evaluation->seen != NULL && samples[i].fold == fold &&
            pd_tasks[job->task].class_of(&samples[i]) >= 0)
            (evaluation->seen[i] ? seen : fresh)[samples[i].label]++;
    for (pd_label label = PD_NORMAL; label < PD_LABELS; label++)
        if (seen[label] > 0 && fresh[label] == 0)
            return label;
    return PD_LABELS;
}

/* Chooses the threshold on a validation fold that is not evaluated. Collective. */
static pd_status score_validation(pd_evaluation *evaluation, pd_comm *comm)
{
    pd_results_fold *val = &evaluation->results.val;
    if (!is_usable(evaluation, PD_VAL, true) || find_used_up(evaluation, PD_VAL) != PD_LABELS)
        return pd_fail("%s: no images in its val fold to choose a threshold on, or calibration has "
                       "used them: give --threshold instead",
                       evaluation->results.data_path);
    pd_status status = evaluate_fold(evaluation, comm, PD_VAL, val);
    free(val->scores);
    *val = (pd_results_fold){.present = false};
    return status;
}

/* Clears *usable if all images of a class of the fold are left out, and fails if there is no other
 * fold to evaluate. */
static pd_status check_used_up(const pd_evaluation *evaluation, pd_fold fold, bool *usable,
                               bool other)
{
    const char *name = fold == PD_VAL ? "val" : "test";
    const char *groups = pd_patients_noun(evaluation->results.unknown_patients);
    pd_label label =
        *usable && evaluation->seen != NULL ? find_used_up(evaluation, fold) : PD_LABELS;
    if (label == PD_LABELS)
        return PD_OK;
    *usable = false;
    if (!other)
        return pd_fail("%s: its %s fold cannot be evaluated: all its %s images are of %s with "
                       "images that calibration used",
                       evaluation->results.data_path, name, pd_label_names[label], groups);
    pd_log_info("%s: its %s fold is left out: all its %s images are of %s with images that "
                "calibration used",
                evaluation->results.data_path, name, pd_label_names[label], groups);
    return PD_OK;
}

/* Of all members. */
static int64_t count_parameters(const pd_classifier *classifier)
{
    int64_t sum = 0;
    size_t parameters;
    for (int i = 0; i < pd_classifier_count(classifier); i++) {
        pd_network_weights(pd_classifier_at(classifier, i)->inference.network, &parameters);
        sum += (int64_t)parameters;
    }
    return sum;
}

/* The decision of the checkpoint, or with the threshold given. */
static void set_decision(pd_evaluation *evaluation, const pd_evaluate_options *options)
{
    char how[sizeof evaluation->decision.rule];
    evaluation->decision = pd_classifier_checkpoint(evaluation->classifier)->decision;
    evaluation->target_sensitivity = options->target_sensitivity;
    if (options->threshold > 0) {
        snprintf(how, sizeof how, "%.6g, given (--threshold)", options->threshold);
        pd_decision_replace(&evaluation->decision, options->threshold, how);
    }
}

/* Fails if the outputs would replace one of inputs[count]. */
static pd_status check_outputs(const pd_evaluate_options *options, const char *const *inputs,
                               int count)
{
    return pd_outputs_check(options->outputs, options->output_count, inputs, count);
}

/* Whether train.monitor = stress chose the epoch of the weights, or of those of a member. */
static bool is_epoch_on_changed(const pd_classifier *classifier)
{
    for (int i = 0; i < pd_classifier_count(classifier); i++) {
        const pd_classifier_member *member = pd_classifier_at(classifier, i);
        const pd_train_state *state = &member->checkpoint->state;
        if (member->job.monitor == PD_MONITOR_STRESS && state->epoch > 0 &&
            state->epoch == state->best_epoch && state->epoch_step == 0)
            return true;
    }
    return false;
}

/* The digest of the data set that all members were trained on; "" if it is unknown or they differ.
 */
static const char *trained_on(const pd_classifier *classifier)
{
    const char *digest = pd_classifier_at(classifier, 0)->checkpoint->data_digest;
    for (int i = 1; i < pd_classifier_count(classifier); i++)
        if (strcmp(digest, pd_classifier_at(classifier, i)->checkpoint->data_digest) != 0)
            return "";
    return digest;
}

static pd_status set_up(pd_evaluation *evaluation, pd_comm *comm,
                        const pd_evaluate_options *options)
{
    pd_status status = PD_OK;
    int32_t example;
    pd_results *results = &evaluation->results;
    const pd_checkpoint *checkpoint = pd_classifier_checkpoint(evaluation->classifier);
    const pd_job *job = pd_classifier_job(evaluation->classifier);
    results->data_path = options->data != NULL ? options->data : job->file;
    PD_TRY(pd_ensemble_data_open(&evaluation->data, evaluation->classifier, results->data_path));
    const pd_dataset_info *info = pd_dataset_get_info(dataset_of(evaluation));
    results->members = evaluation->data.count;
    results->job_name = checkpoint->job_name;
    results->model = checkpoint->model;
    results->data_digest = info->digest;
    results->samples = pd_dataset_samples(dataset_of(evaluation));
    results->data = *info;
    results->settings = checkpoint->job;
    results->trained_digest = trained_on(evaluation->classifier);
    results->version = PNEUMO_VERSION;
    results->seed = job->seed;
    results->ranks = pd_comm_size(comm);
    results->lanes = job->sampling.lanes;
    results->parameters = count_parameters(evaluation->classifier);
    results->best_epoch = checkpoint->state.best_epoch;
    results->epochs = checkpoint->state.epoch;
    results->weights_epoch = checkpoint->state.epoch + (checkpoint->state.epoch_step > 0);
    results->history = checkpoint->state.history;
    results->history_count = checkpoint->state.history_count;
    results->seconds = results->images_per_second = (double)NAN;
    results->target_sensitivity = job->decision.target_sensitivity;
    results->target_specificity = job->decision.target_specificity;
    if (checkpoint->site.count > 0) {
        results->target_sensitivity = checkpoint->site.target_sensitivity;
        results->target_specificity = checkpoint->site.target_specificity;
    }
    set_decision(evaluation, options);
    results->decision_fold = evaluation->decision.fold;
    results->decision_rule = evaluation->decision.rule;
    if (options->target_sensitivity > 0)
        results->target_sensitivity = options->target_sensitivity;
    results->temperature = checkpoint->decision.temperature;
    results->temperature_fold = checkpoint->decision.fold;
    results->views = checkpoint->decision.views;
    results->test_looks = checkpoint->test_looks;
    results->other_data = strcmp(results->trained_digest, info->digest) != 0;
    results->epoch_on_changed = is_epoch_on_changed(evaluation->classifier);
    results->other_threshold = checkpoint->state.epoch_step > 0 && checkpoint->site.count == 0 &&
                               options->threshold == 0 && options->target_sensitivity == 0;
    PD_TRY(pd_patients_unknown(&results->unknown_patients, dataset_of(evaluation)));
    PD_TRY(pd_folds_leaks(&results->leaks, &example, pd_dataset_samples(dataset_of(evaluation)),
                          info->count));
    PD_TRY(pd_folds_patients(results->patients, results->samples, info->count));
    for (int64_t i = 0; i < info->count; i++)
        results->causes[results->samples[i].fold][results->samples[i].cause]++;
cleanup:
    return status;
}

/* Counts the evaluation of the test fold in each member of an average. */
static pd_status count_in_members(pd_ensemble *ensemble)
{
    pd_status status = PD_OK;
    for (int i = 0; i < ensemble->count && status == PD_OK; i++) {
        ensemble->members[i]->test_looks++;
        status = pd_checkpoint_save(ensemble->names[i], ensemble->members[i]);
    }
    return status;
}

/* Evaluations that were counted in the members before they were averaged. */
static int64_t looks_before(const pd_ensemble *ensemble)
{
    int64_t most = 0;
    for (int i = 0; i < ensemble->count && ensemble->count > 1; i++)
        if (ensemble->members[i]->test_looks > most)
            most = ensemble->members[i]->test_looks;
    return most;
}

/* Opens the file that a member was trained on, or that file with images appended, which keep the
 * folds of the former ones. NULL: it is not there, or other images have taken its place. */
static pd_dataset *open_trained(const pd_classifier_member *member)
{
    pd_dataset *dataset = NULL;
    if (pd_dataset_open(&dataset, member->job.file) != PD_OK)
        return NULL;
    const pd_dataset_info *info = pd_dataset_get_info(dataset);
    if (strcmp(info->digest, member->checkpoint->data_digest) != 0 &&
        strstr(info->fold_policy, ", appended") == NULL)
        pd_dataset_destroy(&dataset);
    return dataset;
}

/* Whether the data set is one that a member was trained on, or an image of its test fold is in that
 * of the member's file, as after packing it anew or appending to it. Says so where it cannot be
 * known. */
static bool shows_test_images(const pd_evaluation *evaluation)
{
    bool shared = false;
    const char *missing = NULL; /* the file of a member that cannot be compared */
    const pd_dataset_info *info = pd_dataset_get_info(dataset_of(evaluation));
    for (int i = 0; i < pd_classifier_count(evaluation->classifier) && !shared; i++) {
        const pd_classifier_member *member = pd_classifier_at(evaluation->classifier, i);
        if (pd_checkpoint_is_import(member->checkpoint))
            continue;
        if (strcmp(member->checkpoint->data_digest, info->digest) == 0)
            return true;
        pd_dataset *trained = open_trained(member);
        const pd_dataset_info *other = trained == NULL ? NULL : pd_dataset_get_info(trained);
        if (other == NULL || info->height != other->height || info->width != other->width ||
            pd_overlap_tests(&shared, dataset_of(evaluation), trained) != PD_OK)
            missing = member->job.file;
        pd_dataset_destroy(&trained);
    }
    if (!shared && missing != NULL)
        pd_log_info("not counted as an evaluation of the training data's test fold: %s is not "
                    "there or has images of another size, so %s cannot be compared with it",
                    missing, evaluation->results.data_path);
    return shared;
}

/* Counts the evaluation of the test fold in the checkpoint files. */
static void count_look(pd_evaluation *evaluation, const pd_evaluate_options *options)
{
    pd_ensemble *ensemble = pd_classifier_ensemble(evaluation->classifier);
    pd_checkpoint *whole = pd_classifier_checkpoint(evaluation->classifier);
    if (options->by_training && whole->test_looks > looks_before(ensemble))
        return;
    if (evaluation->results.other_data && !shows_test_images(evaluation))
        return;
    evaluation->results.test_looks = ++whole->test_looks;
    ensemble->whole.test_looks = whole->test_looks; /* `whole` may be the only member */
    pd_status status = options->checkpoint_count > 1 ? count_in_members(ensemble)
                       : ensemble->is_file ? pd_ensemble_save(options->checkpoints[0], ensemble)
                                           : pd_checkpoint_save(options->checkpoints[0], whole);
    if (status != PD_OK)
        pd_log_warn("this evaluation of the test fold is not counted: %s", pd_error_message());
}

/* Fails if another process writes into the folder of a checkpoint in which the evaluation of the
 * test fold will be counted: the count would replace what that process writes. */
static pd_status claim_checkpoints(const pd_evaluate_options *options)
{
    pd_status status = PD_OK;
    for (int i = 0; i < options->checkpoint_count && options->test && status == PD_OK; i++)
        status = pd_lock_take_beside(
            options->checkpoints[i],
            "wait until it ends, or evaluate a copy of the checkpoint in another folder");
    return status;
}

/* Fails before the images are scored if an output would replace an input; on rank 0. */
static pd_status claim_files(const pd_evaluate_options *options)
{
    pd_status status = check_outputs(options, options->checkpoints, options->checkpoint_count);
    if (status == PD_OK)
        status = check_outputs(options, &options->data, 1);
    return status == PD_OK ? claim_checkpoints(options) : status;
}

pd_status pd_evaluate(pd_evaluation **out, pd_comm *comm, const pd_evaluate_options *options)
{
    pd_status status = PD_OK;
    pd_evaluation *evaluation = NULL;
    *out = NULL;
    PD_TRY(pd_comm_agree(comm, pd_alloc(&evaluation, 1, sizeof *evaluation)));
    evaluation->results.threads = pd_threads_choose(comm, options->threads);
    if (pd_comm_rank(comm) == 0)
        status = claim_files(options);
    PD_TRY(pd_comm_agree(comm, status));
    const pd_ensemble_options assembly = {.paths = options->checkpoints,
                                          .count = options->checkpoint_count,
                                          .data = options->data,
                                          .only_own = true,
                                          .threads = evaluation->results.threads,
                                          .outputs = options->outputs,
                                          .output_count = options->output_count};
    PD_TRY(pd_ensemble_assemble(&evaluation->classifier, comm, &assembly));
    PD_TRY(pd_comm_agree(comm, set_up(evaluation, comm, options)));
    if (pd_comm_rank(comm) == 0 && !pd_classifier_checkpoint(evaluation->classifier)->has_profile)
        pd_log_warn("%s: no profile of the training images: images unlike them are not counted",
                    options->checkpoints[0]);
    bool val = is_usable(evaluation, PD_VAL, options->val);
    bool test = is_usable(evaluation, PD_TEST, options->test);
    if (!val && !test) {
        status = pd_fail("%s: no images in its %s: give another data set or fold",
                         evaluation->results.data_path,
                         !options->test  ? "val fold"
                         : !options->val ? "test fold"
                                         : "val and test folds");
        goto cleanup;
    }
    if (options->val != val || options->test != test)
        pd_log_info("%s has no images in its %s fold, which is left out",
                    evaluation->results.data_path, val ? "test" : "val");
    PD_TRY(find_seen(evaluation, comm));
    PD_TRY(check_used_up(evaluation, PD_VAL, &val, test));
    PD_TRY(check_used_up(evaluation, PD_TEST, &test, val));
    if (val)
        PD_TRY(evaluate_fold(evaluation, comm, PD_VAL, &evaluation->results.val));
    else if (options->target_sensitivity > 0)
        PD_TRY(score_validation(evaluation, comm));
    evaluation->results.refer_low = evaluation->decision.refer_low;
    evaluation->results.refer_high = evaluation->decision.refer_high;
    if (test)
        PD_TRY(evaluate_fold(evaluation, comm, PD_TEST, &evaluation->results.test));
    if (options->stress && val)
        PD_TRY(stress_fold(evaluation, comm, PD_VAL, &evaluation->results.val.stress));
    if (options->stress && test && !options->by_training)
        PD_TRY(stress_fold(evaluation, comm, PD_TEST, &evaluation->results.test.stress));
    if (test && pd_comm_rank(comm) == 0)
        count_look(evaluation, options);
    *out = evaluation;
    evaluation = NULL;
cleanup:
    pd_evaluation_destroy(&evaluation);
    return status;
}

void pd_evaluation_destroy(pd_evaluation **evaluation)
{
    if (*evaluation == NULL)
        return;
    free((*evaluation)->results.val.scores);
    free((*evaluation)->results.test.scores);
    free((*evaluation)->seen);
    pd_ensemble_data_close(&(*evaluation)->data);
    pd_classifier_destroy(&(*evaluation)->classifier);
    free(*evaluation);
    *evaluation = NULL;
}

pd_results *pd_evaluation_results(pd_evaluation *evaluation)
{
    return &evaluation->results;
}

pd_classifier *pd_evaluation_classifier(pd_evaluation *evaluation)
{
    return evaluation->classifier;
}

const pd_dataset *pd_evaluation_dataset(const pd_evaluation *evaluation)
{
    return dataset_of(evaluation);
}
