#include "not_finite.h"

#include "pneumo/io/file.h"

#include <stdio.h>

pd_status pd_trainer_fail_not_finite(const pd_trainer *trainer, const char *when, int64_t step,
                                     const char *what)
{
    double layer;
    bool in_gradient;
    /* The maximum over the ranks is the first layer whose output was not finite, else the last
     * layer whose gradient was not. */
    int layers = pd_network_layer_count(trainer->step.network);
    int found = pd_network_not_finite(trainer->step.network, &in_gradient);
    double place = found < 0 ? -1 : in_gradient ? found : 2 * layers - found;
    pd_status status = pd_comm_max(trainer->comm, place, &layer);
    if (status != PD_OK)
        return status;
    char where[128] = "in the sum over the batch";
    if (layer >= 0) {
        int index = layer > layers ? 2 * layers - (int)layer : (int)layer;
        snprintf(where, sizeof where, "first in the %s of layer '%s'",
                 layer > layers ? "output" : "weight gradient",
                 pd_network_layer(trainer->step.network, index)->name);
    }
    bool saved = pd_file_exists(trainer->files.last);
    return pd_fail("epoch %lld, %s %lld of %lld: %s is not finite, %s; lower "
                   "train.learning_rate or set train.clip_norm%s%s",
                   (long long)trainer->checkpoint.state.epoch + 1, when, (long long)step + 1,
                   (long long)pd_lanes_epoch_steps(trainer->lanes), what, where,
                   saved ? "; the last checkpoint is " : "", saved ? trainer->files.last : "");
}
