/* pd_input as content of a checkpoint file. */
#ifndef PNEUMO_IO_INPUT_INTERNAL_H
#define PNEUMO_IO_INPUT_INTERNAL_H

#include "pneumo/io/input.h"

#include "hdf5.h"

/* Writes the group /input. */
pd_status pd_input_put(const pd_hdf5 *file, const pd_input *input);

/* Reads it. */
pd_status pd_input_get(const pd_hdf5 *file, pd_input *input);

#endif
