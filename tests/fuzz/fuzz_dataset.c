/* Packed data sets. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    fuzz_read_dataset(fuzz_file("data.h5", bytes, size));
    return 0;
}
