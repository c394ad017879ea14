/* Sampling a grey image through an affine map. */
#ifndef PNEUMO_KERNELS_AFFINE_H
#define PNEUMO_KERNELS_AFFINE_H

/* map = {a, b, c, d, e, f} maps a point (u, v) of the output, both in [0, 1] over its width and
 * height, to the point (a u + b v + c, d u + e v + f) of the image in the same units. */
typedef struct pd_affine {
    const float *image; /* [h][w], below 2^31 pixels: offsets are ints, which vectorise */
    int h, w;
    float map[6];
    int points; /* each output pixel is the mean of points x points samples; as many as the factor
                   by which the image shrinks avoid aliasing */
    float fill; /* value beyond the border; NAN: the value of the nearest point on the border */
} pd_affine;

/* Fills out [out_h][out_w] with bilinear samples of affine->image. */
void pd_affine_sample(const pd_affine *affine, float *out, int out_h, int out_w);

#endif
