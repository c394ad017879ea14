/* The history of a run as content of a checkpoint file. */
#ifndef PNEUMO_IO_TRAIN_STATE_INTERNAL_H
#define PNEUMO_IO_TRAIN_STATE_INTERNAL_H

#include "pneumo/io/train_state.h"

#include "hdf5.h"

/* Writes or reads /history: a table with a row per epoch. state->history is then the caller's
 * (free()). */
pd_status pd_history_put(const pd_hdf5 *file, const pd_train_state *state);
pd_status pd_history_get(const pd_hdf5 *file, pd_train_state *state);

#endif
