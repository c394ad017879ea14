/* pneumo-dist: picks the command, runs it on every rank, and turns its status into the exit code.
 */
#include "pneumo/base/log.h"
#include "pneumo/cli/command.h"
#include "pneumo/kernels/blas.h"
#include "pneumo/train/stop.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    pd_command_function *run;
    bool alone; /* works on rank 0, whatever the number of ranks */
    const char *summary;
} commands[] = {
    {"pack", pd_command_pack, true, "pack a folder of radiographs into one data-set file"},
    {"synth", pd_command_synth, true, "write a folder of synthetic radiographs (phantoms)"},
    {"train", pd_command_train, false, "train a job, then evaluate it on the test fold"},
    {"evaluate", pd_command_evaluate, false, "evaluate a checkpoint on a packed data set"},
    {"predict", pd_command_predict, false, "tell of images whether they show pneumonia"},
    {"calibrate", pd_command_calibrate, false, "choose a checkpoint's threshold for another site"},
    {"explain", pd_command_explain, true, "show where a network looks, as a map over each image"},
    {"ensemble", pd_command_ensemble, false, "make one file of several checkpoints' average"},
    {"compare", pd_command_compare, true, "show runs side by side, and what is more than noise"},
    {"bench", pd_command_bench, false, "time the training steps of a job on random images"},
    {"doctor", pd_command_doctor, false, "see whether a job can run here, and on how many ranks"},
    {"inspect", pd_command_inspect, true, "show what a data set or checkpoint holds"},
};

enum { COMMANDS = sizeof commands / sizeof *commands };

static void print_help(FILE *out)
{
    fprintf(out, "pneumo-dist learns to tell pneumonia from normal chest X-rays, on one rank or "
                 "many.\n\n"
                 "usage: pneumo-dist [COMMAND] [OPTION]...\n"
                 "       mpirun -np 8 pneumo-dist [COMMAND] [OPTION]...\n\n"
                 "Without a command: trains the default job (cnn-deep) on data/chest_xray.h5 if it "
                 "is there,\nelse on synthetic phantoms.\n\ncommands:\n");
    for (int i = 0; i < COMMANDS; i++)
        fprintf(out, "  %-9s %s\n", commands[i].name, commands[i].summary);
    fprintf(out,
            "\n'pneumo-dist COMMAND --help' tells more.\n\n"
            "exit codes: 0 done, 1 failed, 2 wrong usage, 75 stopped by a signal after saving: "
            "run it\nagain with --resume\n\n"
            "example:\n"
            "  pneumo-dist pack chest_xray -o data/chest_xray.h5\n"
            "  mpirun -np 2 pneumo-dist train jobs/cnn-deep.ini --run runs/first\n");
}

pd_status pd_command_bad_option(int argc, char **argv, int result)
{
    const char *word = optind >= 1 && optind <= argc ? argv[optind - 1] : "?";
    bool is_long = strncmp(word, "--", 2) == 0;
    if (result == ':')
        return pd_fail_usage("option '%s' needs a value", word);
    if (is_long && strchr(word, '=') != NULL && optopt != 0)
        return pd_fail_usage("option '%s' takes no value", word);
    /* Of several short options in one word, only getopt knows which. */
    if (!is_long && optopt != 0)
        return pd_fail_usage("option '-%c' is unknown", optopt);
    return pd_fail_usage("option '%s' is unknown", word);
}

pd_status pd_command_integer(long long *out, const char *option, const char *text, long long low,
                             long long high)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0 || value < low || value > high)
        return pd_fail_usage("%s '%s' is not a whole number from %lld to %lld", option, text, low,
                             high);
    *out = value;
    return PD_OK;
}

/* Whether `argv` asks for nothing that needs other ranks. */
static bool is_trivial(int argc, char **argv)
{
    return argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
                        strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--version") == 0);
}

/* The index of a command, -1 if there is none of that name. */
static int find_command(const char *name)
{
    for (int i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i].name, name) == 0)
            return i;
    return -1;
}

static pd_status run_command(int command, pd_comm *comm, int argc, char **argv)
{
    if (!commands[command].alone)
        return commands[command].run(comm, argc, argv);
    pd_status status = PD_OK;
    if (pd_comm_rank(comm) == 0)
        status = commands[command].run(comm, argc, argv);
    return pd_comm_agree(comm, status);
}

/* Results that could not be written, such as to a full disk, are a failure. */
static pd_status flush_results(void)
{
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return PD_OK;
    return pd_fail("standard output: cannot write: %s", strerror(errno == 0 ? EIO : errno));
}

int main(int argc, char **argv)
{
    pd_blas_prepare(argv);
    if (is_trivial(argc, argv)) {
        if (strcmp(argv[1], "--version") == 0)
            printf("pneumo-dist %s\n", PNEUMO_VERSION);
        else
            print_help(stdout);
        return 0;
    }
    /* Options without a command belong to the default one. */
    bool named = argc > 1 && argv[1][0] != '-';
    const char *name = named ? argv[1] : "train";
    int command = find_command(name);
    if (command < 0) {
        pd_log_error("'%s' is no command (see 'pneumo-dist --help')", name);
        return PD_USAGE;
    }
    /* A queue's signal may come while MPI still starts. */
    if (commands[command].run == pd_command_train)
        pd_stop_listen();
    pd_comm *comm = NULL;
    pd_status status = pd_comm_create(&comm);
    if (status != PD_OK) {
        pd_log_error("%s", pd_error_message());
        return status;
    }
    int rank = pd_comm_rank(comm);
    pd_log_set_quiet(rank != 0);
    if (named) {
        argc--;
        argv++;
    }
    opterr = 0;
    status = run_command(command, comm, argc, argv);
    if (status == PD_OK)
        status = flush_results();
    if (rank == 0 && status == PD_FAILED)
        pd_log_error("%s", pd_error_message());
    if (rank == 0 && status == PD_USAGE)
        pd_log_error("%s (see 'pneumo-dist %s --help')", pd_error_message(), name);
    pd_comm_destroy(&comm);
    return status;
}
