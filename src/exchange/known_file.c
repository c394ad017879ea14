/* The official files of keras.applications, by their MD5 as that package lists them. */
#include "donor_internal.h"

#include <openssl/evp.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *md5, *name;
} known[] = {
    {"64373286793e3c8b2b4e3219cbf3544b", "VGG16"},
    {"6d6bbae143d832006294945121d1f1fc", "VGG16 without its top"},
    {"cbe5617147190e668d6c5d5026f83318", "VGG19"},
    {"253f8cb515780f3b799900260a226db6", "VGG19 without its top"},
    {"0a58e3b7378bc2990ea3b43d5981f1f6", "Xception"},
    {"b0042744bf5b25fce3cb969f33bebb97", "Xception without its top"},
};

pd_status pd_known_md5(char hex[PD_MD5_HEX], const char *path)
{
    unsigned char block[1 << 14], digest[EVP_MAX_MD_SIZE];
    size_t size;
    FILE *file = fopen(path, "rbe");
    if (file == NULL)
        return pd_fail("%s: cannot open: %s", path, strerror(errno));
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool ok = context != NULL && EVP_DigestInit_ex(context, EVP_md5(), NULL) == 1;
    while (ok && (size = fread(block, 1, sizeof block, file)) > 0)
        ok = EVP_DigestUpdate(context, block, size) == 1;
    bool read = ferror(file) == 0;
    ok = ok && EVP_DigestFinal_ex(context, digest, NULL) == 1;
    EVP_MD_CTX_free(context);
    fclose(file);
    if (!read)
        return pd_fail("%s: cannot read: %s", path, strerror(errno));
    /* A system without MD5, such as one in FIPS mode, recognises no file. */
    hex[0] = '\0';
    for (int i = 0; i < (PD_MD5_HEX - 1) / 2 && ok; i++)
        snprintf(hex + (ptrdiff_t)2 * i, 3, "%02x", digest[i]);
    return PD_OK;
}

const char *pd_known_name(const char *hex)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(hex, known[i].md5) == 0)
            return known[i].name;
    return NULL;
}

pd_status pd_known_file(char *what, size_t size, const char *path)
{
    char hex[PD_MD5_HEX];
    what[0] = '\0';
    pd_status status = pd_known_md5(hex, path);
    if (status == PD_OK && pd_known_name(hex) != NULL)
        snprintf(what, size, "the official file of ImageNet's %s (MD5 %s)", pd_known_name(hex),
                 hex);
    return status;
}
