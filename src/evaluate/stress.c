#include "stress_internal.h"

#include "pneumo/base/memory.h"
#include "pneumo/base/random.h"
#include "pneumo/io/ensemble.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct pd_stress_test {
    pd_comm *comm;
    const pd_decision *decision;
    pd_mean_scorer *scorer;
    uint8_t *skip; /* by sample id: 1 for images that are not scored */
    const int64_t *ids;
    size_t count;
    pd_score *pool; /* rank 0: [PD_CHANGES][count] */
} pd_stress_test;

const char *pd_stress_name(const pd_stress_row *row)
{
    return row->change == PD_CHANGE_NONE ? "clean" : pd_changes[row->change].name;
}

const char *pd_stress_phrase(const pd_stress_row *row)
{
    return row->change == PD_CHANGE_NONE ? "as they are" : pd_changes[row->change].phrase;
}

const char *pd_stress_family(const pd_stress_row *row)
{
    return row->change == PD_CHANGE_NONE ? "none"
                                         : pd_change_family_names[pd_changes[row->change].family];
}

/* Computes one row's figures, and keeps the scores of changed images for the pooled AUC. */
static pd_status judge(pd_stress_test *test, pd_stress_row *row, pd_score *scores, size_t count)
{
    const pd_decision *decision = test->decision;
    pd_status status = pd_scores_check(scores, count, test->ids, test->count);
    if (status != PD_OK)
        return pd_error_prefix(status, "change %s", pd_stress_name(row));
    pd_scores_decide(scores, count, decision->temperature, decision->views);
    if (row->change != PD_CHANGE_NONE)
        memcpy(test->pool + (size_t)row->change * test->count, scores, count * sizeof *scores);
    return pd_metrics_compute(&row->metrics, scores, count, decision->threshold);
}

/* Scores the images under one change. Collective. */
static pd_status run_row(pd_stress_test *test, pd_stress_row *row, int change)
{
    char label[64];
    pd_score *scores = NULL;
    size_t count;
    *row = (pd_stress_row){.change = change};
    snprintf(label, sizeof label, "stress test %d/%d", change + 2, PD_STRESS_ROWS);
    const pd_scoring scoring = {.label = label, .change = change};
    pd_status status = pd_mean_scorer_run(test->scorer, &scoring, &scores, &count);
    if (status != PD_OK)
        return status; /* agreed on, and its message names the rank */
    if (pd_comm_rank(test->comm) == 0)
        status = judge(test, row, scores, count);
    free(scores);
    return pd_comm_agree(test->comm, status);
}

static double balanced(const pd_stress_row *row)
{
    return row->metrics.balanced_accuracy.value;
}

static pd_status summarise(const pd_stress_test *test, pd_stress *out)
{
    for (int i = 1; i < PD_STRESS_ROWS; i++)
        if (balanced(&out->rows[i]) < balanced(&out->rows[out->worst]))
            out->worst = i;
    if (isnan(balanced(&out->rows[0])))
        out->worst = PD_STRESS_NO_ROW;
    out->present = true;
    return pd_auc_patients(&out->pooled_auc, test->pool, PD_CHANGES * test->count);
}

/* Lists the images in the fold of any member, without those that are never scored, ascending. */
static size_t list_fold(int64_t *ids, const pd_member *members, int count)
{
    size_t found = 0;
    int64_t total = pd_dataset_get_info(members[0].options.dataset)->count;
    for (int64_t i = 0; i < total; i++) {
        bool in_fold = false;
        for (int m = 0; m < count && !in_fold; m++) {
            const pd_scorer_options *options = &members[m].options;
            const pd_sample *sample = &pd_dataset_samples(options->dataset)[i];
            in_fold = sample->fold == options->fold &&
                      pd_tasks[options->job->task].class_of(sample) >= 0 &&
                      (options->skip == NULL || !options->skip[i]);
        }
        if (in_fold)
            ids[found++] = i;
    }
    return found;
}

/* Draws about `most` of ids[count], in any order to the front, and returns how many. */
static size_t draw_subset(int64_t *ids, size_t count, size_t most, const pd_scorer_options *options)
{
    const pd_sample *samples = pd_dataset_samples(options->dataset);
    size_t kept = 0, begin = 0;
    if (most == 0 || count <= most)
        return count;
    /* For each class in turn, moves its ids to the front of the rest and keeps its share. */
    pd_random random =
        pd_random_stream(options->job->seed, PD_PURPOSE_SUBSET, (uint32_t)options->fold, 0);
    pd_random_shuffle(&random, ids, count);
    for (int label = 0; label < PD_LABELS; label++) {
        size_t end = begin;
        for (size_t i = begin; i < count; i++) {
            int64_t id = ids[i];
            if (samples[id].label != (pd_label)label)
                continue;
            ids[i] = ids[end];
            ids[end++] = id;
        }
        size_t share = ((end - begin) * most + count - 1) / count;
        memmove(ids + kept, ids + begin, share * sizeof *ids);
        kept += share;
        begin = end;
    }
    return kept;
}

/* Sets test->skip and *fold_images. */
static pd_status choose_images(pd_stress_test *test, int64_t *fold_images, const pd_member *members,
                               int count, size_t most)
{
    pd_status status = PD_OK;
    const pd_scorer_options *options = &members[0].options;
    size_t total = (size_t)pd_dataset_get_info(options->dataset)->count;
    int64_t *ids = NULL;
    PD_TRY(pd_alloc(&ids, total, sizeof *ids));
    PD_TRY(pd_alloc(&test->skip, total, 1));
    size_t in_fold = list_fold(ids, members, count);
    size_t drawn = draw_subset(ids, in_fold, most, options);
    *fold_images = (int64_t)in_fold;
    memset(test->skip, 1, total);
    for (size_t i = 0; i < drawn; i++)
        test->skip[ids[i]] = 0;
cleanup:
    free(ids);
    return status;
}

static pd_status prepare(pd_stress_test *test, pd_stress *out, const pd_member *members, int count,
                         size_t most)
{
    pd_status status = PD_OK;
    pd_member own[PD_MEMBERS_MAX];
    PD_TRY(choose_images(test, &out->fold_images, members, count, most));
    for (int i = 0; i < count; i++) {
        own[i] = members[i];
        own[i].options.skip = test->skip;
    }
    PD_TRY(pd_mean_scorer_create(&test->scorer, test->comm, own, count));
    test->ids = pd_mean_scorer_ids(test->scorer, &test->count);
    out->images = (int64_t)test->count;
    if (pd_comm_rank(test->comm) == 0)
        PD_TRY(pd_alloc(&test->pool, PD_CHANGES * test->count, sizeof *test->pool));
cleanup:
    return status;
}

pd_status pd_stress_run(pd_stress *out, pd_comm *comm, const pd_member *members, int count,
                        const pd_decision *decision, size_t most)
{
    pd_status status = PD_OK;
    pd_stress_test test = {.comm = comm, .decision = decision};
    *out = (pd_stress){.present = false};
    PD_TRY(pd_comm_agree(comm, prepare(&test, out, members, count, most)));
    for (int i = 0; i < PD_STRESS_ROWS; i++)
        PD_TRY(run_row(&test, &out->rows[i], i - 1));
    if (pd_comm_rank(comm) == 0)
        status = summarise(&test, out);
    status = pd_comm_agree(comm, status);
cleanup:
    pd_mean_scorer_destroy(&test.scorer);
    free(test.skip);
    free(test.pool);
    return status;
}
