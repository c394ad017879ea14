/* Files and folders: whole-file reads, writes that are all or nothing. */
#ifndef PNEUMO_IO_FILE_H
#define PNEUMO_IO_FILE_H

#include "pneumo/base/status.h"

#include <stdbool.h>
#include <stddef.h>

/* True if something exists at `path`. */
bool pd_file_exists(const char *path);

/* Creates the folder and its parents where missing. Fails if it cannot be written to. */
pd_status pd_folder_make(const char *path);

/* Creates the folder that is to hold the file `path`, and its parents, where missing. */
pd_status pd_folder_make_above(const char *path);

/* Reads a whole file into *bytes (released with free(); a 0 byte follows the last). Fails if it is
 * larger than `limit` bytes. */
pd_status pd_file_read(unsigned char **bytes, size_t *size, const char *path, size_t limit);

/* Stores at *temporary (free()) a name in path's folder for pd_file_commit. */
pd_status pd_file_temporary(char **temporary, const char *path);

/* Flushes `temporary` to disk, renames it to `path`, flushes the folder. Also removes what killed
 * processes have left of writing the same `path`: their temporary files, if the process was one of
 * this host and lives no more, or the file of another host is an hour old. */
pd_status pd_file_commit(const char *temporary, const char *path);

/* Writes the bytes to `path` by way of a temporary file; all or nothing. */
pd_status pd_file_write(const char *path, const void *bytes, size_t size);

/* The same, but what is at `path` before is at `kept`, in the same folder, afterwards; where there
 * is nothing yet, `kept` stays as it is. At every moment between, a kill leaves either the old or
 * the new bytes at `path`, and at `kept` what it held or the old bytes. Only on file systems
 * without hard links nothing is at `path` for a moment, when `kept` has the old bytes already. */
pd_status pd_file_replace(const char *path, const char *kept, const void *bytes, size_t size);

#endif
