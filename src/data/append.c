#include "append.h"

#include "joins.h"
#include "near.h"
#include "pneumo/base/log.h"
#include "pneumo/base/memory.h"
#include "pneumo/base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- Opening --- */

/* Reads how the folds were made from what pd_folds_describe wrote. */
static bool parse_folds(pd_fold_options *out, const pd_dataset_info *info)
{
    char shares[16] = "";
    int *ratio = out->ratio;
    *out = (pd_fold_options)PD_FOLDS_DEFAULTS;
    out->seed = info->seed;
    if (sscanf(info->fold_policy, "by %*[a-z], %d/%d/%d, %15[a-z]", &ratio[PD_TRAIN],
               &ratio[PD_VAL], &ratio[PD_TEST], shares) != 4)
        return false;
    int found = 0;
    while (found < PD_SHARES && strcmp(shares, pd_fold_shares_names[found]) != 0)
        found++;
    out->shares = (pd_fold_shares)found;
    return found < PD_SHARES && pd_folds_check(out) == PD_OK;
}

/* Fails if the old images' names do not tell their patients. */
static pd_status check_grouping(const pd_append *append, const pd_dataset_info *info,
                                const char *pattern)
{
    bool table = pd_patients_names_source(info->grouping, PD_PATIENT_TABLE);
    if (append->new_patients)
        return PD_OK;
    if (table || pd_patients_names_source(info->grouping, PD_PATIENT_FILE))
        return pd_fail(
            "%s: its patients come from %s, which it does not hold, so new images of old "
            "patients cannot be recognised; pack all images anew or, if no new image "
            "shows an old patient, give --new-patients",
            append->path, table ? "a table" : "DICOM files");
    if (pd_patients_names_source(info->grouping, PD_PATIENT_PATTERN) && pattern == NULL)
        return pd_fail("%s: its patients come from a pattern; give the same --patient-pattern",
                       append->path);
    return PD_OK;
}

pd_status pd_append_open(pd_append *out, const pd_append_options *options)
{
    pd_status status;
    *out = (pd_append){.path = options->path, .new_patients = options->new_patients};
    PD_TRY(pd_dataset_open(&out->old, options->path));
    const pd_dataset_info *info = pd_dataset_get_info(out->old);
    out->count = info->count;
    if (info->height != info->width || (options->size != 0 && options->size != info->width))
        status = pd_fail("%s holds images of %d x %d pixels: images of another size cannot be "
                         "appended; leave out --size, or pack all images anew",
                         out->path, info->width, info->height);
    else if (!parse_folds(&out->folds, info))
        status = pd_fail("%s: its folds are '%s': images can only be appended to folds that were "
                         "made by patient, such as 70/15/15; pack all images anew",
                         out->path, info->fold_policy);
    else
        status = check_grouping(out, info, options->patient_pattern);
    if (status == PD_OK)
        status = pd_patients_unknown(&out->unknown, out->old);

cleanup:
    return status;
}

void pd_append_close(pd_append *append)
{
    pd_dataset_destroy(&append->old);
}

/* --- Joining --- */

/* Sets what duplicates of an old image are found by, from its packed pixels. */
static pd_status describe_old(pd_draft *draft, uint8_t *pixels, int side)
{
    uint8_t copy[PD_NEAR_BYTES];
    const pd_image image = {.height = side, .width = side, .pixels = pixels};
    draft->identity = pd_identity_of(pixels, side, side);
    return pd_near_describe(copy, &draft->hash, &draft->plain, &image);
}

enum { BLOCK = 64 };

/* Fills the drafts of the old images. */
static pd_status describe_all_old(const pd_append *append, pd_draft *drafts, int threads)
{
    pd_status status;
    const pd_sample *samples = pd_dataset_samples(append->old);
    int side = pd_dataset_get_info(append->old)->width;
    size_t bytes = (size_t)side * (size_t)side;
    uint8_t *pixels = NULL; /* [BLOCK][side][side] */
    int failures = 0;

    PD_TRY(pd_alloc(&pixels, BLOCK, bytes));
    for (int64_t first = 0; first < append->count; first += BLOCK) {
        int64_t ids[BLOCK], left = append->count - first, count = left < BLOCK ? left : BLOCK;
        for (int64_t i = 0; i < count; i++)
            ids[i] = first + i;
        PD_TRY(pd_dataset_read(append->old, ids, count, pixels));
#pragma omp parallel for num_threads(threads) reduction(+ : failures)
        for (int64_t i = 0; i < count; i++) {
            const pd_sample *sample = &samples[first + i];
            pd_draft *draft = &drafts[first + i];
            *draft = (pd_draft){.slot = first + i,
                                .place.part = -1,
                                .is_decoded = true,
                                .height = sample->height,
                                .width = sample->width};
            failures += describe_old(draft, pixels + (size_t)i * bytes, side) != PD_OK;
        }
        if (failures > 0) {
            status = pd_fail("%s: out of memory for comparing its images", append->path);
            goto cleanup;
        }
    }

cleanup:
    free(pixels);
    return status;
}

/* Notes what the old set says of an image; its patient only where its name does not tell it. */
static pd_status hint_old(pd_scan_hint *hint, const pd_append *append, const pd_sample *sample)
{
    *hint = (pd_scan_hint){.is_old = append->new_patients, .cause = sample->cause};
    return append->new_patients ? pd_format(&hint->patient, "%d", sample->patient) : PD_OK;
}

/* Moves the new samples behind the old ones. */
static pd_status join_samples(const pd_append *append, pd_scan *scan)
{
    pd_status status;
    size_t old = (size_t)append->count, all = old + (size_t)scan->count;
    const pd_sample *samples = pd_dataset_samples(append->old);
    pd_scan joined = *scan;

    joined.samples = NULL;
    joined.hints = NULL;
    joined.keys = NULL;
    PD_TRY(pd_alloc(&joined.samples, all, sizeof *joined.samples));
    PD_TRY(pd_alloc(&joined.hints, all, sizeof *joined.hints));
    for (joined.count = 0; joined.count < append->count; joined.count++) {
        int64_t i = joined.count;
        joined.samples[i] = samples[i];
        PD_TRY(pd_strdup(&joined.samples[i].name, samples[i].name));
        PD_TRY(hint_old(&joined.hints[i], append, &samples[i]));
    }
    memcpy(joined.samples + old, scan->samples, (size_t)scan->count * sizeof *joined.samples);
    for (int64_t i = 0; i < scan->count; i++)
        joined.hints[append->count + i] =
            scan->hints != NULL ? scan->hints[i] : (pd_scan_hint){.cause = PD_CAUSE_UNKNOWN};
    joined.count += scan->count;
    joined.old = append->count;
    free(scan->samples);
    free(scan->hints);
    free(scan->keys);
    *scan = joined;
    return PD_OK;

cleanup:
    pd_scan_free(&joined);
    return status;
}

pd_status pd_append_join(const pd_append *append, pd_scan *scan, pd_draft **drafts, int threads)
{
    pd_status status;
    pd_draft *joined = NULL;
    int64_t added = scan->count;

    if (append->old == NULL)
        return PD_OK;
    PD_TRY(pd_alloc(&joined, (size_t)(append->count + added), sizeof *joined));
    PD_TRY(describe_all_old(append, joined, threads));
    PD_TRY(join_samples(append, scan));
    memcpy(joined + append->count, *drafts, (size_t)added * sizeof *joined);
    for (int64_t i = append->count; i < scan->count; i++)
        joined[i].slot = i;
    free(*drafts);
    *drafts = joined;
    joined = NULL;

cleanup:
    free(joined);
    return status;
}

/* --- Patients --- */

static void set_patients(pd_scan *scan, pd_joins *joins)
{
    for (int64_t i = 0; i < scan->count; i++)
        scan->samples[i].patient = pd_joins_find(joins, scan->samples[i].patient);
}

/* The number of patients of the old set. */
static int32_t count_old_patients(const pd_append *append)
{
    int32_t count = 0;
    const pd_sample *samples = pd_dataset_samples(append->old);
    for (int64_t i = 0; i < append->count; i++)
        count = samples[i].patient >= count ? samples[i].patient + 1 : count;
    return count;
}

pd_status pd_append_check_sources(const pd_append *append, const pd_patient_tally *tally,
                                  const char *folder)
{
    bool table = tally->images[PD_PATIENT_TABLE] > 0;
    if (append->old == NULL || append->new_patients ||
        (!table && tally->images[PD_PATIENT_FILE] == 0))
        return PD_OK;
    const char *old = pd_dataset_get_info(append->old)->grouping;
    return pd_fail("%s: the new images' patients come from %s, those of %s %s; they cannot be "
                   "compared: pack all images anew, or give --new-patients if no new image shows "
                   "an old patient",
                   folder, table ? "a table" : "DICOM files", append->path,
                   pd_patients_names_source(old, PD_PATIENT_PATTERN) ? "from a pattern"
                   : pd_patients_names_source(old, PD_PATIENT_NAME)  ? "from file names"
                                                                     : "are unknown");
}

static pd_status fail_other_patients(const pd_append *append, int64_t a, int64_t b)
{
    const pd_sample *samples = pd_dataset_samples(append->old);
    return pd_fail(
        "%s: its images %s and %s are of two patients there, but of one by the pattern or "
        "their names; give the --patient-pattern that it was packed with, or none",
        append->path, samples[a].name, samples[b].name);
}

pd_status pd_append_identify(const pd_append *append, pd_scan *scan, pd_patient_tally *tally)
{
    pd_status status;
    pd_joins joins = {0};
    int64_t *owner = NULL; /* [patients]: the first old image by its name's patient, + 1 */
    int64_t *first = NULL; /* [old patients]: the first image, + 1 */

    if (append->old == NULL)
        return PD_OK;
    const pd_sample *old = pd_dataset_samples(append->old);
    PD_TRY(pd_joins_create(&joins, scan->patients));
    PD_TRY(pd_alloc(&owner, (size_t)scan->patients, sizeof *owner));
    PD_TRY(pd_alloc(&first, (size_t)count_old_patients(append), sizeof *first));
    for (int64_t i = 0; i < append->count; i++) {
        int64_t *by_name = &owner[scan->samples[i].patient], *by_set = &first[old[i].patient];
        *by_name = *by_name == 0 ? i + 1 : *by_name;
        *by_set = *by_set == 0 ? i + 1 : *by_set;
        if (old[*by_name - 1].patient != old[i].patient) {
            status = fail_other_patients(append, *by_name - 1, i);
            goto cleanup;
        }
        pd_joins_join(&joins, scan->samples[*by_set - 1].patient, scan->samples[i].patient);
    }
    set_patients(scan, &joins);
    pd_patients_tally_add(tally, pd_dataset_get_info(append->old)->grouping,
                          append->count - append->unknown);

cleanup:
    pd_joins_free(&joins);
    free(owner);
    free(first);
    return status;
}

/* --- Duplicates --- */

static int compare_identities(const void *a, const void *b)
{
    const pd_draft *const *x = a, *const *y = b;
    int order = pd_identity_compare(&(*x)->identity, &(*y)->identity);
    return order != 0 ? order : ((*x)->slot > (*y)->slot) - ((*x)->slot < (*y)->slot);
}

static int find_identity(const void *key, const void *element)
{
    const pd_draft *const *draft = element;
    return pd_identity_compare(key, &(*draft)->identity);
}

/* The old image with the pixels and the shape of a new one; NULL: none. sorted[append->count]. */
static const pd_draft *find_old(const pd_append *append, const pd_draft **sorted,
                                const pd_identity *pixels, const pd_draft *draft)
{
    const pd_draft **end = sorted + append->count;
    const pd_draft **at =
        bsearch(pixels, sorted, (size_t)append->count, sizeof *sorted, find_identity);
    while (at != NULL && at > sorted && pd_identity_compare(pixels, &at[-1]->identity) == 0)
        at--;
    for (; at != NULL && at < end && pd_identity_compare(pixels, &(*at)->identity) == 0; at++)
        if ((*at)->height == draft->height && (*at)->width == draft->width)
            return *at;
    return NULL;
}

pd_status pd_append_deduplicate(const pd_append *append, pd_draft *drafts, int64_t *count,
                                int64_t *duplicates, pd_scan *scan, const pd_parts *parts,
                                const char *folder)
{
    pd_status status;
    const pd_draft **sorted = NULL, *old;
    pd_joins joins = {0};
    int64_t kept = append->count;

    if (append->old == NULL)
        return PD_OK;
    PD_TRY(pd_joins_create(&joins, scan->patients));
    PD_TRY(pd_alloc(&sorted, (size_t)append->count, sizeof *sorted));
    for (int64_t i = 0; i < append->count; i++)
        sorted[i] = &drafts[i];
    qsort(sorted, (size_t)append->count, sizeof *sorted, compare_identities);
    for (int64_t i = append->count; i < *count; i++) {
        pd_part_record record;
        PD_TRY(pd_parts_read_record(parts, drafts[i].place, &record));
        old = find_old(append, sorted, &record.pixels, &drafts[i]);
        if (old == NULL)
            drafts[kept++] = drafts[i];
        else
            PD_TRY(pd_drafts_join(&joins, scan, old->slot, drafts[i].slot, folder, append->path));
    }
    *duplicates += *count - kept + pd_dataset_get_info(append->old)->duplicates;
    *count = kept;
    set_patients(scan, &joins);

cleanup:
    pd_joins_free(&joins);
    free(sorted);
    return status;
}

/* --- Folds --- */

enum { NO_FOLD = -1, TWO_FOLDS = -2 };

/* Sets folds[patient] to the fold of the patient's old images. */
static void find_folds(int *folds, const pd_scan *scan)
{
    for (int32_t p = 0; p < scan->patients; p++)
        folds[p] = NO_FOLD;
    for (int64_t i = 0; i < scan->old; i++) {
        int *fold = &folds[scan->samples[i].patient], own = (int)scan->samples[i].fold;
        *fold = *fold == NO_FOLD || *fold == own ? own : TWO_FOLDS;
    }
}

/* Gives the new ones of drafts[count] the fold of their old patient. */
static void follow_patients(const pd_append *append, const pd_draft *drafts, int64_t count,
                            pd_scan *scan, const int *folds)
{
    for (int64_t i = append->count; i < count; i++) {
        pd_sample *sample = &scan->samples[drafts[i].slot];
        int fold = folds[sample->patient];
        sample->fold = fold >= 0 ? (pd_fold)fold : PD_TRAIN;
    }
}

/* Leaves out the bridging ones of the drafts, and counts them at *bridging; *example is the name of
 * the first. places[old index] is the new one, -1 if left out. */
static void drop_bridging(pd_draft *drafts, int64_t *count, int64_t *places, int64_t *bridging,
                          const char **example, const pd_scan *scan, const int *folds)
{
    int64_t kept = 0;
    for (int64_t i = 0; i < *count; i++) {
        const pd_sample *sample = &scan->samples[drafts[i].slot];
        bool drop = drafts[i].slot >= scan->old && folds[sample->patient] == TWO_FOLDS;
        places[i] = drop ? -1 : kept;
        if (!drop)
            drafts[kept++] = drafts[i];
        else if (*example == NULL)
            *example = sample->name;
    }
    *bridging = *count - kept;
    *count = kept;
}

/* Separates the old patients again that the images left out would have united. */
static void separate_patients(const pd_append *append, pd_scan *scan, const int *folds)
{
    const pd_sample *old = pd_dataset_samples(append->old);
    int32_t patients = scan->patients;
    for (int64_t i = 0; i < scan->old; i++)
        if (folds[scan->samples[i].patient] == TWO_FOLDS)
            scan->samples[i].patient = patients + old[i].patient;
    scan->patients = patients + count_old_patients(append);
}

pd_status pd_append_keep_folds(const pd_append *append, pd_draft *drafts, int64_t *count,
                               int64_t *bridging, pd_scan *scan, pd_near_pairs *near)
{
    pd_status status;
    int64_t *places = NULL;
    int *folds = NULL; /* [patients] */
    const char *example = NULL;

    if (append->old == NULL)
        return PD_OK;
    PD_TRY(pd_alloc(&folds, (size_t)scan->patients, sizeof *folds));
    PD_TRY(pd_alloc(&places, (size_t)*count, sizeof *places));
    find_folds(folds, scan);
    follow_patients(append, drafts, *count, scan, folds);
    drop_bridging(drafts, count, places, bridging, &example, scan, folds);
    pd_near_pairs_renumber(near, places);
    separate_patients(append, scan, folds);
    if (*bridging > 0)
        pd_log_warn("left out: %lld image%s that would make patients of two folds of %s one, for "
                    "example %s: pack all images anew to take them",
                    (long long)*bridging, pd_text_plural(*bridging), append->path, example);

cleanup:
    free(folds);
    free(places);
    return status;
}

/* --- Names --- */

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

pd_status pd_append_check_names(const pd_append *append, const pd_sample *samples, int64_t count)
{
    const char **names;
    if (append->old == NULL)
        return PD_OK;
    pd_status status = pd_alloc(&names, (size_t)count, sizeof *names);
    if (status != PD_OK)
        return status;
    for (int64_t i = 0; i < count; i++)
        names[i] = samples[i].name;
    qsort(names, (size_t)count, sizeof *names, compare_names);
    for (int64_t i = 1; i < count && status == PD_OK; i++)
        if (strcmp(names[i - 1], names[i]) == 0)
            status =
                pd_fail("%s has another image named %s; rename the new one, or pack the folder "
                        "above, so that its path differs",
                        append->path, names[i]);
    free(names);
    return status;
}
