#include "events.h"

#include "pneumo/exchange/event_file.h"

#include <math.h>

static bool is_written(const pd_trainer *trainer)
{
    return trainer->job->tensorboard && pd_comm_rank(trainer->comm) == 0;
}

static pd_status append(const pd_trainer *trainer, const pd_history_row *row, double speed)
{
    const pd_event_scalar scalars[] = {{"loss/train", row->train_loss},
                                       {"loss/val", row->val_loss},
                                       {"auc/val", row->val_auc},
                                       {"auc/val_changed", row->val_stress_auc},
                                       {"accuracy/val", row->val_accuracy},
                                       {"sensitivity/val", row->val_sensitivity},
                                       {"specificity/val", row->val_specificity},
                                       {"lr", row->learning_rate},
                                       {"gradient_norm", row->gradient_norm},
                                       {"images_per_second", speed}};
    return pd_event_file_append(trainer->files.events, row->epoch, scalars,
                                sizeof scalars / sizeof *scalars);
}

pd_status pd_events_update(pd_trainer *trainer)
{
    const pd_train_state *state = &trainer->checkpoint.state;
    pd_status status = PD_OK;
    for (int i = 0; i < state->history_count && is_written(trainer) && status == PD_OK; i++) {
        const pd_history_row *row = &state->history[i];
        if (row->epoch <= trainer->events_epoch)
            continue;
        status =
            append(trainer, row, row->epoch == state->epoch ? trainer->epoch_speed : (double)NAN);
        if (status == PD_OK)
            trainer->events_epoch = row->epoch;
    }
    return status;
}

pd_status pd_events_start(pd_trainer *trainer)
{
    if (!is_written(trainer))
        return PD_OK;
    trainer->epoch_speed = (double)NAN;
    pd_status status = pd_event_file_continue(&trainer->events_epoch, trainer->files.events,
                                              trainer->checkpoint.state.epoch);
    return status == PD_OK ? pd_events_update(trainer) : status;
}
