/* Between a run in memory and a checkpoint. */
#ifndef PNEUMO_TRAIN_SNAPSHOT_H
#define PNEUMO_TRAIN_SNAPSHOT_H

#include "pneumo/io/checkpoint.h"
#include "pneumo/nn/network.h"
#include "pneumo/train/optimizer.h"

/* Fills the weights, layers and slots of *checkpoint with views of the network and the optimiser;
 * the rest is left as it is. The weights are those that evaluation uses: with a moving average, the
 * average, and the slots "live" and "live_state" then hold the weights being trained. Release with
 * pd_snapshot_release before the network changes. */
pd_status pd_snapshot_view(pd_checkpoint *checkpoint, pd_network *network, pd_optimizer *optimizer);
void pd_snapshot_release(pd_checkpoint *checkpoint);

/* The way back: copies weights and slots of a loaded checkpoint into network and optimiser. */
pd_status pd_snapshot_restore(const pd_checkpoint *checkpoint, pd_network *network,
                              pd_optimizer *optimizer);

#endif
