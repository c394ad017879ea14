#include "pneumo/train/step.h"

#include "pneumo/base/clock.h"
#include "pneumo/base/log.h"
#include "pneumo/base/memory.h"
#include "pneumo/comm/group.h"
#include "pneumo/train/setup.h"
#include "pretrained.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static pd_status set_up_network(pd_step *step, const pd_dataset_info *info,
                                const pd_checkpoint *resumed)
{
    pd_status status = PD_OK;
    const pd_job *job = step->job;
    if (resumed != NULL)
        PD_TRY(pd_setup_checkpoint(&step->network, &step->input, job, resumed));
    else
        PD_TRY(pd_setup_network(&step->network, &step->input, job, info));
    pd_network_set_norm(step->network, job->model.norm_scope, (float)job->model.norm_momentum);
    PD_TRY(pd_setup_plan(step->network, step->comm, job, step->stage, step->threads, NULL));
    pd_network_initialise(step->network, job->seed);
cleanup:
    return status;
}

/* What else needs no communication. */
static pd_status set_up_local(pd_step *step)
{
    pd_status status = PD_OK;
    const pd_input *input = &step->input;
    size_t outputs = (size_t)step->task->outputs;
    size_t samples = (size_t)step->samples;
    PD_TRY(pd_optimizer_create(&step->optimizer, &step->job->optimizer, step->network));
    step->sample_floats = (size_t)input->size * (size_t)input->size * (size_t)input->channels;
    PD_TRY(pd_alloc(&step->x, samples * step->sample_floats, sizeof *step->x));
    PD_TRY(pd_alloc(&step->targets, samples, sizeof *step->targets));
    PD_TRY(pd_alloc(&step->weights, samples, sizeof *step->weights));
    PD_TRY(pd_alloc(&step->labels, samples, sizeof *step->labels));
    PD_TRY(pd_alloc(&step->dlogits, samples * outputs, sizeof *step->dlogits));
    PD_TRY(pd_alloc(&step->lane_losses, (size_t)pd_comm_lane_count(step->comm),
                    sizeof *step->lane_losses));
cleanup:
    return status;
}

/* Collective. */
static pd_status make_reduction(pd_step *step)
{
    pd_status status = pd_reduction_create(&step->reduction, step->comm, step->job->reduction,
                                           pd_network_gradient_count(step->network),
                                           pd_setup_bucket(step->job, pd_comm_size(step->comm)));
    if (status == PD_OK)
        pd_network_use_gradient(step->network, pd_reduction_parts(step->reduction));
    return status;
}

static pd_status set_up(pd_step *step, const pd_dataset_info *info, bool pretrained,
                        const pd_checkpoint *resumed)
{
    pd_status status = PD_OK;
    const pd_job *job = step->job;
    pd_comm *comm = step->comm;
    PD_TRY(pd_comm_agree(comm, pd_comm_set_lanes(comm, job->sampling.lanes)));
    step->samples = pd_comm_lane_count(comm) * step->lane_samples;
    PD_TRY(pd_comm_agree(comm, set_up_network(step, info, resumed)));
    if (pretrained)
        PD_TRY(pd_pretrained_load(step->network, &step->input, comm, job));
    PD_TRY(pd_comm_agree(comm, set_up_local(step)));
    PD_TRY(pd_comm_set_group_size(comm, job->share_ranks));
    PD_TRY(make_reduction(step));
cleanup:
    return status;
}

static void clear(pd_step *step, pd_comm *comm, const pd_job *job, int threads)
{
    *step = (pd_step){.job = job,
                      .comm = comm,
                      .threads = threads,
                      .task = &pd_tasks[job->task],
                      .lane_samples = job->sampling.batch / job->sampling.lanes};
}

pd_status pd_step_set_up(pd_step *step, pd_comm *comm, const pd_job *job,
                         const pd_dataset_info *info, int threads)
{
    clear(step, comm, job, threads);
    return set_up(step, info, false, NULL);
}

pd_status pd_step_set_up_run(pd_step *step, pd_comm *comm, const pd_job *job,
                             const pd_dataset_info *info, int threads, const pd_checkpoint *resumed)
{
    clear(step, comm, job, threads);
    return set_up(step, info, resumed == NULL, resumed);
}

/* Replaces the network by one that is planned for the step's stage, with the same weights. The old
 * one is released first: both together may not fit in memory. */
static pd_status replace_network(pd_step *step)
{
    pd_status status = PD_OK;
    pd_network *next = NULL;
    float *kept = NULL;
    size_t weights, states;
    const float *from = pd_network_weights(step->network, &weights);
    const float *from_state = pd_network_state(step->network, &states);
    PD_TRY(pd_alloc(&kept, weights + states, sizeof *kept));
    memcpy(kept, from, weights * sizeof *kept);
    memcpy(kept + weights, from_state, states * sizeof *kept);
    PD_TRY(pd_network_copy(&next, step->network));
    pd_network_destroy(&step->network);
    step->network = next;
    PD_TRY(pd_setup_plan(next, step->comm, step->job, step->stage, step->threads, NULL));
    memcpy(pd_network_weights(next, &weights), kept, weights * sizeof *kept);
    memcpy(pd_network_state(next, &states), kept + weights, states * sizeof *kept);
cleanup:
    free(kept);
    return status;
}

pd_status pd_step_unfreeze(pd_step *step, int64_t number)
{
    pd_status status = PD_OK;
    step->stage = 1;
    PD_TRY(pd_comm_barrier(step->comm)); /* ranks may share the reduction's memory */
    pd_reduction_destroy(&step->reduction);
    status = replace_network(step);
    if (status == PD_OK)
        status = pd_optimizer_unfreeze(&step->optimizer, step->network, number);
    PD_TRY(pd_comm_agree(step->comm, status));
    PD_TRY(make_reduction(step));
cleanup:
    return status;
}

void pd_step_tear_down(pd_step *step)
{
    pd_reduction_destroy(&step->reduction);
    pd_optimizer_destroy(&step->optimizer);
    pd_network_destroy(&step->network);
    free(step->x);
    free(step->targets);
    free(step->weights);
    free(step->labels);
    free(step->dlogits);
    free(step->lane_losses);
}

/* --- Measuring time --- */

/* Starts to measure `part`. Returns the part measured before. */
static pd_step_part switch_part(pd_step *step, pd_step_part part)
{
    pd_step_part before = step->part;
    pd_clock_lap(&step->since, &step->seconds[before]);
    step->part = part;
    return before;
}

static void start_clock(pd_step *step, pd_step_part part)
{
    memset(step->seconds, 0, sizeof step->seconds);
    step->part = part;
    step->since = pd_clock_now();
}

/* --- The step --- */

static pd_status sum_lanes(void *context, double *parts, size_t count, double *total)
{
    pd_step *step = context;
    pd_step_part before = switch_part(step, PD_STEP_STATISTICS);
    pd_status status = pd_comm_lane_sum(step->comm, parts, count, total);
    switch_part(step, before);
    return status;
}

/* Begun as late as possible, since other ranks may still be updating their weights. */
static pd_status begin_reduction(pd_step *step)
{
    switch_part(step, PD_STEP_WAITING);
    return pd_reduction_begin(step->reduction);
}

static pd_status reduce_ready(void *context, size_t offset, size_t count)
{
    pd_step *step = context;
    pd_step_part before = switch_part(step, PD_STEP_REDUCTION);
    pd_status status = pd_reduction_ready(step->reduction, offset, count);
    switch_part(step, before);
    return status;
}

static pd_status finish_reduction(pd_step *step)
{
    double waiting, folding;
    switch_part(step, PD_STEP_REDUCTION);
    pd_status status = pd_reduction_finish(step->reduction);
    switch_part(step, PD_STEP_STATISTICS);
    pd_reduction_seconds(step->reduction, &waiting, &folding);
    step->seconds[PD_STEP_WAITING] += waiting;
    step->seconds[PD_STEP_REDUCTION] -= waiting;
    return status;
}

/* Loss and its gradient for `lanes` lanes from this rank's lane number `lane`. */
static void compute_loss(pd_step *step, int lane, int lanes, const float *logits)
{
    int sample = lane * step->lane_samples;
    step->task->loss(&(const pd_loss_batch){.lanes = lanes,
                                            .lane_samples = step->lane_samples,
                                            .outputs = step->task->outputs,
                                            .logits = logits,
                                            .targets = step->targets + sample,
                                            .labels = step->labels + sample,
                                            .weights = step->weights + sample,
                                            .smoothing = step->job->label_smoothing,
                                            .scale = 1.0 / (double)step->job->sampling.batch,
                                            .dlogits = step->dlogits,
                                            .lane_losses = step->lane_losses + lane});
}

static pd_exec training_exec(pd_step *step, int pass, int64_t number)
{
    int first_lane, lanes;
    pd_network_pass(step->network, pass, &first_lane, &lanes);
    return (pd_exec){.training = true,
                     .lanes = lanes,
                     .lane_samples = step->lane_samples,
                     .total_lanes = step->job->sampling.lanes,
                     .first_sample = (int64_t)first_lane * step->lane_samples,
                     .seed = step->job->seed,
                     .step = (uint32_t)number,
                     .threads = step->threads,
                     .lane_sum = sum_lanes,
                     .lane_sum_context = step};
}

/* Forward, loss and backward of one pass. */
static pd_status take_pass(pd_step *step, int pass, int64_t number)
{
    pd_status status = PD_OK;
    pd_exec exec = training_exec(step, pass, number);
    int lane = (int)(exec.first_sample / step->lane_samples) - pd_comm_first_lane(step->comm);
    const float *x = step->x + (size_t)lane * (size_t)step->lane_samples * step->sample_floats;
    const float *logits;
    switch_part(step, PD_STEP_FORWARD);
    PD_TRY(pd_network_forward(step->network, &exec, x, &logits));
    compute_loss(step, lane, exec.lanes, logits);
    if (pass == 0)
        PD_TRY(begin_reduction(step));
    switch_part(step, PD_STEP_BACKWARD);
    PD_TRY(pd_network_backward(step->network, &exec, pass, x, step->dlogits, reduce_ready, step));
cleanup:
    return status;
}

pd_status pd_step_gradient(pd_step *step, int64_t number, double *loss, const float **gradient)
{
    pd_status status = PD_OK;
    int passes = pd_network_pass_count(step->network);
    start_clock(step, PD_STEP_FORWARD);
    for (int i = 0; i < passes; i++)
        PD_TRY(take_pass(step, i, number));
    PD_TRY(finish_reduction(step));
    *gradient = pd_reduction_result(step->reduction);
    PD_TRY(pd_comm_lane_sum(step->comm, step->lane_losses, 1, loss));
    switch_part(step, PD_STEP_UPDATE);
cleanup:
    return status == PD_OK ? PD_OK : pd_step_abort_all(step, status);
}

pd_status pd_step_take(pd_step *step, int64_t number, double learning_rate, double *loss,
                       double *norm)
{
    const float *gradient;
    *norm = NAN;
    pd_status status = pd_step_gradient(step, number, loss, &gradient);
    if (status != PD_OK)
        return status;
    if (isfinite(*loss))
        pd_optimizer_step(step->optimizer, gradient, learning_rate, number, norm);
    switch_part(step, PD_STEP_UPDATE);
    return PD_OK;
}

pd_status pd_step_abort_all(const pd_step *step, pd_status status)
{
    if (pd_comm_size(step->comm) == 1)
        return status;
    pd_log_error("rank %d on %s: %s", pd_comm_rank(step->comm), pd_comm_host(step->comm),
                 pd_error_message());
    pd_comm_abort(step->comm, (int)status);
}
