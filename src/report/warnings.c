#include "warnings.h"

#include "pneumo/base/text.h"
#include "pneumo/data/patient.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* The only class that a three-class model predicts; NULL: there are several. */
static const char *only_class(const pd_results_fold *fold)
{
    const char *only = NULL;
    for (int called = 0; called < PD_RESULTS_CLASSES; called++) {
        int64_t images = 0;
        for (int truth = 0; truth < PD_RESULTS_CLASSES; truth++)
            images += fold->causes[truth][called];
        if (images > 0 && only != NULL)
            return NULL;
        if (images > 0)
            only = pd_results_classes[called];
    }
    return only;
}

/* The next line, to be written. */
static char *next_line(pd_warnings *warnings)
{
    return warnings->lines[warnings->count++];
}

enum { LINE = sizeof(((pd_warnings *)NULL)->lines[0]) };

static void warn_of_data(pd_warnings *warnings, const pd_results *results)
{
    if (results->unknown_patients > 0)
        snprintf(next_line(warnings), LINE,
                 "the patient of %" PRId64
                 " image%s of the data set is unknown: where images of one "
                 "patient are in several folds, the figures are too good and the intervals too "
                 "narrow",
                 results->unknown_patients, pd_text_plural(results->unknown_patients));
    if (results->leaks > 0)
        snprintf(next_line(warnings), LINE,
                 "%" PRId64 " %s %s images in more than one fold: the figures are too good",
                 results->leaks, pd_patients_noun_of(results->unknown_patients, results->leaks),
                 results->leaks == 1 ? "has" : "have");
    if (results->other_data)
        snprintf(next_line(warnings), LINE,
                 "%s: if it contains training images, the figures are too good",
                 results->trained_digest != NULL && results->trained_digest[0] == '\0'
                     ? "the data set of the training is unknown, or there are several"
                     : "this is not the data set of the training");
    if (results->unrecognised)
        snprintf(next_line(warnings), LINE,
                 "images used for calibration cannot be recognised in this data set, which is "
                 "packed to another size: if it contains any, the figures are too good");
    if (results->other_threshold)
        snprintf(next_line(warnings), LINE,
                 "saved in the middle of an epoch: the threshold was chosen for the weights of an "
                 "earlier step");
    if (results->test_looks > 1)
        snprintf(
            next_line(warnings), LINE,
            "the test fold%s was evaluated %" PRId64
            " times with these weights: if these figures influenced a choice, they are optimistic",
            results->other_data ? " of the training data" : "", results->test_looks);
}

static void warn_of_fold(pd_warnings *warnings, const pd_results *results, const char *name,
                         const pd_results_fold *fold)
{
    if (!fold->present)
        return;
    if (fold->left_out > 0)
        snprintf(next_line(warnings), LINE,
                 "%s fold: %" PRId64 " image%s of %s with images that calibration used %s left out",
                 name, fold->left_out, pd_text_plural(fold->left_out),
                 pd_patients_noun(results->unknown_patients), fold->left_out == 1 ? "is" : "are");
    const char *model = results->model != NULL ? results->model : "the model";
    const pd_metrics *const thresholds[] = {&fold->chosen, &fold->half};
    /* One warning for a model that predicts about 0.5 for every image. */
    int count = fabs(fold->chosen.threshold - fold->half.threshold) < 1e-6 ? 1 : 2;
    for (int i = 0; i < count; i++) {
        const char *line = pd_metrics_one_class(thresholds[i]);
        if (line != NULL)
            snprintf(next_line(warnings), LINE, "%s fold, threshold %.6g: %.64s %s", name,
                     thresholds[i]->threshold, model, line);
    }
    char line[240];
    if (pd_shape_warn(line, sizeof line, &fold->shape))
        snprintf(next_line(warnings), LINE, "%s fold: %s", name, line);
    const char *only = fold->has_causes ? only_class(fold) : NULL;
    if (only != NULL)
        snprintf(next_line(warnings), LINE,
                 "%s fold, three classes: %.64s predicts %s for every image", name, model, only);
}

static void warn_of_stress(pd_warnings *warnings, const pd_stress *stress, const char *images,
                           pd_targets targets)
{
    pd_verdict verdict = pd_verdict_of(stress, images, targets);
    for (int i = 0; verdict.missed && i < verdict.count; i++)
        memcpy(next_line(warnings), verdict.lines[i], LINE);
    warnings->stress += verdict.missed ? verdict.count : 0;
}

pd_warnings pd_warnings_of(const pd_results *results)
{
    pd_warnings warnings = {0};
    warn_of_data(&warnings, results);
    warn_of_fold(&warnings, results, "val", &results->val);
    warn_of_fold(&warnings, results, "test", &results->test);
    const pd_targets targets = pd_results_targets(results);
    bool val = results->val.stress.present;
    warn_of_stress(&warnings, &results->test.stress, val ? "test " : "", targets);
    warn_of_stress(&warnings, &results->val.stress, "validation ", targets);
    return warnings;
}
