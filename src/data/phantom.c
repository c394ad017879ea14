#include "pneumo/data/phantom.h"

#include "pneumo/base/memory.h"
#include "pneumo/base/random.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

/* A patient is drawn on a square canvas, the same for both classes; an exposure places the canvas
 * in a frame of its own size, adds what differs from shot to shot, and turns brightness into grey.
 *
 * Everything is measured in half frames: u from -1 (left) to 1 (right), v from -1 (top) to 1
 * (bottom), so that nothing but the frame's size and aspect tells the classes apart once images are
 * brought to one size. Brightness is about 0 (air) to 1 (bone). */
enum {
    CANVAS = 256,    /* pixels a side */
    NOISE_SIDE = 64, /* a power of two; the noise repeats after so many cells */
    TONES = 1024,    /* entries of the tone curve */
    SIDES = 2        /* of the chest */
};
static const float CANVAS_REACH = 1.2f; /* the canvas covers -1.2 to 1.2, so that it can turn */

/* What is one patient's own. Index 0 is the lung on the image's left. */
typedef struct pd_anatomy {
    float body_width, shoulder, tissue;
    float lung_x, lung_y, lung_rx[SIDES], lung_ry, lung_depth;
    float dome_y[SIDES]; /* height of the diaphragm */
    float mediastinum;   /* half width */
    float heart_x, heart_y, heart_rx, heart_ry;
    float rib_gap, rib_phase, rib_slope, rib_bend, rib_light;
    float clavicle_y, clavicle_slope, clavicle_light;
    float breast_light, hilum_light[SIDES], vessel_light, texture_light;
    float noise[NOISE_SIDE * NOISE_SIDE]; /* -1 to 1 */
} pd_anatomy;

/* What is ill. All coordinates as those of the canvas. */
typedef struct pd_disease {
    pd_cause cause;
    float x, y, rx, ry; /* focal: the ellipse; diffuse: its centre of gravity and reach */
    float light, haze, grain;
    float side_light[SIDES]; /* diffuse: share of each lung */
} pd_disease;

/* 0 up to x = 0, 1 from x = 1 on, smooth between. */
static float rise(float x)
{
    x = x < 0 ? 0 : x > 1 ? 1 : x;
    return x * x * (3 - 2 * x);
}

/* 1 where `inside` is positive, 0 where it is negative, over an edge of the given width. */
static float edge(float inside, float width)
{
    return rise(0.5f + inside / width);
}

/* Smooth noise between -1 and 1 with `cells` cells to a unit. */
static float noise_at(const pd_anatomy *a, float u, float v, float cells)
{
    const int mask = NOISE_SIDE - 1;
    float x = (u + 8) * cells, y = (v + 8) * cells;
    int column = (int)x, row = (int)y;
    float fx = rise(x - (float)column), fy = rise(y - (float)row);
    const float *top = a->noise + (row & mask) * NOISE_SIDE;
    const float *bottom = a->noise + ((row + 1) & mask) * NOISE_SIDE;
    int left = column & mask, right = (column + 1) & mask;
    float above = top[left] + fx * (top[right] - top[left]);
    float below = bottom[left] + fx * (bottom[right] - bottom[left]);
    return above + fy * (below - above);
}

static void draw_anatomy_numbers(pd_anatomy *a, pd_random *r)
{
    a->body_width = pd_random_between(r, 0.90f, 1.06f);
    a->shoulder = pd_random_between(r, -1.12f, -0.95f);
    a->tissue = pd_random_between(r, 0.56f, 0.68f);
    a->lung_x = pd_random_between(r, 0.40f, 0.46f);
    a->lung_y = pd_random_between(r, -0.12f, -0.02f);
    a->lung_ry = pd_random_between(r, 0.66f, 0.78f);
    a->lung_depth = pd_random_between(r, 0.24f, 0.42f);
    float dome = pd_random_between(r, 0.32f, 0.56f);
    for (int side = 0; side < SIDES; side++) {
        a->lung_rx[side] = pd_random_between(r, 0.30f, 0.38f);
        a->dome_y[side] = dome + pd_random_between(r, -0.05f, 0.03f) + 0.06f * (float)side;
        a->hilum_light[side] = pd_random_between(r, 0.02f, 0.10f);
    }
    a->mediastinum = pd_random_between(r, 0.10f, 0.17f);
    a->heart_x = pd_random_between(r, 0.08f, 0.18f);
    a->heart_y = pd_random_between(r, 0.22f, 0.36f);
    a->heart_rx = pd_random_between(r, 0.24f, 0.36f);
    a->heart_ry = pd_random_between(r, 0.26f, 0.36f);
    a->rib_gap = pd_random_between(r, 0.18f, 0.23f);
    a->rib_phase = pd_random_uniform(r);
    a->rib_slope = pd_random_between(r, 0.00f, 0.25f);
    a->rib_bend = pd_random_between(r, 0.4f, 0.8f);
    a->rib_light = pd_random_between(r, 0.04f, 0.09f);
    a->clavicle_y = pd_random_between(r, -0.78f, -0.62f);
    a->clavicle_slope = pd_random_between(r, -0.45f, 0.1f);
    a->clavicle_light = pd_random_between(r, 0.06f, 0.14f);
    a->breast_light = pd_random_between(r, -0.04f, 0.07f);
    a->vessel_light = pd_random_between(r, 0.012f, 0.045f);
    a->texture_light = pd_random_between(r, 0.02f, 0.05f);
    for (int i = 0; i < NOISE_SIDE * NOISE_SIDE; i++)
        a->noise[i] = pd_random_between(r, -1, 1);
}

static float heart_at(const pd_anatomy *a, float u, float v)
{
    float x = (u - a->heart_x) / a->heart_rx, y = (v - a->heart_y) / a->heart_ry;
    return edge(1 - x * x - y * y, 0.5f);
}

/* How much of a lung's air lies at (u, v): 0 to 1. */
static float lung_at(const pd_anatomy *a, float u, float v)
{
    int side = u > 0;
    float out = fabsf(u), y = (v - a->lung_y) / a->lung_ry;
    /* The tip of a lung is narrower and nearer to the spine. */
    float tip = rise(-y);
    float x = (out - a->lung_x + 0.12f * tip) / (a->lung_rx[side] * (1 - 0.25f * tip));
    float from_dome = a->dome_y[side] + 1.1f * (out - 0.36f) * (out - 0.36f) - v;
    float lung = edge(1 - x * x - y * y * y * y, 0.35f);
    if (lung > 0)
        lung *= edge(from_dome, 0.05f) * edge(out - a->mediastinum - 0.05f * tip, 0.09f) *
                (1 - 0.85f * heart_at(a, u, v));
    return lung;
}

/* Curved bands at equal distances: the ribs' backs fall outwards, their fronts inwards. They show
 * best before air. */
static float ribs_at(const pd_anatomy *a, float u, float v, float lung)
{
    float out = fabsf(u), light = 0;
    float back = out - 0.12f, front = 0.75f - out;
    float height[2] = {v - a->rib_slope * back - a->rib_bend * back * back,
                       v - 0.5f * front - 0.3f * front * front + 0.03f};
    float strength[2] = {rise(back / 0.1f) * rise((0.95f - out) / 0.1f),
                         0.4f * rise((out - 0.28f) / 0.15f) * rise((0.9f - out) / 0.15f)};
    for (int i = 0; i < 2; i++) {
        float phase = height[i] / a->rib_gap + a->rib_phase + 20;
        float across = (phase - floorf(phase) - 0.5f) / 0.27f;
        /* A rib is a tube: its borders are a little brighter than its middle. */
        light += strength[i] * edge(1 - fabsf(across), 0.35f) * (0.75f + 0.25f * across * across);
    }
    return light * a->rib_light * (0.4f + 0.6f * lung) * rise((v + 0.95f) / 0.2f) *
           rise((0.8f - v) / 0.3f);
}

static float body_at(const pd_anatomy *a, float u, float v, float lung)
{
    float out = fabsf(u);
    float width = 0.26f + (a->body_width - 0.26f) * rise((v - a->shoulder) / 0.45f);
    float body = edge(width - out, 0.08f);
    float light = a->tissue - 0.10f * out * out + 0.02f * v;
    light += 0.12f * (1 - rise(out / 0.13f)) * (0.9f + 0.1f * noise_at(a, 0.3f, v, 7)); /* spine */
    light += 0.06f * heart_at(a, u, v) + a->texture_light * noise_at(a, u, v, 3);
    light -= lung * a->lung_depth * (1 + 0.12f * noise_at(a, u + 3, v, 2));
    light += ribs_at(a, u, v, lung);

    float clavicle = v - a->clavicle_y - a->clavicle_slope * (out - 0.4f) * (out - 0.2f);
    light += a->clavicle_light * edge(0.035f - fabsf(clavicle), 0.03f) * rise((out - 0.1f) / 0.1f);

    float x = (out - 0.45f) / 0.35f, y = (v - 0.35f) / 0.3f;
    light += a->breast_light * edge(1 - x * x - y * y, 1.2f);
    x = (out - a->mediastinum - 0.07f) / 0.11f;
    y = (v + 0.02f) / 0.17f;
    light += a->hilum_light[u > 0] * edge(1 - x * x - y * y + 0.4f * noise_at(a, u, v, 9), 1.6f);
    return body * light;
}

static float disease_at(const pd_disease *d, const pd_anatomy *a, float u, float v, float lung)
{
    float x = (u - d->x) / d->rx, y = (v - d->y) / d->ry;
    if (x * x + y * y > 1 || d->cause == PD_CAUSE_NONE)
        return 0;
    if (d->cause == PD_CAUSE_VIRUS) {
        float mottle = 0.15f + noise_at(a, u + 1, v + 2, d->grain) +
                       0.6f * noise_at(a, u + 4, v + 3, 1.9f * d->grain);
        float patch = rise(0.6f + 0.8f * noise_at(a, u + 5, v, 2.3f));
        return lung * d->side_light[u > 0] * edge(1 - x * x - y * y, 0.6f) *
               (d->haze + d->light * patch * (mottle > 0 ? mottle : 0));
    }
    float from_border = 1 - sqrtf(x * x + y * y) - 0.25f * (1 + noise_at(a, u, v + 5, 6));
    return d->light * edge(from_border - 0.1f, 0.6f) * (0.1f + 0.9f * lung) *
           (1 + 0.25f * noise_at(a, u + 2, v, 14));
}

static void place_disease(pd_disease *d, const pd_anatomy *a, pd_cause cause, pd_random *r)
{
    *d = (pd_disease){.cause = cause, .rx = 1, .ry = 1};
    if (cause == PD_CAUSE_VIRUS) {
        d->y = a->lung_y + pd_random_between(r, 0.05f, 0.2f);
        d->rx = pd_random_between(r, 0.75f, 0.9f);
        d->ry = pd_random_between(r, 0.55f, 0.75f);
        d->light = pd_random_between(r, 0.20f, 0.32f);
        d->haze = pd_random_between(r, 0.02f, 0.06f);
        d->grain = pd_random_between(r, 5.5f, 9);
        d->side_light[0] = pd_random_between(r, 0.6f, 1);
        d->side_light[1] = pd_random_between(r, 0.6f, 1);
    } else if (cause != PD_CAUSE_NONE) {
        d->rx = pd_random_between(r, 0.23f, 0.38f);
        d->ry = pd_random_between(r, 0.23f, 0.42f);
        /* The fainter, the larger: a small faint one is lost among ribs and vessels. */
        d->light = pd_random_between(r, 0.27f, 0.38f) + 0.3f * (0.3f - 0.5f * (d->rx + d->ry));
        do {
            d->x = pd_random_between(r, 0.25f, 0.62f) * (pd_random_below(r, 2) ? 1 : -1);
            d->y = pd_random_between(r, -0.55f, 0.5f);
        } while (lung_at(a, d->x, d->y) < 0.9f);
    }
}

static float *canvas_pixel(float *canvas, float u, float v)
{
    int x = (int)((u / CANVAS_REACH + 1) * 0.5f * CANVAS);
    int y = (int)((v / CANVAS_REACH + 1) * 0.5f * CANVAS);
    return x < 0 || y < 0 || x >= CANVAS || y >= CANVAS ? NULL : canvas + y * CANVAS + x;
}

/* A tapering soft line from (u, v) on, in small steps. */
static void draw_vessel(float *canvas, const pd_anatomy *a, float u, float v, float angle,
                        float width, float length, float light, pd_random *r)
{
    const float step = 0.012f, pixel = 2 * CANVAS_REACH / CANVAS;
    float bend = pd_random_between(r, -1, 1);
    for (float gone = 0; gone < length; gone += step) {
        float here = width * (1 - 0.8f * gone / length);
        float shine = light * lung_at(a, u, v) * step / here;
        for (float dy = -2 * here; dy <= 2 * here; dy += pixel)
            for (float dx = -2 * here; dx <= 2 * here; dx += pixel) {
                float *at = canvas_pixel(canvas, u + dx, v + dy);
                float q = (dx * dx + dy * dy) / (4 * here * here);
                if (at && q < 1)
                    *at += shine * (1 - q) * (1 - q);
            }
        angle += bend * step;
        u += step * cosf(angle);
        v += step * sinf(angle);
    }
}

static void draw_vessels(float *canvas, const pd_anatomy *a, pd_random *r)
{
    for (int i = 0; i < 26; i++) {
        float side = i % 2 ? 1.0f : -1.0f;
        float angle = pd_random_between(r, -1.45f, 1.45f); /* outwards, up to nearly up or down */
        float start = pd_random_between(r, 0.02f, 0.15f);
        float width = pd_random_between(r, 0.008f, 0.018f);
        float length = pd_random_between(r, 0.2f, 0.5f);
        if (side < 0)
            angle = 3.14159265f - angle;
        draw_vessel(canvas, a, side * (a->mediastinum + 0.05f) + start * cosf(angle),
                    0.02f + start * sinf(angle), angle, width, length, a->vessel_light, r);
    }
}

/* Draws canvas[CANVAS][CANVAS]. */
static void draw_patient(float *canvas, const pd_anatomy *a, const pd_disease *d, pd_random *r)
{
    for (int y = 0; y < CANVAS; y++) {
        for (int x = 0; x < CANVAS; x++) {
            float u = CANVAS_REACH * (2 * ((float)x + 0.5f) / CANVAS - 1);
            float v = CANVAS_REACH * (2 * ((float)y + 0.5f) / CANVAS - 1);
            float lung = lung_at(a, u, v);
            canvas[y * CANVAS + x] = body_at(a, u, v, lung) + disease_at(d, a, u, v, lung);
        }
    }
    draw_vessels(canvas, a, r);
}

/* From the frame (U, V) to the patient: u = (cos U' + sin V') / scale_x, ... with U' = U - x. */
typedef struct pd_position {
    float x, y, scale_x, scale_y, sine, cosine;
} pd_position;

static float canvas_at(const float *canvas, float u, float v)
{
    const float last = CANVAS - 1.001f;
    float x = (u / CANVAS_REACH + 1) * 0.5f * CANVAS - 0.5f;
    float y = (v / CANVAS_REACH + 1) * 0.5f * CANVAS - 0.5f;
    x = x < 0 ? 0 : x > last ? last : x;
    y = y < 0 ? 0 : y > last ? last : y;
    int column = (int)x, row = (int)y;
    float fx = x - (float)column, fy = y - (float)row;
    const float *top = canvas + row * CANVAS + column, *bottom = top + CANVAS;
    float above = top[0] + fx * (top[1] - top[0]), below = bottom[0] + fx * (bottom[1] - bottom[0]);
    return above + fy * (below - above);
}

/* A radiographer's letter in an upper corner. */
static void draw_marker(pd_image *image, pd_random *r)
{
    static const unsigned char letters[2][7] = {{0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x1f},
                                                {0x1e, 0x11, 0x11, 0x1e, 0x14, 0x12, 0x11}};
    const unsigned char *letter = letters[pd_random_below(r, 2)];
    float height = (float)image->height * pd_random_between(r, 0.05f, 0.08f);
    float width = (float)image->width * pd_random_between(r, 0.035f, 0.05f);
    float left = (float)image->width * pd_random_between(r, 0.02f, 0.12f);
    float top = (float)image->height * pd_random_between(r, 0.02f, 0.15f);
    uint8_t grey = (uint8_t)pd_random_between(r, 190, 255);
    if (pd_random_below(r, 2))
        left = (float)image->width - left - width;
    for (int y = 0; y < (int)height; y++)
        for (int x = 0; x < (int)width; x++)
            if (letter[(int)((float)y * 7 / height)] >> (4 - (int)((float)x * 5 / width)) & 1)
                image->pixels[((int)top + y) * image->width + (int)left + x] = grey;
}

/* A monitoring lead: a thin bright curve across the chest, with an electrode at its end. */
static void draw_lead(float *canvas, pd_random *r)
{
    float u = pd_random_between(r, -0.7f, 0.7f), v = pd_random_between(r, -0.5f, 0.4f);
    float angle = pd_random_between(r, 0, 6.28f), light = pd_random_between(r, 0.08f, 0.2f);
    float bend = pd_random_between(r, -1.5f, 1.5f);
    for (float y = -0.035f; y < 0.035f; y += 0.0075f)
        for (float x = -0.035f; x < 0.035f; x += 0.0075f) {
            float *at = canvas_pixel(canvas, u + x, v + y);
            if (at && x * x + y * y < 0.035f * 0.035f)
                *at += light;
        }
    for (int i = 0; i < 200; i++) {
        float *at = canvas_pixel(canvas, u, v);
        if (at)
            at[0] += light;
        angle += bend * 0.0075f;
        u += 0.0075f * cosf(angle);
        v += 0.0075f * sinf(angle);
    }
}

/* Turns brightness 0 to 1.25 into grey 0 to 255: window, gamma. */
static void make_tone_curve(float tones[TONES], pd_random *r)
{
    float low = pd_random_between(r, -0.05f, 0.12f), high = pd_random_between(r, 0.78f, 1.0f);
    float gamma = pd_random_between(r, 0.75f, 1.35f), top = pd_random_between(r, 225, 255);
    for (int i = 0; i < TONES; i++) {
        float x = ((float)i / TONES * 1.25f - low) / (high - low);
        tones[i] = x <= 0 ? 0 : x >= 1 ? top : top * powf(x, gamma);
    }
}

static void expose(pd_image *image, const float *canvas, const pd_position *p, pd_random *r)
{
    float tones[TONES];
    make_tone_curve(tones, r);
    float tilt_x = pd_random_between(r, -0.06f, 0.06f),
          tilt_y = pd_random_between(r, -0.06f, 0.06f);
    float grain = pd_random_between(r, 3, 9);
    /* The grain that is left after shrinking does not tell the frame's size. */
    grain *= sqrtf((float)image->width * (float)image->height) / 450;

    for (int y = 0; y < image->height; y++) {
        float V = 2 * ((float)y + 0.5f) / (float)image->height - 1;
        for (int x = 0; x < image->width; x++) {
            float U = 2 * ((float)x + 0.5f) / (float)image->width - 1;
            float across = U - p->x, down = V - p->y;
            float u = (p->cosine * across + p->sine * down) / p->scale_x;
            float v = (p->cosine * down - p->sine * across) / p->scale_y;
            float light = canvas_at(canvas, u, v) * (1 + tilt_x * U + tilt_y * V) + 0.03f;
            int tone = (int)(light * (TONES / 1.25f));
            tone = tone < 0 ? 0 : tone >= TONES ? TONES - 1 : tone;
            /* The sum of four random bytes is near enough to a normal number. */
            uint32_t bits = pd_random_bits(r);
            int sum = (int)((bits & 255) + (bits >> 8 & 255) + (bits >> 16 & 255) + (bits >> 24));
            float grey = tones[tone] + grain * (float)(sum - 510) / 148;
            image->pixels[y * image->width + x] = (uint8_t)(grey < 0     ? 0
                                                            : grey > 255 ? 255
                                                                         : grey + 0.5f);
        }
    }
    if (pd_random_uniform(r) < 0.6f)
        draw_marker(image, r);
}

static void place_patient(pd_position *p, pd_random *r)
{
    float angle = pd_random_between(r, -0.07f, 0.07f), scale = pd_random_between(r, 0.92f, 1.12f);
    p->x = pd_random_between(r, -0.06f, 0.06f);
    p->y = pd_random_between(r, -0.06f, 0.06f);
    p->scale_x = scale * pd_random_between(r, 0.95f, 1.05f);
    p->scale_y = scale * pd_random_between(r, 0.95f, 1.05f);
    p->sine = sinf(angle);
    p->cosine = cosf(angle);
}

/* Where the disease lies in the image's pixels: the ellipse of a focal one, the box around the
 * lungs that a diffuse one fills. */
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
    /* Never beyond the frame. */
    o.rx = fminf(o.rx, fminf(o.cx, (float)image->width - o.cx));
    o.ry = fminf(o.ry, fminf(o.cy, (float)image->height - o.cy));
    return o;
}

pd_status pd_phantom_draw(pd_image *out, pd_opacity *opacity, uint64_t seed, pd_cause cause,
                          int patient, int image)
{
    pd_status status;
    pd_anatomy *a = NULL;
    float *canvas = NULL;
    pd_disease d;
    pd_position p;

    *out = (pd_image){0};
    *opacity = (pd_opacity){0};
    if (patient < 0 || patient >= 1 << 24 || image < 0)
        return pd_fail("phantom patient %d, image %d: numbers are 0 or more, and patients below %d",
                       patient, image, 1 << 24);
    /* minor: the kind, then 0 for the patient's own numbers or image + 1 for those of an image. */
    uint64_t kind = (uint64_t)cause << 32;
    pd_random of_patient = pd_random_stream(seed, PD_PURPOSE_PHANTOM, (uint32_t)patient, kind);
    pd_random of_image =
        pd_random_stream(seed, PD_PURPOSE_PHANTOM, (uint32_t)patient, kind | ((uint64_t)image + 1));
    PD_TRY(pd_alloc(&a, 1, sizeof *a));
    PD_TRY(pd_alloc(&canvas, (size_t)CANVAS * CANVAS, sizeof *canvas));
    draw_anatomy_numbers(a, &of_patient);
    place_disease(&d, a, cause, &of_patient);
    draw_patient(canvas, a, &d, &of_patient);
    if (pd_random_uniform(&of_image) < 0.2f)
        draw_lead(canvas, &of_image);

    /* As published: images of normals are larger and nearer to square. */
    bool normal = cause == PD_CAUSE_NONE;
    out->width = (int)pd_random_between(&of_image, normal ? 460 : 360, normal ? 640 : 540);
    out->height = (int)((float)out->width * pd_random_between(&of_image, normal ? 0.74f : 0.62f,
                                                              normal ? 0.92f : 0.8f));
    PD_TRY(pd_alloc(&out->pixels, (size_t)out->width * (size_t)out->height, 1));
    place_patient(&p, &of_image);
    expose(out, canvas, &p, &of_image);
    *opacity = locate(&d, &p, out);

cleanup:
    free(a);
    free(canvas);
    return status;
}
