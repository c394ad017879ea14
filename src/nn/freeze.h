/* Which layers pd_network_freeze freezes. */
#ifndef PNEUMO_NN_FREEZE_H
#define PNEUMO_NN_FREEZE_H

#include "pneumo/nn/network.h"

/* Resolves `upto`, as pd_network_freeze describes it; NULL or "" freezes nothing. The layers must
 * be planned. An unknown name, one that no layer with weights goes with, and one that leaves
 * nothing to train are errors. */
pd_status pd_freeze_resolve(pd_frozen *out, const pd_network *network, const char *upto);

#endif
