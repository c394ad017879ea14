/* Inference in slices: each thread takes a few samples through all layers, with a network of its
 * own that shares the weights. Threads that work on a layer together wait for each other at its
 * end, and its activations leave the cache before the next layer reads them. A sample's bits do not
 * depend on who computes it. */
#ifndef PNEUMO_NN_NETWORK_SLICES_H
#define PNEUMO_NN_NETWORK_SLICES_H

#include "network_internal.h"

/* Makes the slices of a network that is to be planned by `plan`, unless they would take too much
 * memory. Lays out their buffers, but allocates none. */
pd_status pd_slices_plan(pd_network *network, const pd_plan *plan);

/* Floats of what all layers of a slice prepare. After its layers are planned. */
size_t pd_slices_shared_floats(const pd_network *slice);

/* Bytes of all slices, and of what they share; 0 if there are none. */
size_t pd_slices_bytes(const pd_slices *slices);

/* Places the slices in the network's arena and lets them share its weights. After both are
 * allocated. */
pd_status pd_slices_place(pd_network *network);

/* Whether an inference forward is cut into slices; else all threads take all samples together. */
bool pd_slices_take(const pd_network *network, const pd_exec *exec);

/* pd_network_forward of samples that the slices take. */
pd_status pd_slices_forward(pd_network *network, const pd_exec *exec, const float *x,
                            const float **y);

#endif
