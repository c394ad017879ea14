#include "pneumo/data/view.h"

#include "pneumo/base/random.h"
#include "pneumo/kernels/affine.h"
#include "pneumo/kernels/filter.h"

#include <math.h>
#include <string.h>

static const float mid_grey = 127.5f, white = 255.0f;

pd_view pd_view_plain(void)
{
    return (pd_view){.resample = 1, .map = {1, 0, 0, 0, 1, 0}, .fill = NAN, .gamma = 1, .gain = 1};
}

void pd_view_frame(pd_view *view, float width, float height, bool mirror)
{
    float a = mirror ? -width : width;
    const float map[6] = {a, 0, 0.5f - 0.5f * a, 0, height, 0.5f - 0.5f * height};
    memcpy(view->map, map, sizeof map);
}

pd_view pd_view_standard(int number)
{
    static const float fields[] = {1.0f, 0.9f, 1.1f};
    pd_view view = pd_view_plain();
    float field = fields[number / 2];
    pd_view_frame(&view, field, field, number % 2 == 1);
    return view;
}

/* --- Drawing --- */

static bool coin(pd_random *random)
{
    return pd_random_uniform(random) < 0.5f;
}

static float up_to(pd_random *random, double most)
{
    return pd_random_between(random, 0.0f, (float)most);
}

/* Log-uniform in [least, most]. */
static float between_in_log(pd_random *random, double least, double most)
{
    return expf(pd_random_between(random, logf((float)least), logf((float)most)));
}

/* Log-uniform in [1 / most, most]. */
static float factor(pd_random *random, double most)
{
    return between_in_log(random, 1 / most, most);
}

/* Crop, flip, rotation and shift. */
static void draw_geometry(pd_view *view, const pd_augment *augment, pd_random *random)
{
    float area = between_in_log(random, augment->crop_min, augment->crop_max);
    float ratio = factor(random, augment->crop_ratio);
    bool crops = augment->crop_min < 1 || augment->crop_max > 1;
    float longest = augment->crop_max > 1 ? INFINITY : 1.0f;
    float width = crops ? fminf(sqrtf(area * ratio), longest) : 1.0f;
    float height = crops ? fminf(sqrtf(area / ratio), longest) : 1.0f;
    float left = pd_random_between(random, 0.0f, 1.0f - width);
    float top = pd_random_between(random, 0.0f, 1.0f - height);
    bool heads = coin(random);
    float side = augment->flip && heads ? -1.0f : 1.0f;
    float limit = (float)augment->rotate * 0.01745329252f;
    float angle = pd_random_between(random, -limit, limit);
    float reach = (float)augment->translate;
    float shift_x = pd_random_between(random, -reach, reach);
    float shift_y = pd_random_between(random, -reach, reach);

    /* Centre the output, flip, scale to the crop, rotate, move to the crop's centre. */
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
    view->gamma = factor(random, 1 + augment->gamma);
}

static void draw_sharpness(pd_view *view, const pd_augment *augment, pd_random *random)
{
    bool blurs = coin(random), resamples = coin(random), sharpens = coin(random),
         adds_noise = coin(random);
    float blur = up_to(random, augment->blur);
    float resample = pd_random_between(random, (float)augment->resample_min, 1.0f);
    float sharpen = up_to(random, augment->sharpen);
    float noise = white * up_to(random, augment->noise);
    view->blur = blurs ? blur : 0;
    view->resample = resamples ? resample : 1;
    view->sharpen = sharpens ? sharpen : 0;
    view->noise = adds_noise ? noise : 0;
    view->noise_seed = (uint64_t)pd_random_bits(random) << 32;
    view->noise_seed |= pd_random_bits(random);
}

static void draw_masks(pd_view *view, const pd_augment *augment, pd_random *random)
{
    bool blacks_out = coin(random), erases = coin(random);
    for (int i = 0; i < 4; i++) {
        float share = up_to(random, augment->border);
        view->border[i] = blacks_out ? share : 0;
    }
    float area = up_to(random, augment->erase), ratio = factor(random, 2);
    float width = fminf(sqrtf(area * ratio), 1.0f), height = fminf(sqrtf(area / ratio), 1.0f);
    float left = pd_random_between(random, 0.0f, 1.0f - width);
    float top = pd_random_between(random, 0.0f, 1.0f - height);
    const float erase[4] = {left, top, width, height};
    if (erases && augment->erase > 0)
        memcpy(view->erase, erase, sizeof erase);
    view->erase_grey = white * pd_random_uniform(random);
}

/* The random numbers are drawn in a fixed order whether they are used or not, so that turning one
 * augmentation off leaves the others as they were. */
pd_view pd_view_draw(const pd_augment *augment, uint64_t seed, uint32_t epoch, int64_t sample,
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

/* --- Rendering --- */

size_t pd_view_scratch(int height, int width)
{
    return 3 * (size_t)height * (size_t)width;
}

static float clamp_grey(float value)
{
    return value < 0.0f ? 0.0f : value > white ? white : value;
}

/* Shrinks the image by `factor` and enlarges it again. */
static void resample_image(float *image, int h, int w, float by, float *scratch)
{
    int small_h = (int)lrintf((float)h * by), small_w = (int)lrintf((float)w * by);
    small_h = small_h < 1 ? 1 : small_h;
    small_w = small_w < 1 ? 1 : small_w;
    pd_affine affine = {.image = image,
                        .h = h,
                        .w = w,
                        .map = {1, 0, 0, 0, 1, 0},
                        .points = (int)ceilf(1.0f / by),
                        .fill = NAN};
    pd_affine_sample(&affine, scratch, small_h, small_w);
    affine.image = scratch;
    affine.h = small_h;
    affine.w = small_w;
    affine.points = 1;
    pd_affine_sample(&affine, image, h, w);
}

/* scratch [2][pixels] */
static void sharpen_image(float *image, int h, int w, float amount, float *scratch)
{
    size_t pixels = (size_t)h * (size_t)w;
    memcpy(scratch, image, pixels * sizeof *image);
    pd_filter_gaussian(scratch, h, w, PD_SHARPEN_RADIUS * (float)w, scratch + pixels);
    for (size_t i = 0; i < pixels; i++)
        image[i] = clamp_grey(image[i] + amount * (image[i] - scratch[i]));
}

/* Each sample is the sum of four uniform numbers of 256 steps, scaled to the deviation: nearly
 * normal, and an eighth of the cost of a logarithm and a sine. */
static void add_noise(float *image, size_t pixels, float deviation, uint64_t seed)
{
    const float scale = deviation / 147.8f; /* sqrt(4 (256^2 - 1) / 12) */
    pd_random random = pd_random_stream(seed, PD_PURPOSE_NOISE, 0, 0);
    for (size_t i = 0; i < pixels; i++) {
        uint32_t bits = pd_random_bits(&random);
        int sum = (int)((bits & 255) + (bits >> 8 & 255) + (bits >> 16 & 255) + (bits >> 24));
        image[i] = clamp_grey(image[i] + scale * (float)(sum - 510));
    }
}

static void change_sharpness(const pd_view *view, float *image, int h, int w, float *scratch)
{
    if (view->resample < 1)
        resample_image(image, h, w, view->resample, scratch);
    pd_filter_gaussian(image, h, w, view->blur * (float)w, scratch);
    if (view->sharpen > 0)
        sharpen_image(image, h, w, view->sharpen, scratch);
    if (view->noise > 0)
        add_noise(image, (size_t)h * (size_t)w, view->noise, view->noise_seed);
}

static void change_exposure(const pd_view *view, float *image, size_t pixels)
{
    if (view->gamma != 1)
        for (size_t i = 0; i < pixels; i++)
            image[i] = white * powf(image[i] / white, view->gamma);
    for (size_t i = 0; i < pixels; i++)
        image[i] = clamp_grey(view->gain * image[i] + view->bias);
}

/* Sets the pixels whose centres lie in [left, right) x [top, bottom), shares of the sides. */
static void fill_box(float *image, int h, int w, const float box[4], float grey)
{
    int left = (int)lrintf(box[0] * (float)w), top = (int)lrintf(box[1] * (float)h);
    int right = (int)lrintf(box[2] * (float)w), bottom = (int)lrintf(box[3] * (float)h);
    for (int y = top; y < bottom; y++)
        for (int x = left; x < right; x++)
            image[(size_t)y * (size_t)w + (size_t)x] = grey;
}

static void apply_masks(const pd_view *view, float *image, int h, int w)
{
    const float *b = view->border, *e = view->erase;
    const float boxes[4][4] = {
        {0, 0, b[0], 1}, {0, 0, 1, b[1]}, {1 - b[2], 0, 1, 1}, {0, 1 - b[3], 1, 1}};
    for (int i = 0; i < 4; i++)
        if (b[i] > 0)
            fill_box(image, h, w, boxes[i], 0);
    const float erased[4] = {e[0], e[1], e[0] + e[2], e[1] + e[3]};
    if (e[2] > 0)
        fill_box(image, h, w, erased, view->erase_grey);
}

void pd_view_render_grey(const pd_view *view, const uint8_t *image, int height, int width,
                         float *out, int out_height, int out_width, float *scratch)
{
    size_t pixels = (size_t)height * (size_t)width;
    for (size_t i = 0; i < pixels; i++)
        scratch[i] = image[i];
    change_sharpness(view, scratch, height, width, scratch + pixels);

    /* Image pixels per output pixel along the more shrunken side. */
    pd_affine affine = {.image = scratch, .h = height, .w = width, .fill = view->fill};
    memcpy(affine.map, view->map, sizeof affine.map);
    float across = hypotf(view->map[0], view->map[3]) * (float)width / (float)out_width;
    float down = hypotf(view->map[1], view->map[4]) * (float)height / (float)out_height;
    int points = (int)ceilf(fmaxf(across, down) - 0.01f);
    affine.points = points < 1 ? 1 : points;
    pd_affine_sample(&affine, out, out_height, out_width);

    change_exposure(view, out, (size_t)out_height * (size_t)out_width);
    apply_masks(view, out, out_height, out_width);
}

/* The image's own mean and deviation; the latter at least 1 grey value. */
static void measure_grey(const float *image, size_t pixels, float *mean, float *deviation)
{
    double sum = 0, squares = 0;
    for (size_t i = 0; i < pixels; i++)
        sum += (double)image[i];
    double middle = sum / (double)pixels;
    for (size_t i = 0; i < pixels; i++)
        squares += ((double)image[i] - middle) * ((double)image[i] - middle);
    *mean = (float)middle;
    *deviation = fmaxf((float)sqrt(squares / (double)pixels), 1.0f);
}

void pd_view_render(const pd_view *view, const pd_input *input, const uint8_t *image, float *out,
                    float *scratch)
{
    size_t pixels = (size_t)input->size * (size_t)input->size, channels = (size_t)input->channels;
    float mean = input->mean, deviation = input->deviation;
    pd_view_render_grey(view, image, input->height, input->width, out, input->size, input->size,
                        scratch);
    if (input->scaling == PD_GREY_IMAGE)
        measure_grey(out, pixels, &mean, &deviation);
    float scale = 1.0f / deviation;
    /* From the end, since the grey values lie at the beginning of `out`. */
    for (size_t i = pixels; i-- > 0;) {
        float value = (out[i] - mean) * scale;
        for (size_t c = 0; c < channels; c++)
            out[i * channels + c] = value;
    }
}
