/* Keys of a settings file: a table that says which field of a struct a key sets, and to what. */
#ifndef PNEUMO_TRAIN_KEY_H
#define PNEUMO_TRAIN_KEY_H

#include "pneumo/base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef enum pd_key_kind {
    PD_KEY_WHOLE,  /* int */
    PD_KEY_SEED,   /* uint64_t */
    PD_KEY_REAL,   /* double */
    PD_KEY_SWITCH, /* bool: yes or no */
    PD_KEY_CHOICE, /* an enum: the index of a choice */
    PD_KEY_TEXT    /* char[]: a choice if the key has choices, else any text */
} pd_key_kind;

/* The words that a key accepts: those of a list, or the names of a table's rows, which are the
 * first member of each row. */
typedef struct pd_key_choices {
    const void *rows;
    size_t row_size;
    int count;
    const char *const *(*list)(void); /* NULL at the end; used if rows is NULL */
    const char *what;                 /* in messages; NULL: the key's name */
} pd_key_choices;

typedef struct pd_key {
    const char *section, *name;
    pd_key_kind kind;
    size_t offset, size;           /* of the field in the struct */
    bool is_operational;           /* says where and how a run works; its result is the same */
    const char *preset;            /* the default, as in a file */
    const char *range;             /* an interval such as "[0, 1)", or NULL */
    const pd_key_choices *choices; /* or NULL */
    const char *help;
} pd_key;

/* A table, section by section. */
typedef struct pd_keys {
    const pd_key *keys;
    int count;
} pd_keys;

/* The kind, offset and size that fit field `field` of `type`. GCC's enums are unsigned int. */
#define PD_KEY_FIELD(type, field)                                                                  \
    _Generic(((type *)0)->field,                                                                   \
        int: PD_KEY_WHOLE,                                                                         \
        uint64_t: PD_KEY_SEED,                                                                     \
        double: PD_KEY_REAL,                                                                       \
        bool: PD_KEY_SWITCH,                                                                       \
        unsigned: PD_KEY_CHOICE,                                                                   \
        char *: PD_KEY_TEXT),                                                                      \
        offsetof(type, field), sizeof(((type *)0)->field)

enum { PD_KEY_TEXT_MAX = 180 }; /* characters of a text */

/* Whether the table has the section; and an error that lists the sections. */
bool pd_key_has_section(const pd_keys *keys, const char *section);
pd_status pd_key_fail_section(const pd_keys *keys, const char *section);

/* Writes "; did you mean train.epochs?" with the keys of all sections whose name is, or resembles,
 * `name`; "" if there is none. Returns `text`. */
enum { PD_KEY_SUGGESTION = 160 };
char *pd_key_suggest_section(char text[PD_KEY_SUGGESTION], const pd_keys *keys, const char *name);

/* The index of a key. An unknown one is an error that suggests a similar key. */
pd_status pd_key_find(int *index, const pd_keys *keys, const char *section, const char *name);

/* Sets the key's field in *settings from the text of a file. A value of the wrong kind or out of
 * range is an error and sets nothing. */
pd_status pd_key_set(void *settings, const pd_key *key, const char *value);

/* Fails on a text that would not be read back unchanged from a line of a file. */
pd_status pd_key_check_text(const pd_key *key, const char *value);

/* Prints the value as pd_key_set reads it. */
void pd_key_print(FILE *out, const void *settings, const pd_key *key);

/* Prints the section's name in brackets if keys->keys[index] is its first key. */
void pd_key_print_section(FILE *out, const pd_keys *keys, int index);

/* Prints every key with its default, range or choices, and meaning. */
void pd_key_print_help(FILE *out, const pd_keys *keys);

#endif
