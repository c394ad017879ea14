/* Checkpoints and averages of them. */
#include "fuzz.h"

#include "pneumo/io/checkpoint.h"
#include "pneumo/io/ensemble.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    const char *path = fuzz_file("model.h5", bytes, size);
    pd_checkpoint *checkpoint = NULL;
    pd_ensemble *ensemble = NULL;
    pd_checkpoint_load(&checkpoint, path);
    pd_checkpoint_destroy(&checkpoint);
    pd_ensemble_load(&ensemble, path);
    pd_ensemble_destroy(&ensemble);
    fuzz_check_handles();
    return 0;
}
