#include "pneumo/evaluate/classifier.h"

#include "mean.h"
#include "pneumo/base/memory.h"
#include "pneumo/train/setup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct pd_classifier {
    pd_ensemble *ensemble;
    int threads;
    int count;
    pd_classifier_member members[PD_MEMBERS_MAX]; /* inferences own their networks */
    int chunk;
    pd_score *scores; /* [count][chunk]: of the members of an average; NULL for a single one */
};

static pd_status check_decision(const pd_decision *decision, const char *path)
{
    if (decision->views < 1 || decision->views > PD_VIEWS_MAX)
        return pd_fail("%s: '/decision/views' is %d, expected 1 to %d; use another "
                       "checkpoint",
                       path, decision->views, PD_VIEWS_MAX);
    return PD_OK;
}

/* Checks the values of a possibly foreign file that later arithmetic relies on. */
static pd_status check(const pd_checkpoint *checkpoint, const char *path)
{
    if (!checkpoint->has_decision)
        return pd_fail("%s: saved before its first validation, so it has no threshold yet: "
                       "continue training with --resume",
                       path);
    const int64_t sides[] = {checkpoint->image_height, checkpoint->image_width};
    for (int i = 0; i < 2; i++)
        if (sides[i] < 1 || sides[i] > PD_IMAGE_SIDE_MAX)
            return pd_fail("%s: '/state/image_%s' is %lld, expected 1 to %d; use another "
                           "checkpoint",
                           path, i == 0 ? "height" : "width", (long long)sides[i],
                           PD_IMAGE_SIDE_MAX);
    return check_decision(&checkpoint->decision, path);
}

static pd_status prepare(pd_classifier *classifier, pd_classifier_member *member, int chunk)
{
    pd_status status = PD_OK;
    const pd_checkpoint *checkpoint = member->checkpoint;
    PD_TRY(pd_job_parse(&member->job, checkpoint->job_name, checkpoint->job, NULL, 0));
    pd_inference *inference = &member->inference;
    inference->task = &pd_tasks[member->job.task];
    inference->threads = classifier->threads;
    inference->views = checkpoint->decision.views;
    PD_TRY(pd_setup_checkpoint(&inference->network, &inference->input, &member->job, checkpoint));
    snprintf(member->job.model.name, sizeof member->job.model.name, "%s", checkpoint->model);
    pd_plan plan = {.lanes = 1,
                    .lane_samples =
                        chunk > 0 ? chunk : member->job.sampling.batch / member->job.sampling.lanes,
                    .total_lanes = 1,
                    .threads = inference->threads};
    PD_TRY(pd_network_plan(inference->network, &plan, 0, false));
    PD_TRY(pd_inference_prepare(inference, plan.lane_samples));
    classifier->chunk =
        plan.lane_samples > classifier->chunk ? plan.lane_samples : classifier->chunk;
    PD_TRY(pd_setup_load_weights(inference->network, checkpoint));
cleanup:
    return status == PD_OK ? PD_OK : pd_error_prefix(status, "%s", member->name);
}

/* Fails if this member and the first one cannot be averaged. */
static pd_status check_alike(const pd_classifier_member *first, const pd_classifier_member *member)
{
    const pd_input *a = &first->inference.input, *b = &member->inference.input;
    if (first->job.task != member->job.task)
        return pd_fail("%s: it was trained to tell %d classes apart, but %s %d: an average needs "
                       "members of one data.task",
                       member->name, pd_tasks[member->job.task].classes, first->name,
                       pd_tasks[first->job.task].classes);
    if (a->height != b->height || a->width != b->width)
        return pd_fail("%s: it was trained on packed images of %d x %d, but %s of %d x %d: an "
                       "average needs members of one 'pack --size'",
                       member->name, b->height, b->width, first->name, a->height, a->width);
    return PD_OK;
}

static pd_status set_up(pd_classifier *classifier, int chunk)
{
    pd_status status = PD_OK;
    const pd_ensemble *ensemble = classifier->ensemble;
    for (; classifier->count < ensemble->count; classifier->count++) {
        pd_classifier_member *member = &classifier->members[classifier->count];
        member->name = ensemble->names[classifier->count];
        member->checkpoint = ensemble->members[classifier->count];
        PD_TRY(check(member->checkpoint, member->name));
        PD_TRY(prepare(classifier, member, chunk));
        PD_TRY(check_alike(&classifier->members[0], member));
    }
    if (ensemble->whole.has_decision)
        PD_TRY(check_decision(&ensemble->whole.decision, ensemble->names[0]));
    if (classifier->count > 1 && ensemble->whole.decision.views != 1) {
        status = pd_fail("%s: '/decision/views' of the average is %d, which is not 1; create it "
                         "again with 'pneumo-dist ensemble'",
                         ensemble->names[0], ensemble->whole.decision.views);
        goto cleanup;
    }
    if (classifier->count > 1)
        PD_TRY(pd_alloc(&classifier->scores, (size_t)classifier->count * (size_t)classifier->chunk,
                        sizeof *classifier->scores));
cleanup:
    return status;
}

pd_status pd_classifier_create(pd_classifier **out, pd_ensemble **ensemble, int chunk, int threads)
{
    pd_status status = PD_OK;
    pd_classifier *classifier = NULL;
    *out = NULL;
    PD_TRY(pd_alloc(&classifier, 1, sizeof *classifier));
    classifier->ensemble = *ensemble;
    *ensemble = NULL;
    classifier->threads = threads;
    PD_TRY(set_up(classifier, chunk));
    *out = classifier;
    classifier = NULL;
cleanup:
    pd_ensemble_destroy(ensemble);
    pd_classifier_destroy(&classifier);
    return status;
}

pd_status pd_classifier_load(pd_classifier **out, const char *path, int chunk, int threads)
{
    pd_ensemble *ensemble;
    *out = NULL;
    pd_status status = pd_ensemble_load(&ensemble, path);
    return status == PD_OK ? pd_classifier_create(out, &ensemble, chunk, threads) : status;
}

void pd_classifier_destroy(pd_classifier **classifier)
{
    pd_classifier *old = *classifier;
    if (old == NULL)
        return;
    for (int i = 0; i < PD_MEMBERS_MAX; i++) {
        pd_network_destroy(&old->members[i].inference.network);
        pd_inference_free(&old->members[i].inference);
    }
    pd_ensemble_destroy(&old->ensemble);
    free(old->scores);
    free(old);
    *classifier = NULL;
}

void pd_classifier_use_crew(pd_classifier *classifier, pd_crew *crew)
{
    for (int i = 0; i < classifier->count; i++)
        classifier->members[i].inference.crew = crew;
}

int pd_classifier_count(const pd_classifier *classifier)
{
    return classifier->count;
}

const pd_classifier_member *pd_classifier_at(const pd_classifier *classifier, int index)
{
    return &classifier->members[index];
}

pd_ensemble *pd_classifier_ensemble(const pd_classifier *classifier)
{
    return classifier->ensemble;
}

pd_checkpoint *pd_classifier_checkpoint(const pd_classifier *classifier)
{
    pd_ensemble *ensemble = classifier->ensemble;
    return ensemble->count == 1 ? ensemble->members[0] : &ensemble->whole;
}

const pd_job *pd_classifier_job(const pd_classifier *classifier)
{
    return &classifier->members[0].job;
}

const pd_input *pd_classifier_input(const pd_classifier *classifier)
{
    return &classifier->members[0].inference.input;
}

size_t pd_classifier_packed_size(const pd_classifier *classifier)
{
    const pd_input *input = pd_classifier_input(classifier);
    return (size_t)input->height * (size_t)input->width;
}

pd_status pd_classifier_pack(const pd_classifier *classifier, const pd_image *image,
                             uint8_t *packed)
{
    const pd_input *input = pd_classifier_input(classifier);
    /* The filter of pd_image_resize smooths, even to the same size. Imported networks were trained
     * without it. */
    if (input->scaling == PD_GREY_FIXED && image->height == input->height &&
        image->width == input->width) {
        memcpy(packed, image->pixels, pd_classifier_packed_size(classifier));
        return PD_OK;
    }
    return pd_image_resize(packed, input->height, input->width, image);
}

/* --- Scores --- */

/* The mean of the members' scores of packed[count]. */
static pd_status score_mean(pd_classifier *classifier, const uint8_t *const *packed, int count,
                            pd_score *scores)
{
    for (int m = 0; m < classifier->count; m++) {
        pd_classifier_member *member = &classifier->members[m];
        pd_score *own = classifier->scores + (size_t)m * (size_t)classifier->chunk;
        pd_status status = pd_inference_run(&member->inference, packed, count, own);
        if (status != PD_OK)
            return status;
        pd_scores_calibrate(own, (size_t)count, member->checkpoint->decision.temperature,
                            member->inference.views);
    }
    for (int i = 0; i < count; i++) {
        const pd_score *same[PD_MEMBERS_MAX];
        for (int m = 0; m < classifier->count; m++)
            same[m] = classifier->scores + (size_t)m * (size_t)classifier->chunk + i;
        scores[i] = pd_score_mean(same, classifier->count);
    }
    return PD_OK;
}

pd_status pd_classifier_score(pd_classifier *classifier, const uint8_t *const *packed, int count,
                              pd_score *scores)
{
    const pd_checkpoint *checkpoint = pd_classifier_checkpoint(classifier);
    pd_status status = classifier->count == 1 ? pd_inference_run(&classifier->members[0].inference,
                                                                 packed, count, scores)
                                              : score_mean(classifier, packed, count, scores);
    if (status == PD_OK)
        pd_scores_decide(scores, (size_t)count, checkpoint->decision.temperature,
                         checkpoint->decision.views);
    return status;
}

/* --- Heat maps --- */

bool pd_classifier_has_heatmap(const pd_classifier *classifier)
{
    for (int i = 0; i < classifier->count; i++)
        if (pd_network_last_convolution(classifier->members[i].inference.network) < 0)
            return false;
    return true;
}

/* One network's map of a square image of any size. */
static pd_status locate(pd_heatmap *out, const pd_inference *inference, const pd_image *square)
{
    pd_status status = PD_OK;
    pd_input input = inference->input;
    const pd_view view = pd_view_plain();
    float *x = NULL, *scratch = NULL;
    input.height = square->height;
    input.width = square->width;
    PD_TRY(
        pd_alloc(&x, (size_t)input.size * (size_t)input.size * (size_t)input.channels, sizeof *x));
    PD_TRY(pd_alloc(&scratch, pd_view_scratch(input.height, input.width), sizeof *scratch));
    pd_view_render(&view, &input, square->pixels, x, scratch);
    PD_TRY(pd_heatmap_compute(out, inference->network, inference->task, inference->threads, x));
cleanup:
    free(x);
    free(scratch);
    return status;
}

pd_status pd_classifier_heatmap(pd_heatmap *out, pd_classifier *classifier, const pd_image *square)
{
    pd_status status = PD_OK;
    pd_heatmap maps[PD_MEMBERS_MAX] = {{0}};
    double weights[PD_MEMBERS_MAX];
    if (classifier->count == 1)
        return locate(out, &classifier->members[0].inference, square);
    *out = (pd_heatmap){0};
    for (int i = 0; i < classifier->count; i++) {
        weights[i] = 1 / classifier->members[i].checkpoint->decision.temperature;
        PD_TRY(locate(&maps[i], &classifier->members[i].inference, square));
    }
    PD_TRY(pd_heatmap_mean(out, maps, weights, classifier->count));
cleanup:
    for (int i = 0; i < classifier->count; i++)
        pd_heatmap_free(&maps[i]);
    return status;
}
