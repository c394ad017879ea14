#include "pneumo/report/outcome.h"

#include "pneumo/base/memory.h"
#include "pneumo/base/text.h"
#include "pneumo/io/file.h"

#include <cjson/cJSON.h>
#include <ctype.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const pd_column_names[PD_COLUMNS + 1] = {"accuracy",
                                                     "recall",
                                                     "specificity",
                                                     "f1",
                                                     "auc",
                                                     "stress_auc",
                                                     "stress_balanced_accuracy",
                                                     "parameters",
                                                     "seconds",
                                                     "images_per_second"};

/* Limit in bytes; reports have tens of thousands. */
enum { LARGEST = 1 << 24 };

/* cJSON's numbers are doubles: integers are exact up to this. */
static const double largest_whole = 9007199254740992.0;

typedef struct reader {
    const char *path;
    const cJSON *root;
} reader;

/* The member at `key`, such as "data.digest" or "rows.0.name". NULL, with a message, if it is
 * missing. */
static const cJSON *find(const reader *r, const char *key)
{
    char name[32];
    const cJSON *at = r->root;
    for (const char *from = key;; from++) {
        size_t length = strcspn(from, ".");
        snprintf(name, sizeof name, "%.*s", (int)length, from);
        at = cJSON_IsArray(at) && isdigit((unsigned char)name[0])
                 ? cJSON_GetArrayItem(at, atoi(name))
                 : cJSON_GetObjectItemCaseSensitive(at, name);
        from += length;
        if (at == NULL)
            pd_fail("%s: '%.*s' is missing: not the report of a run with a test fold", r->path,
                    (int)(from - key), key);
        if (at == NULL || *from == '\0')
            return at;
    }
}

static pd_status refuse(const reader *r, const char *key, const char *what)
{
    return pd_fail("%s: '%s' is not %s: the file is damaged; write it again with 'train --resume'",
                   r->path, key, what);
}

/* A text of 1 to size - 1 bytes. */
static pd_status read_text(char *out, size_t size, const reader *r, const char *key)
{
    const cJSON *item = find(r, key);
    if (item == NULL)
        return PD_FAILED;
    const char *text = cJSON_GetStringValue(item);
    if (text == NULL || text[0] == '\0' || strlen(text) >= size)
        return refuse(r, key, "a text of valid length");
    strcpy(out, text);
    pd_text_make_printable(out);
    return PD_OK;
}

/* A number from 0 to `most`; null becomes NAN. */
static pd_status read_number(double *out, const reader *r, const char *key, double most)
{
    const cJSON *item = find(r, key);
    if (item == NULL)
        return PD_FAILED;
    *out = (double)NAN;
    if (cJSON_IsNull(item))
        return PD_OK;
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0 && item->valuedouble <= most))
        return refuse(r, key, "a number in its range");
    *out = item->valuedouble;
    return PD_OK;
}

static pd_status read_whole(int64_t *out, const reader *r, const char *key)
{
    double value;
    pd_status status = read_number(&value, r, key, largest_whole);
    if (status != PD_OK)
        return status;
    if (isnan(value) || value != floor(value))
        return refuse(r, key, "a whole number");
    *out = (int64_t)value;
    return PD_OK;
}

static pd_status read_figure(pd_figure *out, const reader *r, const char *name)
{
    pd_status status = PD_OK;
    double *const parts[] = {&out->value, &out->low, &out->high};
    static const char *const names[] = {"value", "low", "high"};
    char key[64];
    for (int i = 0; i < 3; i++) {
        snprintf(key, sizeof key, "folds.test.chosen.%s.%s", name, names[i]);
        PD_TRY(read_number(parts[i], r, key, 1));
    }
cleanup:
    return status;
}

/* The lowest figure of that name of all rows of the validation fold's stress test. */
static pd_status read_worst(double *out, const reader *r, const char *name, int rows)
{
    pd_status status = PD_OK;
    double value;
    char key[80];
    for (int i = 0; i < rows; i++) {
        snprintf(key, sizeof key, "folds.val.stress.rows.%d.%s.value", i, name);
        PD_TRY(read_number(&value, r, key, 1));
        *out = fmin(*out, value); /* fmin ignores NAN */
    }
cleanup:
    return status;
}

static pd_status read_stress(pd_figure *columns, const reader *r)
{
    pd_status status = PD_OK;
    static const char fold_key[] = "folds.val", rows_key[] = "folds.val.stress.rows";
    const cJSON *folds = cJSON_GetObjectItemCaseSensitive(r->root, "folds");
    const cJSON *val = cJSON_GetObjectItemCaseSensitive(folds, "val");
    if (val != NULL && !cJSON_IsObject(val))
        return refuse(r, fold_key, "a fold");
    if (cJSON_GetObjectItemCaseSensitive(val, "stress") == NULL)
        return PD_OK;
    const cJSON *rows = find(r, rows_key);
    if (rows == NULL)
        return PD_FAILED;
    if (!cJSON_IsArray(rows) || cJSON_GetArraySize(rows) < 1)
        return refuse(r, rows_key, "a list of rows");
    int count = cJSON_GetArraySize(rows);
    PD_TRY(read_worst(&columns[PD_COLUMN_STRESS_AUC].value, r, "auc", count));
    PD_TRY(read_worst(&columns[PD_COLUMN_STRESS_BALANCED].value, r, "balanced_accuracy", count));
cleanup:
    return status;
}

static pd_status read_members(pd_outcome *out, const reader *r)
{
    pd_status status = PD_OK;
    pd_figure *columns = out->columns;
    int64_t parameters = 0;
    for (int i = 0; i < PD_COLUMNS; i++)
        columns[i] = (pd_figure){NAN, NAN, NAN};
    PD_TRY(read_text(out->job, sizeof out->job, r, "job"));
    PD_TRY(read_text(out->digest, sizeof out->digest, r, "data.digest"));
    PD_TRY(read_number(&out->threshold, r, "folds.test.chosen.threshold", DBL_MAX));
    if (isnan(out->threshold))
        return refuse(r, "folds.test.chosen.threshold", "a number");

    const struct {
        const char *key;
        int64_t *count;
    } counts[] = {
        {"folds.test.chosen.confusion.true_positive", &out->confusion.true_positive},
        {"folds.test.chosen.confusion.false_negative", &out->confusion.false_negative},
        {"folds.test.chosen.confusion.true_negative", &out->confusion.true_negative},
        {"folds.test.chosen.confusion.false_positive", &out->confusion.false_positive},
    };
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        PD_TRY(read_whole(counts[i].count, r, counts[i].key));

    PD_TRY(read_figure(&columns[PD_COLUMN_ACCURACY], r, "accuracy"));
    PD_TRY(read_figure(&columns[PD_COLUMN_RECALL], r, "sensitivity"));
    PD_TRY(read_figure(&columns[PD_COLUMN_SPECIFICITY], r, "specificity"));
    PD_TRY(read_figure(&columns[PD_COLUMN_F1], r, "f1"));
    PD_TRY(read_figure(&columns[PD_COLUMN_AUC], r, "auc"));
    PD_TRY(read_stress(columns, r));
    PD_TRY(read_whole(&parameters, r, "parameters"));
    columns[PD_COLUMN_PARAMETERS].value = (double)parameters;
    PD_TRY(read_number(&columns[PD_COLUMN_SECONDS].value, r, "seconds", 1e12));
    PD_TRY(read_number(&columns[PD_COLUMN_IMAGES_PER_SECOND].value, r, "images_per_second", 1e12));
cleanup:
    return status;
}

pd_status pd_outcome_read(pd_outcome *out, const char *folder)
{
    pd_status status = PD_OK;
    char *path = NULL;
    unsigned char *bytes = NULL;
    cJSON *root = NULL;
    size_t size;
    *out = (pd_outcome){.folder = folder};
    PD_TRY(pd_format(&path, "%s/report.json", folder));
    if (!pd_file_exists(path)) {
        status = pd_fail("%s: not found: %s is not a finished run; finish its training or leave "
                         "it out",
                         path, folder);
        goto cleanup;
    }
    PD_TRY(pd_file_read(&bytes, &size, path, LARGEST));
    /* cJSON limits the depth itself and stops at a 0 byte. */
    root = strlen((char *)bytes) == size ? cJSON_ParseWithOpts((char *)bytes, NULL, 1) : NULL;
    if (root == NULL) {
        status = pd_fail(
            "%s: is not JSON: the file is damaged; write it again with 'train --resume'", path);
        goto cleanup;
    }
    PD_TRY(read_members(out, &(reader){.path = path, .root = root}));
cleanup:
    cJSON_Delete(root);
    free(bytes);
    free(path);
    return status;
}
