#include "pneumo/data/evidence.h"

#include "near_pairs.h"
#include "pneumo/base/memory.h"
#include "remarks.h"

#include <stdlib.h>
#include <string.h>

_Static_assert((int)PD_EVIDENCE_COPY == (int)PD_NEAR_BYTES, "small copies of near-duplicates");

pd_status pd_evidence_read(pd_evidence *out, const char *path)
{
    pd_image image = {0};
    *out = (pd_evidence){0};
    pd_status status = pd_image_read(&image, path);
    if (status == PD_OK)
        status = pd_near_describe(out->copy, &out->hash, &out->plain, &image);
    if (status == PD_OK) {
        out->is_read = true;
        out->is_lateral = image.projection == PD_PROJECTION_LATERAL;
        out->is_other = image.is_other;
        out->names_patient = pd_image_identity_in(&image, path);
        memcpy(out->patient, image.patient, sizeof out->patient);
    } else if (!pd_error_is_system()) {
        status = PD_OK;
    }
    pd_image_free(&image);
    return status;
}

static bool is_wanted(const pd_evidence *evidence)
{
    return evidence->is_read && !evidence->is_lateral && !evidence->is_other;
}

static void count_left_out(const pd_evidence_list *list)
{
    pd_draft_counts counts = {0};
    for (int64_t i = 0; i < list->count; i++) {
        counts.lateral += list->evidence[i].is_lateral && !list->evidence[i].is_other;
        counts.other += list->evidence[i].is_other;
    }
    pd_remarks_on_drafts(&counts, "");
}

static pd_status read_copy(void *context, uint8_t *copy, int64_t image)
{
    const pd_evidence_list *list = context;
    memcpy(copy, list->evidence[image].copy, PD_NEAR_BYTES);
    return PD_OK;
}

/* Makes the patients of near-duplicates one, and warns. */
static pd_status join_copies(int32_t *patients, const pd_sample *samples,
                             const pd_evidence_list *list, const char *groups)
{
    pd_status status;
    size_t count = (size_t)list->count;
    pd_near_pairs pairs = {0};
    uint64_t *hashes = NULL;
    bool *plain = NULL;

    PD_TRY(pd_alloc(&hashes, count, sizeof *hashes));
    PD_TRY(pd_alloc(&plain, count, sizeof *plain));
    for (size_t i = 0; i < count; i++) {
        hashes[i] = list->evidence[i].hash;
        plain[i] = list->evidence[i].plain || !is_wanted(&list->evidence[i]);
    }
    const pd_near_images images = {.hashes = hashes,
                                   .plain = plain,
                                   .count = list->count,
                                   .patients = patients,
                                   .patient_count = (int32_t)list->count,
                                   .read_copy = read_copy,
                                   .context = (void *)list};
    PD_TRY(pd_near_pairs_find(&pairs, &images));
    pd_near_pairs_warn(&pairs, samples, groups);

cleanup:
    pd_near_pairs_free(&pairs);
    free(hashes);
    free(plain);
    return status;
}

pd_status pd_evidence_group(int32_t *patients, pd_patient_tally *tally,
                            const pd_evidence_list *list)
{
    pd_status status;
    size_t count = (size_t)list->count;
    pd_patient_rules *rules = NULL;
    pd_patient_hints *hints = NULL;
    pd_sample *samples = NULL;
    int64_t wanted = 0, *first = NULL;

    PD_TRY(pd_patient_rules_create(&rules, list->pattern));
    PD_TRY(pd_alloc(&hints, count, sizeof *hints));
    PD_TRY(pd_alloc(&samples, count, sizeof *samples));
    PD_TRY(pd_alloc(&first, count, sizeof *first));
    for (size_t i = 0; i < count; i++) {
        hints[i] = (pd_patient_hints){.path = list->paths[i],
                                      .file = list->evidence[i].patient,
                                      .is_uncounted = !is_wanted(&list->evidence[i])};
        samples[i] = (pd_sample){.name = (char *)list->names[i], .label = list->labels[i]};
        wanted += !hints[i].is_uncounted;
    }
    count_left_out(list);
    PD_TRY(pd_patients_group(first, NULL, NULL, tally, rules, hints, list->count));
    PD_TRY(pd_remarks_on_patients(samples, wanted, list->folder, list->pattern, tally));
    for (size_t i = 0; i < count; i++)
        patients[i] = (int32_t)first[i];
    PD_TRY(
        join_copies(patients, samples, list, pd_patients_noun(tally->images[PD_PATIENT_UNKNOWN])));
    for (size_t i = 0; i < count; i++)
        if (list->evidence[i].is_lateral || list->evidence[i].is_other)
            patients[i] = PD_EVIDENCE_LEFT_OUT;

cleanup:
    pd_patient_rules_destroy(&rules);
    free(hints);
    free(samples);
    free(first);
    return status;
}
