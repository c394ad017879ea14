#include "exposure.h"

#include "chest.h"

#include <math.h>

enum { TONES = 1024 /* entries of the tone curve */ };

void pd_position_draw(pd_position *p, pd_random *r)
{
    float angle = pd_random_between(r, -0.07f, 0.07f), scale = pd_random_between(r, 0.92f, 1.12f);
    p->x = pd_random_between(r, -0.06f, 0.06f);
    p->y = pd_random_between(r, -0.06f, 0.06f);
    p->scale_x = scale * pd_random_between(r, 0.95f, 1.05f);
    p->scale_y = scale * pd_random_between(r, 0.95f, 1.05f);
    p->sine = sinf(angle);
    p->cosine = cosf(angle);
}

static float canvas_at(const float *canvas, float u, float v)
{
    const float last = PD_CHEST_SIDE - 1.001f;
    float x = (u / PD_CHEST_REACH + 1) * 0.5f * PD_CHEST_SIDE - 0.5f;
    float y = (v / PD_CHEST_REACH + 1) * 0.5f * PD_CHEST_SIDE - 0.5f;
    x = x < 0 ? 0 : x > last ? last : x;
    y = y < 0 ? 0 : y > last ? last : y;
    int column = (int)x, row = (int)y;
    float fx = x - (float)column, fy = y - (float)row;
    const float *top = canvas + (ptrdiff_t)row * PD_CHEST_SIDE + column,
                *bottom = top + PD_CHEST_SIDE;
    float above = top[0] + fx * (top[1] - top[0]), below = bottom[0] + fx * (bottom[1] - bottom[0]);
    return above + fy * (below - above);
}

/* Draws a radiographer's letter, L or R, in an upper corner. */
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

/* Fills the curve from brightness 0 to 1.25 to grey 0 to 255: a window and a gamma. */
static void make_tone_curve(float tones[TONES], pd_random *r)
{
    float low = pd_random_between(r, -0.05f, 0.12f), high = pd_random_between(r, 0.78f, 1.0f);
    float gamma = pd_random_between(r, 0.75f, 1.35f), top = pd_random_between(r, 225, 255);
    for (int i = 0; i < TONES; i++) {
        float x = ((float)i / TONES * 1.25f - low) / (high - low);
        tones[i] = x <= 0 ? 0 : x >= 1 ? top : top * powf(x, gamma);
    }
}

void pd_exposure_take(pd_image *image, const float *canvas, const pd_position *p, pd_random *r)
{
    float tones[TONES];
    make_tone_curve(tones, r);
    float tilt_x = pd_random_between(r, -0.06f, 0.06f),
          tilt_y = pd_random_between(r, -0.06f, 0.06f);
    float grain = pd_random_between(r, 3, 9);
    /* After resizing, the grain must not reveal the size of the frame. */
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
            /* The sum of four random bytes approximates a normal distribution. */
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
