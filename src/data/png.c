#include "image_format.h"
#include "pneumo/base/memory.h"
#include "pneumo/data/image.h"
#include "turn.h"

#include <png.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The state of a decoder outside the function that libpng's errors return to. */
typedef struct pd_png {
    const unsigned char *bytes;
    size_t size, at;
    png_structp png;
    png_infop info;
    int height, width, channels, depth;
    unsigned char *rows; /* of the file: one, or all of them if it is interlaced */
    uint16_t *values;    /* [height][width] if the depth is 16 */
    uint8_t *greys;      /* [height][width] otherwise */
    pd_status status;    /* of what fails but libpng */
    char message[96];
} pd_png;

static bool is_png(const unsigned char *bytes, size_t size)
{
    return size >= 8 && memcmp(bytes, "\x89PNG\r\n\x1a\n", 8) == 0;
}

static void on_error(png_structp png, png_const_charp message)
{
    pd_png *job = png_get_error_ptr(png);
    snprintf(job->message, sizeof job->message, "%s", message);
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp message)
{
    (void)png;
    (void)message;
}

static void read_bytes(png_structp png, png_bytep out, size_t count)
{
    pd_png *job = png_get_io_ptr(png);
    if (count > job->size - job->at)
        png_error(png, "it is cut short");
    memcpy(out, job->bytes + job->at, count);
    job->at += count;
}

/* Alpha is dropped and gamma ignored, as most programs do that read radiographs. */
static void read_header(pd_png *job)
{
    png_set_read_fn(job->png, job, read_bytes);
    png_set_user_limits(job->png, PNG_UINT_31_MAX, PNG_UINT_31_MAX); /* checked with our message */
    png_set_chunk_malloc_max(job->png, 8 << 20);
    png_read_info(job->png, job->info);
    if (png_get_color_type(job->png, job->info) == PNG_COLOR_TYPE_PALETTE)
        png_set_palette_to_rgb(job->png);
    png_set_expand_gray_1_2_4_to_8(job->png);
    png_set_strip_alpha(job->png);
    png_uint_32 height = png_get_image_height(job->png, job->info);
    png_uint_32 width = png_get_image_width(job->png, job->info);
    job->height = (int)height;
    job->width = (int)width;
}

/* Rec. 601 luma of a row; 16-bit values are big-endian. */
static void to_grey(const pd_png *job, int y, const unsigned char *row)
{
    size_t start = (size_t)y * (size_t)job->width;
    ptrdiff_t bytes = job->depth / 8, step = job->channels * bytes;
    for (int x = 0; x < job->width; x++) {
        unsigned v[3] = {0};
        for (int c = 0; c < job->channels; c++) {
            const unsigned char *at = row + x * step + c * bytes;
            v[c] = bytes == 2 ? (unsigned)(at[0] << 8 | at[1]) : at[0];
        }
        unsigned luma = job->channels == 1 ? v[0] : (77 * v[0] + 150 * v[1] + 29 * v[2]) >> 8;
        if (bytes == 2)
            job->values[start + (size_t)x] = (uint16_t)luma;
        else
            job->greys[start + (size_t)x] = (uint8_t)luma;
    }
}

static pd_status allocate(pd_png *job, int passes)
{
    pd_status status;
    size_t pixels = (size_t)job->height * (size_t)job->width;
    size_t rows = passes > 1 ? (size_t)job->height : 1;
    job->channels = png_get_channels(job->png, job->info);
    job->depth = png_get_bit_depth(job->png, job->info);
    PD_TRY(pd_alloc(&job->rows, rows, png_get_rowbytes(job->png, job->info)));
    if (job->depth == 16)
        PD_TRY(pd_alloc(&job->values, pixels, sizeof *job->values));
    PD_TRY(pd_alloc(&job->greys, pixels, 1));
cleanup:
    return status;
}

static void read_rows(pd_png *job)
{
    static const unsigned char end[12] = {0, 0, 0, 0, 'I', 'E', 'N', 'D', 0xae, 0x42, 0x60, 0x82};
    int passes = png_set_interlace_handling(job->png);
    png_read_update_info(job->png, job->info);
    job->status = allocate(job, passes);
    if (job->status != PD_OK)
        return;
    size_t stride = passes > 1 ? png_get_rowbytes(job->png, job->info) : 0;
    for (int pass = 0; pass < passes; pass++)
        for (int y = 0; y < job->height; y++) {
            unsigned char *row = job->rows + (size_t)y * stride;
            png_read_row(job->png, row, NULL);
            if (pass == passes - 1)
                to_grey(job, y, row);
        }
    png_read_end(job->png, job->info); /* the last checksums, in newer versions without IEND's */
    if (memcmp(job->bytes + job->at - sizeof end, end, sizeof end) != 0)
        png_error(job->png, "its end is damaged");
}

/* 16-bit samples often hold 10, 12 or 14 bits, as converters from DICOM write them. The range is
 * that of the fewest bits, 8 at least, that hold the largest value. */
static void set_greys(const pd_png *job)
{
    size_t pixels = (size_t)job->height * (size_t)job->width;
    unsigned largest = 0;
    int shift = 0;
    for (size_t i = 0; job->depth == 16 && i < pixels; i++)
        largest = largest > job->values[i] ? largest : job->values[i];
    while (largest >> shift > 255)
        shift++;
    for (size_t i = 0; job->depth == 16 && i < pixels; i++)
        job->greys[i] = (uint8_t)(job->values[i] >> shift);
}

/* Runs what libpng does; returns false after one of its errors. */
static bool run(pd_png *job)
{
    if (setjmp(png_jmpbuf(job->png)))
        return false;
    read_header(job);
    job->status = pd_image_check_size(job->height, job->width);
    if (job->status == PD_OK)
        read_rows(job);
    return true;
}

static int orientation_of(const pd_png *job)
{
    png_bytep exif = NULL;
    png_uint_32 size = 0;
    return png_get_eXIf_1(job->png, job->info, &size, &exif) != 0 ? pd_turn_of_exif(exif, size) : 1;
}

static pd_status decode(pd_image *out, const unsigned char *bytes, size_t size)
{
    pd_png job = {.bytes = bytes, .size = size};
    job.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &job, on_error, on_warning);
    job.info = job.png != NULL ? png_create_info_struct(job.png) : NULL;
    if (job.info == NULL)
        job.status = pd_fail_system("out of memory for decoding a PNG image");
    else if (!run(&job))
        job.status = strcmp(job.message, "Out of memory") == 0
                         ? pd_fail_system("out of memory for decoding a PNG image")
                         : pd_fail("the PNG image is damaged (%s)", job.message);
    if (job.status == PD_OK) {
        set_greys(&job);
        *out = (pd_image){.height = job.height, .width = job.width, .pixels = job.greys};
        job.greys = NULL;
        job.status = pd_turn(out, orientation_of(&job));
    }
    png_destroy_read_struct(&job.png, &job.info, NULL);
    free(job.rows);
    free(job.values);
    free(job.greys);
    return job.status;
}

const pd_image_format pd_image_format_png = {
    .name = "PNG", .extensions = {".png"}, .recognises = is_png, .decode = decode};
