#include "draft.h"

#include "pneumo/base/memory.h"

#include <stdlib.h>

pd_draft_counts pd_drafts_count(const pd_draft *drafts, int64_t count)
{
    pd_draft_counts counts = {0};
    for (int64_t i = 0; i < count; i++) {
        counts.bad += drafts[i].bad;
        counts.lateral += drafts[i].is_lateral && !drafts[i].is_other;
        counts.other += drafts[i].is_other;
    }
    return counts;
}

pd_status pd_drafts_hide_names(pd_scan *scan, const pd_draft *drafts, int64_t count)
{
    pd_status status = PD_OK;
    for (int64_t i = 0; i < count && status == PD_OK; i++) {
        pd_sample *sample = &scan->samples[drafts[i].slot];
        char *name;
        if (!drafts[i].names_patient)
            continue;
        status = pd_image_make_alias(&name, pd_label_names[sample->label],
                                     drafts[i].slot + scan->name_base);
        if (status == PD_OK) {
            free(sample->name);
            sample->name = name;
        }
    }
    return status;
}
