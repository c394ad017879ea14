/* The commands of the program: one file each in src/cli, and one line each in src/cli/main.c. */
#ifndef PNEUMO_CLI_COMMAND_H
#define PNEUMO_CLI_COMMAND_H

#include "pneumo/base/status.h"
#include "pneumo/comm/comm.h"

/* Runs with argv[0] = the command's name. Results go to standard output. The status becomes the exit
 * code; on failure the message is that of pd_error_message(), printed once by main. A command that
 * needs one process is called on rank 0 only; the others are called on every rank and return the
 * same status everywhere. PD_USAGE: main adds "see 'pneumo-dist <command> --help'". */
typedef pd_status pd_command_function(pd_comm *comm, int argc, char **argv);

pd_command_function pd_command_pack, pd_command_synth, pd_command_train, pd_command_evaluate,
    pd_command_predict, pd_command_explain, pd_command_compare, pd_command_bench,
    pd_command_inspect, pd_command_doctor, pd_command_calibrate, pd_command_ensemble;

/* For getopt_long's '?' and ':' with opterr = 0: a PD_USAGE failure that names the option. */
pd_status pd_command_bad_option(int argc, char **argv, int result);

/* For commands that take one model and then images: a PD_USAGE failure if the first image is a
 * checkpoint, too. */
pd_status pd_command_one_model(const char *model, const char *first);

/* Parses a whole number in [low, high]; else a PD_USAGE failure that names `option`. */
pd_status pd_command_integer(long long *out, const char *option, const char *text, long long low,
                             long long high);

#endif
