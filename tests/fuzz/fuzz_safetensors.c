/* Weights as safetensors. */
#include "fuzz.h"

#include "exchange/donor_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    pd_donor donor = {.count = 0};
    const char *path = fuzz_file("weights.safetensors", bytes, size);
    if (pd_donor_is_safetensors(path))
        pd_donor_read_safetensors(&donor, path);
    pd_donor_free(&donor);
    return 0;
}
