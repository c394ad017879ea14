/* Job files. What is read is written as a text that gives the same job. */
#include "fuzz.h"

#include "pneumo/train/job.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static pd_job job, again;
    char *input = fuzz_text(bytes, size), *text = NULL, *second = NULL;
    if (pd_job_parse(&job, "fuzz.ini", input, NULL, 0) == PD_OK &&
        pd_job_text(&text, &job) == PD_OK) {
        fuzz_check(pd_job_parse(&again, "fuzz.ini", text, NULL, 0) == PD_OK, "its text is read");
        fuzz_check(pd_job_text(&second, &again) == PD_OK && strcmp(text, second) == 0,
                   "its text gives the same job");
    }
    free(input);
    free(text);
    free(second);
    return 0;
}
