#include "pneumo/evaluate/classifier.h"

#include "pneumo/base/memory.h"
#include "pneumo/train/setup.h"

#include <math.h>
#include <stdlib.h>

struct pd_classifier {
    pd_checkpoint *checkpoint;
    pd_job job;
    pd_input input;
    pd_network *network;
    int threads;
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
        return pd_fail("%s: '/decision/temperature' is %g, which is no positive number; use another "
                       "checkpoint",
                       path, checkpoint->temperature);
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
    self->input = pd_setup_input(&self->job, &info);
    PD_TRY(pd_setup_network(&self->network, &self->job, &info));
    pd_plan plan = {.lanes = 1,
                    .lane_samples = chunk > 0 ? chunk : self->job.batch / self->job.lanes,
                    .total_lanes = 1,
                    .threads = self->threads};
    PD_TRY(pd_network_plan(self->network, &plan, 0, false));
    status = pd_setup_load_weights(self->network, checkpoint);
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
    self->threads = threads;
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
    pd_network_destroy(&(*classifier)->network);
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
    return &classifier->input;
}

pd_network *pd_classifier_network(pd_classifier *classifier)
{
    return classifier->network;
}

pd_status pd_classifier_render(const pd_classifier *classifier, const pd_image *image, float *x)
{
    const pd_input *input = &classifier->input;
    const pd_view view = pd_view_plain();
    uint8_t *packed = NULL;
    pd_status status = PD_OK;
    PD_TRY(pd_alloc(&packed, (size_t)input->height * (size_t)input->width, sizeof *packed));
    PD_TRY(pd_image_resize(packed, input->height, input->width, image));
    pd_view_render(&view, input, packed, x);
cleanup:
    free(packed);
    return status;
}

pd_status pd_classifier_score(pd_classifier *classifier, float *x, int count, pd_score *scores)
{
    const pd_checkpoint *checkpoint = classifier->checkpoint;
    bool flip = checkpoint->flip_average != 0;
    pd_status status = pd_scores_infer(scores, classifier->network, &classifier->input, x, count,
                                       flip, classifier->threads, NULL);
    if (status == PD_OK)
        pd_scores_decide(scores, (size_t)count, checkpoint->temperature, flip);
    return status;
}
