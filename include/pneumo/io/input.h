/* How packed images become network input. */
#ifndef PNEUMO_IO_INPUT_H
#define PNEUMO_IO_INPUT_H

#include <stddef.h>

/* The mean and deviation that normalise network input. */
typedef enum pd_grey_scaling {
    PD_GREY_FOLD = 0,  /* mean and deviation of the train fold */
    PD_GREY_IMAGE = 1, /* of each rendered view; the deviation at least 1 */
    PD_GREY_FIXED = 2, /* numbers of each channel, which came with an imported model */
    PD_GREY_SCALINGS
} pd_grey_scaling;

/* In checkpoints; jobs have no PD_GREY_FIXED. */
extern const char *const pd_grey_scaling_names[PD_GREY_SCALINGS];

enum { PD_INPUT_CHANNELS = 3 };

/* A job sets `scaling`, `size` and `channels`; the rest follows from its data set. */
typedef struct pd_input {
    int height, width;                                             /* of the packed image */
    float mean, deviation;                                         /* of the train fold */
    float means[PD_INPUT_CHANNELS], deviations[PD_INPUT_CHANNELS]; /* PD_GREY_FIXED */
    pd_grey_scaling scaling;
    int size, channels; /* of the output, [size][size][channels]; in a job, size 0 stands for the
                           packed images' height */
} pd_input;

/* Writes how grey values are scaled, such as "(grey - 127.5) / 127.5" for each channel. */
void pd_input_describe(char *text, size_t size, const pd_input *input);

#endif
