#include "fuzz.h"

#include "pneumo/data/image.h"
#include "pneumo/io/file.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[64];

static void remove_folder(void)
{
    pd_folder_remove(folder);
}

const char *fuzz_folder(void)
{
    if (folder[0] != '\0')
        return folder;
    snprintf(folder, sizeof folder, "%s/pneumo-fuzz-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    fuzz_check(mkdtemp(folder) != NULL, "a folder for the inputs");
    atexit(remove_folder);
    return folder;
}

const char *fuzz_file(const char *name, const uint8_t *bytes, size_t size)
{
    static char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", fuzz_folder(), name);
    FILE *out = fopen(path, "wb");
    fuzz_check(out != NULL && fwrite(bytes, 1, size, out) == size, "a file for the input");
    fclose(out);
    return path;
}

char *fuzz_text(const uint8_t *bytes, size_t size)
{
    char *text = malloc(size + 1);
    fuzz_check(text != NULL, "memory for the input");
    memcpy(text, bytes, size);
    text[size] = '\0';
    return text;
}

void fuzz_image(const uint8_t *bytes, size_t size)
{
    uint8_t square[32 * 32];
    pd_image image = {.height = 0};
    if (pd_image_decode(&image, bytes, size) == PD_OK) {
        fuzz_check(image.height > 0 && image.width > 0 && image.height <= PD_IMAGE_SIDE_MAX &&
                       image.width <= PD_IMAGE_SIDE_MAX,
                   "sides within the limits");
        pd_image_resize(square, 32, 32, &image);
    }
    pd_image_free(&image);
}

void fuzz_check(int holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "fuzzer: not as it should be: %s\n", what);
    abort();
}
