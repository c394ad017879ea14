/* Images of every format, and what packing does with them. */
#include "fuzz.h"

#include "pneumo/data/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    uint8_t square[32 * 32];
    pd_image image = {.height = 0};
    if (pd_image_decode(&image, bytes, size) == PD_OK) {
        fuzz_check(image.height > 0 && image.width > 0 && image.height <= PD_IMAGE_SIDE_MAX &&
                       image.width <= PD_IMAGE_SIDE_MAX,
                   "sides within the limits");
        pd_image_resize(square, 32, 32, &image);
    }
    pd_image_free(&image);
    return 0;
}
