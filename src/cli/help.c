#include "help.h"

#include <stdlib.h>
#include <string.h>

enum { WIDTH = 80, LINE = 1024 };

const char pd_help_program[] =
    "pneumo-dist trains image classifiers that tell pneumonia from normal chest X-rays, on one "
    "rank "
    "or, data-parallel over MPI, on many.\n\n"
    "Without a command it trains the default job (cnn-deep) on data/chest_xray.h5 if that exists, "
    "else on synthetic phantoms.";

const char pd_help_exit_codes[] = "0 done, 1 failed, 2 wrong usage, 75 stopped by a signal after "
                                  "saving: run the same command again with --resume";

const char pd_help_examples[] = "pneumo-dist pack chest_xray -o data/chest_xray.h5\n"
                                "mpirun -np 2 pneumo-dist train cnn-deep --run runs/first";

/* Prints the words of `text` in lines of up to WIDTH columns. The first line continues at `column`;
 * the others are indented by `indent`. */
static void print_wrapped(FILE *out, const char *text, int column, int indent)
{
    bool first = true;
    while (*text != '\0') {
        int length = (int)strcspn(text, " ");
        if (strncmp(text + length, " %", 2) == 0) /* keeps "95 %" together */
            length += 1 + (int)strcspn(text + length + 1, " ");
        if (!first && column + 1 + length > WIDTH) {
            fprintf(out, "\n%*s", indent, "");
            column = indent;
        } else if (!first) {
            fputc(' ', out);
            column++;
        }
        fprintf(out, "%.*s", length, text);
        column += length;
        text += length + (text[length] == ' ');
        first = false;
    }
    fputc('\n', out);
}

void pd_help_lines(FILE *out, const char *text, void (*print)(FILE *out, const char *line))
{
    char line[LINE];
    while (*text != '\0') {
        int length = (int)strcspn(text, "\n");
        snprintf(line, sizeof line, "%.*s", length, text);
        print(out, line);
        text += length + (text[length] == '\n');
    }
}

static void print_line(FILE *out, const char *line)
{
    if (line[0] == ' ')
        fprintf(out, "%s\n", line);
    else
        print_wrapped(out, line, 0, strncmp(line, "- ", 2) == 0 ? 2 : 0);
}

static void print_example(FILE *out, const char *line)
{
    fprintf(out, "  %s\n", line);
}

static void print_examples(FILE *out, const char *examples)
{
    fprintf(out, "\n%s:\n", strchr(examples, '\n') == NULL ? "example" : "examples");
    pd_help_lines(out, examples, print_example);
}

/* "  -o, --output FILE" */
static int format_option(char *text, size_t size, const pd_option *option)
{
    char letter[5] = "    ";
    if (option->letter != 0)
        snprintf(letter, sizeof letter, "-%c, ", option->letter);
    return snprintf(text, size, "  %s--%s%s%s", letter, option->name,
                    option->argument == NULL ? "" : " ",
                    option->argument == NULL ? "" : option->argument);
}

/* The help of an option, with the choices of its value; free(). NULL if out of memory. */
static char *describe_option(const pd_option *option)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL)
        return NULL;
    fputs(option->help, out);
    for (int i = 0; option->choices != NULL && option->choices[i] != NULL; i++)
        fprintf(out, "%s %s", i == 0 ? "; one of" : ",", option->choices[i]);
    fclose(out);
    return text;
}

static void print_options(FILE *out, const pd_option *options)
{
    char text[64];
    int column = format_option(text, sizeof text, &pd_option_help);
    for (const pd_option *row = options; row->name != NULL; row++) {
        int length = format_option(text, sizeof text, row);
        column = length > column ? length : column;
    }
    for (const pd_option *row = options;; row++) {
        const pd_option *option = row->name == NULL ? &pd_option_help : row;
        char *help = describe_option(option);
        format_option(text, sizeof text, option);
        fprintf(out, "%-*s  ", column, text);
        print_wrapped(out, help == NULL ? option->help : help, column + 2, column + 2);
        free(help);
        if (row->name == NULL)
            return;
    }
}

void pd_help_synopsis(char *text, size_t size, const pd_command *command)
{
    size_t used = 0;
    text[0] = '\0';
    for (int i = 0; i < PD_OPERANDS && command->operands[i].name != NULL; i++) {
        const pd_operand *operand = &command->operands[i];
        used += (size_t)snprintf(text + used, size - used, operand->optional ? "[%s]%s " : "%s%s ",
                                 operand->name, operand->repeated ? "..." : "");
    }
    for (const pd_option *row = command->options; row->name != NULL; row++)
        if (row->required)
            used +=
                (size_t)snprintf(text + used, size - used, "-%c %s ", row->letter, row->argument);
    snprintf(text + used, size - used, "[OPTION]...");
}

void pd_help_print(FILE *out, const pd_command *command)
{
    char synopsis[128];
    pd_help_synopsis(synopsis, sizeof synopsis, command);
    fprintf(out, "usage: pneumo-dist %s %s\n\n", command->name, synopsis);
    pd_help_lines(out, command->description, print_line);
    fputs("\noptions:\n", out);
    print_options(out, command->options);
    print_examples(out, command->examples);
    if (command->print_appendix == NULL)
        return;
    fprintf(out, "\n%s:\n", command->appendix_title);
    command->print_appendix(out);
}

void pd_help_print_program(FILE *out)
{
    fputs("usage: pneumo-dist [COMMAND] [OPTION]...\n"
          "       mpirun -np 8 pneumo-dist [COMMAND] [OPTION]...\n\n",
          out);
    pd_help_lines(out, pd_help_program, print_line);
    fputs("\ncommands:\n", out);
    for (const pd_command *const *at = pd_commands; *at != NULL; at++)
        fprintf(out, "  %-9s  %s\n", (*at)->name, (*at)->summary);
    fputs("  help       print this help, or that of a command\n"
          "  version    print the version\n\n"
          "options:\n"
          "  -h, --help                 print this help; after a command, that of the command\n"
          "      --version              print the version\n"
          "      --print-man            print the man page\n"
          "      --print-completion bash\n"
          "                             print the completion script for bash\n\n",
          out);
    fputs("exit codes: ", out);
    print_wrapped(out, pd_help_exit_codes, 12, 0);
    print_examples(out, pd_help_examples);
}
