#include "run_files.h"

#include "pneumo/base/memory.h"
#include "pneumo/base/text.h"
#include "pneumo/io/file.h"
#include "pneumo/train/run.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define TIME_HEADER "seconds,images\n"

pd_status pd_run_files_name(pd_run_files *files, const char *folder)
{
    pd_status status = PD_OK;
    *files = (pd_run_files){0};
    PD_TRY(pd_strdup(&files->folder, folder));
    PD_TRY(pd_run_path(&files->last, folder, "last.h5"));
    PD_TRY(pd_run_path(&files->previous, folder, "previous.h5"));
    PD_TRY(pd_run_path(&files->best, folder, "best.h5"));
    PD_TRY(pd_run_path(&files->history, folder, "history.csv"));
    PD_TRY(pd_run_path(&files->time, folder, "time.csv"));
    PD_TRY(pd_run_path(&files->events, folder, "events.out.tfevents.pneumo-dist"));
cleanup:
    return status;
}

void pd_run_files_free(pd_run_files *files)
{
    free(files->folder);
    free(files->last);
    free(files->previous);
    free(files->best);
    free(files->history);
    free(files->time);
    free(files->events);
}

bool pd_run_files_exist(const pd_run_files *files)
{
    return pd_file_exists(files->last) || pd_file_exists(files->previous);
}

void pd_run_files_discard(const pd_run_files *files)
{
    if (pd_run_files_exist(files) || pd_file_exists(files->best))
        return;
    unlink(files->history);
    unlink(files->time);
    unlink(files->events);
}

pd_status pd_run_files_write_history(const pd_run_files *files, const pd_train_state *state)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL)
        return pd_fail("out of memory: cannot write %s", files->history);
    fprintf(out, "epoch");
    for (int f = 0; f < PD_HISTORY_FIELDS; f++)
        fprintf(out, ",%s", pd_history_fields[f].name);
    for (int i = 0; i < state->history_count; i++) {
        fprintf(out, "\n%d", state->history[i].epoch);
        for (int f = 0; f < PD_HISTORY_FIELDS; f++) {
            double value = pd_history_value(&state->history[i], pd_history_fields[f].offset);
            fprintf(out, pd_history_fields[f].significant ? ",%.6g" : ",%.6f", value);
        }
    }
    fprintf(out, "\n");
    if (fclose(out) != 0) {
        free(text);
        return pd_fail_system("out of memory: cannot write %s", files->history);
    }
    pd_status status = pd_file_write(files->history, text, size);
    free(text);
    return status;
}

pd_status pd_run_files_write_time(const pd_run_files *files, double seconds, int64_t images)
{
    char text[128], number[PD_TEXT_NUMBER];
    int size = snprintf(text, sizeof text, TIME_HEADER "%s,%lld\n", pd_text_number(number, seconds),
                        (long long)images);
    return pd_file_write(files->time, text, (size_t)size);
}

pd_status pd_run_files_read_time(const pd_run_files *files, double *seconds, int64_t *images)
{
    unsigned char *text = NULL;
    size_t size;
    double read_seconds;
    long long read_images;
    pd_status status = pd_file_read(&text, &size, files->time, 4096);
    if (status != PD_OK)
        return status;
    if (sscanf((char *)text, TIME_HEADER "%lf,%lld", &read_seconds, &read_images) == 2 &&
        read_seconds > 0 && isfinite(read_seconds) && read_images >= 1) {
        *seconds = read_seconds;
        *images = read_images;
    } else {
        status = pd_fail("%s: is damaged", files->time);
    }
    free(text);
    return status;
}
