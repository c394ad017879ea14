/* Packed data sets, and their first image. */
#include "fuzz.h"

#include "pneumo/base/memory.h"
#include "pneumo/io/dataset.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    pd_dataset *dataset = NULL;
    const int64_t first = 0;
    uint8_t *image = NULL;
    if (pd_dataset_open(&dataset, fuzz_file("data.h5", bytes, size)) == PD_OK) {
        const pd_dataset_info *info = pd_dataset_get_info(dataset);
        if (info->count > 0 && pd_alloc(&image, (size_t)info->height, (size_t)info->width) == PD_OK)
            pd_dataset_read(dataset, &first, 1, image);
        free(image);
    }
    pd_dataset_destroy(&dataset);
    fuzz_check_handles();
    return 0;
}
