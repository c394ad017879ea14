#include "pneumo/exchange/export.h"

#include "export_internal.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* The longer extension comes before one that it ends in. */
static const pd_export_format *const formats[] = {
    &pd_export_keras,
    &pd_export_keras_weights,
    &pd_export_safetensors,
    &pd_export_onnx,
};

enum { FORMATS = sizeof formats / sizeof *formats };

static bool ends_in(const char *path, const char *extension)
{
    size_t length = strlen(path), end = strlen(extension);
    return length > end && strcasecmp(path + length - end, extension) == 0;
}

pd_status pd_export_find(const pd_export_format **out, const char *path)
{
    char known[128] = "";
    for (int i = 0; i < FORMATS; i++) {
        if (ends_in(path, formats[i]->extension)) {
            *out = formats[i];
            return PD_OK;
        }
        snprintf(known + strlen(known), sizeof known - strlen(known), "%s%s",
                 i == 0             ? ""
                 : i == FORMATS - 1 ? " or "
                                    : ", ",
                 formats[i]->extension);
    }
    return pd_fail_usage("%s: unknown format; give a name that ends in %s", path, known);
}
