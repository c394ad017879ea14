/* The program's commands. Each is a row, a constant pd_command in a file of its own, and a name in
 * PD_COMMANDS. */
#ifndef PNEUMO_CLI_COMMAND_H
#define PNEUMO_CLI_COMMAND_H

#include "options.h"
#include "pneumo/comm/comm.h"

#include <stdio.h>

/* In the order in which help lists them. */
#define PD_COMMANDS(X)                                                                             \
    X(pack)                                                                                        \
    X(synth)                                                                                       \
    X(train)                                                                                       \
    X(watch)                                                                                       \
    X(evaluate)                                                                                    \
    X(predict)                                                                                     \
    X(calibrate)                                                                                   \
    X(explain)                                                                                     \
    X(ensemble)                                                                                    \
    X(import)                                                                                      \
    X(export)                                                                                      \
    X(compare)                                                                                     \
    X(bench)                                                                                       \
    X(doctor)                                                                                      \
    X(inspect)

/* An argument that is not an option. */
typedef struct pd_operand {
    const char *name; /* NULL: none */
    pd_complete complete;
    bool optional, repeated; /* the last one only */
} pd_operand;

enum { PD_OPERANDS = 2 };

typedef struct pd_command {
    const char *name;
    const char *summary; /* for the list of commands */

    /* Paragraphs, each a line of any length, separated by empty lines. A line that begins with "- "
     * is an item of a list, one that begins with a space is printed as it is. */
    const char *description;
    const char *examples; /* command lines, a line each */
    pd_operand operands[PD_OPERANDS];

    const pd_option *options; /* ends with {0} */
    size_t options_size;      /* of the struct that they are stored in */
    const void *defaults;     /* [options_size]; NULL: zeros */

    /* Called on every rank with the same arguments, and returns the same status on all; with
     * `one_rank`, on rank 0 only. Results go to standard output. The status becomes the exit code;
     * main prints the message. */
    pd_status (*run)(pd_comm *comm, void *options, char **operands, int count);
    bool one_rank;
    bool resumable;          /* a signal stops it after it has saved its state */
    const char *stop_advice; /* what to do after a signal has stopped it; NULL: nothing */

    /* What help appends, below its own heading; NULL: nothing. */
    const char *appendix_title;
    void (*print_appendix)(FILE *out);
} pd_command;

#define PD_COMMAND_DECLARE(name) extern const pd_command pd_command_##name;
PD_COMMANDS(PD_COMMAND_DECLARE)

/* All commands; ends with NULL. */
extern const pd_command *const pd_commands[];

/* Sets *out to the command of that name. PD_USAGE if there is none. */
pd_status pd_command_find(const pd_command **out, const char *name);

#endif
