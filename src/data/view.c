#include "pneumo/data/view.h"

#include "pneumo/base/random.h"
#include "pneumo/kernels/affine.h"

#include <math.h>

static const float mid_grey = 127.5f;

pd_view pd_view_plain(void)
{
    return (pd_view){.map = {1, 0, 0, 0, 1, 0}, .gain = 1, .bias = 0};
}

/* The random numbers are drawn in a fixed order whether they are used or not, so that turning one
 * augmentation off leaves the others as they were. */
pd_view pd_view_draw(const pd_augment *augment, uint64_t seed, uint32_t epoch, int64_t sample,
                     uint32_t repeat)
{
    pd_random random = pd_random_stream(seed, PD_PURPOSE_AUGMENT, epoch,
                                        (uint64_t)repeat << 40 | (uint64_t)sample);
    float area = pd_random_between(&random, (float)augment->crop_min, 1.0f);
    float log_ratio = logf((float)augment->crop_ratio);
    float ratio = expf(pd_random_between(&random, -log_ratio, log_ratio));
    bool crops = augment->crop_min < 1;
    float width = crops ? fminf(sqrtf(area * ratio), 1.0f) : 1.0f;
    float height = crops ? fminf(sqrtf(area / ratio), 1.0f) : 1.0f;
    float left = pd_random_between(&random, 0.0f, 1.0f - width);
    float top = pd_random_between(&random, 0.0f, 1.0f - height);
    bool heads = pd_random_uniform(&random) < 0.5f;
    float side = augment->flip && heads ? -1.0f : 1.0f;
    float limit = (float)augment->rotate * 0.01745329252f;
    float angle = pd_random_between(&random, -limit, limit);
    float reach = (float)augment->translate;
    float shift_x = pd_random_between(&random, -reach, reach);
    float shift_y = pd_random_between(&random, -reach, reach);
    float brightness = 255.0f * (float)augment->brightness;
    float offset = pd_random_between(&random, -brightness, brightness);
    float contrast = (float)augment->contrast;
    float gain = 1.0f + pd_random_between(&random, -contrast, contrast);

    /* Centre the output, flip, scale to the crop, rotate, move to the crop's centre. */
    float c = cosf(angle), s = sinf(angle);
    float a = c * width * side, b = -s * height, d = s * width * side, e = c * height;
    return (pd_view){
        .map = {a, b, left + 0.5f * width + shift_x - 0.5f * (a + b), d, e,
                top + 0.5f * height + shift_y - 0.5f * (d + e)},
        .gain = gain,
        .bias = mid_grey * (1.0f - gain) + offset,
    };
}

void pd_view_render(const pd_view *view, const pd_input *input, const uint8_t *image, float *out)
{
    /* Image pixels per output pixel along the more shrunken side. */
    float across = hypotf(view->map[0], view->map[3]) * (float)input->width / (float)input->size;
    float down = hypotf(view->map[1], view->map[4]) * (float)input->height / (float)input->size;
    int points = (int)ceilf(fmaxf(across, down) - 0.01f);
    pd_affine_sample(image, input->height, input->width, view->map, points < 1 ? 1 : points,
                     view->gain, view->bias, input->mean, input->deviation, out, input->size,
                     input->size, input->channels);
}
