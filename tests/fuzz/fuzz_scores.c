/* scores.csv. */
#include "fuzz.h"

#include "pneumo/report/score_file.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    const char *path = fuzz_file("scores.csv", bytes, size);
    for (pd_fold fold = PD_VAL; fold <= PD_TEST; fold++) {
        pd_score *scores = NULL;
        size_t count = 0;
        pd_score_file_read(&scores, &count, path, fold);
        free(scores);
    }
    return 0;
}
