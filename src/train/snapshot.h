/* Conversion between network and optimiser in memory and the arrays of a checkpoint. */
#ifndef PNEUMO_TRAIN_SNAPSHOT_H
#define PNEUMO_TRAIN_SNAPSHOT_H

#include "pneumo/exchange/model.h"
#include "pneumo/io/checkpoint.h"
#include "pneumo/train/optimizer.h"

/* Fills model_config, input, and the weights, layers and slots of *checkpoint, the arrays with
 * views of the network and the optimiser; other fields are unchanged. The layers are in Keras'
 * order (pd_keras_config_order). Without an optimiser (NULL) there are no slots. The weights are
 * those for evaluation: with a moving average, the average, and the slots "live" and "live_state"
 * hold the weights being trained. Release with pd_snapshot_release before the network changes. */
pd_status pd_snapshot_view(pd_checkpoint *checkpoint, const pd_exchange_model *model,
                           pd_optimizer *optimizer);
void pd_snapshot_release(pd_checkpoint *checkpoint);

/* Copies weights and slots of a loaded checkpoint into network and optimiser. */
pd_status pd_snapshot_restore(const pd_checkpoint *checkpoint, pd_network *network,
                              pd_optimizer *optimizer);

#endif
