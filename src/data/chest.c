#include "chest.h"

#include "pneumo/base/memory.h"

#include <math.h>
#include <stdlib.h>

enum { NOISE_SIDE = 64 /* a power of two: the period of the noise in cells */ };

/* The anatomy of one patient. Index 0 is the lung on the left of the image. */
typedef struct pd_anatomy {
    float body_width, shoulder, tissue;
    float lung_x, lung_y, lung_rx[PD_CHEST_LUNGS], lung_ry, lung_depth;
    float dome_y[PD_CHEST_LUNGS]; /* v of the top of the diaphragm */
    float mediastinum;            /* half width */
    float heart_x, heart_y, heart_rx, heart_ry;
    float rib_gap, rib_phase, rib_slope, rib_bend, rib_light;
    float clavicle_y, clavicle_slope, clavicle_light;
    float breast_light, hilum_light[PD_CHEST_LUNGS], vessel_light, texture_light;
    float noise[NOISE_SIDE * NOISE_SIDE]; /* -1 to 1 */
} pd_anatomy;

/* Smooth step from 0 at x <= 0 to 1 at x >= 1. */
static float rise(float x)
{
    x = x < 0 ? 0 : x > 1 ? 1 : x;
    return x * x * (3 - 2 * x);
}

/* 1 where `inside` is positive and 0 where it is negative, with a soft edge of the given width. */
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
    const float *top = a->noise + (ptrdiff_t)(row & mask) * NOISE_SIDE;
    const float *bottom = a->noise + (ptrdiff_t)((row + 1) & mask) * NOISE_SIDE;
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
    for (int side = 0; side < PD_CHEST_LUNGS; side++) {
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

/* Amount of air in the lung at (u, v), 0 to 1. */
static float lung_at(const pd_anatomy *a, float u, float v)
{
    int side = u > 0;
    float out = fabsf(u), y = (v - a->lung_y) / a->lung_ry;
    /* The apex of a lung is narrower and nearer to the spine. */
    float tip = rise(-y);
    float x = (out - a->lung_x + 0.12f * tip) / (a->lung_rx[side] * (1 - 0.25f * tip));
    float from_dome = a->dome_y[side] + 1.1f * (out - 0.36f) * (out - 0.36f) - v;
    float lung = edge(1 - x * x - y * y * y * y, 0.35f);
    if (lung > 0)
        lung *= edge(from_dome, 0.05f) * edge(out - a->mediastinum - 0.05f * tip, 0.09f) *
                (1 - 0.85f * heart_at(a, u, v));
    return lung;
}

/* Brightness of the ribs: curved bands at equal distances. The posterior ribs fall outwards, the
 * anterior ones inwards. They are brightest in front of air. */
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
        /* A rib is a tube, so its borders are slightly brighter than its middle. */
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
        /* Fainter opacities are larger: a small faint one would be hidden by ribs and vessels. */
        d->light = pd_random_between(r, 0.27f, 0.38f) + 0.3f * (0.3f - 0.5f * (d->rx + d->ry));
        do {
            d->x = pd_random_between(r, 0.25f, 0.62f) * (pd_random_below(r, 2) ? 1 : -1);
            d->y = pd_random_between(r, -0.55f, 0.5f);
        } while (lung_at(a, d->x, d->y) < 0.9f);
    }
}

static float *canvas_pixel(float *canvas, float u, float v)
{
    int x = (int)((u / PD_CHEST_REACH + 1) * 0.5f * PD_CHEST_SIDE);
    int y = (int)((v / PD_CHEST_REACH + 1) * 0.5f * PD_CHEST_SIDE);
    return x < 0 || y < 0 || x >= PD_CHEST_SIDE || y >= PD_CHEST_SIDE
               ? NULL
               : canvas + (ptrdiff_t)y * PD_CHEST_SIDE + x;
}

typedef struct pd_vessel {
    float u, v, angle; /* where it starts, and its direction */
    float width, length;
} pd_vessel;

/* Draws a tapering soft line in small steps. */
static void draw_vessel(float *canvas, const pd_anatomy *a, pd_vessel vessel, pd_random *r)
{
    float u = vessel.u, v = vessel.v, angle = vessel.angle;
    const float width = vessel.width, length = vessel.length, light = a->vessel_light;
    const float step = 0.012f, pixel = 2 * PD_CHEST_REACH / PD_CHEST_SIDE;
    float bend = pd_random_between(r, -1, 1);
    for (float gone = 0; gone < length; gone += step) {
        float here = width * (1 - 0.8f * gone / length);
        float shine = light * lung_at(a, u, v) * step / here;
        for (float dy = -2 * here; dy <= 2 * here; dy += pixel)
            for (float dx = -2 * here; dx <= 2 * here; dx += pixel) {
                float *at = canvas_pixel(canvas, u + dx, v + dy);
                float q = (dx * dx + dy * dy) / (4 * here * here);
                if (at != NULL && q < 1)
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
        const pd_vessel vessel = {.u = side * (a->mediastinum + 0.05f) + start * cosf(angle),
                                  .v = 0.02f + start * sinf(angle),
                                  .angle = angle,
                                  .width = width,
                                  .length = length};
        draw_vessel(canvas, a, vessel, r);
    }
}

static void draw_patient(float *canvas, const pd_anatomy *a, const pd_disease *d, pd_random *r)
{
    for (int y = 0; y < PD_CHEST_SIDE; y++) {
        for (int x = 0; x < PD_CHEST_SIDE; x++) {
            float u = PD_CHEST_REACH * (2 * ((float)x + 0.5f) / PD_CHEST_SIDE - 1);
            float v = PD_CHEST_REACH * (2 * ((float)y + 0.5f) / PD_CHEST_SIDE - 1);
            float lung = lung_at(a, u, v);
            canvas[y * PD_CHEST_SIDE + x] = body_at(a, u, v, lung) + disease_at(d, a, u, v, lung);
        }
    }
    draw_vessels(canvas, a, r);
}

void pd_chest_add_lead(float *canvas, pd_random *r)
{
    float u = pd_random_between(r, -0.7f, 0.7f), v = pd_random_between(r, -0.5f, 0.4f);
    float angle = pd_random_between(r, 0, 6.28f), light = pd_random_between(r, 0.08f, 0.2f);
    float bend = pd_random_between(r, -1.5f, 1.5f);
    for (float y = -0.035f; y < 0.035f; y += 0.0075f)
        for (float x = -0.035f; x < 0.035f; x += 0.0075f) {
            float *at = canvas_pixel(canvas, u + x, v + y);
            if (at != NULL && x * x + y * y < 0.035f * 0.035f)
                *at += light;
        }
    for (int i = 0; i < 200; i++) {
        float *at = canvas_pixel(canvas, u, v);
        if (at != NULL)
            at[0] += light;
        angle += bend * 0.0075f;
        u += 0.0075f * cosf(angle);
        v += 0.0075f * sinf(angle);
    }
}

pd_status pd_chest_draw(float *canvas, pd_disease *disease, pd_cause cause, pd_random *random)
{
    pd_anatomy *anatomy;
    pd_status status = pd_alloc(&anatomy, 1, sizeof *anatomy);
    if (status != PD_OK)
        return status;
    draw_anatomy_numbers(anatomy, random);
    place_disease(disease, anatomy, cause, random);
    draw_patient(canvas, anatomy, disease, random);
    free(anatomy);
    return PD_OK;
}
