/* decode_image FILE OUT.pgm: writes what the program decodes, for comparison with other programs.
 */
#include "pneumo/data/image.h"

#include <stdio.h>

int main(int count, char **words)
{
    static const char *const projections[PD_PROJECTIONS] = {"unknown", "frontal", "lateral"};
    pd_image image;
    if (count != 3)
        return 2;
    if (pd_image_read(&image, words[1]) != PD_OK) {
        fprintf(stderr, "%s\n", pd_error_message());
        return 1;
    }
    FILE *file = fopen(words[2], "wb");
    size_t pixels = (size_t)image.height * (size_t)image.width;
    if (file == NULL)
        return 1;
    fprintf(file, "P5 %d %d 255\n", image.width, image.height);
    size_t written = fwrite(image.pixels, 1, pixels, file);
    printf("patient=%s modality=%s other=%d projection=%s\n", image.patient, image.modality,
           image.is_other, projections[image.projection]);
    pd_image_free(&image);
    return fclose(file) == 0 && written == pixels ? 0 : 1;
}
