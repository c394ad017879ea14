#include "command.h"

#include "suggest.h"

#include <string.h>

#define ROW(name) &pd_command_##name,
const pd_command *const pd_commands[] = {PD_COMMANDS(ROW) NULL};

enum { COMMANDS = sizeof pd_commands / sizeof *pd_commands - 1 };

pd_status pd_command_find(const pd_command **out, const char *name)
{
    const char *names[COMMANDS];
    char text[PD_SUGGESTION];
    for (int i = 0; i < COMMANDS; i++) {
        names[i] = pd_commands[i]->name;
        if (strcmp(names[i], name) == 0) {
            *out = pd_commands[i];
            return PD_OK;
        }
    }
    pd_suggest(text, "", name, names, COMMANDS);
    return pd_fail_usage("unknown command '%s'%s", name, text);
}
