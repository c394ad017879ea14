/* Packed data sets whose tree is edited. */
#include "fuzz.h"
#include "tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    const char *path = fuzz_tree("tree.h5", "dataset", bytes, size);
    if (path != NULL)
        fuzz_read_dataset(path);
    return 0;
}
