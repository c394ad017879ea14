#include "dispatch.h"

#include "help.h"
#include "pneumo/base/memory.h"

#include <stdlib.h>
#include <string.h>

static pd_status check_operands(const pd_command *command, const pd_parsed *parsed)
{
    for (int i = 0; i < PD_OPERANDS; i++) {
        const pd_operand *operand = &command->operands[i];
        if (i >= parsed->operand_count)
            return operand->name == NULL || operand->optional
                       ? PD_OK
                       : pd_fail_usage("missing argument %s", operand->name);
        if (operand->name == NULL)
            return pd_fail_usage("unexpected argument '%s'", parsed->operands[i]);
        if (operand->repeated)
            return PD_OK;
    }
    return parsed->operand_count <= PD_OPERANDS
               ? PD_OK
               : pd_fail_usage("unexpected argument '%s'", parsed->operands[PD_OPERANDS]);
}

static pd_status run(const pd_command *command, pd_comm *comm, void *options, pd_parsed *parsed)
{
    pd_status status = PD_OK;
    bool here = !command->one_rank || pd_comm_rank(comm) == 0;
    PD_TRY(check_operands(command, parsed));
    PD_TRY(pd_options_check(command->options, options));
    if (here)
        status = command->run(comm, options, parsed->operands, parsed->operand_count);
    if (command->one_rank)
        status = pd_comm_agree(comm, status);
cleanup:
    return status;
}

pd_status pd_command_run(const pd_command *command, pd_comm *comm, int argc, char **argv)
{
    pd_status status = PD_OK;
    void *options = NULL;
    pd_parsed parsed;
    PD_TRY(pd_alloc(&options, 1, command->options_size));
    if (command->defaults != NULL)
        memcpy(options, command->defaults, command->options_size);
    PD_TRY(pd_options_parse(&parsed, command->options, options, argc, argv));
    if (!parsed.help)
        status = run(command, comm, options, &parsed);
    else if (pd_comm_rank(comm) == 0)
        pd_help_print(stdout, command);
cleanup:
    free(options);
    return status;
}
