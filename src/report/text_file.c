#include "text_file.h"

#include "pneumo/io/outputs.h"

#include <stdlib.h>

pd_status pd_text_file_write(const char *path, pd_status (*print)(FILE *out, const void *content),
                             const void *content)
{
    pd_status status = PD_OK;
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL)
        return pd_fail("%s: out of memory for its text", path);
    status = print(out, content);
    int failed = ferror(out);
    if ((fclose(out) != 0 || failed != 0) && status == PD_OK)
        status = pd_fail("%s: out of memory for its text", path);
    PD_TRY(status);
    PD_TRY(pd_output_write(path, text, size));
cleanup:
    free(text);
    return status;
}
