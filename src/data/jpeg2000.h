/* Decoding JPEG 2000 code streams, which DICOM files contain, with OpenJPEG. */
#ifndef PNEUMO_DATA_JPEG2000_H
#define PNEUMO_DATA_JPEG2000_H

#include "pneumo/base/status.h"

#include <stddef.h>
#include <stdint.h>

/* Decodes a grey code stream of at most 16 bits to out[height][width]: the low 16 bits of each
 * sample. Fails if the stream is damaged or has other dimensions; no memory for pixels is allocated
 * before they are compared. Thread-safe. */
pd_status pd_jpeg2000_decode(uint16_t *out, int height, int width, const unsigned char *bytes,
                             size_t size);

#endif
