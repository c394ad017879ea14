#include "image_format.h"
#include "stb_decode.h"

#include <string.h>

static bool is_png(const unsigned char *bytes, size_t size)
{
    return size >= 8 && memcmp(bytes, "\x89PNG\r\n\x1a\n", 8) == 0;
}

const pd_image_format pd_image_format_png = {
    .name = "PNG", .extensions = {".png"}, .recognises = is_png, .decode = pd_stb_decode};
