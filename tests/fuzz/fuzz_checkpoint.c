/* Checkpoints and averages of them. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    fuzz_read_checkpoint(fuzz_file("model.h5", bytes, size));
    return 0;
}
