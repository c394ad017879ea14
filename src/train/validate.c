#include "validate.h"

#include "not_finite.h"
#include "pneumo/base/memory.h"
#include "pneumo/base/stop.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Scores the validation fold with the weights to be saved. Collective. */
static pd_status score(pd_trainer *trainer, const pd_scoring *scoring, pd_score **scores,
                       size_t *count)
{
    pd_optimizer_swap_ema(trainer->step.optimizer);
    pd_status status =
        pd_scorer_run(trainer->scorer, trainer->step.network, scoring, scores, count);
    pd_optimizer_swap_ema(trainer->step.optimizer);
    return status;
}

/* Detects weights that overflowed in the last step of an epoch, before they replace good ones in a
 * checkpoint. Collective. */
static pd_status check_finite(pd_trainer *trainer, const pd_scoring *clean, const pd_score *scores,
                              size_t count)
{
    pd_status status = PD_OK;
    pd_score *again = NULL;
    uint32_t own = 0, any = 0;
    for (size_t i = 0; i < count; i++)
        own |= !isfinite(scores[i].probability) || !isfinite(scores[i].loss);
    PD_TRY(pd_comm_bitwise_or(trainer->comm, own, &any));
    if (any == 0)
        goto cleanup;
    pd_network_check_finite(trainer->step.network, true);
    /* A request to stop would save these weights. */
    pd_scoring explaining = *clean;
    explaining.stops = false;
    PD_TRY(score(trainer, &explaining, &again, &count));
    status = pd_trainer_fail_not_finite(
        trainer, "after step", trainer->checkpoint.state.epoch_step - 1, "the validation loss");
cleanup:
    free(again);
    return status;
}

/* Scores the validation fold under acquisition changes, if the threshold or the monitor depends on
 * them. Collective. */
static pd_status score_changed(pd_trainer *trainer, bool stops, pd_validation_scores *out)
{
    pd_status status = PD_OK;
    pd_score *scores = NULL;
    size_t count;
    if (trainer->job->monitor != PD_MONITOR_STRESS &&
        trainer->job->threshold_on != PD_THRESHOLD_ON_STRESS)
        return PD_OK;
    PD_TRY(pd_comm_agree(trainer->comm,
                         pd_alloc(&out->changed, (size_t)trainer->job->stress_rounds * out->count,
                                  sizeof *out->changed)));
    for (; out->rounds < trainer->job->stress_rounds; out->rounds++) {
        const pd_scoring scoring = {.label = "validating on changed images",
                                    .change = PD_CHANGE_DEALT,
                                    .round = out->rounds,
                                    .stops = stops};
        free(scores);
        PD_TRY(score(trainer, &scoring, &scores, &count));
        if (count > out->count)
            status = pd_fail("%zu scores of %zu validation images", count, out->count);
        else if (count > 0) /* rank 0 */
            memcpy(out->changed + out->changed_count, scores, count * sizeof *scores);
        PD_TRY(pd_comm_agree(trainer->comm, status));
        out->changed_count += count;
    }
cleanup:
    free(scores);
    return status;
}

/* Whether a request to stop interrupts the validation. If it came before this process took its
 * first step, the validation is completed, so that a run that is stopped again and again advances.
 */
static bool can_stop(const pd_trainer *trainer)
{
    return trainer->steps_here > 0 || !pd_stop_requested();
}

pd_status pd_trainer_validate(pd_trainer *trainer, pd_validation *out)
{
    pd_status status = PD_OK;
    pd_validation_scores scores = {0};
    const pd_scoring clean = {
        .label = "validating", .change = PD_CHANGE_NONE, .stops = can_stop(trainer)};
    memset(out, 0, sizeof *out);
    scores.ids = pd_scorer_ids(trainer->scorer, &scores.count);
    PD_TRY(score(trainer, &clean, &scores.clean, &scores.clean_count));
    PD_TRY(check_finite(trainer, &clean, scores.clean, scores.clean_count));
    PD_TRY(score_changed(trainer, clean.stops, &scores));
    if (pd_comm_rank(trainer->comm) == 0)
        status = pd_validation_compute(trainer->job, &scores, out);
    PD_TRY(pd_comm_agree(trainer->comm, status));
    PD_TRY(pd_comm_broadcast(trainer->comm, out, sizeof *out, 0));
cleanup:
    free(scores.clean);
    free(scores.changed);
    return status;
}
