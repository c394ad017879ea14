#include "mean.h"

#include "pneumo/base/memory.h"
#include "pneumo/base/number.h"
#include "pneumo/data/lanes.h"
#include "pneumo/io/ensemble.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- Scores --- */

void pd_scores_calibrate(pd_score *scores, size_t count, double temperature, int views)
{
    for (size_t i = 0; i < count; i++) {
        scores[i].logit = pd_score_logit(&scores[i], views) / temperature;
        scores[i].views[0] = scores[i].logit;
        for (int view = 1; view < PD_VIEWS_MAX; view++)
            scores[i].views[view] = (double)NAN;
    }
}

pd_score pd_score_mean(const pd_score *const *scores, int count)
{
    pd_score mean = *scores[0];
    int votes[PD_CLASSES_MAX] = {0};
    double sum = 0;
    for (int i = 0; i < count; i++) {
        sum += scores[i]->logit;
        votes[scores[i]->predicted]++;
    }
    mean.logit = mean.views[0] = sum / count;
    mean.predicted = 0;
    for (int label = 1; label < PD_CLASSES_MAX; label++)
        if (votes[label] > votes[mean.predicted])
            mean.predicted = label;
    mean.loss = (double)NAN;
    return mean;
}

/* A score and the list that holds it. */
typedef struct entry {
    const pd_score *score;
    int list;
} entry;

static int by_id(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    if (x->score->id != y->score->id)
        return x->score->id < y->score->id ? -1 : 1;
    return x->list - y->list;
}

pd_status pd_scores_mean(pd_score **out, size_t *count, pd_score *const *lists,
                         const size_t *counts, int list_count)
{
    pd_status status = PD_OK;
    entry *entries = NULL;
    size_t total = 0, used = 0;
    *out = NULL;
    *count = 0;
    for (int i = 0; i < list_count; i++)
        total += counts[i];
    PD_TRY(pd_alloc(&entries, total, sizeof *entries));
    PD_TRY(pd_alloc(out, total, sizeof **out));
    for (int list = 0; list < list_count; list++)
        for (size_t i = 0; i < counts[list]; i++)
            entries[used++] = (entry){&lists[list][i], list};
    qsort(entries, total, sizeof *entries, by_id);
    for (size_t i = 0, next; i < total; i = next) {
        const pd_score *same[PD_MEMBERS_MAX];
        int members = 0;
        for (next = i; next < total && entries[next].score->id == entries[i].score->id; next++)
            same[members++] = entries[next].score;
        (*out)[(*count)++] = pd_score_mean(same, members);
    }
cleanup:
    free(entries);
    return status;
}

/* --- Scoring a fold --- */

struct pd_mean_scorer {
    pd_comm *comm;
    int count;
    pd_member members[PD_MEMBERS_MAX];
    pd_scorer *scorers[PD_MEMBERS_MAX];
    int64_t *ids; /* [id_count]: those of all members */
    size_t id_count;
};

static pd_status list_ids(pd_mean_scorer *scorer)
{
    size_t count, total = 0, used = 0;
    for (int i = 0; i < scorer->count; i++) {
        pd_scorer_ids(scorer->scorers[i], &count);
        total += count;
    }
    pd_status status = pd_alloc(&scorer->ids, total, sizeof *scorer->ids);
    if (status != PD_OK)
        return status;
    for (int i = 0; i < scorer->count; i++) {
        const int64_t *ids = pd_scorer_ids(scorer->scorers[i], &count);
        if (count > 0)
            memcpy(scorer->ids + used, ids, count * sizeof *ids);
        used += count;
    }
    qsort(scorer->ids, total, sizeof *scorer->ids, pd_compare_int64);
    for (size_t i = 0; i < total; i++)
        if (i == 0 || scorer->ids[i] != scorer->ids[i - 1])
            scorer->ids[scorer->id_count++] = scorer->ids[i];
    return PD_OK;
}

pd_status pd_mean_scorer_create(pd_mean_scorer **out, pd_comm *comm, const pd_member *members,
                                int count)
{
    pd_status status = PD_OK;
    pd_mean_scorer *scorer = NULL;
    *out = NULL;
    PD_TRY(pd_alloc(&scorer, 1, sizeof *scorer));
    scorer->comm = comm;
    for (int i = 0; i < count; i++) {
        scorer->members[i] = members[i];
        PD_TRY(pd_scorer_create(&scorer->scorers[i], comm, &members[i].options));
        scorer->count++;
    }
    PD_TRY(list_ids(scorer));
    *out = scorer;
    scorer = NULL;
cleanup:
    pd_mean_scorer_destroy(&scorer);
    return status;
}

void pd_mean_scorer_destroy(pd_mean_scorer **scorer)
{
    if (*scorer == NULL)
        return;
    for (int i = 0; i < (*scorer)->count; i++)
        pd_scorer_destroy(&(*scorer)->scorers[i]);
    free((*scorer)->ids);
    free(*scorer);
    *scorer = NULL;
}

const int64_t *pd_mean_scorer_ids(const pd_mean_scorer *scorer, size_t *count)
{
    *count = scorer->id_count;
    return scorer->ids;
}

/* Scores with one of several members; calibrates the scores on rank 0. Collective. */
static pd_status run_member(pd_mean_scorer *scorer, int index, const pd_scoring *scoring,
                            pd_score **scores, size_t *count)
{
    const pd_member *member = &scorer->members[index];
    pd_scoring own = *scoring;
    char label[96];
    if (scoring->label != NULL) {
        snprintf(label, sizeof label, "%s, model %d/%d", scoring->label, index + 1, scorer->count);
        own.label = label;
    }
    pd_status status = pd_scorer_run(scorer->scorers[index], member->network, &own, scores, count);
    if (status == PD_OK && *scores != NULL)
        pd_scores_calibrate(*scores, *count, member->temperature, member->options.views);
    return status;
}

pd_status pd_mean_scorer_run(pd_mean_scorer *scorer, const pd_scoring *scoring, pd_score **scores,
                             size_t *count)
{
    pd_status status = PD_OK;
    pd_score *lists[PD_MEMBERS_MAX] = {NULL};
    size_t counts[PD_MEMBERS_MAX] = {0};
    *scores = NULL;
    *count = 0;
    if (scorer->count == 1)
        return pd_scorer_run(scorer->scorers[0], scorer->members[0].network, scoring, scores,
                             count);
    for (int i = 0; i < scorer->count; i++)
        PD_TRY(run_member(scorer, i, scoring, &lists[i], &counts[i]));
    if (pd_comm_rank(scorer->comm) == 0)
        status = pd_scores_mean(scores, count, lists, counts, scorer->count);
    status = pd_comm_agree(scorer->comm, status);
cleanup:
    for (int i = 0; i < scorer->count; i++)
        free(lists[i]);
    if (status != PD_OK) {
        free(*scores);
        *scores = NULL;
    }
    return status;
}
