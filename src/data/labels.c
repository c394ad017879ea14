#include "labels.h"

#include "pneumo/base/log.h"
#include "pneumo/base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *const role_names[PD_ROLES] = {"path", "label", "patient",
                                                 "fold", "cause", "view"};

/* Of the classes; separated by '|'. */
static const char *const default_findings[PD_LABELS] = {"Normal|No Finding|0",
                                                        "Pneumonia|Pnemonia|1"};

/* --- Layouts --- */

/* A table that others publish. Without a label column, each finding has its own. */
typedef struct layout_row {
    const char *name;
    const char *columns[PD_ROLES]; /* NULL: none */
} layout_row;

static const layout_row layouts[] = {
    {"NIH ChestX-ray14",
     {"Image Index", "Finding Labels", "Patient ID", NULL, NULL, "View Position"}},
    {"CheXpert", {"Path", NULL, NULL, NULL, NULL, "Frontal/Lateral"}},
    {"RSNA", {"patientId", "Target", "patientId", NULL, NULL}},
    {"RSNA", {"patientId", "class", "patientId", NULL, NULL}},
    {"VinDr-CXR", {"image_id", "class_name", NULL, NULL, NULL}},
    {"Coronahack", {"X_ray_image_name", "Label", NULL, "Dataset_type", "Label_1_Virus_category"}},
};

/* Common names of columns, by role, in order of preference. */
static const char *const common[PD_ROLES][10] = {
    [PD_ROLE_PATH] = {"path", "file", "filename", "file_name", "filepath", "image", "image_path",
                      "image_id", "image_name"},
    [PD_ROLE_LABEL] = {"label", "labels", "class", "class_name", "target", "diagnosis", "finding",
                       "findings"},
    [PD_ROLE_PATIENT] = {"patient", "patient_id", "patientid", "patient id", "subject",
                         "subject_id", "subjectid"},
    [PD_ROLE_FOLD] = {"fold", "split", "set", "subset", "partition"},
    [PD_ROLE_CAUSE] = {"cause", "pathogen"},
    [PD_ROLE_VIEW] = {"view", "view_position", "viewposition", "view position", "projection",
                      "frontal/lateral"},
};

/* -1: there is none, or no name is given: some programs write a column without one. */
static int64_t find_column(const pd_table *table, const char *name)
{
    const pd_table_row *header = &table->rows[0];
    for (int64_t i = 0; name != NULL && name[0] != '\0' && i < header->count; i++)
        if (strcasecmp(pd_table_field(table, header, i), name) == 0)
            return i;
    return -1;
}

/* --- Findings --- */

/* Whether text[length], without spaces around it, is an item of a list with '|' between them.
 * Numbers are compared by value, since some programs write 1 as 1.0. */
static bool is_listed(const char *list, const char *text, size_t length)
{
    char number[8], *end;
    while (length > 0 && text[0] == ' ') {
        text++;
        length--;
    }
    while (length > 0 && text[length - 1] == ' ')
        length--;
    if (length > 0 && length < sizeof number) {
        memcpy(number, text, length);
        number[length] = '\0';
        double value = strtod(number, &end);
        if (*end == '\0' && (value == 0 || value == 1)) {
            text = value == 0 ? "0" : "1";
            length = 1;
        }
    }
    for (size_t size; *list != '\0'; list += size + (list[size] == '|')) {
        size = strcspn(list, "|");
        if (size == length && strncasecmp(list, text, length) == 0)
            return true;
    }
    return false;
}

/* How a row's classes are found. */
typedef struct reading {
    const pd_labels_options *options;
    const char *findings[PD_LABELS];
    int64_t columns[PD_ROLES]; /* -1: none */
    int64_t finding_count;     /* columns of findings */
    int64_t *finding_columns;  /* [finding_count] */
    pd_label *finding_labels;  /* [finding_count] */
} reading;

/* Lists the columns that are named like findings of a class. */
static pd_status find_finding_columns(reading *r, const pd_table *table)
{
    pd_status status;
    const pd_table_row *header = &table->rows[0];
    PD_TRY(pd_alloc(&r->finding_columns, (size_t)header->count, sizeof *r->finding_columns));
    PD_TRY(pd_alloc(&r->finding_labels, (size_t)header->count, sizeof *r->finding_labels));
    for (int64_t i = 0; i < header->count; i++) {
        const char *name = pd_table_field(table, header, i);
        for (int label = 0; label < PD_LABELS; label++) {
            if (!is_listed(r->findings[label], name, strlen(name)))
                continue;
            r->finding_columns[r->finding_count] = i;
            r->finding_labels[r->finding_count++] = (pd_label)label;
        }
    }

cleanup:
    return status;
}

/* --- Columns --- */

static pd_status list_header(char **out, const pd_table *table)
{
    pd_status status = PD_OK;
    char *text = NULL, *longer;
    for (int64_t i = 0; i < table->rows[0].count && i < 24; i++) {
        PD_TRY(pd_format(&longer, "%s%s'%s'", text != NULL ? text : "", i > 0 ? ", " : "",
                         pd_table_field(table, &table->rows[0], i)));
        free(text);
        text = longer;
    }
    *out = text;
    text = NULL;

cleanup:
    free(text);
    return status;
}

/* Fails with a message that ends in the names of the columns. */
static pd_status fail_columns(const reading *r, const pd_table *table, const char *what)
{
    char *header = NULL;
    pd_status status = list_header(&header, table);
    if (status == PD_OK)
        status = pd_fail("%s: %s; its columns are %s (--columns path=NAME,label=NAME,patient=NAME "
                         "tells which is which)",
                         r->options->file, what, header);
    free(header);
    return status;
}

/* Sets the columns of the first layout whose columns are all there; *name is NULL if none is. */
static void find_layout(reading *r, const char **name, const pd_table *table)
{
    *name = NULL;
    for (size_t i = 0; i < sizeof layouts / sizeof *layouts && *name == NULL; i++) {
        bool all = layouts[i].columns[PD_ROLE_LABEL] != NULL || r->finding_count > 0;
        for (int role = 0; role < PD_ROLES; role++) {
            const char *column = layouts[i].columns[role];
            r->columns[role] = find_column(table, column);
            /* Some copies of a table lack the view. */
            all = all && (column == NULL || r->columns[role] >= 0 || role == PD_ROLE_VIEW);
        }
        if (all)
            *name = layouts[i].name;
    }
}

/* Finds the columns of the roles from `first` on that have none by their common names. */
static void find_common(reading *r, const pd_table *table, pd_label_role first)
{
    enum { NAMES = sizeof common[0] / sizeof *common[0] };
    for (int role = (int)first; role < PD_ROLES; role++)
        for (int i = 0; i < NAMES && r->columns[role] < 0; i++)
            r->columns[role] = find_column(table, common[role][i]);
}

/* Fails if another column has the name of this one, which is in use; -1: none is. */
static pd_status check_name(const reading *r, const pd_table *table, int64_t column)
{
    const pd_table_row *header = &table->rows[0];
    if (column < 0)
        return PD_OK;
    const char *name = pd_table_field(table, header, column);
    for (int64_t i = 0; i < header->count; i++)
        if (i != column && strcasecmp(pd_table_field(table, header, i), name) == 0)
            return pd_fail("%s: columns %lld and %lld have the same name, '%s'; rename the one "
                           "that does not count",
                           r->options->file, (long long)(i < column ? i : column) + 1,
                           (long long)(i < column ? column : i) + 1, name);
    return PD_OK;
}

static pd_status check_names(const reading *r, const pd_table *table)
{
    pd_status status = PD_OK;
    for (int role = 0; role < PD_ROLES && status == PD_OK; role++)
        status = check_name(r, table, r->columns[role]);
    for (int64_t i = 0; i < r->finding_count && status == PD_OK; i++)
        if (r->columns[PD_ROLE_LABEL] < 0)
            status = check_name(r, table, r->finding_columns[i]);
    return status;
}

/* Sets one column by "role=column"; given[role] is the item that has set a role before. */
static pd_status set_column(reading *r, const pd_table *table, const char *item,
                            const char *given[PD_ROLES])
{
    char what[256];
    size_t length = strcspn(item, "=");
    int role = 0;
    while (role < PD_ROLES &&
           (strncmp(role_names[role], item, length) != 0 || role_names[role][length] != '\0'))
        role++;
    if (role == PD_ROLES || item[length] != '=')
        return pd_fail(
            "--columns: '%s' is not of the form ROLE=COLUMN, where a role is path, label, "
            "patient, fold, cause or view",
            item);
    if (given[role] != NULL)
        return pd_fail("--columns: '%s' and '%s' both give the %s; leave out one", given[role],
                       item, role_names[role]);
    given[role] = item;
    r->columns[role] = find_column(table, item + length + 1);
    if (item[length + 1] == '\0')
        return PD_OK;
    snprintf(what, sizeof what, "there is no column '%.128s'", item + length + 1);
    return r->columns[role] < 0 ? fail_columns(r, table, what) : PD_OK;
}

static pd_status set_columns(reading *r, const pd_table *table)
{
    pd_table given;
    const char *items[PD_ROLES] = {NULL};
    pd_status status = pd_table_parse(&given, r->options->columns, "--columns");
    for (int64_t i = 0; status == PD_OK && given.count > 0 && i < given.rows[0].count; i++)
        status = set_column(r, table, pd_table_field(&given, &given.rows[0], i), items);
    pd_table_free(&given);
    return status;
}

static void say_columns(const reading *r, const pd_table *table, const char *layout)
{
    char text[512];
    size_t used = 0;
    text[0] = '\0';
    for (int role = 0; role < PD_ROLES && used < sizeof text; role++)
        if (r->columns[role] >= 0)
            used += (size_t)snprintf(text + used, sizeof text - used, "%s%s '%s'",
                                     used > 0 ? ", " : "", role_names[role],
                                     pd_table_field(table, &table->rows[0], r->columns[role]));
    pd_log_info("%s: columns%s%s: %s%s", r->options->file, layout != NULL ? " as in " : "",
                layout != NULL ? layout : "", text,
                r->columns[PD_ROLE_LABEL] < 0 ? ", one per finding" : "");
}

static pd_status find_columns(reading *r, const pd_table *table)
{
    const char *layout;
    find_layout(r, &layout, table);
    for (int role = 0; layout == NULL && role < PD_ROLES; role++)
        r->columns[role] = -1;
    /* Own tables often look like a published one, with more columns. */
    find_common(r, table, layout == NULL ? PD_ROLE_PATH : PD_ROLE_PATIENT);
    if (r->options->columns != NULL) {
        pd_status status = set_columns(r, table);
        if (status != PD_OK)
            return status;
    }
    if (r->columns[PD_ROLE_PATH] < 0)
        return fail_columns(r, table, "cannot tell which column is the path of the image");
    if (r->columns[PD_ROLE_LABEL] < 0 && r->finding_count == 0)
        return fail_columns(r, table, "cannot tell which column is the label");
    pd_status status = check_names(r, table);
    if (status == PD_OK)
        say_columns(r, table, layout);
    return status;
}

/* --- Rows --- */

static unsigned find_classes(const reading *r, const pd_table *table, const pd_table_row *row)
{
    unsigned classes = 0;
    if (r->columns[PD_ROLE_LABEL] < 0) {
        for (int64_t i = 0; i < r->finding_count; i++) {
            const char *value = pd_table_field(table, row, r->finding_columns[i]);
            if (is_listed("1", value, strlen(value)))
                classes |= 1u << r->finding_labels[i];
        }
        return classes;
    }
    const char *text = pd_table_field(table, row, r->columns[PD_ROLE_LABEL]);
    for (size_t size; *text != '\0'; text += size + (text[size] == '|')) {
        size = strcspn(text, "|");
        for (int label = 0; label < PD_LABELS; label++)
            if (is_listed(r->findings[label], text, size))
                classes |= 1u << label;
    }
    return classes;
}

/* Frontal views are "Frontal", "PA" and "AP". */
static bool is_lateral(const char *view)
{
    static const char *const names[] = {"lateral", "l", "ll", "lat", "lateral view"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcasecmp(view, names[i]) == 0)
            return true;
    return false;
}

/* Whether the row has no text from column `first` on. */
static bool is_empty_from(const pd_table *table, const pd_table_row *row, int64_t first)
{
    for (int64_t i = first; i < row->count; i++)
        if (pd_table_field(table, row, i)[0] != '\0')
            return false;
    return true;
}

/* Leaves out the empty rows at the end, which spreadsheets write. */
static void drop_empty_rows(pd_table *table)
{
    while (table->count > 1 && is_empty_from(table, &table->rows[table->count - 1], 0))
        table->count--;
}

/* Fails if a row has more fields than the header: the others may be in the wrong columns. */
static pd_status check_width(const reading *r, const pd_table *table, const pd_table_row *row)
{
    const pd_table_row *header = &table->rows[0];
    if (is_empty_from(table, row, header->count))
        return PD_OK;
    return pd_fail("%s: line %lld has %lld fields, but the header in line %lld %lld; put a field "
                   "that contains a separator between double quotes",
                   r->options->file, (long long)row->line, (long long)row->count,
                   (long long)header->line, (long long)header->count);
}

/* The distinct labels of a table, as far as they fit. */
enum { SHOWN = 12 };

static pd_status fail_class(const reading *r, const pd_labels *labels, pd_label label)
{
    const char *shown[SHOWN];
    char text[600];
    int count = 0;
    size_t used = 0;
    text[0] = '\0';
    for (int64_t i = 0; i < labels->count && count < SHOWN; i++) {
        const char *value = labels->rows[i].texts[PD_ROLE_LABEL];
        int j = 0;
        while (j < count && strcasecmp(shown[j], value) != 0)
            j++;
        if (j == count)
            shown[count++] = value;
    }
    for (int j = 0; j < count && used < sizeof text; j++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s'%.40s'",
                                 j == 0 ? "; labels are " : ", ", shown[j]);
    return pd_fail("%s: no row has a finding of the class %s, which are '%s'%s%s (--%s 'A|B' tells "
                   "which findings are)",
                   r->options->file, pd_label_names[label], r->findings[label],
                   r->columns[PD_ROLE_LABEL] >= 0 ? text : "", count == SHOWN ? ", ..." : "",
                   label == PD_NORMAL ? "normal" : "pneumonia");
}

static pd_status read_rows(pd_labels *out, const reading *r)
{
    int64_t of_class[PD_LABELS] = {0};
    const pd_table *table = &out->table;
    pd_status status = pd_alloc(&out->rows, (size_t)table->count, sizeof *out->rows);
    for (int64_t i = 1; i < table->count && status == PD_OK; i++) {
        const pd_table_row *from = &table->rows[i];
        status = check_width(r, table, from);
        if (status != PD_OK)
            return status;
        pd_label_row *row = &out->rows[out->count];
        *row = (pd_label_row){.line = from->line, .classes = find_classes(r, table, from)};
        for (int role = 0; role < PD_ROLES; role++)
            row->texts[role] =
                r->columns[role] >= 0 ? pd_table_field(table, from, r->columns[role]) : "";
        if (row->texts[PD_ROLE_PATH][0] == '\0')
            return pd_fail("%s, line %lld: the path is empty", r->options->file,
                           (long long)row->line);
        row->lateral = is_lateral(row->texts[PD_ROLE_VIEW]);
        for (int label = 0; label < PD_LABELS; label++)
            of_class[label] += (row->classes >> label) & 1;
        out->count++;
    }
    for (int label = 0; label < PD_LABELS && status == PD_OK; label++)
        if (of_class[label] == 0)
            status = fail_class(r, out, (pd_label)label);
    return status;
}

pd_status pd_labels_read(pd_labels *out, const pd_labels_options *options)
{
    pd_status status;
    reading r = {.options = options};

    *out = (pd_labels){0};
    for (int label = 0; label < PD_LABELS; label++)
        r.findings[label] =
            options->classes[label] != NULL ? options->classes[label] : default_findings[label];
    PD_TRY(pd_table_read(&out->table, options->file));
    drop_empty_rows(&out->table);
    if (out->table.count < 2) {
        status = pd_fail("%s: the table has no rows below its header", options->file);
        goto cleanup;
    }
    PD_TRY(find_finding_columns(&r, &out->table));
    PD_TRY(find_columns(&r, &out->table));
    out->has_fold = r.columns[PD_ROLE_FOLD] >= 0;
    PD_TRY(read_rows(out, &r));

cleanup:
    free(r.finding_columns);
    free(r.finding_labels);
    return status;
}

void pd_labels_free(pd_labels *labels)
{
    pd_table_free(&labels->table);
    free(labels->rows);
    *labels = (pd_labels){0};
}
