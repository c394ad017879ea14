/* DICOM files without their preamble, and what packing does with them. */
#include "fuzz.h"

#include "pneumo/data/image.h"

#include <stdlib.h>
#include <string.h>

enum { PREAMBLE = 128 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static const char mark[] = {'D', 'I', 'C', 'M'};
    const size_t begin = PREAMBLE + sizeof mark;
    uint8_t *file = calloc(begin + size, 1);
    fuzz_check(file != NULL, "memory for the input");
    memcpy(file + PREAMBLE, mark, sizeof mark);
    memcpy(file + begin, bytes, size);
    fuzz_image(file, begin + size);
    free(file);
    return 0;
}
