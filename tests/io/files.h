/* Helpers of this room's tests: whole files as bytes, damaged files, a full disk. */
#ifndef PNEUMO_TESTS_IO_FILES_H
#define PNEUMO_TESTS_IO_FILES_H

#include "pneumo/io/file.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct bytes {
    unsigned char *data;
    size_t size;
} bytes;

static inline bytes slurp(const char *path)
{
    bytes result;
    assert_int_equal(pd_file_read(&result.data, &result.size, path, 1u << 30), PD_OK);
    return result;
}

static inline void spill(const char *path, const unsigned char *data, size_t size)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static inline void assert_same_file(const char *a, const char *b)
{
    bytes x = slurp(a), y = slurp(b);
    assert_int_equal(x.size, y.size);
    assert_memory_equal(x.data, y.data, x.size);
    free(x.data);
    free(y.data);
}

/* Creates an empty folder of that name. */
static inline void fresh_folder(const char *path)
{
    char command[256];
    snprintf(command, sizeof command, "rm -rf '%s' && mkdir '%s'", path, path);
    assert_int_equal(system(command), 0);
}

static inline int count_files(const char *path)
{
    int count = 0;
    DIR *folder = opendir(path);
    assert_non_null(folder);
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;)
        count += entry->d_name[0] != '.';
    closedir(folder);
    return count;
}

/* Limits files to `size` bytes, as if the disk were full; 0 removes the limit. */
static inline void limit_files(size_t size)
{
    struct rlimit limit;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = size == 0 ? limit.rlim_max : (rlim_t)size;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static inline void assert_message(const char *part)
{
    if (strstr(pd_error_message(), part) == NULL)
        fail_msg("message '%s' does not contain '%s'", pd_error_message(), part);
}

/* A Python with h5py, or NULL. */
static inline const char *find_python(void)
{
    if (system("python3 -c 'import h5py' 2>/dev/null") == 0)
        return "python3";
    if (system("/usr/bin/python3 -c 'import h5py' 2>/dev/null") == 0)
        return "/usr/bin/python3";
    return NULL;
}

/* Runs tests/io/read_by_h5py.py with these arguments; skips the test without h5py. */
static inline void read_by_h5py(const char *kind, const char *path)
{
    char command[1024];
    const char *python = find_python();
    if (python == NULL)
        skip();
    snprintf(command, sizeof command, "%s '%s/../io/read_by_h5py.py' %s '%s'", python,
             PNEUMO_GOLDEN, kind, path);
    assert_int_equal(system(command), 0);
}

#endif
