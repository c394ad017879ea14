/* For commands whose arguments are a checkpoint and then images. */
#ifndef PNEUMO_CLI_CHECKPOINT_OPERAND_H
#define PNEUMO_CLI_CHECKPOINT_OPERAND_H

#include "pneumo/base/status.h"

/* PD_USAGE if `image`, the first one, is a checkpoint or an ensemble. Not collective. */
pd_status pd_checkpoint_operand_check(const char *checkpoint, const char *image);

#endif
