/* What the fuzzers share. Each fuzz_x.c defines LLVMFuzzerTestOneInput (libFuzzer). */
#ifndef PNEUMO_FUZZ_H
#define PNEUMO_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* The folder of this process, in memory where the host has /dev/shm. It is removed at exit. */
const char *fuzz_folder(void);

/* Writes the input to a file of that name in the folder and returns its path. */
const char *fuzz_file(const char *name, const uint8_t *bytes, size_t size);

/* The input as a text (free()): a zero byte ends it, as it does in the file. */
char *fuzz_text(const uint8_t *bytes, size_t size);

/* Decodes an image and resizes it, as packing does. */
void fuzz_image(const uint8_t *bytes, size_t size);

/* What the program does with an HDF5 file, and what holds if it accepts the file (readers.c). */
void fuzz_read_checkpoint(
    const char *path); /* or an average: loads it, resumes it, scores an image */
void fuzz_read_dataset(const char *path);
void fuzz_read_keras(const char *path); /* imports it */

/* Ends the fuzzer if a handle of HDF5 is left open. */
void fuzz_check_handles(void);

/* Ends the fuzzer unless `holds`. */
void fuzz_check(int holds, const char *what);

#endif
