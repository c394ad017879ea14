#include "pneumo/evaluate/classifier.h"

#include "pneumo/base/memory.h"
#include "pneumo/train/setup.h"

#include <math.h>
#include <stdlib.h>

struct pd_classifier {
    pd_checkpoint *checkpoint;
    pd_job job;
    pd_inference inference; /* owns its network */
};

/* What later arithmetic takes for granted of a file that anybody may have written. */
static pd_status check(const pd_checkpoint *checkpoint, const char *path)
{
    if (!checkpoint->has_decision)
        return pd_fail("%s: it was saved before its first validation and has no threshold yet: "
                       "train on with --resume",
                       path);
    const int64_t sides[] = {checkpoint->image_height, checkpoint->image_width};
    for (int i = 0; i < 2; i++)
        if (sides[i] < 1 || sides[i] > PD_IMAGE_SIDE_MAX)
            return pd_fail("%s: '/state/image_%s' is %lld, where 1 to %d are possible; use another "
                           "checkpoint",
                           path, i == 0 ? "height" : "width", (long long)sides[i],
                           PD_IMAGE_SIDE_MAX);
    if (!(checkpoint->temperature > 0) || !isfinite(checkpoint->temperature))
        return pd_fail(
            "%s: '/decision/temperature' is %g, which is no positive number; use another "
            "checkpoint",
            path, checkpoint->temperature);
    if (checkpoint->views < 1 || checkpoint->views > PD_VIEWS_MAX)
        return pd_fail("%s: '/decision/views' is %lld, where 1 to %d are possible; use another "
                       "checkpoint",
                       path, (long long)checkpoint->views, PD_VIEWS_MAX);
    return PD_OK;
}

static pd_status load(pd_classifier *self, const char *path, int chunk)
{
    pd_status status = PD_OK;
    PD_TRY(pd_checkpoint_load(&self->checkpoint, path));
    const pd_checkpoint *checkpoint = self->checkpoint;
    PD_TRY(check(checkpoint, path));
    PD_TRY(pd_job_parse(&self->job, path, checkpoint->job, NULL, 0));
    pd_dataset_info info = {.height = (int)checkpoint->image_height,
                            .width = (int)checkpoint->image_width,
                            .mean = checkpoint->pixel_mean,
                            .deviation = checkpoint->pixel_deviation};
    pd_inference *inference = &self->inference;
    inference->input = pd_setup_input(&self->job, &info);
    inference->views = (int)checkpoint->views;
    PD_TRY(pd_setup_network(&inference->network, &self->job, &info));
    pd_plan plan = {.lanes = 1,
                    .lane_samples = chunk > 0 ? chunk : self->job.batch / self->job.lanes,
                    .total_lanes = 1,
                    .threads = inference->threads};
    PD_TRY(pd_network_plan(inference->network, &plan, 0, false));
    PD_TRY(pd_inference_prepare(inference, plan.lane_samples));
    status = pd_setup_load_weights(inference->network, checkpoint);
    if (status != PD_OK)
        pd_fail_within(status, "%s", path);
cleanup:
    return status;
}

pd_status pd_classifier_load(pd_classifier **out, const char *checkpoint, int chunk, int threads)
{
    pd_status status = PD_OK;
    pd_classifier *self = NULL;
    *out = NULL;
    PD_TRY(pd_alloc(&self, 1, sizeof *self));
    self->inference.threads = threads;
    PD_TRY(load(self, checkpoint, chunk));
    *out = self;
    self = NULL;
cleanup:
    pd_classifier_destroy(&self);
    return status;
}

void pd_classifier_destroy(pd_classifier **classifier)
{
    if (*classifier == NULL)
        return;
    pd_network_destroy(&(*classifier)->inference.network);
    pd_inference_free(&(*classifier)->inference);
    pd_checkpoint_destroy(&(*classifier)->checkpoint);
    free(*classifier);
    *classifier = NULL;
}

pd_checkpoint *pd_classifier_checkpoint(const pd_classifier *classifier)
{
    return classifier->checkpoint;
}

const pd_job *pd_classifier_job(const pd_classifier *classifier)
{
    return &classifier->job;
}

const pd_input *pd_classifier_input(const pd_classifier *classifier)
{
    return &classifier->inference.input;
}

pd_network *pd_classifier_network(pd_classifier *classifier)
{
    return classifier->inference.network;
}

size_t pd_classifier_packed_size(const pd_classifier *classifier)
{
    const pd_input *input = &classifier->inference.input;
    return (size_t)input->height * (size_t)input->width;
}

pd_status pd_classifier_pack(const pd_classifier *classifier, const pd_image *image,
                             uint8_t *packed)
{
    const pd_input *input = &classifier->inference.input;
    return pd_image_resize(packed, input->height, input->width, image);
}

pd_status pd_classifier_render(const pd_classifier *classifier, const pd_image *square, float *x)
{
    pd_input input = classifier->inference.input;
    const pd_view view = pd_view_plain();
    float *scratch = NULL;
    input.height = square->height;
    input.width = square->width;
    pd_status status =
        pd_alloc(&scratch, pd_view_scratch(input.height, input.width), sizeof *scratch);
    if (status == PD_OK)
        pd_view_render(&view, &input, square->pixels, x, scratch);
    free(scratch);
    return status;
}

pd_status pd_classifier_score(pd_classifier *classifier, const uint8_t *const *packed, int count,
                              pd_score *scores)
{
    const pd_checkpoint *checkpoint = classifier->checkpoint;
    pd_status status = pd_inference_run(&classifier->inference, packed, count, scores);
    if (status == PD_OK)
        pd_scores_decide(scores, (size_t)count, checkpoint->temperature, (int)checkpoint->views);
    return status;
}
