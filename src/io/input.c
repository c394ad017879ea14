#include "pneumo/io/input.h"

const char *const pd_grey_scaling_names[PD_GREY_SCALINGS] = {"fold", "image"};
