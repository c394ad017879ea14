/* Images of every format. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    fuzz_image(bytes, size);
    return 0;
}
