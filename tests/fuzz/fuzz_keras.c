/* Keras' files, HDF5 and `.keras`. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    fuzz_read_keras(fuzz_file("model.keras", bytes, size));
    return 0;
}
