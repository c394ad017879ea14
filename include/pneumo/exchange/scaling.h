/* The scalings with which image classifiers are trained. */
#ifndef PNEUMO_EXCHANGE_SCALING_H
#define PNEUMO_EXCHANGE_SCALING_H

#include "pneumo/base/status.h"
#include "pneumo/io/input.h"

/* Sets the scaling of input->channels channels to that of `text`: "0..1", "0..255", "tf" (-1 to 1),
 * "caffe" or "torch" (ImageNet's means; keras.applications.imagenet_utils), or numbers on the scale
 * 0 to 255: MEAN,DEVIATION for all channels, or all means and then all deviations. PD_USAGE for
 * anything else. */
pd_status pd_scaling_parse(pd_input *input, const char *text);

#endif
