/* The chest of a phantom: the brightness of one patient's radiograph, before it is exposed.
 *
 * Coordinates are half frames: u from -1 (left) to 1 (right), v from -1 (top) to 1 (bottom). Thus
 * only the size and aspect of the frame distinguish the classes once images are resized. Brightness
 * ranges from about 0 (air) to 1 (bone). */
#ifndef PNEUMO_DATA_CHEST_H
#define PNEUMO_DATA_CHEST_H

#include "pneumo/base/random.h"
#include "pneumo/io/dataset.h"

enum {
    PD_CHEST_SIDE = 256, /* pixels per side of the canvas, which is the same for both classes */
    PD_CHEST_LUNGS = 2
};
#define PD_CHEST_REACH 1.2f /* the canvas covers -1.2 to 1.2, so that it can be rotated */

/* An opacity, in half frames. */
typedef struct pd_disease {
    pd_cause cause;
    float x, y, rx, ry; /* focal: the ellipse; diffuse: its centre and extent */
    float light, haze, grain;
    float side_light[PD_CHEST_LUNGS]; /* diffuse: factor for each lung */
} pd_disease;

/* Draws canvas[PD_CHEST_SIDE][PD_CHEST_SIDE] of a patient with the given cause, and sets *disease.
 * All random numbers come from `random`. Fails when memory runs out. */
pd_status pd_chest_draw(float *canvas, pd_disease *disease, pd_cause cause, pd_random *random);

/* Adds a monitoring lead: a thin bright curve across the chest, with an electrode at its end. */
void pd_chest_add_lead(float *canvas, pd_random *r);

#endif
