#include "pneumo/train/step.h"

#include "pneumo/base/clock.h"
#include "pneumo/base/log.h"
#include "pneumo/base/memory.h"
#include "pneumo/train/setup.h"
#include "pneumo/comm/group.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What this rank can do without the others. */
static pd_status set_up_alone(pd_step *self, const pd_dataset_info *info)
{
    pd_status status = PD_OK;
    const pd_job *job = self->job;
    const pd_plan plan = {.lanes = pd_comm_lane_count(self->comm),
                          .lane_samples = self->lane_samples,
                          .total_lanes = job->sampling.lanes,
                          .threads = self->threads};
    PD_TRY(pd_setup_network(&self->network, job, info));
    PD_TRY(pd_network_plan(self->network, &plan, pd_comm_first_lane(self->comm), true));
    pd_network_initialise(self->network, job->seed);
    PD_TRY(pd_optimizer_create(&self->optimizer, &job->optimizer, self->network));

    pd_input input = pd_setup_input(job, info);
    size_t outputs = (size_t)self->task->outputs;
    size_t samples = (size_t)self->samples;
    self->sample_floats = (size_t)input.size * (size_t)input.size * (size_t)input.channels;
    PD_TRY(pd_alloc(&self->x, samples * self->sample_floats, sizeof *self->x));
    PD_TRY(pd_alloc(&self->targets, samples, sizeof *self->targets));
    PD_TRY(pd_alloc(&self->weights, samples, sizeof *self->weights));
    PD_TRY(pd_alloc(&self->labels, samples, sizeof *self->labels));
    PD_TRY(pd_alloc(&self->dlogits, samples * outputs, sizeof *self->dlogits));
    PD_TRY(pd_alloc(&self->lane_losses, (size_t)plan.lanes, sizeof *self->lane_losses));
cleanup:
    return status;
}

pd_status pd_step_set_up(pd_step *self, pd_comm *comm, const pd_job *job,
                         const pd_dataset_info *info, int threads)
{
    pd_status status = PD_OK;
    size_t parameters;
    *self = (pd_step){.job = job,
                      .comm = comm,
                      .threads = threads,
                      .task = &pd_tasks[job->task],
                      .lane_samples = job->sampling.batch / job->sampling.lanes};
    PD_TRY(pd_comm_agree(comm, pd_comm_set_lanes(comm, job->sampling.lanes)));
    self->samples = pd_comm_lane_count(comm) * self->lane_samples;
    PD_TRY(pd_comm_agree(comm, set_up_alone(self, info)));
    pd_network_weights(self->network, &parameters);
    PD_TRY(pd_comm_set_group_size(comm, job->share_ranks));
    PD_TRY(pd_reduction_create(&self->reduction, comm, job->reduction, parameters,
                               pd_setup_bucket(job, pd_comm_size(comm))));
    pd_network_use_gradient(self->network, pd_reduction_parts(self->reduction));
cleanup:
    return status;
}

void pd_step_tear_down(pd_step *self)
{
    pd_reduction_destroy(&self->reduction);
    pd_optimizer_destroy(&self->optimizer);
    pd_network_destroy(&self->network);
    free(self->x);
    free(self->targets);
    free(self->weights);
    free(self->labels);
    free(self->dlogits);
    free(self->lane_losses);
}

/* --- Where the time goes --- */

/* From now on time is spent on `part`. Returns the part until now. */
static pd_step_part turn_to(pd_step *self, pd_step_part part)
{
    pd_step_part before = self->part;
    pd_clock_lap(&self->since, &self->seconds[before]);
    self->part = part;
    return before;
}

static void start_clock(pd_step *self, pd_step_part part)
{
    memset(self->seconds, 0, sizeof self->seconds);
    self->part = part;
    self->since = pd_clock_now();
}

/* --- The step --- */

static pd_status sum_lanes(void *context, double *parts, size_t count, double *total)
{
    pd_step *self = context;
    pd_step_part before = turn_to(self, PD_STEP_STATISTICS);
    pd_status status = pd_comm_lane_sum(self->comm, parts, count, total);
    turn_to(self, before);
    return status;
}

/* As late as possible: the others may still be updating their weights. */
static pd_status begin_reduction(pd_step *self)
{
    turn_to(self, PD_STEP_WAITING);
    return pd_reduction_begin(self->reduction);
}

static pd_status reduce_ready(void *context, size_t offset, size_t count)
{
    pd_step *self = context;
    pd_step_part before = turn_to(self, PD_STEP_REDUCTION);
    pd_status status = pd_reduction_ready(self->reduction, offset, count);
    turn_to(self, before);
    return status;
}

static pd_status finish_reduction(pd_step *self)
{
    double waiting, folding;
    turn_to(self, PD_STEP_REDUCTION);
    pd_status status = pd_reduction_finish(self->reduction);
    turn_to(self, PD_STEP_STATISTICS);
    pd_reduction_seconds(self->reduction, &waiting, &folding);
    self->seconds[PD_STEP_WAITING] += waiting;
    self->seconds[PD_STEP_REDUCTION] -= waiting;
    return status;
}

/* Loss and its gradient for `lanes` lanes, of which `lane` is the first, counted in this rank. */
static void compute_loss(pd_step *self, int lane, int lanes, const float *logits)
{
    int sample = lane * self->lane_samples;
    self->task->loss(&(const pd_loss_batch){.lanes = lanes,
                                            .lane_samples = self->lane_samples,
                                            .outputs = self->task->outputs,
                                            .logits = logits,
                                            .targets = self->targets + sample,
                                            .labels = self->labels + sample,
                                            .weights = self->weights + sample,
                                            .smoothing = self->job->label_smoothing,
                                            .scale = 1.0 / (double)self->job->sampling.batch,
                                            .dlogits = self->dlogits,
                                            .lane_losses = self->lane_losses + lane});
}

static pd_exec training_exec(pd_step *self, int pass, int64_t number)
{
    int first_lane, lanes;
    pd_network_pass(self->network, pass, &first_lane, &lanes);
    return (pd_exec){.training = true,
                     .lanes = lanes,
                     .lane_samples = self->lane_samples,
                     .total_lanes = self->job->sampling.lanes,
                     .first_sample = (int64_t)first_lane * self->lane_samples,
                     .seed = self->job->seed,
                     .step = (uint32_t)number,
                     .threads = self->threads,
                     .lane_sum = sum_lanes,
                     .lane_sum_context = self};
}

/* Forward, loss and backward of one pass. */
static pd_status take_pass(pd_step *self, int pass, int64_t number)
{
    pd_status status = PD_OK;
    pd_exec exec = training_exec(self, pass, number);
    int lane = (int)(exec.first_sample / self->lane_samples) - pd_comm_first_lane(self->comm);
    const float *x = self->x + (size_t)lane * (size_t)self->lane_samples * self->sample_floats;
    const float *logits;
    turn_to(self, PD_STEP_FORWARD);
    PD_TRY(pd_network_forward(self->network, &exec, x, &logits));
    compute_loss(self, lane, exec.lanes, logits);
    if (pass == 0)
        PD_TRY(begin_reduction(self));
    turn_to(self, PD_STEP_BACKWARD);
    PD_TRY(pd_network_backward(self->network, &exec, pass, x, self->dlogits, reduce_ready, self));
cleanup:
    return status;
}

pd_status pd_step_gradient(pd_step *self, int64_t number, double *loss, const float **gradient)
{
    pd_status status = PD_OK;
    int passes = pd_network_pass_count(self->network);
    start_clock(self, PD_STEP_FORWARD);
    for (int i = 0; i < passes; i++)
        PD_TRY(take_pass(self, i, number));
    PD_TRY(finish_reduction(self));
    *gradient = pd_reduction_result(self->reduction);
    PD_TRY(pd_comm_lane_sum(self->comm, self->lane_losses, 1, loss));
    turn_to(self, PD_STEP_UPDATE);
cleanup:
    return status == PD_OK ? PD_OK : pd_step_abort_all(self, status);
}

pd_status pd_step_take(pd_step *self, int64_t number, double learning_rate, double *loss,
                       double *norm)
{
    const float *gradient;
    *norm = NAN;
    pd_status status = pd_step_gradient(self, number, loss, &gradient);
    if (status != PD_OK)
        return status;
    if (isfinite(*loss))
        pd_optimizer_step(self->optimizer, gradient, learning_rate, number, norm);
    turn_to(self, PD_STEP_UPDATE);
    return PD_OK;
}

pd_status pd_step_abort_all(const pd_step *self, pd_status status)
{
    if (pd_comm_size(self->comm) == 1)
        return status;
    pd_log_error("rank %d on %s: %s", pd_comm_rank(self->comm), pd_comm_host(self->comm),
                 pd_error_message());
    pd_comm_abort(self->comm, (int)status);
}
