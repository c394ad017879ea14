/* pneumo-dist: picks the command, runs it on every rank, and turns its status into the exit code.
 */
#include "command.h"
#include "dispatch.h"
#include "help.h"
#include "pneumo/base/log.h"
#include "pneumo/base/stop.h"
#include "pneumo/io/lock.h"
#include "pneumo/kernels/blas.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The command that options without a command belong to. */
static const char default_command[] = "train";

static void print_version(FILE *out)
{
    fputs("pneumo-dist " PNEUMO_VERSION "\n", out);
}

/* Command lines that only print; they need no other ranks. */
static const struct {
    const char *words[2];
    void (*print)(FILE *out);
} texts[] = {
    {{"--help"}, pd_help_print_program},
    {{"-h"}, pd_help_print_program},
    {{"help"}, pd_help_print_program},
    {{"--version"}, print_version},
    {{"version"}, print_version},
    {{"--print-man"}, pd_help_print_man},
    {{"--print-completion", "bash"}, pd_help_print_completion},
};

/* Results that could not be written, such as to a full disk, are a failure. */
static pd_status flush_results(void)
{
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return PD_OK;
    return pd_fail("standard output: cannot write: %s", strerror(errno == 0 ? EIO : errno));
}

/* Prints the text that the command line asks for, if it asks for one. */
static bool print_text(pd_status *status, int argc, char **argv)
{
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        int count = texts[i].words[1] == NULL ? 1 : 2;
        if (argc < count + 1 || strcmp(argv[1], texts[i].words[0]) != 0 ||
            (count == 2 && strcmp(argv[2], texts[i].words[1]) != 0))
            continue;
        texts[i].print(stdout);
        *status = flush_results();
        return true;
    }
    return false;
}

/* Fails if the command line asks for a text of this name, but another word has to follow. */
static pd_status check_text(int argc, char **argv)
{
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        const char *const *words = texts[i].words;
        if (words[1] == NULL || argc < 2 || strcmp(argv[1], words[0]) != 0)
            continue;
        return argc < 3 ? pd_fail_usage("option '%s' requires a shell: %s", words[0], words[1])
                        : pd_fail_usage("unknown shell '%s'; choose %s", argv[2], words[1]);
    }
    return PD_OK;
}

/* Prints the message of a failure. */
static void report(pd_status status, const char *command)
{
    if (status == PD_FAILED)
        pd_log_error("%s", pd_error_message());
    else if (status == PD_USAGE)
        pd_log_error("%s (see 'pneumo-dist %s%s--help')", pd_error_message(), command,
                     command[0] == '\0' ? "" : " ");
}

/* The exit code once the command has ended; -1 before. When a rank has failed, the launcher's
 * signal can reach the others after their message: they are silent then, and keep their exit code.
 */
static volatile sig_atomic_t exit_code = -1;

/* Ends the process by the signal, as without a handler, so that shells see it. */
static void die(int number)
{
    sigset_t only;
    if (exit_code >= 0)
        _exit(exit_code);
    sigemptyset(&only);
    sigaddset(&only, number);
    signal(number, SIG_DFL);
    sigprocmask(SIG_UNBLOCK, &only, NULL);
    raise(number);
    _exit(128 + number);
}

/* The reader of a broken pipe does not want the run to be resumed. */
static void leave_resumable(int number)
{
    if (number == SIGPIPE || exit_code >= 0)
        die(number);
    _exit(PD_STOPPED);
}

/* Joins the other ranks and runs the command. argv[0] is the command's name. */
static pd_status run(const pd_command *command, int argc, char **argv)
{
    pd_comm *comm = NULL;
    pd_stop_listen(command->resumable ? leave_resumable : die, command->stop_advice);
    /* Open MPI's launcher can hang if a rank ends while MPI starts. */
    pd_stop_defer("stopping");
    pd_status status = pd_comm_create(&comm);
    if (status != PD_OK) {
        report(PD_FAILED, "");
        return status;
    }
    bool first = pd_comm_rank(comm) == 0;
    pd_log_set_quiet(!first);
    pd_stop_resume();
    status = pd_command_run(command, comm, argc, argv);
    if (status == PD_OK)
        status = flush_results();
    pd_lock_release_all();
    if (first)
        report(status, command->name);
    pd_log_set_quiet(true);
    exit_code = (sig_atomic_t)status;
    pd_comm_destroy(&comm);
    return status;
}

int main(int argc, char **argv)
{
    const pd_command *command = NULL;
    pd_status status = PD_OK;
    char *help[] = {NULL, "--help", NULL};
    pd_blas_prepare(argv);
    bool named = argc > 1 && argv[1][0] != '-';
    /* "help COMMAND"; "help --help" is "help". */
    bool helped = argc == 3 && strcmp(argv[1], "help") == 0 && argv[2][0] != '-';
    if (!helped && print_text(&status, argc, argv)) {
        report(status, "");
        return status;
    }
    status = check_text(argc, argv);
    if (status == PD_OK)
        status = pd_command_find(&command, helped ? argv[2] : named ? argv[1] : default_command);
    if (status != PD_OK) {
        report(status, "");
        return status;
    }
    if (helped)
        return run(command, 2, help);
    return run(command, named ? argc - 1 : argc, named ? argv + 1 : argv);
}
