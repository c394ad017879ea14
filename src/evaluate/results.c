#include "pneumo/evaluate/results.h"

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
