/* What the table of commands prints: help, the man page, and completion for bash. */
#ifndef PNEUMO_CLI_HELP_H
#define PNEUMO_CLI_HELP_H

#include "command.h"

/* The lines before the list of commands, as a description (pd_command), the exit codes and examples
 * of the whole program. */
extern const char pd_help_program[], pd_help_exit_codes[], pd_help_examples[];

/* The help of one command, and of the program. */
void pd_help_print(FILE *out, const pd_command *command);
void pd_help_print_program(FILE *out);

/* A man page of section 1 with all commands, for man(7) macros of groff and mandoc. */
void pd_help_print_man(FILE *out);

/* A script for bash that completes commands, options and their values. */
void pd_help_print_completion(FILE *out);

/* "CHECKPOINT IMAGE... -o DIR [OPTION]..." */
void pd_help_synopsis(char *text, size_t size, const pd_command *command);

/* Calls `print` for each line of a text, without the line break. */
void pd_help_lines(FILE *out, const char *text, void (*print)(FILE *out, const char *line));

#endif
