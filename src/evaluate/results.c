#include "pneumo/evaluate/results.h"

#include <string.h>

const char *const pd_results_classes[PD_RESULTS_CLASSES] = {"NORMAL", "BACTERIA", "VIRUS"};

pd_figure pd_results_recall(const pd_results_fold *fold, int truth)
{
    int64_t images = 0;
    for (int called = 0; called < PD_RESULTS_CLASSES; called++)
        images += fold->causes[truth][called];
    return pd_wilson(fold->causes[truth][truth], images);
}

pd_targets pd_results_targets(const pd_results *results)
{
    return (pd_targets){results->target_sensitivity, results->target_specificity};
}

bool pd_results_is_import(const pd_results *results)
{
    /* An average has no digest either if its members were trained on several data sets. */
    return results->members <= 1 && results->trained_digest != NULL &&
           results->trained_digest[0] == '\0';
}

bool pd_results_knows_seed(const pd_results *results)
{
    return results->members <= 1 && !pd_results_is_import(results);
}

/* The images of a pd_decision.fold. */
static const char *describe_fold(const char *fold)
{
    static const struct {
        const char *fold, *images;
    } table[] = {{"val", "the validation fold"},
                 {"val changed", "changed images of the validation fold"},
                 {"calibration", "the calibration images"}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strcmp(fold == NULL ? "val" : fold, table[i].fold) == 0)
            return table[i].images;
    return NULL;
}

const char *pd_results_decided_on(const pd_results *results)
{
    return describe_fold(results->decision_fold);
}

const char *pd_results_scaled_on(const pd_results *results)
{
    return describe_fold(results->temperature_fold);
}
