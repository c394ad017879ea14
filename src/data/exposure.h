/* Exposing a phantom's chest: the position of the patient in the frame, and everything that differs
 * from shot to shot. */
#ifndef PNEUMO_DATA_EXPOSURE_H
#define PNEUMO_DATA_EXPOSURE_H

#include "pneumo/base/random.h"
#include "pneumo/data/image.h"

/* Maps the frame (U, V) to the patient (u, v): u = (cosine (U - x) + sine (V - y)) / scale_x,
 * v = (cosine (V - y) - sine (U - x)) / scale_y. */
typedef struct pd_position {
    float x, y, scale_x, scale_y, sine, cosine;
} pd_position;

void pd_position_draw(pd_position *p, pd_random *r);

/* Fills image->pixels, of the image's size, from the canvas of chest.h: tone curve, uneven
 * illumination, grain and marker. */
void pd_exposure_take(pd_image *image, const float *canvas, const pd_position *p, pd_random *r);

#endif
