/* JPEG: libjpeg decodes the entropy code, since it notices damage; stb_image computes the pixels
 * from the coefficients, so they are those that stb_image alone decodes. */
#include "image_format.h"
#include "pneumo/base/memory.h"
#include "stb_decode.h"
#include "turn.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jerror.h>
#include <jpeglib.h>

/* More scans than any encoder writes: each costs the time of the whole image. */
enum { SCANS_MAX = 200 };

typedef struct pd_jpeg {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf escape;
    pd_image *image;
    int orientation;
    bool cut;         /* the end is missing */
    bool luma_alone;  /* the grey image is the first component */
    pd_status status; /* of what fails but libjpeg */
    char message[JMSG_LENGTH_MAX];
} pd_jpeg;

static bool is_jpeg(const unsigned char *bytes, size_t size)
{
    return size >= 3 && memcmp(bytes, "\xff\xd8\xff", 3) == 0;
}

static void on_error(j_common_ptr jpeg)
{
    pd_jpeg *job = jpeg->client_data;
    jpeg->err->format_message(jpeg, job->message);
    longjmp(job->escape, 1);
}

/* libjpeg goes on after damage with a warning and grey blocks. */
static void on_message(j_common_ptr jpeg, int level)
{
    pd_jpeg *job = jpeg->client_data;
    int code = jpeg->err->msg_code;
    if (level >= 0 || code == JWRN_ADOBE_XFORM || code == JWRN_JFIF_MAJOR)
        return;
    job->cut = code == JWRN_JPEG_EOF;
    on_error(jpeg);
}

static void on_progress(j_common_ptr jpeg)
{
    pd_jpeg *job = jpeg->client_data;
    if (job->jpeg.input_scan_number <= SCANS_MAX)
        return;
    snprintf(job->message, sizeof job->message, "more than %d scans", SCANS_MAX);
    longjmp(job->escape, 1);
}

static void find_orientation(pd_jpeg *job)
{
    static const char mark[] = "Exif\0";
    job->orientation = 1;
    for (jpeg_saved_marker_ptr marker = job->jpeg.marker_list; marker != NULL;
         marker = marker->next)
        if (marker->data_length > sizeof mark && memcmp(marker->data, mark, sizeof mark) == 0) {
            job->orientation =
                pd_turn_of_exif(marker->data + sizeof mark, marker->data_length - sizeof mark);
            return;
        }
}

/* Computes the pixels of a row of blocks of the first component. */
static void decode_blocks(pd_jpeg *job, JBLOCKROW blocks, uint8_t *pixels)
{
    const jpeg_component_info *luma = job->jpeg.comp_info;
    const UINT16 *quantum = luma->quant_table->quantval;
    size_t stride = (size_t)luma->width_in_blocks * DCTSIZE;
    for (JDIMENSION b = 0; b < luma->width_in_blocks; b++) {
        _Alignas(16) short block[DCTSIZE2];
        for (int i = 0; i < DCTSIZE2; i++)
            block[i] = (short)(blocks[b][i] * quantum[i]);
        pd_stb_inverse_dct(pixels + (size_t)b * DCTSIZE, (int)stride, block);
    }
}

static void decode_luma(pd_jpeg *job, jvirt_barray_ptr coefficients)
{
    struct jpeg_decompress_struct *jpeg = &job->jpeg;
    const jpeg_component_info *luma = jpeg->comp_info;
    pd_image *out = job->image;
    size_t stride = (size_t)luma->width_in_blocks * DCTSIZE, width = jpeg->image_width;
    uint8_t *rows = jpeg->mem->alloc_large((j_common_ptr)jpeg, JPOOL_IMAGE, stride * DCTSIZE);
    job->status = pd_alloc(&out->pixels, (size_t)jpeg->image_height * width, 1);
    if (job->status != PD_OK)
        return;
    out->height = (int)jpeg->image_height;
    out->width = (int)width;
    for (size_t by = 0; by < luma->height_in_blocks; by++) {
        JBLOCKARRAY blocks = jpeg->mem->access_virt_barray((j_common_ptr)jpeg, coefficients,
                                                           (JDIMENSION)by, 1, FALSE);
        decode_blocks(job, blocks[0], rows);
        for (size_t y = 0; y < DCTSIZE && by * DCTSIZE + y < jpeg->image_height; y++)
            memcpy(out->pixels + (by * DCTSIZE + y) * width, rows + y * stride, width);
    }
}

/* Whether the grey image is the first component at full size: a grey or a YCbCr image. */
static bool has_luma(const struct jpeg_decompress_struct *jpeg)
{
    const jpeg_component_info *luma = jpeg->comp_info;
    return jpeg->num_components == 1 ||
           (jpeg->num_components == 3 && jpeg->jpeg_color_space == JCS_YCbCr &&
            luma->h_samp_factor == jpeg->max_h_samp_factor &&
            luma->v_samp_factor == jpeg->max_v_samp_factor);
}

/* Runs what libjpeg does; returns false after one of its errors. */
static bool run(pd_jpeg *job, const unsigned char *bytes, size_t size)
{
    struct jpeg_decompress_struct *jpeg = &job->jpeg;
    if (setjmp(job->escape))
        return false;
    jpeg_create_decompress(jpeg);
    jpeg->client_data = job;
    jpeg->progress = &job->progress;
    jpeg_mem_src(jpeg, bytes, size);
    jpeg_save_markers(jpeg, JPEG_APP0 + 1, 0xffff);
    jpeg_read_header(jpeg, TRUE);
    find_orientation(job);
    jvirt_barray_ptr *coefficients = jpeg_read_coefficients(jpeg);
    job->luma_alone = has_luma(jpeg);
    if (job->luma_alone)
        decode_luma(job, coefficients[0]);
    if (job->status == PD_OK)
        jpeg_finish_decompress(jpeg); /* finds the end-of-image marker; what follows is ignored */
    return true;
}

static pd_status decode(pd_image *out, const unsigned char *bytes, size_t size)
{
    pd_jpeg job = {.image = out};
    pd_status status = pd_stb_check(bytes, size);
    if (status != PD_OK)
        return status;
    job.jpeg.err = jpeg_std_error(&job.errors);
    job.jpeg.client_data = &job;
    job.errors.error_exit = on_error;
    job.errors.emit_message = on_message;
    job.progress.progress_monitor = on_progress;
    bool decoded = run(&job, bytes, size);
    jpeg_destroy_decompress(&job.jpeg);
    if (!decoded)
        job.status = job.errors.msg_code == JERR_OUT_OF_MEMORY
                         ? pd_fail_system("out of memory for decoding a JPEG")
                     : job.cut
                         ? pd_fail("the JPEG is cut short: its end is missing; copy the file "
                                   "again")
                         : pd_fail("the JPEG is damaged (%s); copy the file again", job.message);
    else if (job.status == PD_OK && !job.luma_alone)
        job.status = pd_stb_decode(out, bytes, size);
    if (job.status == PD_OK)
        job.status = pd_turn(out, job.orientation);
    if (job.status != PD_OK)
        pd_image_free(out);
    return job.status;
}

const pd_image_format pd_image_format_jpeg = {
    .name = "JPEG", .extensions = {".jpeg", ".jpg"}, .recognises = is_jpeg, .decode = decode};
