/* Arrays that were read from a file. */
#ifndef PNEUMO_IO_ARRAY_INTERNAL_H
#define PNEUMO_IO_ARRAY_INTERNAL_H

#include "pneumo/io/array.h"

/* Frees arrays[count] that own their names and data, and the block itself. */
void pd_array_free_all(pd_array *arrays, int count);

#endif
