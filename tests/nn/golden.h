/* Reads golden files; tests/golden/make_golden.py describes their format. */
#ifndef PNEUMO_TESTS_NN_GOLDEN_H
#define PNEUMO_TESTS_NN_GOLDEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GOLDEN_ARRAYS = 16, GOLDEN_NAME = 64 };

typedef struct golden_array {
    char name[GOLDEN_NAME];
    int rank, dims[4];
    size_t size;
    float *data;
} golden_array;

typedef struct golden_case {
    char name[GOLDEN_NAME], type[GOLDEN_NAME];
    char keys[512]; /* " key=number key=number ..." */
    int count;
    golden_array arrays[GOLDEN_ARRAYS];
} golden_case;

static inline void golden_fail(const char *what)
{
    fprintf(stderr, "golden file: %s; run tests/golden/make_golden.py\n", what);
    abort();
}

static inline FILE *golden_open(const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", PNEUMO_GOLDEN, name);
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        golden_fail(path);
    return file;
}

/* Reads the next case; false at the end of the file. Release it with golden_free. */
static inline bool golden_next(FILE *file, golden_case *out)
{
    char line[1024];
    memset(out, 0, sizeof *out);
    if (fgets(line, sizeof line, file) == NULL)
        return false;
    if (sscanf(line, "case %63s %63s%511[^\n]", out->name, out->type, out->keys) < 2)
        golden_fail(line);
    while (fgets(line, sizeof line, file) != NULL && strcmp(line, "end\n") != 0) {
        if (out->count == GOLDEN_ARRAYS)
            golden_fail("too many arrays");
        golden_array *array = &out->arrays[out->count++];
        int *d = array->dims;
        int fields = sscanf(line, "array %63s %d %d %d %d %d", array->name, &array->rank, &d[0],
                            &d[1], &d[2], &d[3]);
        if (fields < 3 || fields != array->rank + 2)
            golden_fail(line);
        array->size = 1;
        for (int i = 0; i < array->rank; i++)
            array->size *= (size_t)d[i];
        array->data = malloc(array->size * sizeof *array->data);
        if (array->data == NULL ||
            fread(array->data, sizeof *array->data, array->size, file) != array->size)
            golden_fail("truncated");
    }
    return true;
}

static inline void golden_free(golden_case *golden)
{
    for (int i = 0; i < golden->count; i++)
        free(golden->arrays[i].data);
    golden->count = 0;
}

/* The array of that name, or NULL. */
static inline const golden_array *golden_find(const golden_case *golden, const char *name)
{
    for (int i = 0; i < golden->count; i++)
        if (strcmp(golden->arrays[i].name, name) == 0)
            return &golden->arrays[i];
    return NULL;
}

/* The number of that key, or 0. */
static inline double golden_number(const golden_case *golden, const char *key)
{
    char wanted[GOLDEN_NAME + 2];
    snprintf(wanted, sizeof wanted, " %s=", key);
    const char *at = strstr(golden->keys, wanted);
    return at != NULL ? strtod(at + strlen(wanted), NULL) : 0;
}

#endif
