/* How Keras 3 names groups of weights. */
#ifndef PNEUMO_EXCHANGE_KERAS_NAME_H
#define PNEUMO_EXCHANGE_KERAS_NAME_H

#include <stddef.h>

/* Writes "SeparableConv2D" as "separable_conv2d" to out[size], cut if it does not fit:
 * keras/src/utils/naming.py, to_snake_case. */
void pd_keras_name_group(char *out, size_t size, const char *class_name);

#endif
