#include "image_format.h"
#include "stb_decode.h"

#include <string.h>

static bool is_jpeg(const unsigned char *bytes, size_t size)
{
    return size >= 3 && memcmp(bytes, "\xff\xd8\xff", 3) == 0;
}

/* Walks the segments of a JPEG to its end-of-image marker: stb_image fills the missing part of a
 * truncated file without an error. Bytes after the marker are allowed. */
static bool is_complete(const unsigned char *bytes, size_t size)
{
    size_t at = 2;
    while (at + 1 < size) {
        unsigned char marker = bytes[at + 1];
        if (bytes[at] != 0xff || marker == 0xff) {
            at++; /* pixel data, or fill before a marker */
        } else if (marker == 0xd9) {
            return true;
        } else if (marker <= 0x01 || (marker >= 0xd0 && marker <= 0xd8)) {
            at += 2; /* an escaped 0xff, or a marker without a segment */
        } else {
            if (at + 3 >= size)
                return false;
            at += 2 + (size_t)(bytes[at + 2] << 8 | bytes[at + 3]);
        }
    }
    return false;
}

static pd_status decode(pd_image *out, const unsigned char *bytes, size_t size)
{
    pd_status status = pd_stb_check(bytes, size);
    if (status != PD_OK)
        return status;
    if (!is_complete(bytes, size))
        return pd_fail("the JPEG is cut short: its end is missing; copy the file again");
    return pd_stb_decode(out, bytes, size);
}

const pd_image_format pd_image_format_jpeg = {
    .name = "JPEG", .extensions = {".jpeg", ".jpg"}, .recognises = is_jpeg, .decode = decode};
