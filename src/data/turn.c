#include "turn.h"

#include "pneumo/base/memory.h"

#include <stdlib.h>
#include <string.h>

static unsigned number(const unsigned char *bytes, int count, bool big)
{
    unsigned value = 0;
    for (int i = 0; i < count; i++)
        value |= (unsigned)bytes[big ? count - 1 - i : i] << (8 * i);
    return value;
}

int pd_turn_of_exif(const unsigned char *bytes, size_t size)
{
    enum { HEADER = 8, ENTRY = 12, ORIENTATION = 0x0112 };
    if (size < HEADER || (memcmp(bytes, "II*\0", 4) != 0 && memcmp(bytes, "MM\0*", 4) != 0))
        return 1;
    bool big = bytes[0] == 'M';
    size_t at = number(bytes + 4, 4, big);
    if (at + 2 > size)
        return 1;
    unsigned entries = number(bytes + at, 2, big);
    at += 2;
    for (unsigned i = 0; i < entries && at + ENTRY <= size; i++, at += ENTRY)
        if (number(bytes + at, 2, big) == ORIENTATION) {
            unsigned orientation = number(bytes + at + 8, 2, big);
            return orientation >= 1 && orientation <= 8 ? (int)orientation : 1;
        }
    return 1;
}

pd_status pd_turn(pd_image *image, int orientation)
{
    uint8_t *upright;
    int height = image->height, width = image->width;
    /* Orientations 5 to 8 swap rows and columns; after that, the others mirror either. */
    bool swaps = orientation >= 5;
    bool flips_x = orientation == 2 || orientation == 3 || orientation == 6 || orientation == 7;
    bool flips_y = orientation == 3 || orientation == 4 || orientation == 7 || orientation == 8;
    if (orientation == 1)
        return PD_OK;
    int rows = swaps ? width : height, columns = swaps ? height : width;
    if (pd_alloc(&upright, (size_t)rows * (size_t)columns, 1) != PD_OK) {
        pd_image_free(image);
        return PD_FAILED;
    }
    for (int y = 0; y < rows; y++)
        for (int x = 0; x < columns; x++) {
            int v = flips_y ? rows - 1 - y : y, u = flips_x ? columns - 1 - x : x;
            size_t from = swaps ? (size_t)u * (size_t)width + (size_t)v
                                : (size_t)v * (size_t)width + (size_t)u;
            upright[(size_t)y * (size_t)columns + (size_t)x] = image->pixels[from];
        }
    free(image->pixels);
    image->pixels = upright;
    image->height = rows;
    image->width = columns;
    return PD_OK;
}
