/* Keras' files, HDF5 and `.keras`, as import reads them. What it writes is a checkpoint. */
#include "fuzz.h"

#include "pneumo/io/checkpoint.h"
#include "pneumo/train/import.h"

#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    pd_import_options options = {.size = 8, .positive = 1, .causes = {0, 1, 2}};
    pd_import_summary summary;
    pd_checkpoint *checkpoint = NULL;
    char output[256];
    const char *path = fuzz_file("model.keras", bytes, size);
    snprintf(output, sizeof output, "%s/imported.h5", fuzz_folder());
    pd_status status = pd_import(output, path, &options, &summary);
    options.scaling = "0..1"; /* of models that do not say it */
    if (status != PD_OK)
        status = pd_import(output, path, &options, &summary);
    if (status == PD_OK)
        fuzz_check(pd_checkpoint_load(&checkpoint, output) == PD_OK, "the checkpoint is read");
    pd_checkpoint_destroy(&checkpoint);
    fuzz_check_handles();
    return 0;
}
