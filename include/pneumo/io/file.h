/* Files and folders: reading whole files, atomic writes. */
#ifndef PNEUMO_IO_FILE_H
#define PNEUMO_IO_FILE_H

#include "pneumo/base/status.h"

#include <stdbool.h>
#include <stddef.h>

/* True if something exists at `path`. */
bool pd_file_exists(const char *path);

/* Creates the folder and missing parents. Fails if the folder is not writable. */
pd_status pd_folder_make(const char *path);

/* Creates the folder of the file `path` and missing parents. */
pd_status pd_folder_make_above(const char *path);

/* Removes the folder, or file, and all below it, if it exists. Links are not followed. */
pd_status pd_folder_remove(const char *path);

/* Stores at *temporary (free()) a name for a folder that becomes the folder `path`, which is
 * missing or empty, by pd_folder_commit. Creates its parents, and removes such folders of the same
 * `path` that killed processes left behind. */
pd_status pd_folder_temporary(char **temporary, const char *path);
pd_status pd_folder_commit(const char *temporary, const char *path);

/* Fails unless a regular file is at `path`: opening a pipe would wait for a writer. */
pd_status pd_file_check_regular(const char *path);

/* Reads a whole file into *bytes (free()), followed by a zero byte. Fails if the file is larger
 * than `limit` bytes. The file may be a pipe, such as that of a shell's <(...); fails if no program
 * opens it for writing within a few seconds. */
pd_status pd_file_read(unsigned char **bytes, size_t *size, const char *path, size_t limit);

/* Stores at *target (free()) the path that a write to `path` creates or replaces: `path`, or if
 * that is a link, the file at the end of its links, which need not exist. Fails if no file can be
 * written there: it is a folder, device or pipe, or the path of a file that a process has open,
 * such as /dev/stdout. */
pd_status pd_file_find_target(char **target, const char *path);

/* Stores at *temporary (free()) a file name for pd_file_commit or pd_file_discard, in the folder of
 * the target of `path`. A signal that ends the process removes the file. */
pd_status pd_file_temporary(char **temporary, const char *path);

/* Removes a temporary file. */
void pd_file_discard(const char *temporary);

/* Flushes `temporary` to disk, renames it to the target of `path` and flushes the folder. Also
 * removes temporary files of the same `path` that killed processes left behind: those of this host
 * whose process no longer exists, and those of other hosts that are an hour old. */
pd_status pd_file_commit(const char *temporary, const char *path);

/* Writes all the bytes to an open file, in several calls if one writes only some of them. Returns
 * 0, or the errno of the failure. */
int pd_file_write_all(int file, const void *bytes, size_t size);

/* Writes the bytes to `path` atomically, through a temporary file. */
pd_status pd_file_write(const char *path, const void *bytes, size_t size);

/* The same, but not flushed to disk: cheap, for what is worthless after a crash of the host. A
 * killed process can leave a temporary file, which the next pd_file_write of the path removes. */
pd_status pd_file_publish(const char *path, const void *bytes, size_t size);

/* As pd_file_write, but replaces a link itself, and keeps the previous file of `path` at `kept`, in
 * the same folder; `kept` is unchanged if there is no previous file. A kill at any instant leaves
 * the old or the new bytes at `path`, and at `kept` its own or the old bytes of `path`. On file
 * systems without hard links, `path` does not exist for an instant in which `kept` already has the
 * old bytes. */
pd_status pd_file_replace(const char *path, const char *kept, const void *bytes, size_t size);

#endif
