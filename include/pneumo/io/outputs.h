/* The files that a command writes: they must not replace what it reads, nor each other. */
#ifndef PNEUMO_IO_OUTPUTS_H
#define PNEUMO_IO_OUTPUTS_H

#include "pneumo/base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The output that stands for standard output, where a command can write to it. */
#define PD_OUTPUT_STDOUT "-"

/* Whether the output is given and stands for standard output. */
bool pd_output_is_stdout(const char *output);

/* Writes the bytes to standard output, if `output` stands for it, or to the file atomically
 * (pd_file_write). */
pd_status pd_output_write(const char *output, const void *bytes, size_t size);

/* Fails if one of outputs[output_count] cannot be written (pd_file_find_target), is one of
 * inputs[input_count], or if two outputs are one file. Files are compared by device and inode, so
 * that links and other spellings of a path are found. Outputs, and their folders, need not exist;
 * inputs that do not exist, or are not regular files, and paths that are NULL are ignored. */
pd_status pd_outputs_check(const char *const *outputs, int64_t output_count,
                           const char *const *inputs, int64_t input_count);

/* The same for one output. */
pd_status pd_output_check(const char *output, const char *const *inputs, int64_t input_count);

#endif
