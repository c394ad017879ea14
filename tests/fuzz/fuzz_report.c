/* report.json, as compare reads it. */
#include "fuzz.h"

#include "pneumo/report/outcome.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    pd_outcome outcome;
    fuzz_file("report.json", bytes, size);
    pd_outcome_read(&outcome, fuzz_folder());
    return 0;
}
