/* Small DICOM files in memory, explicit little endian. */
#ifndef PNEUMO_TESTS_DICOM_FILE_H
#define PNEUMO_TESTS_DICOM_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { DICOM_FILE_ROOM = 1 << 16 };

typedef struct dicom_file {
    unsigned char bytes[DICOM_FILE_ROOM];
    size_t size;
} dicom_file;

static inline void dicom_put(dicom_file *file, const void *bytes, size_t size)
{
    memcpy(file->bytes + file->size, bytes, size);
    file->size += size;
}

static inline void dicom_put16(dicom_file *file, unsigned value)
{
    unsigned char bytes[] = {(unsigned char)value, (unsigned char)(value >> 8)};
    dicom_put(file, bytes, 2);
}

static inline void dicom_put32(dicom_file *file, uint32_t value)
{
    dicom_put16(file, value & 0xffff);
    dicom_put16(file, value >> 16);
}

/* Tag, VR and length of an element whose VR has a length of 32 bits. */
static inline void dicom_start(dicom_file *file, unsigned group, unsigned element, const char *vr,
                               uint32_t length)
{
    dicom_put16(file, group);
    dicom_put16(file, element);
    dicom_put(file, vr, 2);
    dicom_put16(file, 0);
    dicom_put32(file, length);
}

/* A text, made even with a blank. */
static inline void dicom_text(dicom_file *file, unsigned group, unsigned element, const char *vr,
                              const char *text)
{
    size_t length = strlen(text);
    dicom_put16(file, group);
    dicom_put16(file, element);
    dicom_put(file, vr, 2);
    dicom_put16(file, (unsigned)(length + length % 2));
    dicom_put(file, text, length);
    if (length % 2)
        dicom_put(file, " ", 1);
}

static inline void dicom_number(dicom_file *file, unsigned group, unsigned element, unsigned value)
{
    dicom_put16(file, group);
    dicom_put16(file, element);
    dicom_put(file, "US", 2);
    dicom_put16(file, 2);
    dicom_put16(file, value);
}

/* Preamble and meta header. */
static inline void dicom_begin(dicom_file *file)
{
    static const unsigned char preamble[128];
    file->size = 0;
    dicom_put(file, preamble, sizeof preamble);
    dicom_put(file, "DICM", 4);
    dicom_text(file, 2, 0x0010, "UI", "1.2.840.10008.1.2.1");
}

/* The elements of a grey image. */
static inline void dicom_shape(dicom_file *file, unsigned height, unsigned width,
                               unsigned allocated, unsigned stored, unsigned is_signed,
                               const char *colour)
{
    dicom_number(file, 0x28, 0x0002, 1);
    dicom_text(file, 0x28, 0x0004, "CS", colour);
    dicom_number(file, 0x28, 0x0010, height);
    dicom_number(file, 0x28, 0x0011, width);
    dicom_number(file, 0x28, 0x0100, allocated);
    dicom_number(file, 0x28, 0x0101, stored);
    dicom_number(file, 0x28, 0x0102, stored - 1);
    dicom_number(file, 0x28, 0x0103, is_signed);
}

static inline void dicom_pixels(dicom_file *file, const uint16_t *values, size_t count)
{
    dicom_start(file, 0x7fe0, 0x0010, "OW", (uint32_t)(2 * count));
    for (size_t i = 0; i < count; i++)
        dicom_put16(file, values[i]);
}

#endif
