/* Checkpoints and averages of them whose tree is edited. */
#include "fuzz.h"
#include "tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    const char *path = fuzz_tree("tree.h5", "checkpoint", bytes, size);
    if (path != NULL)
        fuzz_read_checkpoint(path);
    return 0;
}
