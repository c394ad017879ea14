/* TensorBoard's event files, as a resumed run continues them. */
#include "fuzz.h"

#include "pneumo/exchange/event_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    const pd_event_scalar scalar = {"loss", 0.5};
    int64_t step, again;
    const char *path = fuzz_file("events", bytes, size);
    fuzz_check(pd_event_file_continue(&step, path, 1000) == PD_OK && step <= 1000, "it continues");
    fuzz_check(pd_event_file_append(path, 1001, &scalar, 1) == PD_OK, "it appends");
    fuzz_check(pd_event_file_continue(&again, path, 1000) == PD_OK && again == step,
               "what was appended is cut off");
    return 0;
}
