/* Command-line options as a table, from which parsing, help, man page and completion are derived.
 */
#ifndef PNEUMO_CLI_OPTIONS_H
#define PNEUMO_CLI_OPTIONS_H

#include "pneumo/base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum pd_option_type {
    PD_OPTION_FLAG,   /* bool: set to true; takes no value */
    PD_OPTION_INT,    /* int from low to high */
    PD_OPTION_INT64,  /* int64_t from low to high */
    PD_OPTION_NUMBER, /* double from low to high; high 0: no upper bound */
    PD_OPTION_TEXT,   /* const char *: borrowed from argv, not empty */
    PD_OPTION_CHOICE, /* int: the index of the value in `choices` */
    PD_OPTION_INTS,   /* pd_option_ints: numbers from low to high, separated by commas */
    PD_OPTION_JOB_KEY /* pd_overrides: adds "key=value"; with an empty key the value as it is */
} pd_option_type;

/* What a shell offers for a value. */
typedef enum pd_complete {
    PD_COMPLETE_NOTHING,
    PD_COMPLETE_FILES,
    PD_COMPLETE_FOLDERS,
    PD_COMPLETE_JOBS
} pd_complete;

enum { PD_OPTION_INTS_MAX = 32 };

typedef struct pd_option_ints {
    int values[PD_OPTION_INTS_MAX];
    int count;
} pd_option_ints;

typedef struct pd_option {
    const char *name; /* without the dashes; NULL ends a table */
    char letter;      /* 0: no short form */
    pd_option_type type;
    size_t offset;        /* of the target in the command's options */
    const char *argument; /* what help calls the value; NULL: a flag */
    const char *help;
    int64_t low, high;
    bool above_low; /* NUMBER: low itself is out of range */
    bool required;  /* TEXT */
    bool no_stdout; /* TEXT: a file or folder to write; '-' cannot stand for standard output */
    pd_complete complete;
    const char *const *choices; /* CHOICE: ends with NULL */
    const char *key;            /* JOB_KEY: section.key */
} pd_option;

/* The row of --help, which every command has. */
extern const pd_option pd_option_help;

/* Rows that several commands share. `type` is the command's struct of options, `member` the target:
 * an int for PD_OPTION_THREADS, pd_overrides for the others. */
#define PD_OPTION_THREADS(type, member)                                                            \
    {                                                                                              \
        "threads", 't', PD_OPTION_INT, offsetof(type, member), "N", "threads per rank",            \
            .low = 1, .high = 4096                                                                 \
    }
#define PD_OPTION_JOB_THREADS(type, member)                                                        \
    {                                                                                              \
        "threads", 't', PD_OPTION_JOB_KEY, offsetof(type, member), "N",                            \
            "threads per rank (run.threads)", .key = "run.threads"                                 \
    }
#define PD_OPTION_JOB_DATA(type, member)                                                           \
    {                                                                                              \
        "data", 'd', PD_OPTION_JOB_KEY, offsetof(type, member), "FILE",                            \
            "packed data set (data.file)", .key = "data.file", .complete = PD_COMPLETE_FILES       \
    }
#define PD_OPTION_SET(type, member)                                                                \
    {                                                                                              \
        "set", 's', PD_OPTION_JOB_KEY, offsetof(type, member), "KEY=VALUE",                        \
            "override a key of the job; may be repeated: of a key given twice, the last counts",   \
            .key = ""                                                                              \
    }

typedef struct pd_parsed {
    char **operands; /* [operand_count], in argv */
    int operand_count;
    bool help; /* --help or -h was found; what follows it is not parsed */
} pd_parsed;

/* Parses argv[1, argc) as getopt_long does: options and operands in any order, "--" ends the
 * options, a value after "=" or as the next word, several short options in one word, unambiguous
 * prefixes of long names. Flags and options that set a key of the job may be repeated. Each table
 * has --help, -h besides its rows. Writes to `options`, the command's struct, and moves the
 * operands to the front of argv. Mistakes are PD_USAGE. */
pd_status pd_options_parse(pd_parsed *out, const pd_option *table, void *options, int argc,
                           char **argv);

/* PD_USAGE if a required option, which is a TEXT, was not given. */
pd_status pd_options_check(const pd_option *table, const void *options);

#endif
