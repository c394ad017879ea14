/* The man page. */
#include "help.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* Escapes characters that roff would interpret or print as another one. */
static void print_escaped(FILE *out, const char *text)
{
    static const char *const escapes[128] = {['\\'] = "\\e",  ['-'] = "\\-",   ['\''] = "\\(aq",
                                             ['`'] = "\\(ga", ['^'] = "\\(ha", ['~'] = "\\(ti"};
    if (*text == '.')
        fputs("\\&", out);
    for (; *text != '\0'; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte < 128 && escapes[byte] != NULL)
            fputs(escapes[byte], out);
        else
            fputc(byte, out);
    }
}

static void print_line(FILE *out, const char *line)
{
    if (line[0] == '\0')
        return;
    if (strncmp(line, "- ", 2) == 0)
        fputs(".IP \\(bu 2\n", out);
    else
        fputs(line[0] == ' ' ? ".br\n" : ".PP\n", out);
    print_escaped(out, line + (line[0] == '-' ? 2 : 0));
    fputc('\n', out);
}

static void print_literal(FILE *out, const char *line)
{
    print_escaped(out, line);
    fputc('\n', out);
}

/* Text whose lines are kept. */
static void print_block(FILE *out, const char *text)
{
    fputs(".PP\n.nf\n", out);
    pd_help_lines(out, text, print_literal);
    fputs(".fi\n", out);
}

static void print_option(FILE *out, const pd_option *option)
{
    fputs(".TP\n", out);
    if (option->letter != 0)
        fprintf(out, "\\fB\\-%c\\fR, ", option->letter);
    fputs("\\fB\\-\\-", out);
    print_escaped(out, option->name);
    fputs("\\fR", out);
    if (option->argument != NULL) {
        fputs(" \\fI", out);
        print_escaped(out, option->argument);
        fputs("\\fR", out);
    }
    fputc('\n', out);
    print_escaped(out, option->help);
    for (int i = 0; option->choices != NULL && option->choices[i] != NULL; i++) {
        fputs(i == 0 ? "; one of " : ", ", out);
        print_escaped(out, option->choices[i]);
    }
    fputc('\n', out);
}

static void print_command(FILE *out, const pd_command *command)
{
    char synopsis[128];
    pd_help_synopsis(synopsis, sizeof synopsis, command);
    fprintf(out, ".SS %s\n", command->name);
    fprintf(out, ".B pneumo\\-dist %s\n", command->name);
    print_literal(out, synopsis);
    pd_help_lines(out, command->description, print_line);
    for (const pd_option *row = command->options; row->name != NULL; row++)
        print_option(out, row);
    print_option(out, &pd_option_help);
    print_block(out, command->examples);
}

static void print_appendix(FILE *out, const pd_command *command)
{
    char *text = NULL;
    size_t size;
    FILE *memory = open_memstream(&text, &size);
    if (memory == NULL)
        return;
    command->print_appendix(memory);
    fclose(memory);
    fputs(".SH ", out);
    for (const char *at = command->appendix_title; *at != '\0'; at++)
        fputc(toupper((unsigned char)*at), out);
    fputc('\n', out);
    print_block(out, text);
    free(text);
}

void pd_help_print_man(FILE *out)
{
    fputs(".TH PNEUMO\\-DIST 1 \"\" \"pneumo\\-dist " PNEUMO_VERSION "\" \"User Commands\"\n"
          ".nh\n"
          ".SH NAME\n"
          "pneumo\\-dist \\- train classifiers of chest X\\-rays, data\\-parallel over MPI\n"
          ".SH SYNOPSIS\n"
          ".B pneumo\\-dist\n"
          "[\\fICOMMAND\\fR] [\\fIOPTION\\fR]...\n"
          ".br\n"
          ".B mpirun \\-np 8 pneumo\\-dist\n"
          "[\\fICOMMAND\\fR] [\\fIOPTION\\fR]...\n"
          ".SH DESCRIPTION\n",
          out);
    pd_help_lines(out, pd_help_program, print_line);
    fputs(".SH COMMANDS\n", out);
    for (const pd_command *const *at = pd_commands; *at != NULL; at++)
        print_command(out, *at);
    for (const pd_command *const *at = pd_commands; *at != NULL; at++)
        if ((*at)->print_appendix != NULL)
            print_appendix(out, *at);
    fputs(".SH EXIT STATUS\n", out);
    print_literal(out, pd_help_exit_codes);
    fputs(".SH EXAMPLES\n", out);
    print_block(out, pd_help_examples);
    fputs(".SH SEE ALSO\n.BR mpirun (1),\n.BR h5dump (1)\n", out);
}
