/* Writing a text file from what a function prints. */
#ifndef PNEUMO_REPORT_TEXT_FILE_H
#define PNEUMO_REPORT_TEXT_FILE_H

#include "pneumo/base/status.h"

#include <stdio.h>

/* Calls print with a stream in memory and `content`, and writes the text to `path` with
 * pd_output_write. Fails if print does, when memory runs out or the file cannot be written. */
pd_status pd_text_file_write(const char *path, pd_status (*print)(FILE *out, const void *content),
                             const void *content);

#endif
