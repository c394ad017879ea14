#include "pneumo/report/prediction_file.h"

#include "pneumo/base/memory.h"
#include "pneumo/base/progress.h"
#include "pneumo/base/text.h"
#include "pneumo/io/file.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct pd_prediction_file {
    const char *path; /* NULL: standard output */
    pd_prediction_format format;
    FILE *out;
    char *temporary; /* NULL: standard output, or committed */
};

/* --- Rows --- */

static void print_csv(FILE *rows, const char *path, const pd_prediction *prediction)
{
    char number[PD_TEXT_NUMBER];
    pd_text_write_csv(rows, path);
    if (prediction->error[0] == '\0') {
        fprintf(rows, ",%s,%s,%s,", pd_text_number(number, prediction->probability),
                pd_label_names[prediction->label], prediction->reason[0] != '\0' ? "yes" : "no");
        pd_text_write_csv(rows, prediction->reason);
        fputs(",\n", rows);
        return;
    }
    fputs(",,,,,", rows);
    pd_text_write_csv(rows, prediction->error);
    fputc('\n', rows);
}

/* cJSON's functions accept NULL from a failed allocation and return failure. */
static bool add_members(cJSON *row, const pd_prediction *prediction)
{
    char number[PD_TEXT_NUMBER];
    if (prediction->error[0] != '\0')
        return cJSON_AddNullToObject(row, "probability") && cJSON_AddNullToObject(row, "label") &&
               cJSON_AddNullToObject(row, "refer") && cJSON_AddNullToObject(row, "reason") &&
               cJSON_AddStringToObject(row, "error", prediction->error);
    return cJSON_AddRawToObject(row, "probability",
                                pd_text_number(number, prediction->probability)) &&
           cJSON_AddStringToObject(row, "label", pd_label_names[prediction->label]) &&
           cJSON_AddBoolToObject(row, "refer", prediction->reason[0] != '\0') &&
           cJSON_AddStringToObject(row, "reason", prediction->reason) &&
           cJSON_AddNullToObject(row, "error");
}

static pd_status print_json(FILE *rows, const char *path, const pd_prediction *prediction)
{
    pd_status status = PD_OK;
    char *name = NULL, *text = NULL;
    cJSON *row = cJSON_CreateObject();
    PD_TRY(pd_strdup(&name, path));
    pd_text_make_utf8(name);
    if (cJSON_AddStringToObject(row, "path", name) && add_members(row, prediction))
        text = cJSON_PrintUnformatted(row);
    if (text == NULL) {
        status = pd_fail("out of memory for the row of %s", path);
        goto cleanup;
    }
    fprintf(rows, "%s\n", text);
cleanup:
    cJSON_free(text);
    cJSON_Delete(row);
    free(name);
    return status;
}

/* --- The file --- */

static pd_status fail_to_write(const pd_prediction_file *file, int reason)
{
    return pd_fail("%s: cannot write: %s", file->path != NULL ? file->path : "standard output",
                   strerror(reason != 0 ? reason : EIO));
}

static pd_status flush(const pd_prediction_file *file)
{
    return fflush(file->out) == 0 && !ferror(file->out) ? PD_OK : fail_to_write(file, errno);
}

static pd_status begin(void *context)
{
    pd_status status = PD_OK;
    pd_prediction_file *file = context;
    file->out = stdout;
    if (file->path != NULL) {
        PD_TRY(pd_folder_make_above(file->path));
        PD_TRY(pd_file_temporary(&file->temporary, file->path));
        file->out = fopen(file->temporary, "we");
        if (file->out == NULL) {
            status = fail_to_write(file, errno);
            goto cleanup;
        }
    }
    errno = 0;
    if (file->format == PD_PREDICTION_CSV)
        fputs("path,probability,label,refer,reason,error\n", file->out);
    status = flush(file);
cleanup:
    return status;
}

static pd_status put(void *context, const char *const *paths, const pd_prediction *predictions,
                     int count)
{
    pd_status status = PD_OK;
    pd_prediction_file *file = context;
    pd_progress_clear(); /* standard output may be the same terminal */
    errno = 0;
    for (int i = 0; i < count && status == PD_OK; i++) {
        if (file->format == PD_PREDICTION_CSV)
            print_csv(file->out, paths[i], &predictions[i]);
        else
            status = print_json(file->out, paths[i], &predictions[i]);
    }
    return status == PD_OK ? flush(file) : status;
}

/* Moves the finished file to its path. */
static pd_status end(void *context)
{
    pd_prediction_file *file = context;
    if (file->temporary == NULL)
        return PD_OK;
    FILE *out = file->out;
    file->out = NULL;
    if (fclose(out) != 0) /* network file systems report a full disk here */
        return fail_to_write(file, errno);
    pd_status status = pd_file_commit(file->temporary, file->path);
    if (status == PD_OK) {
        free(file->temporary);
        file->temporary = NULL;
    }
    return status;
}

pd_status pd_prediction_file_create(pd_prediction_file **out, const char *path,
                                    pd_prediction_format format)
{
    pd_status status = pd_alloc(out, 1, sizeof **out);
    if (status == PD_OK) {
        (*out)->path = path;
        (*out)->format = format;
    }
    return status;
}

void pd_prediction_file_destroy(pd_prediction_file **file)
{
    if (*file == NULL)
        return;
    if ((*file)->temporary != NULL) {
        if ((*file)->out != NULL)
            fclose((*file)->out);
        pd_file_discard((*file)->temporary);
        free((*file)->temporary);
    }
    free(*file);
    *file = NULL;
}

pd_prediction_sink pd_prediction_file_sink(pd_prediction_file *file)
{
    return (pd_prediction_sink){.context = file, .begin = begin, .put = put, .end = end};
}
