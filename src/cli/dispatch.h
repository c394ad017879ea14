/* Runs a command of the table with the arguments of a command line. */
#ifndef PNEUMO_CLI_DISPATCH_H
#define PNEUMO_CLI_DISPATCH_H

#include "command.h"

/* Parses argv[1, argc) with argv[0] = the command's name, and runs the command, or prints its help.
 * Collective. */
pd_status pd_command_run(const pd_command *command, pd_comm *comm, int argc, char **argv);

#endif
