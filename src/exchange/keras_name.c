#include "keras_name.h"

#include <ctype.h>
#include <stdbool.h>

void pd_keras_name_group(char *out, size_t size, const char *class_name)
{
    size_t used = 0;
    for (size_t i = 0; class_name[i] != '\0' && used + 2 < size; i++) {
        bool capital = isupper((unsigned char)class_name[i]) != 0;
        bool begins = i > 0 && capital &&
                      (islower((unsigned char)class_name[i - 1]) ||
                       islower((unsigned char)class_name[i + 1]));
        if (begins)
            out[used++] = '_';
        out[used++] = (char)tolower((unsigned char)class_name[i]);
    }
    out[used] = '\0';
}
