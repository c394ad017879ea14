#include "jpeg2000.h"

#include <openjpeg.h>
#include <stdbool.h>
#include <string.h>

typedef struct pd_j2k_source {
    const unsigned char *bytes;
    size_t size, at;
} pd_j2k_source;

static OPJ_SIZE_T read_bytes(void *buffer, OPJ_SIZE_T wanted, void *context)
{
    pd_j2k_source *source = context;
    size_t left = source->size - source->at, count = wanted < left ? wanted : left;
    if (count == 0)
        return (OPJ_SIZE_T)-1;
    memcpy(buffer, source->bytes + source->at, count);
    source->at += count;
    return count;
}

static OPJ_OFF_T skip_bytes(OPJ_OFF_T wanted, void *context)
{
    pd_j2k_source *source = context;
    size_t left = source->size - source->at;
    if (wanted < 0 || left == 0)
        return -1;
    size_t count = (uint64_t)wanted < left ? (size_t)wanted : left;
    source->at += count;
    return (OPJ_OFF_T)count;
}

static OPJ_BOOL seek_bytes(OPJ_OFF_T position, void *context)
{
    pd_j2k_source *source = context;
    if (position < 0 || (uint64_t)position > source->size)
        return OPJ_FALSE;
    source->at = (size_t)position;
    return OPJ_TRUE;
}

static opj_stream_t *open_stream(pd_j2k_source *source)
{
    opj_stream_t *stream = opj_stream_default_create(OPJ_TRUE);
    if (stream == NULL)
        return NULL;
    opj_stream_set_user_data(stream, source, NULL);
    opj_stream_set_user_data_length(stream, source->size);
    opj_stream_set_read_function(stream, read_bytes);
    opj_stream_set_skip_function(stream, skip_bytes);
    opj_stream_set_seek_function(stream, seek_bytes);
    return stream;
}

/* Messages are the caller's; without handlers OpenJPEG prints nothing. */
static opj_codec_t *open_codec(const unsigned char *bytes, size_t size)
{
    /* Some writers put a whole JP2 file where a code stream belongs. */
    bool is_file = size >= 12 && memcmp(bytes, "\0\0\0\x0cjP  \r\n\x87\n", 12) == 0;
    opj_codec_t *codec = opj_create_decompress(is_file ? OPJ_CODEC_JP2 : OPJ_CODEC_J2K);
    opj_dparameters_t parameters;
    opj_set_default_decoder_parameters(&parameters);
    if (codec != NULL && opj_setup_decoder(codec, &parameters))
        return codec;
    opj_destroy_codec(codec);
    return NULL;
}

static bool has_shape(const opj_image_t *image, int height, int width)
{
    const opj_image_comp_t *c = image->comps;
    return image->numcomps == 1 && c->w == (OPJ_UINT32)width && c->h == (OPJ_UINT32)height &&
           c->dx == 1 && c->dy == 1 && c->prec >= 1 && c->prec <= 16;
}

pd_status pd_jpeg2000_decode(uint16_t *out, int height, int width, const unsigned char *bytes,
                             size_t size)
{
    pd_status status = PD_OK;
    pd_j2k_source source = {bytes, size, 0};
    opj_stream_t *stream = open_stream(&source);
    opj_codec_t *codec = open_codec(bytes, size);
    opj_image_t *image = NULL;

    if (stream == NULL || codec == NULL)
        status = pd_fail_system("out of memory for decoding JPEG 2000");
    else if (!opj_read_header(stream, codec, &image))
        status = pd_fail("the JPEG 2000 image's header is damaged");
    else if (!has_shape(image, height, width))
        status = pd_fail("the JPEG 2000 image is not the one grey image of %d x %d pixels that the "
                         "DICOM header states",
                         width, height);
    else if (!opj_decode(codec, stream, image) || !opj_end_decompress(codec, stream) ||
             image->comps[0].data == NULL || !has_shape(image, height, width))
        status = pd_fail("the JPEG 2000 image is damaged or cut short");
    for (size_t i = 0; status == PD_OK && i < (size_t)height * (size_t)width; i++)
        out[i] = (uint16_t)image->comps[0].data[i];

    opj_image_destroy(image);
    opj_destroy_codec(codec);
    opj_stream_destroy(stream);
    return status;
}
