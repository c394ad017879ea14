/* Reading a settings file: INI text and overrides, by a table of keys. */
#ifndef PNEUMO_TRAIN_KEY_FILE_H
#define PNEUMO_TRAIN_KEY_FILE_H

#include "key.h"

/* All borrowed. */
typedef struct pd_key_file {
    const pd_keys *keys;
    const char *origin; /* the file's name in messages */
    const char *text;   /* [size] */
    size_t size;
    const char *const *overrides; /* [override_count]: "section.key=value" */
    int override_count;
    /* Replaces a key and value of an earlier version by those of today; may be NULL. */
    void (*rename)(const char *section, const char **name, const char **value);
    int *lines; /* out: [keys->count], the line that sets a key; 0 if none does or an override does
                 */
} pd_key_file;

/* Sets fields of *settings from the file, then from the overrides; of several overrides of a key
 * the last is used. Errors begin with "origin:line: ", or with "--set ...: " and are PD_USAGE. */
pd_status pd_key_file_read(void *settings, const pd_key_file *file);

/* Prefixes the message of `status`, an error about keys `a` and `b` ("section.name") together, with
 * the place of the later of them, or with the origin alone if the file sets neither. */
pd_status pd_key_file_fail(const pd_key_file *file, const char *a, const char *b, pd_status status);

#endif
