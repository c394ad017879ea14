#include "batch.h"

#include <omp.h>

/* Steps whose images are prefetched, the current one included. */
enum { AHEAD = 4 };

/* Sets picks and ids to this rank's slice of the batch of that step of the epoch. */
static pd_status pick_batch(pd_trainer *trainer, int64_t epoch_step)
{
    for (int i = 0; i < pd_comm_lane_count(trainer->comm); i++) {
        pd_status status =
            pd_lanes_batch(trainer->lanes, (uint32_t)trainer->checkpoint.state.epoch, epoch_step,
                           pd_comm_first_lane(trainer->comm) + i,
                           trainer->picks + (ptrdiff_t)i * trainer->step.lane_samples);
        if (status != PD_OK)
            return status;
    }
    for (int i = 0; i < trainer->step.samples; i++)
        trainer->ids[i] = trainer->picks[i].id;
    return PD_OK;
}

/* Prefetches the images of the next steps of this epoch, each step's once. */
static pd_status prefetch_steps(pd_trainer *trainer)
{
    const pd_train_state *now = &trainer->checkpoint.state;
    int64_t left = pd_lanes_epoch_steps(trainer->lanes) - now->epoch_step;
    int64_t end = now->step + (left < AHEAD ? left : AHEAD);
    int64_t step = trainer->prefetched > now->step ? trainer->prefetched : now->step;
    for (; step < end; step++) {
        pd_status status = pick_batch(trainer, now->epoch_step + step - now->step);
        if (status != PD_OK)
            return status;
        pd_images_prefetch(trainer->images, trainer->ids, (size_t)trainer->step.samples);
    }
    trainer->prefetched = end;
    return PD_OK;
}

/* Blends pairs of samples of each lane, with their targets and weights. */
static void mix_batch(pd_trainer *trainer)
{
    pd_step *step = &trainer->step;
    int samples = step->lane_samples, lanes = pd_comm_lane_count(trainer->comm);
    for (int lane = 0; lane < lanes; lane++) {
        pd_mixup_draw(trainer->pairs, trainer->order, samples, trainer->job->augment.mixup,
                      trainer->job->seed, trainer->checkpoint.state.step,
                      pd_comm_first_lane(trainer->comm) + lane);
#pragma omp parallel for num_threads(trainer->step.threads)
        for (int i = 0; i < samples / 2; i++) {
            const pd_mixup_pair *pair = &trainer->pairs[i];
            size_t first = (size_t)lane * (size_t)samples;
            size_t a = first + (size_t)pair->a, b = first + (size_t)pair->b;
            pd_mixup_blend(step->x + a * step->sample_floats, step->x + b * step->sample_floats,
                           (int64_t)step->sample_floats, pair->share);
            pd_mixup_blend_targets((pd_mixup_target){step->targets + a, step->weights + a},
                                   (pd_mixup_target){step->targets + b, step->weights + b},
                                   pair->share);
        }
    }
}

pd_status pd_trainer_load_batch(pd_trainer *trainer)
{
    pd_status status = PD_OK;
    uint32_t epoch = (uint32_t)trainer->checkpoint.state.epoch;
    if (trainer->stream)
        PD_TRY(prefetch_steps(trainer));
    PD_TRY(pick_batch(trainer, trainer->checkpoint.state.epoch_step));
    PD_TRY(pd_images_fetch(trainer->images, trainer->ids, (size_t)trainer->step.samples,
                           trainer->pixels));
    const pd_sample *samples = pd_dataset_samples(trainer->dataset);
    size_t scratch = pd_view_scratch(trainer->input.height, trainer->input.width);
#pragma omp parallel for num_threads(trainer->step.threads) schedule(dynamic)
    for (int i = 0; i < trainer->step.samples; i++) {
        const pd_pick *pick = &trainer->picks[i];
        pd_view view = pd_augment_draw(&trainer->job->augment, trainer->job->seed, epoch, pick->id,
                                       pick->repeat);
        pd_view_render(&view, &trainer->input, trainer->pixels[i],
                       trainer->step.x + (size_t)i * trainer->step.sample_floats,
                       trainer->scratch + (size_t)omp_get_thread_num() * scratch);
        int class = trainer->step.task->class_of(&samples[pick->id]);
        trainer->step.labels[i] = class;
        trainer->step.targets[i] = (float)class;
        trainer->step.weights[i] = trainer->class_weight[class];
    }
    if (trainer->job->augment.mixup > 0)
        mix_batch(trainer);
cleanup:
    return status;
}
