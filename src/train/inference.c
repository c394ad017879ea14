#include "pneumo/train/inference.h"

#include "pneumo/base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

pd_status pd_inference_prepare(pd_inference *inference, int samples)
{
    pd_status status = PD_OK;
    const pd_input *input = &inference->input;
    size_t floats = (size_t)input->size * (size_t)input->size * (size_t)input->channels;
    inference->x = inference->logits = inference->scratch = NULL;
    PD_TRY(pd_alloc(&inference->x, (size_t)samples * floats, sizeof *inference->x));
    PD_TRY(pd_alloc(&inference->logits, (size_t)samples * (size_t)inference->task->outputs,
                    sizeof *inference->logits));
    PD_TRY(pd_alloc(&inference->scratch, (size_t)inference->threads,
                    pd_view_scratch(input->height, input->width) * sizeof *inference->scratch));
cleanup:
    return status;
}

void pd_inference_free(pd_inference *inference)
{
    free(inference->x);
    free(inference->logits);
    free(inference->scratch);
}

/* Images to be rendered as one view. */
typedef struct rendering {
    const pd_inference *inference;
    const uint8_t *const *pixels;
    pd_view view;
} rendering;

static void render(void *context, int image, int worker)
{
    const rendering *of = context;
    const pd_input *input = &of->inference->input;
    size_t floats = (size_t)input->size * (size_t)input->size * (size_t)input->channels;
    size_t scratch = pd_view_scratch(input->height, input->width);
    pd_view_render(&of->view, input, of->pixels[image], of->inference->x + (size_t)image * floats,
                   of->inference->scratch + (size_t)worker * scratch);
}

/* Runs view number `number` of the images through the network: *y [count][outputs]. */
static pd_status infer_view(pd_inference *inference, const uint8_t *const *pixels, int count,
                            int number, const float **y)
{
    rendering of = {inference, pixels, pd_view_standard(number)};
    const pd_exec exec = {.lanes = 1,
                          .lane_samples = count,
                          .total_lanes = 1,
                          .threads = inference->threads,
                          .crew = inference->crew};
    pd_crew_run(inference->crew, inference->threads, count, render, &of);
    return pd_network_forward(inference->network, &exec, inference->x, y);
}

pd_status pd_inference_run(pd_inference *inference, const uint8_t *const *pixels, int count,
                           pd_score *scores)
{
    const pd_task *task = inference->task;
    size_t outputs = (size_t)task->outputs;
    const float *y;
    for (int view = 0; view < inference->views; view++) {
        pd_status status = infer_view(inference, pixels, count, view, &y);
        if (status != PD_OK)
            return status;
        if (view == 0)
            memcpy(inference->logits, y, (size_t)count * outputs * sizeof *y);
        for (int i = 0; i < count; i++)
            scores[i].views[view] = task->log_odds(y + (size_t)i * outputs);
    }
    for (int i = 0; i < count; i++) {
        scores[i].logit = scores[i].views[0];
        scores[i].predicted = task->predicted(inference->logits + (size_t)i * outputs);
        for (int view = inference->views; view < PD_VIEWS_MAX; view++)
            scores[i].views[view] = (double)NAN;
    }
    return PD_OK;
}
