#include "pneumo/data/pack.h"

#include "digest.h"
#include "draft.h"
#include "near_pairs.h"
#include "pneumo/base/host.h"
#include "pneumo/base/log.h"
#include "pneumo/base/memory.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

pd_pack_options pd_pack_defaults(void)
{
    return (pd_pack_options){
        .size = 224, .folds = pd_folds_defaults(), .threads = pd_host_threads()};
}

static pd_status check_options(const pd_pack_options *options)
{
    if (options->size < PD_PACK_SIZE_MIN || options->size > PD_PACK_SIZE_MAX)
        return pd_fail("cannot pack to a size of %d pixels; choose %d to %d", options->size,
                       PD_PACK_SIZE_MIN, PD_PACK_SIZE_MAX);
    if (options->threads < 1)
        return pd_fail("cannot use %d threads; choose 1 or more", options->threads);
    return pd_folds_check(&options->folds);
}

static void fill_info(pd_dataset_info *info, const pd_pack_options *options, int64_t count,
                      const pd_patient_tally *tally)
{
    info->count = count;
    info->height = info->width = options->size;
    info->seed = options->folds.seed;
    info->unknown_patients = tally->images[PD_PATIENT_UNKNOWN];
    pd_patients_describe(info->grouping, sizeof info->grouping, tally);
    snprintf(info->version, sizeof info->version, "%s", PNEUMO_VERSION);
}

static void describe_folds(pd_pack_result *result, const pd_pack_options *options)
{
    pd_dataset_info *info = &result->info;
    pd_folds_describe(info->fold_policy, sizeof info->fold_policy, &options->folds,
                      pd_patients_noun(info->unknown_patients), result->leaks);
}

static pd_status count_samples(pd_pack_result *result, const pd_sample *samples, int64_t count,
                               int32_t patients)
{
    unsigned char *seen; /* [patients]: one bit per fold and label */
    pd_status status = pd_alloc(&seen, (size_t)patients, 1);
    pd_samples_count(result->info.counts, samples, count);
    for (int64_t i = 0; i < count && status == PD_OK; i++) {
        const pd_sample *s = &samples[i];
        unsigned char bit = (unsigned char)(1 << (s->fold * PD_LABELS + s->label));
        result->images[s->fold][s->label][s->cause]++;
        result->patients[s->fold][s->label] += !(seen[s->patient] & bit);
        seen[s->patient] |= bit;
    }
    free(seen);
    return status;
}

/* Exact sums over the pixels of the train fold. */
typedef struct pd_grey_sums {
    uint64_t pixels, sum, squares;
} pd_grey_sums;

static void add_grey(pd_grey_sums *sums, const uint8_t *image, size_t size)
{
    sums->pixels += size;
    for (size_t p = 0; p < size; p++) {
        sums->sum += image[p];
        sums->squares += (uint64_t)image[p] * image[p];
    }
}

static void set_mean(pd_dataset_info *info, const pd_grey_sums *sums)
{
    if (sums->pixels == 0)
        return;
    double pixels = (double)sums->pixels;
    info->mean = (double)sums->sum / pixels;
    info->deviation = sqrt(fmax(0, (double)sums->squares / pixels - info->mean * info->mean));
}

/* Writes the data set, and sets mean, deviation and digest of `info`. */
static pd_status write_dataset(pd_dataset_info *info, const pd_sample *samples,
                               const pd_draft *drafts, const pd_spool *spool)
{
    pd_status status;
    pd_dataset *dataset = NULL;
    pd_digest *digest = NULL;
    pd_grey_sums sums = {0};

    PD_TRY(pd_digest_create(&digest, info));
    PD_TRY(pd_dataset_create(&dataset, spool->output, info, samples));
    for (int64_t first = 0; first < info->count; first += spool->block) {
        int64_t left = info->count - first, count = left < spool->block ? left : spool->block;
        for (int64_t i = 0; i < count; i++) {
            const uint8_t *image = spool->images + (size_t)i * spool->image_bytes;
            PD_TRY(pd_spool_read(spool, drafts[first + i].slot, i));
            pd_digest_add(digest, &samples[first + i], image, spool->image_bytes);
            if (samples[first + i].fold == PD_TRAIN)
                add_grey(&sums, image, spool->image_bytes);
        }
        PD_TRY(pd_dataset_write(dataset, first, count, spool->images));
    }
    set_mean(info, &sums);
    pd_digest_write(info->digest, digest);
    PD_TRY(pd_dataset_finish(dataset, info));

cleanup:
    pd_dataset_destroy(&dataset);
    pd_digest_destroy(&digest);
    return status;
}

/* Fails if the user's pattern matches nothing; warns of images whose patient is unknown. */
static pd_status check_patients(const pd_scan *scan, const pd_pack_options *options,
                                const pd_patient_tally *tally)
{
    int64_t unknown = tally->images[PD_PATIENT_UNKNOWN], all = 0;
    for (int source = 0; source < PD_PATIENT_SOURCES; source++)
        all += tally->images[source];
    if (unknown > 0 && options->patient_pattern != NULL && tally->images[PD_PATIENT_PATTERN] == 0)
        return pd_fail("%s: the pattern of patients '%s' matches none of the paths, such as %s",
                       options->folder, options->patient_pattern,
                       scan->samples[tally->example[PD_PATIENT_UNKNOWN]].name);
    if (unknown > 0)
        pd_log_warn("the patient of %lld of %lld images is unknown, for example of %s: each of "
                    "them counts as a patient of its own, so images of one patient can be in "
                    "several folds and figures too good; --patient-pattern REGEX takes the patient "
                    "from the path",
                    (long long)unknown, (long long)all,
                    scan->samples[tally->example[PD_PATIENT_UNKNOWN]].name);
    return PD_OK;
}

static pd_status warn_of_leaks(int64_t *leaks, const pd_sample *samples, int64_t count,
                               const char *groups)
{
    int32_t example;
    pd_status status = pd_folds_leaks(leaks, &example, samples, count);
    if (status != PD_OK || *leaks == 0)
        return status;
    int64_t i = 0;
    while (samples[i].patient != example)
        i++;
    pd_log_warn(
        "%lld %s have images in two of the folder's own folds, for example that of %s; figures "
        "will be too good (--folds 70/15/15 keeps each in one fold)",
        (long long)*leaks, groups, samples[i].name);
    return PD_OK;
}

static const char *const empty_fold_means[PD_FOLDS] = {
    "no model can be trained on this data set",
    "training on this data set cannot choose a threshold or the best epoch (--val-from-train P "
    "with "
    "'--folds keep', or --folds 70/15/15, fills it)",
    "nothing tells how well a model does on new images"};

/* Says which folds have no images, where it is decided. */
static void say_empty_folds(const pd_dataset_info *info)
{
    int64_t all[PD_FOLDS];
    for (int fold = 0; fold < PD_FOLDS; fold++) {
        all[fold] = info->counts[fold][PD_NORMAL] + info->counts[fold][PD_PNEUMONIA];
        if (all[fold] == 0)
            pd_log_warn("the fold %s is empty: %s", pd_fold_names[fold], empty_fold_means[fold]);
    }
}

/* Warns if a model could learn the shape or size of the images instead of the disease. */
static void warn_of_shapes(const pd_shapes *shapes)
{
    bool aspect = shapes->separations[PD_SHAPE_ASPECT].is_shortcut;
    bool area = shapes->separations[PD_SHAPE_AREA].is_shortcut;
    if (aspect || area)
        pd_log_warn(
            "the classes can be told apart by the %s of the images alone, a shortcut that a "
            "model can learn instead of the disease; the figures by shape and size in the "
            "report show whether it does",
            !area     ? "shape"
            : !aspect ? "size"
                      : "shape and size");
}

static pd_status scan_folder(pd_scan *scan, const pd_pack_options *options)
{
    bool keep = options->folds.policy == PD_FOLDS_KEEP;
    const pd_scan_options wanted = {.folder = options->folder,
                                    .classes = {options->classes[0], options->classes[1]},
                                    .recursive = options->recursive,
                                    .allow_rest = options->allow_rest,
                                    .labels = options->labels,
                                    .columns = options->columns,
                                    .allow_missing = options->allow_missing,
                                    .keep_folds = keep};
    pd_status status =
        options->labels != NULL ? pd_scan_labels(scan, &wanted) : pd_scan_folder(scan, &wanted);
    if (status == PD_OK && keep && !scan->has_folds)
        return pd_fail("%s has no folds of its own to keep (train, val, test); use "
                       "--folds 70/15/15",
                       options->folder);
    return status;
}

/* Says what DICOM files state that changes what is packed. */
static void report_counts(pd_pack_result *result, const pd_draft *drafts, int64_t count)
{
    pd_draft_counts counts = pd_drafts_count(drafts, count);
    result->lateral = counts.lateral;
    result->other = counts.other;
    result->named = counts.named;
    if (counts.lateral > 0)
        pd_log_warn("left out: %lld lateral views; --lateral packs them too",
                    (long long)counts.lateral);
    if (counts.other > 0)
        pd_log_warn("left out: %lld images of other modalities than radiography",
                    (long long)counts.other);
    if (counts.named > 0)
        pd_log_warn("%lld paths contain the name, ID, birth date or accession number of their "
                    "patient; they are stored as NORMAL/image-000000.dcm and the like",
                    (long long)counts.named);
}

/* What pd_pack works on. */
typedef struct packer {
    const pd_pack_options *options;
    pd_pack_result *result;
    pd_scan scan;
    pd_spool spool, copies; /* of the images, and of their small copies */
    pd_draft *drafts;
    pd_sample *samples; /* to pack */
    int32_t patients;
    pd_near_pairs near;
} packer;

/* Sets the patients of the drafts and joins those with the same or almost the same images. */
static pd_status group(packer *p, int64_t *count)
{
    pd_status status;
    const char *folder = p->options->folder;
    pd_patient_tally *tally = &p->result->tally;
    pd_patient_rules *rules = NULL;

    PD_TRY(pd_patient_rules_create(&rules, p->options->patient_pattern));
    PD_TRY(pd_drafts_identify(tally, &p->scan, p->drafts, rules));
    PD_TRY(pd_drafts_deduplicate(p->drafts, count, &p->result->info.duplicates, &p->scan, folder));
    PD_TRY(pd_drafts_hide_names(&p->scan, p->drafts, *count));
    PD_TRY(check_patients(&p->scan, p->options, tally));
    PD_TRY(pd_near_pairs_join(&p->near, &p->scan, p->drafts, *count, &p->copies));
    p->result->near_pairs = p->near.count;
    p->result->near_joined = p->near.joined;
    PD_TRY(pd_drafts_collect(&p->samples, &p->patients, p->drafts, *count, &p->scan));
    if (*count == 0)
        status = pd_fail("%s contains no readable image", folder);

cleanup:
    pd_patient_rules_destroy(&rules);
    return status;
}

/* Decodes the images, and sets everything of the result but the figures of the pixels. */
static pd_status prepare(packer *p)
{
    pd_status status;
    const pd_pack_options *options = p->options;
    pd_pack_result *result = p->result;
    const pd_draft_options draft = {.folder = options->folder,
                                    .size = options->size,
                                    .keep_lateral = options->keep_lateral,
                                    .skip_bad = options->skip_bad,
                                    .threads = options->threads};
    int64_t count = p->scan.count;

    PD_TRY(pd_drafts_decode(p->drafts, &p->spool, &p->copies, &result->bad, &p->scan, &draft));
    report_counts(result, p->drafts, count);
    PD_TRY(group(p, &count));
    status = pd_folds_assign(p->samples, count, p->patients, &options->folds);
    if (status != PD_OK) {
        pd_error_prefix(status, "%s", options->folder);
        goto cleanup;
    }
    result->left_out = p->scan.left_out;
    fill_info(&result->info, options, count, &result->tally);
    const char *groups = pd_patients_noun(result->info.unknown_patients);
    pd_near_pairs_warn(&p->near, p->samples, groups);
    PD_TRY(warn_of_leaks(&result->leaks, p->samples, count, groups));
    describe_folds(result, options);
    PD_TRY(count_samples(result, p->samples, count, p->patients));
    say_empty_folds(&result->info);
    PD_TRY(pd_shapes_compare(&result->shapes, p->samples, count));

cleanup:
    return status;
}

pd_status pd_pack(const pd_pack_options *options, pd_pack_result *result)
{
    pd_status status;
    packer p = {.options = options, .result = result, .spool.file = -1, .copies.file = -1};

    *result = (pd_pack_result){0};
    PD_TRY(check_options(options));
    PD_TRY(scan_folder(&p.scan, options));
    PD_TRY(pd_spool_open(&p.spool, options->output, options->size));
    PD_TRY(pd_spool_open(&p.copies, options->output, PD_NEAR_SIDE));
    PD_TRY(pd_alloc(&p.drafts, (size_t)p.scan.count, sizeof *p.drafts));
    PD_TRY(prepare(&p));
    PD_TRY(write_dataset(&result->info, p.samples, p.drafts, &p.spool));
    warn_of_shapes(&result->shapes);

cleanup:
    free(p.samples);
    free(p.drafts);
    pd_near_pairs_free(&p.near);
    pd_spool_close(&p.copies);
    pd_spool_close(&p.spool);
    pd_scan_free(&p.scan);
    return status;
}
