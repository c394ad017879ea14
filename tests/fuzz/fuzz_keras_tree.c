/* Keras' HDF5 files whose tree is edited. */
#include "fuzz.h"
#include "tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    const char *path = fuzz_tree("tree.h5", "keras", bytes, size);
    if (path != NULL)
        fuzz_read_keras(path);
    return 0;
}
