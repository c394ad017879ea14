#include "pneumo/train/run_status.h"

#include "pneumo/base/log.h"
#include "pneumo/base/text.h"
#include "pneumo/io/file.h"
#include "pneumo/train/run.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define HEADER                                                                                     \
    "phase,epoch,epochs,step,steps,loss,learning_rate,images_per_second,seconds_left,ranks,"       \
    "threads,process,host\n"

enum { TEXT = 1024, MESSAGE = 2048 };

const char *const pd_run_phase_names[PD_RUN_PHASES] = {
    "starting", "training", "validating", "evaluating", "stopped", "failed", "finished"};

bool pd_run_phase_is_end(pd_run_phase phase)
{
    return phase == PD_RUN_STOPPED || phase == PD_RUN_FAILED || phase == PD_RUN_FINISHED;
}

/* A number that is not finite is an empty field. */
static const char *number(char text[PD_TEXT_NUMBER], double value)
{
    if (!isfinite(value))
        return "";
    snprintf(text, PD_TEXT_NUMBER, "%.6g", value);
    return text;
}

/* Turns a failure into a warning, without a trace in pd_error_message. `before` is what that was.
 */
static bool excuse(pd_status status, const char *before)
{
    if (status != PD_OK) {
        pd_log_warn("%s: 'watch' cannot show the progress of this run", pd_error_message());
        pd_fail("%s", before);
    }
    return status == PD_OK;
}

static int format_run(char text[TEXT], const pd_run_status *run)
{
    char numbers[4][PD_TEXT_NUMBER], host[sizeof run->host] = "";
    gethostname(host, sizeof host - 1);
    return snprintf(
        text, TEXT, HEADER "%s,%lld,%lld,%lld,%lld,%s,%s,%s,%s,%d,%d,%ld,%s\n",
        pd_run_phase_names[run->phase], (long long)run->epoch, (long long)run->epochs,
        (long long)run->step, (long long)run->steps, number(numbers[0], run->loss),
        number(numbers[1], run->learning_rate), number(numbers[2], run->images_per_second),
        number(numbers[3], run->seconds_left), run->ranks, run->threads, (long)getpid(), host);
}

bool pd_run_status_write(const char *folder, const pd_run_status *run, bool flush)
{
    char text[TEXT], before[MESSAGE], *path = NULL;
    snprintf(before, sizeof before, "%s", pd_error_message());
    int size = format_run(text, run);
    pd_status status = pd_run_path(&path, folder, "status.csv");
    if (status == PD_OK)
        status = flush ? pd_file_write(path, text, (size_t)size)
                       : pd_file_publish(path, text, (size_t)size);
    free(path);
    return excuse(status, before);
}

/* --- Reading --- */

/* The next field of a row; NULL: there is none. */
static char *next_field(char **at)
{
    return strsep(at, ",");
}

static bool read_phase(pd_run_phase *out, char **at)
{
    const char *field = next_field(at);
    for (int phase = 0; field != NULL && phase < PD_RUN_PHASES; phase++)
        if (strcmp(field, pd_run_phase_names[phase]) == 0) {
            *out = (pd_run_phase)phase;
            return true;
        }
    return false;
}

static bool read_whole(int64_t *out, char **at)
{
    const char *field = next_field(at);
    char *end = NULL;
    *out = field == NULL ? -1 : strtoll(field, &end, 10);
    return field != NULL && end != field && *end == '\0' && *out >= 0;
}

static bool read_real(double *out, char **at)
{
    const char *field = next_field(at);
    char *end = NULL;
    if (field == NULL)
        return false;
    *out = field[0] == '\0' ? (double)NAN : strtod(field, &end);
    return field[0] == '\0' || (*end == '\0' && isfinite(*out));
}

static bool parse(pd_run_status *out, char *row)
{
    char **at = &row;
    int64_t ranks, threads, process;
    if (!read_phase(&out->phase, at) || !read_whole(&out->epoch, at) ||
        !read_whole(&out->epochs, at) || !read_whole(&out->step, at) ||
        !read_whole(&out->steps, at) || !read_real(&out->loss, at) ||
        !read_real(&out->learning_rate, at) || !read_real(&out->images_per_second, at) ||
        !read_real(&out->seconds_left, at) || !read_whole(&ranks, at) ||
        !read_whole(&threads, at) || !read_whole(&process, at) || row == NULL ||
        out->epoch > INT32_MAX || out->epochs > INT32_MAX || ranks > INT32_MAX ||
        threads > INT32_MAX)
        return false;
    out->ranks = (int)ranks;
    out->threads = (int)threads;
    out->process = (long)process;
    row[strcspn(row, "\n")] = '\0';
    snprintf(out->host, sizeof out->host, "%s", row);
    pd_text_make_utf8(out->host);
    pd_text_make_printable(out->host);
    return true;
}

pd_status pd_run_status_read(pd_run_status *out, bool *found, const char *folder)
{
    pd_status status = PD_OK;
    unsigned char *text = NULL;
    char *path = NULL;
    size_t size;
    struct stat about;
    *out = (pd_run_status){.phase = PD_RUN_STARTING};
    PD_TRY(pd_run_path(&path, folder, "status.csv"));
    *found = stat(path, &about) == 0;
    if (!*found)
        goto cleanup;
    PD_TRY(pd_file_read(&text, &size, path, TEXT));
    if (strncmp((char *)text, HEADER, strlen(HEADER)) != 0 ||
        !parse(out, (char *)text + strlen(HEADER)))
        status = pd_fail("%s: is damaged: resume the run to write it again", path);
    out->age = fmax(0, difftime(time(NULL), about.st_mtime));
cleanup:
    free(text);
    free(path);
    return status;
}

void pd_run_status_enter(const char *folder, pd_run_phase phase)
{
    char before[MESSAGE];
    pd_run_status run;
    bool found;
    snprintf(before, sizeof before, "%s", pd_error_message());
    pd_status status = pd_run_status_read(&run, &found, folder);
    run.phase = phase;
    if (excuse(status, before) && found)
        pd_run_status_write(folder, &run, true);
}
