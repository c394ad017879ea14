#include "draft.h"

#include "pneumo/base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* A number above that of every name such as "NORMAL/image-000012.dcm". Those that are too large for
 * one are far from it. */
static int64_t first_free_name(const pd_scan *scan)
{
    int64_t first = 0;
    for (int64_t i = 0; i < scan->count; i++) {
        long long number;
        const char *slash = strrchr(scan->samples[i].name, '/');
        if (slash != NULL && sscanf(slash, "/image-%lld.dcm", &number) == 1 && number >= first &&
            number < INT64_MAX / 2)
            first = number + 1;
    }
    return first;
}

pd_status pd_drafts_hide_names(pd_scan *scan, const pd_draft *drafts, int64_t count)
{
    pd_status status = PD_OK;
    const int64_t first = first_free_name(scan) - scan->old;
    for (int64_t i = 0; i < count && status == PD_OK; i++) {
        pd_sample *sample = &scan->samples[drafts[i].slot];
        char *name;
        if (!drafts[i].names_patient)
            continue;
        status = pd_image_make_alias(&name, pd_label_names[sample->label], first + drafts[i].slot);
        if (status == PD_OK) {
            free(sample->name);
            sample->name = name;
        }
    }
    return status;
}
