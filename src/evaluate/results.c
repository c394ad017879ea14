#include "pneumo/evaluate/results.h"

const char *const pd_report_classes[PD_REPORT_CLASSES] = {"NORMAL", "BACTERIA", "VIRUS"};

pd_figure pd_report_recall(const pd_report_fold *fold, int truth)
{
    int64_t images = 0;
    for (int called = 0; called < PD_REPORT_CLASSES; called++)
        images += fold->causes[truth][called];
    return pd_wilson(fold->causes[truth][truth], images);
}
