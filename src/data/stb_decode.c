#include "stb_decode.h"

#include <stb_image.h>
#include <string.h>

pd_status pd_stb_check(const unsigned char *bytes, size_t size)
{
    int width, height, components;
    if (!stbi_info_from_memory(bytes, (int)size, &width, &height, &components))
        return pd_fail("the image's header is damaged (%s)", stbi_failure_reason());
    return pd_image_check_size(height, width);
}

pd_status pd_stb_decode(pd_image *out, const unsigned char *bytes, size_t size)
{
    int width, height, components;
    pd_status status = pd_stb_check(bytes, size);
    if (status != PD_OK)
        return status;
    out->pixels = stbi_load_from_memory(bytes, (int)size, &width, &height, &components, 1);
    if (out->pixels == NULL && strcmp(stbi_failure_reason(), "outofmem") == 0)
        return pd_fail_system("out of memory for an image of %d x %d pixels", width, height);
    if (out->pixels == NULL)
        return pd_fail("the image is damaged (%s)", stbi_failure_reason());
    out->width = width;
    out->height = height;
    return PD_OK;
}
