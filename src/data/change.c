#include "pneumo/data/change.h"

#include "pneumo/base/random.h"
#include "pneumo/data/image.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const pd_change_family_names[PD_CHANGE_FAMILIES] = {"geometry", "exposure", "sharpness",
                                                                "combined"};

#define GEOMETRY  .family = PD_CHANGE_GEOMETRY
#define EXPOSURE  .family = PD_CHANGE_EXPOSURE
#define SHARPNESS .family = PD_CHANGE_SHARPNESS
#define COMBINED  .family = PD_CHANGE_COMBINED

const pd_change pd_changes[PD_CHANGES] = {
    {"zoom-in-0.85", "zoomed in by 15 %", GEOMETRY, .width = 0.85f, .height = 0.85f},
    {"zoom-in-0.7", "zoomed in by 30 %", GEOMETRY, .width = 0.7f, .height = 0.7f},
    {"zoom-out-1.08", "with a frame of edge grey of 4 %", GEOMETRY, .width = 1.08f,
     .height = 1.08f},
    {"zoom-out-1.3", "with a frame of edge grey of 12 %", GEOMETRY, .width = 1.3f, .height = 1.3f},
    {"zoom-out-black-1.08", "with a black frame of 4 %", GEOMETRY, .width = 1.08f, .height = 1.08f,
     .black = true},
    {"zoom-out-black-1.3", "with a black frame of 12 %", GEOMETRY, .width = 1.3f, .height = 1.3f,
     .black = true},
    {"stretch-width-0.85", "cut at the sides by 15 % and widened", GEOMETRY, .width = 0.85f},
    {"stretch-height-0.85", "cut at top and bottom by 15 % and lengthened", GEOMETRY,
     .height = 0.85f},
    {"shift-0.08", "shifted by 8 %", GEOMETRY, .shift = 0.08f},
    {"turn-10", "turned by 10 degrees", GEOMETRY, .turn = 10},
    {"mirror", "mirrored", GEOMETRY, .mirror = true},
    {"gamma-0.7", "brightened by a gamma of 0.7", EXPOSURE, .gamma = 0.7f},
    {"gamma-1.4", "darkened by a gamma of 1.4", EXPOSURE, .gamma = 1.4f},
    {"contrast-0.7", "of 0.7 times the contrast", EXPOSURE, .contrast = 0.7f},
    {"contrast-1.3", "of 1.3 times the contrast", EXPOSURE, .contrast = 1.3f},
    {"blur-0.008", "blurred", SHARPNESS, .blur = 0.008f},
    {"resample-0.35", "enlarged from a third of the size", SHARPNESS, .resample = 0.35f},
    {"jpeg-30", "compressed at JPEG quality 30", SHARPNESS, .jpeg = 30},
    {"jpeg-10", "compressed at JPEG quality 10", SHARPNESS, .jpeg = 10},
    {"noise-0.04", "with noise", SHARPNESS, .noise = 0.04f},
    {"sharpen-1", "sharpened", SHARPNESS, .sharpen = 1},
    {"border-0.08", "with the outer 8 % blacked out", GEOMETRY, .border = 0.08f},
    {"zoom-0.85-gamma-0.7", "zoomed in by 15 % and brightened", COMBINED, .width = 0.85f,
     .height = 0.85f, .gamma = 0.7f},
    {"zoom-0.85-gamma-1.4", "zoomed in by 15 % and darkened", COMBINED, .width = 0.85f,
     .height = 0.85f, .gamma = 1.4f},
    {"zoom-0.85-blur-0.008", "zoomed in by 15 % and blurred", COMBINED, .width = 0.85f,
     .height = 0.85f, .blur = 0.008f},
};

static float or_one(float value)
{
    return value > 0 ? value : 1;
}

/* Rotates the view about the image's centre and shifts it, each in a random direction. */
static void rotate_and_shift(pd_view *view, const pd_change *change, pd_random *random)
{
    float side = pd_random_uniform(random) < 0.5f ? -1.0f : 1.0f;
    float angle = side * change->turn * 0.01745329252f;
    float direction = 6.283185307f * pd_random_uniform(random);
    float c = cosf(angle), s = sinf(angle);
    const float *m = view->map;
    float a = c * m[0] - s * m[3], b = c * m[1] - s * m[4];
    float d = s * m[0] + c * m[3], e = s * m[1] + c * m[4];
    const float map[6] = {a, b, 0.5f - 0.5f * (a + b) + change->shift * cosf(direction),
                          d, e, 0.5f - 0.5f * (d + e) + change->shift * sinf(direction)};
    memcpy(view->map, map, sizeof map);
}

pd_view pd_change_view(const pd_change *change, uint64_t seed, int64_t sample)
{
    pd_random random = pd_random_stream(seed, PD_PURPOSE_CHANGE, (uint32_t)(change - pd_changes),
                                        (uint64_t)sample);
    pd_view view = pd_view_plain();
    pd_view_frame(&view, or_one(change->width), or_one(change->height), change->mirror);
    rotate_and_shift(&view, change, &random);
    view.fill = change->black ? 0 : NAN;
    view.gamma = or_one(change->gamma);
    view.gain = or_one(change->contrast);
    view.bias = 127.5f * (1 - view.gain);
    view.blur = change->blur;
    view.resample = or_one(change->resample);
    view.sharpen = change->sharpen;
    view.noise = 255 * change->noise;
    view.noise_seed = (uint64_t)pd_random_bits(&random) << 32;
    view.noise_seed |= pd_random_bits(&random);
    for (int i = 0; i < 4; i++)
        view.border[i] = change->border;
    return view;
}

/* Encodes the pixels as JPEG and decodes them again, in place. */
static pd_status compress(uint8_t *pixels, int height, int width, int quality)
{
    pd_status status = PD_OK;
    unsigned char *bytes = NULL;
    size_t size;
    const pd_image image = {.height = height, .width = width, .pixels = pixels};
    pd_image decoded = {0};
    PD_TRY(pd_image_encode_jpeg(&bytes, &size, &image, quality));
    PD_TRY(pd_image_decode(&decoded, bytes, size));
    memcpy(pixels, decoded.pixels, (size_t)height * (size_t)width);
cleanup:
    pd_image_free(&decoded);
    free(bytes);
    return status;
}

size_t pd_change_scratch(int height, int width)
{
    return pd_view_scratch(height, width) + (size_t)height * (size_t)width;
}

pd_status pd_change_apply(const pd_change *change, uint64_t seed, int64_t sample,
                          const pd_grey_image *image, uint8_t *out, float *scratch)
{
    int height = image->height, width = image->width;
    size_t pixels = (size_t)height * (size_t)width;
    pd_view view = pd_change_view(change, seed, sample);
    pd_view_render_grey(&view, image, scratch, height, width, scratch + pixels);
    for (size_t i = 0; i < pixels; i++)
        out[i] = (uint8_t)lrintf(scratch[i]);
    return change->jpeg > 0 ? compress(out, height, width, change->jpeg) : PD_OK;
}
