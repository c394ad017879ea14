/* How a packed image reaches the network: a geometric and photometric view of it, plain for
 * evaluation, drawn at random for training. */
#ifndef PNEUMO_DATA_VIEW_H
#define PNEUMO_DATA_VIEW_H

#include <stdbool.h>
#include <stdint.h>

/* What training draws from; all off when zeroed, but for crop_min and crop_ratio = 1. */
typedef struct pd_augment {
    double crop_min;   /* least share of the area of the random resized crop, in (0, 1]; 1: off */
    double crop_ratio; /* its aspect is between 1 / crop_ratio and crop_ratio, even in its log */
    bool flip;         /* left and right, half of the time */
    double rotate;     /* degrees, either way */
    double translate;  /* share of the side, either way */
    double brightness; /* share of the full range, either way */
    double contrast;   /* factor on the distance to mid-grey, between 1 - c and 1 + c */
} pd_augment;

typedef struct pd_view {
    float map[6];     /* as in pd_affine_sample */
    float gain, bias; /* on values 0 to 255 */
} pd_view;

/* The whole image as it is. */
pd_view pd_view_plain(void);

/* The view of `sample` in `epoch`, a pure function of its arguments. `repeat` counts the times that
 * the sample came before in this epoch. */
pd_view pd_view_draw(const pd_augment *augment, uint64_t seed, uint32_t epoch, int64_t sample,
                     uint32_t repeat);

/* How views become network input. */
typedef struct pd_input {
    int height, width;     /* of the packed image */
    float mean, deviation; /* of the train fold */
    int size, channels;    /* of the output, [size][size][channels] */
} pd_input;

void pd_view_render(const pd_view *view, const pd_input *input, const uint8_t *image, float *out);

#endif
