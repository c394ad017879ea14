#include "pneumo/metrics/shape.h"

#include "pneumo/base/memory.h"
#include "pneumo/metrics/holm.h"
#include "ranking.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

const char *const pd_shape_measure_names[PD_SHAPE_MEASURES] = {"aspect", "area"};
const char *const pd_shape_class_names[PD_LABELS] = {"normal", "pneumonia"};
const char *const pd_shape_third_names[PD_SHAPE_THIRDS] = {"lowest", "middle", "highest"};

static const double significant = 0.05;

/* Smallest expected count for which the chi-square distribution is used. */
static const double least_expected = 5;

static const pd_figure undefined = {NAN, NAN, NAN};

/* An image of one class. */
typedef struct pd_shaped {
    double value; /* of the measure */
    double probability;
    double value_rank, probability_rank; /* less the mean rank */
    const pd_score *score;
} pd_shaped;

/* ---- difference between thirds ---- */

typedef struct contingency {
    int64_t counts[PD_SHAPE_THIRDS];
    int64_t rare[PD_SHAPE_THIRDS]; /* of these, with the rarer outcome */
    int64_t count, rares;
} contingency;

/* Thirds in ascending order of count; the rarer of right and wrong. */
static contingency make_table(const int64_t *right, const pd_shape_third *thirds)
{
    contingency t = {0};
    int64_t rights = 0;
    for (int i = 0; i < PD_SHAPE_THIRDS; i++) {
        int at = i;
        for (; at > 0 && t.counts[at - 1] > thirds[i].count; at--) {
            t.counts[at] = t.counts[at - 1];
            t.rare[at] = t.rare[at - 1];
        }
        t.counts[at] = thirds[i].count;
        t.rare[at] = right[i];
        t.count += thirds[i].count;
        rights += right[i];
    }
    bool wrong_is_rare = t.count - rights < rights;
    for (int i = 0; i < PD_SHAPE_THIRDS && wrong_is_rare; i++)
        t.rare[i] = t.counts[i] - t.rare[i];
    t.rares = wrong_is_rare ? t.count - rights : rights;
    return t;
}

static double log_choose(int64_t n, int64_t k)
{
    return lgamma((double)n + 1) - lgamma((double)k + 1) - lgamma((double)(n - k) + 1);
}

/* The probability of a table with these margins that is at most as likely as this one. Only used
 * when the smallest third times the rarer outcome is less than 5 times the images, which bounds the
 * number of tables by the same. */
static double exact(const contingency *t)
{
    double all = log_choose(t->count, t->rares), observed = -all, p = 0;
    for (int i = 0; i < PD_SHAPE_THIRDS; i++)
        observed += log_choose(t->counts[i], t->rare[i]);
    for (int64_t a = 0; a <= t->counts[0] && a <= t->rares; a++) {
        for (int64_t b = 0; b <= t->counts[1] && a + b <= t->rares; b++) {
            int64_t c = t->rares - a - b;
            if (c > t->counts[2])
                continue;
            double chance = log_choose(t->counts[0], a) + log_choose(t->counts[1], b) +
                            log_choose(t->counts[2], c) - all;
            if (chance <= observed + 1e-7) /* as likely, up to rounding */
                p += exp(chance);
        }
    }
    return fmin(1, p);
}

static double chi_square(const contingency *t, int thirds)
{
    double share = (double)t->rares / (double)t->count, sum = 0;
    for (int i = PD_SHAPE_THIRDS - thirds; i < PD_SHAPE_THIRDS; i++) {
        double n = (double)t->counts[i];
        sum += pow((double)t->rare[i] - n * share, 2) / (n * share * (1 - share));
    }
    return thirds == 2 ? erfc(sqrt(sum / 2)) : exp(-sum / 2);
}

static double test_thirds(const int64_t *right, const pd_shape_third *thirds)
{
    contingency t = make_table(right, thirds);
    int filled = 0;
    for (int i = 0; i < PD_SHAPE_THIRDS; i++)
        filled += t.counts[i] > 0;
    if (filled < 2)
        return NAN;
    if (t.rares == 0)
        return 1;
    double smallest = (double)t.counts[PD_SHAPE_THIRDS - filled];
    double expected = smallest * (double)t.rares / (double)t.count;
    return expected < least_expected ? exact(&t) : chi_square(&t, filled);
}

/* Corrects the tests of all classes and measures for their number. */
static void adjust(pd_shape_report *report)
{
    double *tests[PD_SHAPE_MEASURES * PD_LABELS], p[PD_SHAPE_MEASURES * PD_LABELS];
    int count = 0;
    for (int measure = 0; measure < PD_SHAPE_MEASURES; measure++)
        for (int label = 0; label < PD_LABELS; label++) {
            double *test = &report->measures[measure].classes[label].p;
            if (!report->measures[measure].known || isnan(*test))
                continue;
            p[count] = *test;
            tests[count++] = test;
        }
    pd_holm_adjust(p, count);
    for (int i = 0; i < count; i++)
        *tests[i] = p[i];
}

/* ---- correlation ---- */

static int compare_values(const void *a, const void *b)
{
    double left = ((const pd_shaped *)a)->value, right = ((const pd_shaped *)b)->value;
    return (left > right) - (left < right);
}

static int compare_probabilities(const void *a, const void *b)
{
    double left = ((const pd_shaped *)a)->probability, right = ((const pd_shaped *)b)->probability;
    return (left > right) - (left < right);
}

/* Stores the ranks of the images, less the mean rank, in the member at `offset`; equal values share
 * their mean rank. */
static void rank(pd_shaped *images, size_t count, int (*compare)(const void *, const void *),
                 size_t offset)
{
    qsort(images, count, sizeof *images, compare);
    for (size_t start = 0, end = 0; start < count; start = end) {
        while (end < count && compare(&images[start], &images[end]) == 0)
            end++;
        for (size_t i = start; i < end; i++)
            *(double *)((char *)&images[i] + offset) = ((double)(start + end) - (double)count) / 2;
    }
}

static pd_figure interval_of(double r, double n)
{
    if (n < 4)
        return (pd_figure){r, -1, 1};
    double z = atanh(copysign(fmin(fabs(r), 1 - 6 / (n * n * n - n)), r));
    double half = PD_Z95 * sqrt((1 + r * r / 2) / (n - 3));
    return (pd_figure){r, fmin(r, tanh(z - half)), fmax(r, tanh(z + half))};
}

/* Spearman's correlation; leaves the images in ascending order of value. */
static pd_figure correlate(pd_shaped *images, size_t count)
{
    double products = 0, values = 0, probabilities = 0;
    rank(images, count, compare_probabilities, offsetof(pd_shaped, probability_rank));
    rank(images, count, compare_values, offsetof(pd_shaped, value_rank));
    for (size_t i = 0; i < count; i++) {
        const pd_shaped *image = &images[i];
        products += image->value_rank * image->probability_rank;
        values += image->value_rank * image->value_rank;
        probabilities += image->probability_rank * image->probability_rank;
    }
    if (values == 0 || probabilities == 0)
        return undefined;
    double r = products / sqrt(values) / sqrt(probabilities);
    return interval_of(fmax(-1, fmin(1, r)), (double)count);
}

/* ---- thirds ---- */

/* The first image of each third, for images in ascending order of value; begins[PD_SHAPE_THIRDS] is
 * their number. */
static void cut(size_t *begins, const pd_shaped *images, size_t count)
{
    begins[0] = 0;
    begins[PD_SHAPE_THIRDS] = count;
    for (size_t third = 1; third < PD_SHAPE_THIRDS; third++) {
        size_t at = (third * count + PD_SHAPE_THIRDS - 1) / PD_SHAPE_THIRDS;
        while (at > 0 && at < count && images[at].value == images[at - 1].value)
            at++;
        begins[third] = at;
    }
}

static void judge_class(pd_shape_class *out, pd_shaped *images, size_t count, size_t *begins,
                        double threshold)
{
    int64_t right[PD_SHAPE_THIRDS] = {0};
    out->correlation = correlate(images, count);
    cut(begins, images, count);
    for (int i = 0; i < PD_SHAPE_THIRDS; i++) {
        pd_shape_third *third = &out->thirds[i];
        size_t begin = begins[i], end = begins[i + 1];
        for (size_t j = begin; j < end; j++)
            right[i] += (images[j].probability >= threshold) == images[j].score->positive;
        third->count = (int64_t)(end - begin);
        third->low = begin < end ? images[begin].value : NAN;
        third->high = begin < end ? images[end - 1].value : NAN;
        third->right = pd_wilson(right[i], third->count);
    }
    out->p = test_thirds(right, out->thirds);
}

/* ---- a measure ---- */

typedef struct pd_shape_task {
    const pd_score *scores;
    size_t count;
    double threshold;
    const pd_sample *samples;
    pd_shaped *images[PD_LABELS]; /* [count]: those of a class, which judge_measure fills */
    pd_score *picked;             /* [count] */
} pd_shape_task;

/* The AUC of one third of the normal images against one of the pneumonias. */
static pd_status cross(pd_figure *out, const pd_shape_task *task,
                       size_t begins[PD_LABELS][PD_SHAPE_THIRDS + 1], int normal, int pneumonia)
{
    const int thirds[PD_LABELS] = {normal, pneumonia};
    size_t picked = 0;
    for (int label = 0; label < PD_LABELS; label++) {
        size_t end = begins[label][thirds[label] + 1];
        for (size_t i = begins[label][thirds[label]]; i < end; i++)
            task->picked[picked++] = *task->images[label][i].score;
    }
    return pd_auc(out, task->picked, picked);
}

static pd_status judge_measure(pd_shape_figures *out, const pd_shape_task *task,
                               pd_shape_measure measure)
{
    pd_status status = PD_OK;
    size_t counts[PD_LABELS] = {0}, begins[PD_LABELS][PD_SHAPE_THIRDS + 1];
    double first = pd_shape_value(measure, &task->samples[task->scores[0].id]);
    for (size_t i = 0; i < task->count; i++) {
        const pd_score *score = &task->scores[i];
        pd_shaped *image = &task->images[score->positive][counts[score->positive]++];
        *image = (pd_shaped){.value = pd_shape_value(measure, &task->samples[score->id]),
                             .probability = score->probability,
                             .score = score};
        out->known = out->known || image->value != first;
    }
    if (!out->known)
        return PD_OK;
    for (int label = 0; label < PD_LABELS; label++)
        judge_class(&out->classes[label], task->images[label], counts[label], begins[label],
                    task->threshold);
    PD_TRY(cross(&out->auc_high_normal, task, begins, PD_SHAPE_THIRDS - 1, 0));
    PD_TRY(cross(&out->auc_low_normal, task, begins, 0, PD_SHAPE_THIRDS - 1));
cleanup:
    return status;
}

static bool is_known(const pd_score *scores, size_t count, const pd_sample *samples)
{
    bool differ = false;
    for (size_t i = 0; i < count; i++) {
        const pd_sample *first = &samples[scores[0].id], *sample = &samples[scores[i].id];
        if (sample->height == 0 || sample->width == 0)
            return false;
        differ = differ || sample->height != first->height || sample->width != first->width;
    }
    return differ;
}

pd_status pd_shape_judge(pd_shape_report *out, const pd_score *scores, size_t count,
                         double threshold, const pd_sample *samples)
{
    pd_status status = PD_OK;
    size_t positives;
    pd_shape_task task = {scores, count, threshold, samples, {NULL, NULL}, NULL};
    *out = (pd_shape_report){.known = false};
    PD_TRY(pd_ranking_check(&positives, scores, count));
    if (!is_known(scores, count, samples))
        goto cleanup;
    out->known = true;
    for (int label = 0; label < PD_LABELS; label++)
        PD_TRY(pd_alloc(&task.images[label], count, sizeof(pd_shaped)));
    PD_TRY(pd_alloc(&task.picked, count, sizeof *task.picked));
    for (int measure = 0; measure < PD_SHAPE_MEASURES; measure++)
        PD_TRY(judge_measure(&out->measures[measure], &task, (pd_shape_measure)measure));
    adjust(out);
cleanup:
    free(task.images[PD_NORMAL]);
    free(task.images[PD_PNEUMONIA]);
    free(task.picked);
    return status;
}

/* ---- the warning ---- */

static const char *const titles[PD_SHAPE_MEASURES] = {"width over height", "width times height"};
static const char *const outlines[PD_SHAPE_MEASURES] = {"shape", "size"};
static const char *const shares[PD_LABELS] = {"specificity", "sensitivity"};
static const char *const members[PD_LABELS] = {"normal images", "pneumonias"};

/* A class of one measure that shows a dependence. */
typedef struct pd_sign {
    const pd_shape_class *group;
    int measure, label;
} pd_sign;

static bool is_correlated(const pd_figure *r)
{
    return r->low > PD_SHAPE_CORRELATION || r->high < -PD_SHAPE_CORRELATION;
}

/* Keeps the stronger evidence. A comparison with NAN is false, so undefined figures are skipped. */
static void keep_stronger(pd_sign *thirds, pd_sign *correlation, pd_sign sign)
{
    const pd_figure *r = &sign.group->correlation;
    if (sign.group->p < significant && (thirds->group == NULL || sign.group->p < thirds->group->p))
        *thirds = sign;
    if (is_correlated(r) && (correlation->group == NULL ||
                             fabs(r->value) > fabs(correlation->group->correlation.value)))
        *correlation = sign;
}

static void describe_thirds(char *line, size_t size, pd_sign sign)
{
    char text[64] = "";
    size_t used = 0;
    for (int i = 0; i < PD_SHAPE_THIRDS; i++) {
        double share = sign.group->thirds[i].right.value;
        if (!isnan(share))
            used += (size_t)snprintf(text + used, sizeof text - used, "%s%.1f",
                                     used > 0 ? ", " : "", 100 * share);
    }
    snprintf(line, size,
             "%s differs between the thirds of %s by %s (%s %%; p = %.1g, images counted as "
             "independent): the model may read the images' %s instead of the disease",
             shares[sign.label], members[sign.label], titles[sign.measure], text, sign.group->p,
             outlines[sign.measure]);
}

static void describe_correlation(char *line, size_t size, pd_sign sign)
{
    const pd_figure *r = &sign.group->correlation;
    snprintf(line, size,
             "the probabilities of %s %s with %s (rank correlation %.2f [%.2f, %.2f], images "
             "counted as independent): the model may read the images' %s instead of the disease",
             members[sign.label], r->value > 0 ? "rise" : "fall", titles[sign.measure], r->value,
             r->low, r->high, outlines[sign.measure]);
}

bool pd_shape_warn(char *line, size_t size, const pd_shape_report *report)
{
    pd_sign thirds = {0}, correlation = {0};
    for (int measure = 0; report->known && measure < PD_SHAPE_MEASURES; measure++) {
        const pd_shape_figures *figures = &report->measures[measure];
        for (int label = 0; figures->known && label < PD_LABELS; label++)
            keep_stronger(&thirds, &correlation,
                          (pd_sign){&figures->classes[label], measure, label});
    }
    if (thirds.group != NULL)
        describe_thirds(line, size, thirds);
    else if (correlation.group != NULL)
        describe_correlation(line, size, correlation);
    return thirds.group != NULL || correlation.group != NULL;
}
