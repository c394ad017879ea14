/* What the files of the command inspect share. */
#ifndef PNEUMO_CLI_INSPECT_H
#define PNEUMO_CLI_INSPECT_H

#include "pneumo/base/status.h"

#include <stdbool.h>

/* Print the description of a file. With `job_only`, print only the text of the job, or of each
 * member's. */
pd_status pd_inspect_dataset(const char *path);
pd_status pd_inspect_checkpoint(const char *path, bool job_only);
pd_status pd_inspect_ensemble(const char *path, bool job_only);

/* Prints "path: what". */
void pd_inspect_heading(const char *path, const char *what);

/* Prints a line of the description, "-" for an empty text. */
void pd_inspect_text(const char *name, const char *text);

#endif
