/* Command lines: a word per line, the first one is the command. */
#include "fuzz.h"

#include "cli/command.h"

#include <stdlib.h>
#include <string.h>

enum { WORDS = 64, BYTES = 16384 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    char *text = fuzz_text(bytes, size), *rest = text, *words[WORDS + 1] = {NULL};
    const pd_command *command;
    static _Alignas(64) char options[BYTES];
    pd_parsed parsed;
    int count = 0;
    while (count < WORDS && rest != NULL)
        words[count++] = strsep(&rest, "\n");
    if (pd_command_find(&command, words[0]) == PD_OK) {
        fuzz_check(command->options_size <= BYTES, "room for the options");
        memset(options, 0, sizeof options);
        if (command->defaults != NULL)
            memcpy(options, command->defaults, command->options_size);
        if (pd_options_parse(&parsed, command->options, options, count, words) == PD_OK) {
            fuzz_check(parsed.operand_count < count, "fewer operands than words");
            pd_options_check(command->options, options);
        }
    }
    free(text);
    return 0;
}
