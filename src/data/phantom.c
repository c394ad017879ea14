#include "phantom.h"

#include "chest.h"
#include "exposure.h"
#include "pneumo/base/memory.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

/* The disease in pixels of the image: the ellipse of a focal one, or the box around the lungs that
 * a diffuse one fills. */
static pd_opacity locate(const pd_disease *d, const pd_position *p, const pd_image *image)
{
    if (d->cause == PD_CAUSE_NONE)
        return (pd_opacity){0};
    float half_width = (float)image->width / 2, half_height = (float)image->height / 2;
    float u = d->x * p->scale_x, v = d->y * p->scale_y;
    pd_opacity o = {.cx = (1 + p->x + p->cosine * u - p->sine * v) * half_width,
                    .cy = (1 + p->y + p->sine * u + p->cosine * v) * half_height,
                    .rx = d->rx * p->scale_x * half_width,
                    .ry = d->ry * p->scale_y * half_height};
    /* Clip to the frame. */
    o.rx = fminf(o.rx, fminf(o.cx, (float)image->width - o.cx));
    o.ry = fminf(o.ry, fminf(o.cy, (float)image->height - o.cy));
    return o;
}

pd_status pd_phantom_draw(pd_image *out, pd_opacity *opacity, uint64_t seed, pd_cause cause,
                          int patient, int image)
{
    pd_status status;
    float *canvas = NULL;
    pd_disease disease;
    pd_position position;

    *out = (pd_image){0};
    *opacity = (pd_opacity){0};
    if (patient < 0 || patient >= 1 << 24 || image < 0)
        return pd_fail(
            "invalid phantom: patient %d, image %d; numbers start at 0, and patients end before %d",
            patient, image, 1 << 24);
    /* minor: the cause, then 0 for the numbers of the patient or image + 1 for those of an image.
     */
    uint64_t cause_bits = (uint64_t)cause << 32;
    pd_random of_patient =
        pd_random_stream(seed, PD_PURPOSE_PHANTOM, (uint32_t)patient, cause_bits);
    pd_random of_image = pd_random_stream(seed, PD_PURPOSE_PHANTOM, (uint32_t)patient,
                                          cause_bits | ((uint64_t)image + 1));
    PD_TRY(pd_alloc(&canvas, (size_t)PD_CHEST_SIDE * PD_CHEST_SIDE, sizeof *canvas));
    PD_TRY(pd_chest_draw(canvas, &disease, cause, &of_patient));
    if (pd_random_uniform(&of_image) < 0.2f)
        pd_chest_add_lead(canvas, &of_image);

    /* As in the public data set, normal images are larger and closer to square. */
    bool normal = cause == PD_CAUSE_NONE;
    out->width = (int)pd_random_between(&of_image, normal ? 460 : 360, normal ? 640 : 540);
    out->height = (int)((float)out->width * pd_random_between(&of_image, normal ? 0.74f : 0.62f,
                                                              normal ? 0.92f : 0.8f));
    PD_TRY(pd_alloc(&out->pixels, (size_t)out->width * (size_t)out->height, 1));
    pd_position_draw(&position, &of_image);
    pd_exposure_take(out, canvas, &position, &of_image);
    *opacity = locate(&disease, &position, out);

cleanup:
    free(canvas);
    return status;
}
