#include "file_index.h"
#include "labels.h"
#include "layout.h"
#include "pneumo/base/log.h"
#include "pneumo/base/memory.h"
#include "pneumo/base/text.h"
#include "scan.h"
#include "tree.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* What the rows of one image say. */
typedef struct marks {
    /* The first row with a finding of each class, and the first with none; NULL: no row. */
    const pd_label_row *by_class[PD_LABELS], *neither;
    const pd_label_row *texts[PD_ROLES]; /* the first row in which the role is not empty */
    bool lateral;
} marks;

typedef struct scanner {
    const pd_scan_options *options;
    pd_labels labels;
    pd_tree tree;
    pd_file_index *index;
    marks *marks; /* [tree.count] */
    int64_t missing, converted;
    int64_t neither, lateral;        /* images that are listed, but left out */
    const pd_label_row *missing_row; /* the first */
} scanner;

static bool is_marked(const marks *m)
{
    return m->by_class[PD_NORMAL] != NULL || m->by_class[PD_PNEUMONIA] != NULL ||
           m->neither != NULL;
}

/* --- Conflicts --- */

static pd_status fail_two(const scanner *s, const pd_label_row *a, const pd_label_row *b,
                          const char *image, const char *what)
{
    bool ordered = a->line < b->line;
    return pd_fail("%s: lines %lld and %lld give %s two %s; correct one of them",
                   s->options->labels, (long long)(ordered ? a : b)->line,
                   (long long)(ordered ? b : a)->line, image, what);
}

static pd_status check_marks(const scanner *s, const marks *m, const char *image)
{
    const pd_label_row *normal = m->by_class[PD_NORMAL], *pneumonia = m->by_class[PD_PNEUMONIA];
    if (normal != NULL && normal == pneumonia)
        return pd_fail("%s, line %lld: %s has findings of both classes; correct the row",
                       s->options->labels, (long long)normal->line, image);
    if (normal != NULL && pneumonia != NULL)
        return fail_two(s, normal, pneumonia, image, "classes, NORMAL and PNEUMONIA");
    if (normal != NULL && m->neither != NULL)
        return fail_two(s, normal, m->neither, image,
                        "findings, one of the class NORMAL and another");
    return PD_OK;
}

/* --- Rows --- */

/* Notes a row of the image; texts that differ from those of an earlier row are an error, but for
 * the cause, of which the first counts. */
static pd_status mark(scanner *s, int64_t entry, const pd_label_row *row)
{
    static const char *const names[PD_ROLES] = {
        [PD_ROLE_PATIENT] = "patients", [PD_ROLE_FOLD] = "folds"};
    marks *m = &s->marks[entry];
    m->lateral = m->lateral || row->lateral;
    const char *image = s->tree.entries[entry].path;
    for (int label = 0; label < PD_LABELS; label++)
        if ((row->classes >> label & 1) != 0 && m->by_class[label] == NULL)
            m->by_class[label] = row;
    if (row->classes == 0 && m->neither == NULL)
        m->neither = row;
    for (int role = PD_ROLE_PATIENT; role < PD_ROLES; role++) {
        if (row->texts[role][0] == '\0')
            continue;
        if (m->texts[role] == NULL)
            m->texts[role] = row;
        else if (names[role] != NULL && strcmp(m->texts[role]->texts[role], row->texts[role]) != 0)
            return fail_two(s, m->texts[role], row, image, names[role]);
    }
    return check_marks(s, m, image);
}

static pd_status mark_all(scanner *s)
{
    pd_status status = PD_OK;
    for (int64_t i = 0; i < s->labels.count; i++) {
        const pd_label_row *row = &s->labels.rows[i];
        int64_t entry;
        bool converted;
        status = pd_file_index_find(&entry, &converted, s->index, row->texts[PD_ROLE_PATH]);
        if (status != PD_OK)
            return pd_error_prefix(status, "%s, line %lld", s->options->labels,
                                   (long long)row->line);
        s->converted += converted;
        if (entry >= 0)
            PD_TRY(mark(s, entry, row));
        else if (row->classes != 0 && s->missing++ == 0)
            s->missing_row = row;
    }

cleanup:
    return status;
}

/* --- Samples --- */

static pd_cause cause_of(const marks *m)
{
    const pd_label_row *row = m->texts[PD_ROLE_CAUSE];
    const char *text = row != NULL ? row->texts[PD_ROLE_CAUSE] : "";
    return strncasecmp(text, "bact", 4) == 0  ? PD_CAUSE_BACTERIA
           : strncasecmp(text, "vir", 3) == 0 ? PD_CAUSE_VIRUS
                                              : PD_CAUSE_UNKNOWN;
}

/* Only folds that are kept must be known. */
static pd_status find_fold(pd_fold *out, const scanner *s, const marks *m, const char *image)
{
    const pd_label_row *row = m->texts[PD_ROLE_FOLD];
    const char *text = row != NULL ? row->texts[PD_ROLE_FOLD] : "";
    *out = pd_layout_fold(text);
    if (*out == PD_FOLDS && s->options->keep_folds)
        return row == NULL
                   ? pd_fail("%s: %s has no fold", s->options->labels, image)
                   : pd_fail("%s, line %lld: the fold '%s' is unknown; folds are train, val "
                             "and test",
                             s->options->labels, (long long)row->line, text);
    *out = *out == PD_FOLDS ? PD_TRAIN : *out;
    return PD_OK;
}

static pd_status append_sample(pd_scan *scan, const scanner *s, int64_t entry)
{
    pd_status status;
    const marks *m = &s->marks[entry];
    const char *path = s->tree.entries[entry].path;
    const pd_label_row *patient = m->texts[PD_ROLE_PATIENT];
    pd_sample *sample = &scan->samples[scan->count];
    pd_scan_hint *hint = &scan->hints[scan->count];
    sample->label = m->by_class[PD_PNEUMONIA] != NULL ? PD_PNEUMONIA : PD_NORMAL;
    PD_TRY(find_fold(&sample->fold, s, m, path));
    hint->cause = cause_of(m);
    scan->keys[scan->count] = pd_entry_key(&s->tree.entries[entry]);
    PD_TRY(pd_strdup(&sample->name, path));
    scan->count++;
    if (patient != NULL)
        PD_TRY(pd_strdup(&hint->patient, patient->texts[PD_ROLE_PATIENT]));

cleanup:
    return status;
}

/* Appends the frontal images of a class, and counts the others. */
static pd_status collect(pd_scan *scan, pd_left_out *left, scanner *s)
{
    pd_status status = PD_OK;
    for (int64_t i = 0; i < s->tree.count; i++) {
        const marks *m = &s->marks[i];
        bool has_class = m->by_class[PD_NORMAL] != NULL || m->by_class[PD_PNEUMONIA] != NULL;
        if (s->tree.entries[i].kind != PD_ENTRY_IMAGE)
            PD_TRY(pd_left_out_add_entry(left, &s->tree.entries[i]));
        else if (m->lateral && !s->options->keep_lateral)
            s->lateral++;
        else if (has_class)
            PD_TRY(append_sample(scan, s, i));
        else if (is_marked(m))
            s->neither++;
        else
            PD_TRY(pd_left_out_add(left, PD_LEFT_UNLISTED, "", s->tree.entries[i].path));
    }
    scan->left_out = left->files + s->neither + s->lateral;

cleanup:
    return status;
}

/* --- Messages --- */

static pd_status check_missing(const scanner *s)
{
    const char *folder = s->options->folder, *table = s->options->labels;
    if (s->missing == 0)
        return PD_OK;
    const char *path = s->missing_row->texts[PD_ROLE_PATH];
    long long line = (long long)s->missing_row->line, missing = (long long)s->missing;
    const char *plural = pd_text_plural(missing), *are = missing == 1 ? "is" : "are";
    if (!s->options->allow_missing)
        return pd_fail("%s: the image%s of %lld row%s %s not in %s, such as '%s' (line %lld); "
                       "--allow-missing packs the others",
                       table, plural, missing, plural, are, folder, path, line);
    pd_log_warn("%s: the image%s of %lld row%s %s not in %s, such as '%s' (line %lld)", table,
                plural, missing, plural, are, folder, path, line);
    return PD_OK;
}

static pd_status check_classes(const pd_scan *scan, const pd_scan_options *options)
{
    int64_t counts[PD_FOLDS][PD_LABELS];
    pd_samples_count(counts, scan->samples, scan->count);
    for (int label = 0; label < PD_LABELS; label++)
        if (counts[PD_TRAIN][label] + counts[PD_VAL][label] + counts[PD_TEST][label] == 0)
            return pd_fail("%s: no image of the class %s is in %s", options->labels,
                           pd_label_names[label], options->folder);
    return PD_OK;
}

static void say_counts(const scanner *s, const pd_scan *scan)
{
    pd_log_info("%s: %lld row%s, %lld image%s of a class", s->options->labels,
                (long long)s->labels.count, pd_text_plural(s->labels.count), (long long)scan->count,
                pd_text_plural(scan->count));
    if (s->lateral > 0)
        pd_log_warn(
            "left out: %lld image%s that the table lists as lateral; --lateral packs them too",
            (long long)s->lateral, pd_text_plural(s->lateral));
    if (s->neither > 0)
        pd_log_info("left out: %lld image%s that the table lists with findings of neither class",
                    (long long)s->neither, pd_text_plural(s->neither));
    if (s->converted > 0)
        pd_log_info("%s: for %lld row%s, the image has another extension than the table says",
                    s->options->labels, (long long)s->converted, pd_text_plural(s->converted));
}

static pd_status prepare(scanner *s, const pd_scan_options *options)
{
    pd_status status;
    const pd_labels_options labels = {.file = options->labels,
                                      .columns = options->columns,
                                      .classes = {options->classes[0], options->classes[1]}};
    s->options = options;
    PD_TRY(pd_labels_read(&s->labels, &labels));
    PD_TRY(pd_tree_list(&s->tree, options->folder));
    PD_TRY(pd_file_index_create(&s->index, &s->tree));
    PD_TRY(pd_alloc(&s->marks, (size_t)s->tree.count, sizeof *s->marks));
    PD_TRY(mark_all(s));

cleanup:
    return status;
}

pd_status pd_scan_labels(pd_scan *out, const pd_scan_options *options)
{
    pd_status status;
    scanner s = {0};
    pd_left_out left = {0};

    *out = (pd_scan){0};
    PD_TRY(prepare(&s, options));
    PD_TRY(pd_alloc(&out->samples, (size_t)s.tree.count, sizeof *out->samples));
    PD_TRY(pd_alloc(&out->keys, (size_t)s.tree.count, sizeof *out->keys));
    PD_TRY(pd_alloc(&out->hints, (size_t)s.tree.count, sizeof *out->hints));
    out->has_folds = s.labels.has_fold;
    PD_TRY(collect(out, &left, &s));
    say_counts(&s, out);
    pd_left_out_print(&left);
    PD_TRY(check_missing(&s));
    PD_TRY(check_classes(out, options));
    if (!options->allow_rest)
        PD_TRY(pd_left_out_check(&left, out->count + s.neither + s.lateral, options->folder));

cleanup:
    pd_left_out_free(&left);
    free(s.marks);
    pd_file_index_destroy(&s.index);
    pd_tree_free(&s.tree);
    pd_labels_free(&s.labels);
    return status;
}
