/* Groups of layers: the units by which learning rates fall from the head of a network down. */
#ifndef PNEUMO_NN_GROUPS_H
#define PNEUMO_NN_GROUPS_H

#include <stdbool.h>

enum { PD_BLOCK_NAME = 64 };

/* The block of a layer, from its name: "block", a number and perhaps a letter, before a separator
 * or the end, with what stands before it, as in block3_conv1 (block3), block_12_expand (block_12)
 * and base/block2a_bn (base/block2a). Returns false, and "", if the name has none or is too long.
 */
bool pd_groups_block(char block[PD_BLOCK_NAME], const char *layer);

#endif
