#include "pneumo/report/score_file.h"

#include "pneumo/base/memory.h"
#include "pneumo/base/text.h"
#include "pneumo/io/file.h"

#include "text_file.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { FOLD, ID, NAME, PATIENT, LABEL, CAUSE, LOGIT, PROBABILITY, COLUMNS };

static const char *const columns[COLUMNS] = {"fold",  "id",    "name",  "patient",
                                             "label", "cause", "logit", "probability"};
static const char header[] = "fold,id,name,patient,label,cause,logit,probability\n";

/* ---- writing ---- */

static void write_row(FILE *out, pd_fold fold, const pd_score *score, const pd_sample *sample,
                      int views)
{
    char number[PD_TEXT_NUMBER];
    fprintf(out, "%s,%" PRId64 ",", pd_fold_names[fold], score->id);
    pd_text_write_csv(out, sample->name);
    fprintf(out, ",%" PRId32 ",%s,%s", sample->patient, pd_label_names[sample->label],
            pd_cause_names[sample->cause]);
    fprintf(out, ",%s", pd_text_number(number, pd_score_logit(score, views)));
    fprintf(out, ",%s\n", pd_text_number(number, score->probability));
}

static pd_status print_scores(FILE *out, const void *content)
{
    const pd_results *results = content;
    const pd_results_fold *const folds[PD_FOLDS] = {
        [PD_VAL] = &results->val, [PD_TEST] = &results->test};
    fputs(header, out);
    for (pd_fold fold = PD_VAL; fold <= PD_TEST; fold++)
        for (size_t i = 0; folds[fold]->present && i < folds[fold]->score_count; i++) {
            const pd_score *score = &folds[fold]->scores[i];
            write_row(out, fold, score, &results->samples[score->id], results->views);
        }
    return PD_OK;
}

pd_status pd_score_file_write(const char *path, const pd_results *results)
{
    return pd_text_file_write(path, print_scores, results);
}

/* ---- reading ----
 *
 * A number must be spelled as it would be written; anything else is an error. */

/* Bytes: a limit of some millions of rows, and the minimum of a row. */
enum { LARGEST = 1 << 28, SHORTEST_ROW = 25 };

typedef struct reader {
    const char *path;
    char *at;      /* the unread rest, ended by a 0 byte */
    long line;     /* where the row begins */
    long next_row; /* where the next row begins: a name may hold line breaks */
} reader;

static pd_status fail_at(const reader *r, const char *what)
{
    return pd_fail("%s:%ld: %s; write it again with 'train --resume'", r->path, r->line, what);
}

/* Whether `field` is an integer from 0 to `most`. */
static bool read_integer(int64_t *out, const char *field, int64_t most)
{
    char text[PD_TEXT_NUMBER];
    *out = strtoll(field, NULL, 10);
    snprintf(text, sizeof text, "%" PRId64, *out);
    return strcmp(text, field) == 0 && *out >= 0 && *out <= most;
}

static bool read_number(double *out, const char *field)
{
    char text[PD_TEXT_NUMBER];
    *out = strtod(field, NULL);
    return strcmp(pd_text_number(text, *out), field) == 0 && isfinite(*out);
}

/* Whether `field` is one of the names; *out is its index. */
static bool read_name(int *out, const char *field, const char *const *names, int count)
{
    for (*out = 0; *out < count; ++*out)
        if (strcmp(field, names[*out]) == 0)
            return true;
    return false;
}

/* Skips an image's name, which is not used. Only a name that needs quotes may have them. */
static bool skip_image_name(reader *r)
{
    static const char special[] = ",\"\r\n";
    if (*r->at != '"') {
        r->at += strcspn(r->at, special);
        return true;
    }
    r->at++;
    const char *first = r->at + strcspn(r->at, special);
    for (; *r->at != '\0'; r->at++) {
        if (*r->at == '"' && *++r->at != '"')
            return first + 1 < r->at;
        r->next_row += *r->at == '\n';
    }
    return false;
}

static pd_status read_row(reader *r, pd_fold *fold, pd_score *out)
{
    const char *fields[COLUMNS];
    int64_t patient;
    int fold_index, label, cause;
    r->line = r->next_row++;
    for (int i = 0; i < COLUMNS; i++) {
        bool fine = true;
        fields[i] = r->at;
        if (i == NAME)
            fine = skip_image_name(r);
        else
            r->at += strcspn(r->at, ",\n");
        if (!fine || *r->at != (i == COLUMNS - 1 ? '\n' : ','))
            return fail_at(r, "not a complete row of eight fields");
        *r->at++ = '\0';
    }
    *out = (pd_score){0};
    for (int i = 0; i < PD_VIEWS_MAX; i++)
        out->views[i] = (double)NAN;
    const bool known[COLUMNS] = {
        [FOLD] =
            read_name(&fold_index, fields[FOLD], pd_fold_names, PD_FOLDS) && fold_index != PD_TRAIN,
        [ID] = read_integer(&out->id, fields[ID], INT64_MAX),
        [NAME] = true,
        [PATIENT] = read_integer(&patient, fields[PATIENT], INT32_MAX),
        [LABEL] = read_name(&label, fields[LABEL], pd_label_names, PD_LABELS),
        [CAUSE] = read_name(&cause, fields[CAUSE], pd_cause_names, PD_CAUSES),
        [LOGIT] = read_number(&out->logit, fields[LOGIT]),
        [PROBABILITY] = read_number(&out->probability, fields[PROBABILITY]) &&
                        out->probability >= 0 && out->probability <= 1,
    };
    for (int i = 0; i < COLUMNS; i++)
        if (!known[i])
            return pd_fail(
                "%s:%ld: its %s has an invalid value; write it again with 'train --resume'",
                r->path, r->line, columns[i]);
    out->patient = (int32_t)patient;
    out->positive = label == PD_PNEUMONIA;
    *fold = (pd_fold)fold_index;
    return PD_OK;
}

pd_status pd_score_file_read(pd_score **out, size_t *count, const char *path, pd_fold fold)
{
    pd_status status = PD_OK;
    unsigned char *bytes = NULL;
    pd_score *scores = NULL, score;
    size_t size, used = 0;
    pd_fold row_fold = PD_TRAIN, last_fold = PD_TRAIN;
    int64_t last_id = -1;
    *out = NULL;
    *count = 0;
    PD_TRY(pd_file_read(&bytes, &size, path, LARGEST));
    reader r = {.path = path, .at = (char *)bytes, .line = 1, .next_row = 2};
    if (strlen(r.at) != size || strncmp(r.at, header, sizeof header - 1) != 0) {
        status = fail_at(&r, "not a table of scores");
        goto cleanup;
    }
    r.at += sizeof header - 1;
    PD_TRY(pd_alloc(&scores, size / SHORTEST_ROW + 1, sizeof *scores));
    while (*r.at != '\0') {
        PD_TRY(read_row(&r, &row_fold, &score));
        if (row_fold < last_fold || (row_fold == last_fold && score.id <= last_id)) {
            status = fail_at(&r, "the rows are not in the order of folds and ids");
            goto cleanup;
        }
        last_fold = row_fold;
        last_id = score.id;
        if (row_fold == fold)
            scores[used++] = score;
    }
    *out = scores;
    *count = used;
    scores = NULL;
cleanup:
    free(scores);
    free(bytes);
    return status;
}
