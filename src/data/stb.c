/* The implementations of the stb libraries; other files use their declarations. They shift into the
 * sign bit in places, which all supported compilers define, so this file is built without the
 * sanitizer for undefined behaviour (CMakeLists.txt). */
#include "stb_decode.h"

#define STB_IMAGE_IMPLEMENTATION
#define STBI_ONLY_JPEG
#define STBI_NO_STDIO
#include <stb_image.h>

#define STB_IMAGE_RESIZE_IMPLEMENTATION
#include <stb_image_resize.h>

#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STBI_WRITE_NO_STDIO
#include <stb_image_write.h>

void pd_stb_inverse_dct(unsigned char *out, int stride, short block[64])
{
#if defined(STBI_SSE2) || defined(STBI_NEON)
    stbi__idct_simd(out, stride, block);
#else
    stbi__idct_block(out, stride, block);
#endif
}
