#include "pneumo/data/view.h"

#include "pneumo/base/random.h"
#include "pneumo/kernels/affine.h"
#include "pneumo/kernels/filter.h"

#include <math.h>
#include <string.h>

static const float white = 255.0f;

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

size_t pd_view_scratch(int height, int width)
{
    return 3 * (size_t)height * (size_t)width;
}

static float clamp_grey(float value)
{
    return value < 0.0f ? 0.0f : value > white ? white : value;
}

/* Shrinks the image by the factor `by` and enlarges it again. */
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

/* Each sample is the scaled sum of four random bytes: approximately normal, at an eighth of the
 * cost of the Box-Muller method. */
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

/* Fills the pixels with centres in box [left, top, right, bottom], in fractions of the sides. */
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

void pd_view_render_grey(const pd_view *view, const pd_grey_image *image, float *out, int height,
                         int width, float *scratch)
{
    int h = image->height, w = image->width;
    size_t pixels = (size_t)h * (size_t)w;
    for (size_t i = 0; i < pixels; i++)
        scratch[i] = image->pixels[i];
    change_sharpness(view, scratch, h, w, scratch + pixels);

    /* Sample as many points per output pixel as the more strongly shrunk side has image pixels. */
    pd_affine affine = {.image = scratch, .h = h, .w = w, .fill = view->fill};
    memcpy(affine.map, view->map, sizeof affine.map);
    float across = hypotf(view->map[0], view->map[3]) * (float)w / (float)width;
    float down = hypotf(view->map[1], view->map[4]) * (float)h / (float)height;
    int points = (int)ceilf(fmaxf(across, down) - 0.01f);
    affine.points = points < 1 ? 1 : points;
    pd_affine_sample(&affine, out, height, width);

    change_exposure(view, out, (size_t)height * (size_t)width);
    apply_masks(view, out, height, width);
}

/* Measures mean and deviation of an image; the deviation is at least 1 grey value. */
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

/* Grey values out[pixels] -> out[pixels][channels], each channel scaled by numbers of its own. */
static void scale_channels(const pd_input *input, size_t pixels, float *out)
{
    size_t channels = (size_t)input->channels;
    /* Backwards, since the grey values are at the beginning of `out`. */
    for (size_t i = pixels; i-- > 0;) {
        float grey = out[i];
        for (size_t c = 0; c < channels; c++)
            out[i * channels + c] = (grey - input->means[c]) / input->deviations[c];
    }
}

void pd_view_render(const pd_view *view, const pd_input *input, const uint8_t *image, float *out,
                    float *scratch)
{
    size_t pixels = (size_t)input->size * (size_t)input->size, channels = (size_t)input->channels;
    float mean = input->mean, deviation = input->deviation;
    const pd_grey_image packed = {.height = input->height, .width = input->width, .pixels = image};
    pd_view_render_grey(view, &packed, out, input->size, input->size, scratch);
    if (input->scaling == PD_GREY_IMAGE)
        measure_grey(out, pixels, &mean, &deviation);
    if (input->scaling == PD_GREY_FIXED) {
        scale_channels(input, pixels, out);
        return;
    }
    float scale = 1.0f / deviation;
    /* Backwards, since the grey values are at the beginning of `out`. */
    for (size_t i = pixels; i-- > 0;) {
        float value = (out[i] - mean) * scale;
        for (size_t c = 0; c < channels; c++)
            out[i * channels + c] = value;
    }
}
