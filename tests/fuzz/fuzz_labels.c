/* Tables of labels. A first line that begins with '#' gives the columns. */
#include "fuzz.h"

#include "data/labels.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    char *columns = NULL;
    const uint8_t *line = size > 0 && bytes[0] == '#' ? memchr(bytes, '\n', size) : NULL;
    if (line != NULL) {
        columns = fuzz_text(bytes + 1, (size_t)(line - bytes) - 1);
        size -= (size_t)(line + 1 - bytes);
        bytes = line + 1;
    }
    const pd_labels_options options = {.file = fuzz_file("labels.csv", bytes, size),
                                       .columns = columns};
    pd_labels labels;
    pd_labels_read(&labels, &options);
    pd_labels_free(&labels);
    free(columns);
    return 0;
}
