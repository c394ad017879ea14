#include "warnings.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* The only class that a three-class model ever answers, or NULL if there are several. */
static const char *only_class(const pd_results_fold *fold)
{
    const char *only = NULL;
    for (int called = 0; called < PD_RESULTS_CLASSES; called++) {
        int64_t images = 0;
        for (int truth = 0; truth < PD_RESULTS_CLASSES; truth++)
            images += fold->causes[truth][called];
        if (images > 0 && only)
            return NULL;
        if (images > 0)
            only = pd_results_classes[called];
    }
    return only;
}

static void warn_of_data(pd_warnings *w, const pd_results *results)
{
    if (results->leaks > 0)
        snprintf(w->lines[w->count++], sizeof(w->lines[0]),
                 "%" PRId64 " patients have images in more than one fold, which flatters the model",
                 results->leaks);
    if (results->other_data)
        snprintf(w->lines[w->count++], sizeof(w->lines[0]),
                 "this is not the data set of the training: images that the model knows from there "
                 "flatter it");
    if (results->unrecognised)
        snprintf(w->lines[w->count++], sizeof(w->lines[0]),
                 "images of the calibration cannot be recognised in this data set, which is packed "
                 "to another size: those that are in it flatter the model");
    if (results->other_threshold)
        snprintf(w->lines[w->count++], sizeof(w->lines[0]),
                 "saved in the middle of an epoch: the threshold was chosen for the weights of an "
                 "earlier step");
    if (results->test_looks > 1)
        snprintf(w->lines[w->count++], sizeof(w->lines[0]),
                 "the test fold was looked at %" PRId64 " times with these weights: what is chosen "
                 "by it is no longer tested by it",
                 results->test_looks);
}

static void warn_of_fold(pd_warnings *w, const pd_results *results, const char *name,
                         const pd_results_fold *fold)
{
    if (!fold->present)
        return;
    if (fold->left_out > 0)
        snprintf(w->lines[w->count++], sizeof(w->lines[0]),
                 "%s fold: %" PRId64 " images are left out, since they were used for calibration",
                 name, fold->left_out);
    const char *model = results->model ? results->model : "the model";
    const pd_metrics *const thresholds[] = {&fold->chosen, &fold->half};
    /* Models that answer about 0.5 to everything need not be told of twice. */
    int count = fabs(fold->chosen.threshold - fold->half.threshold) < 1e-6 ? 1 : 2;
    for (int i = 0; i < count; i++) {
        const char *line = pd_metrics_one_class(thresholds[i]);
        if (line)
            snprintf(w->lines[w->count++], sizeof(w->lines[0]), "%s fold, threshold %.6g: %.64s %s",
                     name, thresholds[i]->threshold, model, line);
    }
    char line[200];
    if (pd_shape_warn(line, sizeof line, &fold->shape))
        snprintf(w->lines[w->count++], sizeof(w->lines[0]), "%s fold: %s", name, line);
    const char *only = fold->has_causes ? only_class(fold) : NULL;
    if (only)
        snprintf(w->lines[w->count++], sizeof(w->lines[0]),
                 "%s fold, three classes: %.64s predicts %s for every image", name, model, only);
}

static void warn_of_stress(pd_warnings *w, const pd_results *results)
{
    pd_verdict verdict = pd_verdict_of_results(results);
    for (int i = 0; verdict.missed && i < verdict.count; i++)
        memcpy(w->lines[w->count++], verdict.lines[i], sizeof(w->lines[0]));
    w->stress = verdict.missed ? verdict.count : 0;
}

pd_warnings pd_warnings_of(const pd_results *results)
{
    pd_warnings w = {0};
    warn_of_data(&w, results);
    warn_of_fold(&w, results, "val", &results->val);
    warn_of_fold(&w, results, "test", &results->test);
    warn_of_stress(&w, results);
    return w;
}
