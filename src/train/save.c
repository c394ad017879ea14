#include "save.h"

#include "audit.h"
#include "events.h"
#include "pneumo/base/clock.h"
#include "snapshot.h"

#include <math.h>
#include <stdio.h>

enum { PLACE = 64 };

/* Writes where in training the state is. At the end of an epoch it counts this epoch already. */
static const char *describe_place(char text[PLACE], const pd_train_state *state)
{
    if (state->epoch_step > 0)
        snprintf(text, PLACE, "epoch %lld, step %lld", (long long)state->epoch + 1,
                 (long long)state->epoch_step);
    else
        snprintf(text, PLACE, "epoch %lld", (long long)state->epoch);
    return text;
}

/* A step with a finite gradient can still make weights overflow; without this check, only the next
 * step would detect it. */
static pd_status check_weights(const pd_trainer *trainer)
{
    char place[PLACE];
    size_t count;
    const float *weights = pd_network_weights(trainer->step.network, &count);
    for (size_t i = 0; i < count; i++)
        if (!isfinite(weights[i]))
            return pd_fail("%s: a weight is not finite, so nothing is saved; lower "
                           "train.learning_rate or set train.clip_norm",
                           describe_place(place, &trainer->checkpoint.state));
    return PD_OK;
}

pd_status pd_trainer_save(pd_trainer *trainer, bool best)
{
    pd_status status = PD_OK;
    char place[PLACE];
    pd_comm_set_position(trainer->comm, "%s, saving",
                         describe_place(place, &trainer->checkpoint.state));
    if (trainer->job->audit_steps > 0)
        status = pd_audit(&trainer->step);
    if (status != PD_OK)
        return status;
    if (pd_comm_rank(trainer->comm) == 0) {
        pd_optimizer_swap_ema(trainer->step.optimizer);
        PD_TRY(check_weights(trainer));
        const pd_exchange_model model = {.name = trainer->checkpoint.model,
                                         .network = trainer->step.network,
                                         .input = &trainer->input,
                                         .activation = trainer->step.task->activation};
        PD_TRY(pd_snapshot_view(&trainer->checkpoint, &model, trainer->step.optimizer));
        if (best)
            PD_TRY(pd_checkpoint_save(trainer->files.best, &trainer->checkpoint));
        PD_TRY(pd_run_files_write_history(&trainer->files, &trainer->checkpoint.state));
        PD_TRY(pd_events_update(trainer));
        PD_TRY(pd_checkpoint_replace(trainer->files.last,
                                     trainer->last_unreadable ? NULL : trainer->files.previous,
                                     &trainer->checkpoint));
        trainer->last_unreadable = false;
        pd_clock_lap(&trainer->counted_at, &trainer->seconds);
        PD_TRY(pd_run_files_write_time(&trainer->files, trainer->seconds, trainer->images_seen));
    }
cleanup:
    if (pd_comm_rank(trainer->comm) == 0) {
        pd_snapshot_release(&trainer->checkpoint);
        pd_optimizer_swap_ema(trainer->step.optimizer);
    }
    trainer->saved_at = pd_clock_now();
    return pd_comm_agree(trainer->comm, status);
}
