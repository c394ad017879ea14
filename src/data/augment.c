#include "pneumo/data/augment.h"

#include "pneumo/base/random.h"

#include <math.h>
#include <string.h>

static const float mid_grey = 127.5f, white = 255.0f;

static bool draw_bool(pd_random *random)
{
    return pd_random_uniform(random) < 0.5f;
}

static float draw_up_to(pd_random *random, double most)
{
    return pd_random_between(random, 0.0f, (float)most);
}

/* Log-uniform in [least, most]. */
static float draw_log_uniform(pd_random *random, double least, double most)
{
    return expf(pd_random_between(random, logf((float)least), logf((float)most)));
}

/* Log-uniform in [1 / most, most]. */
static float draw_factor(pd_random *random, double most)
{
    return draw_log_uniform(random, 1 / most, most);
}

/* Where a side of the crop begins so that the crop is within the image or, if it is larger, the
 * image within the crop. */
static float draw_place(pd_random *random, float side)
{
    return side <= 1 ? pd_random_between(random, 0.0f, 1.0f - side)
                     : (1.0f - side) * pd_random_uniform(random);
}

static void draw_geometry(pd_view *view, const pd_augment *augment, pd_random *random)
{
    float area = draw_log_uniform(random, augment->crop_min, augment->crop_max);
    float ratio = draw_factor(random, augment->crop_ratio);
    bool crops = augment->crop_min < 1 || augment->crop_max > 1;
    float longest = augment->crop_max > 1 ? INFINITY : 1.0f;
    float width = crops ? fminf(sqrtf(area * ratio), longest) : 1.0f;
    float height = crops ? fminf(sqrtf(area / ratio), longest) : 1.0f;
    float left = draw_place(random, width);
    float top = draw_place(random, height);
    bool flips = draw_bool(random);
    float side = augment->flip && flips ? -1.0f : 1.0f;
    float limit = (float)augment->rotate * 0.01745329252f;
    float angle = pd_random_between(random, -limit, limit);
    float reach = (float)augment->translate;
    float shift_x = pd_random_between(random, -reach, reach);
    float shift_y = pd_random_between(random, -reach, reach);

    /* Centre the output, flip, scale to the crop, rotate, move to the centre of the crop. */
    float c = cosf(angle), s = sinf(angle);
    float a = c * width * side, b = -s * height, d = s * width * side, e = c * height;
    const float map[6] = {a, b, left + 0.5f * width + shift_x - 0.5f * (a + b),
                          d, e, top + 0.5f * height + shift_y - 0.5f * (d + e)};
    memcpy(view->map, map, sizeof map);
}

static void draw_exposure(pd_view *view, const pd_augment *augment, pd_random *random)
{
    float brightness = white * (float)augment->brightness;
    float offset = pd_random_between(random, -brightness, brightness);
    float contrast = (float)augment->contrast;
    view->gain = 1.0f + pd_random_between(random, -contrast, contrast);
    view->bias = mid_grey * (1.0f - view->gain) + offset;
    view->fill = pd_random_uniform(random) < (float)augment->black ? 0.0f : NAN;
    view->gamma = draw_factor(random, 1 + augment->gamma);
}

static void draw_sharpness(pd_view *view, const pd_augment *augment, pd_random *random)
{
    bool blurs = draw_bool(random), resamples = draw_bool(random), sharpens = draw_bool(random),
         adds_noise = draw_bool(random);
    float blur = draw_up_to(random, augment->blur);
    float resample = pd_random_between(random, (float)augment->resample_min, 1.0f);
    float sharpen = draw_up_to(random, augment->sharpen);
    float noise = white * draw_up_to(random, augment->noise);
    view->blur = blurs ? blur : 0;
    view->resample = resamples ? resample : 1;
    view->sharpen = sharpens ? sharpen : 0;
    view->noise = adds_noise ? noise : 0;
    view->noise_seed = (uint64_t)pd_random_bits(random) << 32;
    view->noise_seed |= pd_random_bits(random);
}

static void draw_masks(pd_view *view, const pd_augment *augment, pd_random *random)
{
    bool blacks_out = draw_bool(random), erases = draw_bool(random);
    for (int i = 0; i < 4; i++) {
        float share = draw_up_to(random, augment->border);
        view->border[i] = blacks_out ? share : 0;
    }
    float area = draw_up_to(random, augment->erase), ratio = draw_factor(random, 2);
    float width = fminf(sqrtf(area * ratio), 1.0f), height = fminf(sqrtf(area / ratio), 1.0f);
    float left = pd_random_between(random, 0.0f, 1.0f - width);
    float top = pd_random_between(random, 0.0f, 1.0f - height);
    const float erase[4] = {left, top, width, height};
    if (erases && augment->erase > 0)
        memcpy(view->erase, erase, sizeof erase);
    view->erase_grey = white * pd_random_uniform(random);
}

/* Every random number is drawn even if it is not used: switching one augmentation off does not
 * change the others. */
pd_view pd_augment_draw(const pd_augment *augment, uint64_t seed, uint32_t epoch, int64_t sample,
                        uint32_t repeat)
{
    pd_random random = pd_random_stream(seed, PD_PURPOSE_AUGMENT, epoch,
                                        (uint64_t)repeat << 40 | (uint64_t)sample);
    pd_view view = pd_view_plain();
    draw_geometry(&view, augment, &random);
    draw_exposure(&view, augment, &random);
    draw_sharpness(&view, augment, &random);
    draw_masks(&view, augment, &random);
    return view;
}
