#include "draft.h"

#include "joins.h"
#include "pneumo/base/memory.h"

#include <stdlib.h>

enum { DIGITS = 33 };

/* Writes the patient by the file itself as text, "" if the file names none. */
static void write_patient(char text[DIGITS], const pd_draft *draft)
{
    static const pd_identity none = {{0}};
    text[0] = '\0';
    if (pd_identity_compare(&draft->patient, &none) != 0)
        pd_identity_digest(text, &draft->patient, 1);
}

pd_status pd_drafts_identify(pd_patient_tally *tally, pd_scan *scan, pd_draft *drafts,
                             const pd_patient_rules *rules)
{
    pd_status status;
    size_t count = (size_t)scan->count;
    int64_t good = 0, *slots = NULL, *first = NULL; /* [good] */
    pd_patient_hints *hints = NULL;
    pd_cause *causes = NULL;
    pd_patient_source *sources = NULL;
    char(*texts)[DIGITS] = NULL; /* [good] */

    PD_TRY(pd_alloc(&texts, count, sizeof *texts));
    PD_TRY(pd_alloc(&hints, count, sizeof *hints));
    PD_TRY(pd_alloc(&causes, count, sizeof *causes));
    PD_TRY(pd_alloc(&sources, count, sizeof *sources));
    PD_TRY(pd_alloc(&first, count, sizeof *first));
    PD_TRY(pd_alloc(&slots, count, sizeof *slots));
    for (int64_t i = 0; i < scan->count; i++) {
        if (!pd_draft_is_good(&drafts[i]))
            continue;
        slots[good] = i;
        write_patient(texts[good], &drafts[i]);
        hints[good] = (pd_patient_hints){
            .path = scan->samples[i].name, .file = texts[good], .is_uncounted = i < scan->old};
        if (scan->hints != NULL)
            *(scan->hints[i].is_old ? &hints[good].old : &hints[good].table) =
                scan->hints[i].patient;
        good++;
    }
    PD_TRY(pd_patients_group(first, causes, sources, tally, rules, hints, good));
    scan->patients = 0;
    for (int64_t i = 0; i < good; i++) {
        pd_sample *sample = &scan->samples[slots[i]];
        sample->patient = first[i] == i ? scan->patients++ : scan->samples[slots[first[i]]].patient;
        drafts[slots[i]].is_unknown = sources[i] == PD_PATIENT_UNKNOWN;
        if (slots[i] < scan->old)
            continue;
        pd_cause told = scan->hints != NULL ? scan->hints[slots[i]].cause : PD_CAUSE_UNKNOWN;
        sample->cause = sample->label == PD_NORMAL ? PD_CAUSE_NONE
                        : told != PD_CAUSE_UNKNOWN ? told
                                                   : causes[i];
    }
    for (int source = 0; source < PD_PATIENT_SOURCES; source++)
        if (tally->example[source] >= 0)
            tally->example[source] = slots[tally->example[source]];

cleanup:
    free(texts);
    free(hints);
    free(causes);
    free(sources);
    free(first);
    free(slots);
    return status;
}

/* --- Duplicates --- */

static int compare_slots(const void *a, const void *b)
{
    const pd_draft *x = a, *y = b;
    return (x->slot > y->slot) - (x->slot < y->slot);
}

static int compare_identities(const void *a, const void *b)
{
    const pd_draft *x = a, *y = b;
    int order = pd_identity_compare(&x->identity, &y->identity);
    return order != 0 ? order : compare_slots(a, b);
}

pd_status pd_drafts_join(pd_joins *joins, pd_scan *scan, int64_t kept, int64_t duplicate,
                         const char *folder, const char *old)
{
    pd_sample *first = &scan->samples[kept];
    const pd_sample *again = &scan->samples[duplicate];
    if (first->label != again->label)
        return pd_fail("%s%s%s and %s/%s are the same image under two labels; remove the wrong one",
                       old != NULL ? first->name : folder, old != NULL ? " of " : "/",
                       old != NULL ? old : first->name, folder, again->name);
    if (first->cause != again->cause)
        first->cause = PD_CAUSE_UNKNOWN;
    pd_joins_join(joins, first->patient, again->patient);
    return PD_OK;
}

pd_status pd_drafts_deduplicate(pd_draft *drafts, int64_t *count, int64_t *duplicates,
                                pd_scan *scan, const char *folder)
{
    pd_status status;
    pd_joins joins = {0};
    int64_t good = 0, kept = 0;

    PD_TRY(pd_joins_create(&joins, scan->patients));
    for (int64_t i = 0; i < *count; i++)
        if (pd_draft_is_good(&drafts[i]))
            drafts[good++] = drafts[i];
    qsort(drafts, (size_t)good, sizeof *drafts, compare_identities);
    for (int64_t i = 0; i < good; i++) {
        pd_draft *last = kept > 0 ? &drafts[kept - 1] : NULL;
        if (last == NULL || pd_identity_compare(&drafts[i].identity, &last->identity) != 0) {
            drafts[kept++] = drafts[i];
            continue;
        }
        PD_TRY(pd_drafts_join(&joins, scan, last->slot, drafts[i].slot, folder, NULL));
        last->is_unknown = last->is_unknown && drafts[i].is_unknown;
    }
    qsort(drafts, (size_t)kept, sizeof *drafts, compare_slots);
    for (int64_t i = 0; i < scan->count; i++)
        scan->samples[i].patient = pd_joins_find(&joins, scan->samples[i].patient);
    *duplicates = good - kept;
    *count = kept;

cleanup:
    pd_joins_free(&joins);
    return status;
}

pd_status pd_drafts_collect(pd_sample **out, int32_t *patients, const pd_draft *drafts,
                            int64_t count, const pd_scan *scan)
{
    pd_status status;
    int32_t *number = NULL; /* [patients]: the new number + 1 */

    *patients = 0;
    PD_TRY(pd_alloc(out, (size_t)count, sizeof **out));
    PD_TRY(pd_alloc(&number, (size_t)scan->patients, sizeof *number));
    for (int64_t i = 0; i < count; i++) {
        pd_sample *sample = &(*out)[i];
        *sample = scan->samples[drafts[i].slot];
        sample->height = drafts[i].height;
        sample->width = drafts[i].width;
        if (number[sample->patient] == 0)
            number[sample->patient] = ++*patients;
        sample->patient = number[sample->patient] - 1;
    }

cleanup:
    free(number);
    return status;
}
