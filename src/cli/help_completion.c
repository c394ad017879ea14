/* The completion script for bash. */
#include "help.h"

static const char *const kinds[] = {[PD_COMPLETE_NOTHING] = "nothing",
                                    [PD_COMPLETE_FILES] = "files",
                                    [PD_COMPLETE_FOLDERS] = "folders",
                                    [PD_COMPLETE_JOBS] = "jobs"};

static const char head[] = "# bash completion for pneumo-dist; made by 'pneumo-dist "
                           "--print-completion bash'\n"
                           "_pneumo_dist() {\n"
                           "    local word=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]}\n"
                           "    local before=$((COMP_CWORD - 1)) commands options='' choices=''\n"
                           "    local kind=nothing\n"
                           "    COMPREPLY=()\n"
                           "    # \"--option=value\" arrives as three words.\n"
                           "    [[ $word == = ]] && word='' && ((before++))\n"
                           "    [[ ${COMP_WORDS[before]} == = ]] && ((before--))\n";

static const char tail[] =
    "    esac\n"
    "    if ((COMP_CWORD == 1)) && [[ $word == -* ]]; then\n"
    "        choices=\"$options --version --print-man --print-completion\"\n"
    "    elif ((COMP_CWORD == 1)) || { ((COMP_CWORD == 2)) && [[ $command == help ]]; }; then\n"
    "        choices=$commands\n"
    "    elif [[ $word == -* && -z $choices ]]; then\n"
    "        choices=$options\n"
    "    fi\n"
    "    if [[ -z $choices && $kind == jobs ]]; then\n"
    "        choices=$(for job in jobs/*.ini; do [[ -e $job ]] && basename \"$job\" .ini; done)\n"
    "        mapfile -t COMPREPLY < <(compgen -W \"$choices\" -- \"$word\"; compgen -f -X '!*.ini' "
    "-- \"$word\"; compgen -d -- \"$word\")\n"
    "        compopt -o filenames 2>/dev/null\n"
    "    elif [[ -z $choices && $kind == f* ]]; then\n"
    "        [[ $kind == files ]] && mapfile -t COMPREPLY < <(compgen -f -- \"$word\")\n"
    "        [[ $kind == folders ]] && mapfile -t COMPREPLY < <(compgen -d -- \"$word\")\n"
    "        compopt -o filenames 2>/dev/null\n"
    "    else\n"
    "        mapfile -t COMPREPLY < <(compgen -W \"$choices\" -- \"$word\")\n"
    "    fi\n"
    "}\n"
    "complete -F _pneumo_dist pneumo-dist\n";

/* What follows an option that takes a value. */
static void print_value(FILE *out, const pd_option *option)
{
    if (option->type == PD_OPTION_FLAG)
        return;
    fputs("        ", out);
    if (option->letter != 0)
        fprintf(out, "-%c | ", option->letter);
    fprintf(out, "--%s) kind=%s", option->name, kinds[option->complete]);
    if (option->choices != NULL) {
        fputs(" choices='", out);
        for (int i = 0; option->choices[i] != NULL; i++)
            fprintf(out, "%s%s", i == 0 ? "" : " ", option->choices[i]);
        fputc('\'', out);
    }
    fputs(" ;;\n", out);
}

/* A command takes operands of several kinds in turn, but a shell offers those of the last one. */
static pd_complete last_operand(const pd_command *command)
{
    pd_complete complete = PD_COMPLETE_NOTHING;
    for (int i = 0; i < PD_OPERANDS && command->operands[i].name != NULL; i++)
        complete = command->operands[i].complete;
    return complete;
}

static void print_command(FILE *out, const pd_command *command)
{
    fprintf(out, "    %s)\n        kind=%s options='", command->name, kinds[last_operand(command)]);
    for (const pd_option *row = command->options; row->name != NULL; row++)
        fprintf(out, "--%s ", row->name);
    fprintf(out, "--%s'\n        case ${COMP_WORDS[before]} in\n", pd_option_help.name);
    for (const pd_option *row = command->options; row->name != NULL; row++)
        print_value(out, row);
    fputs("        esac\n        ;;\n", out);
}

void pd_help_print_completion(FILE *out)
{
    fputs(head, out);
    fputs("    commands='", out);
    for (const pd_command *const *at = pd_commands; *at != NULL; at++)
        fprintf(out, "%s ", (*at)->name);
    fputs("help version'\n"
          "    [[ $command == -* ]] && command=train # the default command\n"
          "    case $command in\n",
          out);
    for (const pd_command *const *at = pd_commands; *at != NULL; at++)
        print_command(out, *at);
    fputs(tail, out);
}
