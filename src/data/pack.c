#include "pneumo/data/pack.h"

#include "append.h"
#include "dataset_writer.h"
#include "draft.h"
#include "near_pairs.h"
#include "pixels.h"
#include "pneumo/base/clock.h"
#include "pneumo/base/host.h"
#include "pneumo/base/log.h"
#include "pneumo/base/memory.h"
#include "pneumo/io/file.h"
#include "pneumo/io/lock.h"
#include "pneumo/io/outputs.h"
#include "remarks.h"
#include "team.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIZE = 224 };

static pd_status check_options(const pd_pack_options *options)
{
    pd_patient_rules *rules;
    if (options->size != 0 &&
        (options->size < PD_PACK_SIZE_MIN || options->size > PD_PACK_SIZE_MAX))
        return pd_fail("cannot pack to a size of %d pixels; choose %d to %d", options->size,
                       PD_PACK_SIZE_MIN, PD_PACK_SIZE_MAX);
    if (options->threads < 0)
        return pd_fail("cannot use %d threads; choose 1 or more", options->threads);
    pd_status status = pd_patient_rules_create(&rules, options->patient_pattern);
    pd_patient_rules_destroy(&rules);
    return status == PD_OK ? pd_folds_check(&options->folds) : status;
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

/* What pd_pack works on; all but the parts is rank 0's. */
typedef struct packer {
    const pd_pack_options *options;
    const pd_team *team;
    pd_pack_result *result;
    pd_parts parts;
    pd_scan scan;
    pd_draft *drafts;
    int64_t count;      /* of the drafts: what is not left out yet */
    pd_sample *samples; /* [count]: to pack */
    int32_t patients;
    pd_near_pairs near;
    pd_append append;
    pd_fold_options folds; /* the user's, or those of the set to append to */
    int threads;           /* of this rank */
    bool resumes;          /* there are part files of an earlier run */
    bool is_writing;       /* what fails is the disk or memory, not the images */
    double started;        /* decoding */
} packer;

/* --- Decoding --- */

static pd_status scan_folder(packer *p)
{
    const pd_pack_options *options = p->options;
    bool keep = p->folds.policy == PD_FOLDS_KEEP;
    const pd_scan_options wanted = {.folder = options->folder,
                                    .classes = {options->classes[0], options->classes[1]},
                                    .recursive = options->recursive,
                                    .allow_rest = options->allow_rest,
                                    .labels = options->labels,
                                    .columns = options->columns,
                                    .allow_missing = options->allow_missing,
                                    .keep_folds = keep,
                                    .keep_lateral = options->keep_lateral};
    pd_status status = options->labels != NULL ? pd_scan_labels(&p->scan, &wanted)
                                               : pd_scan_folder(&p->scan, &wanted);
    if (status == PD_OK && keep && !p->scan.has_folds)
        return pd_fail("%s has no folds of its own to keep (train, val, test); use "
                       "--folds 70/15/15",
                       options->folder);
    return status;
}

/* Computes the secret from image `i`; false if it cannot be read, or is not the one of the plan. */
static bool set_secret(pd_parts_plan *plan, const pd_scan *scan, int64_t i, const char *folder)
{
    char *path;
    unsigned char *bytes;
    size_t size;
    if (pd_format(&path, "%s/%s", folder, scan->samples[i].name) != PD_OK)
        return false;
    bool done = pd_file_read(&bytes, &size, path, PD_IMAGE_FILE_MAX) == PD_OK &&
                pd_parts_set_secret(plan, &scan->keys[i], bytes, size);
    free(bytes);
    free(path);
    return done;
}

/* Computes the secret from the image that the part files found name, if it is unchanged; else from
 * the first that can be read, and sets *found to false. Without any, nothing will be stored. */
static void find_secret(pd_parts_plan *plan, bool *found, const pd_scan *scan, const char *folder)
{
    bool done = false;
    for (int64_t i = 0; i < scan->count && *found && !done; i++)
        done = pd_identity_compare(&scan->keys[i], &plan->header.secret_of) == 0 &&
               set_secret(plan, scan, i, folder);
    *found = done;
    if (!done)
        pd_parts_renew(plan);
    for (int64_t i = 0; i < scan->count && !done; i++)
        done = set_secret(plan, scan, i, folder);
}

/* Fails before anything is decoded if a table tells patients that those of the set to append to
 * cannot be compared with. */
static pd_status check_table(const packer *p)
{
    pd_patient_tally tally = {0};
    for (int64_t i = 0; p->scan.hints != NULL && i < p->scan.count; i++)
        tally.images[PD_PATIENT_TABLE] += p->scan.hints[i].patient != NULL;
    return pd_append_check_sources(&p->append, &tally, p->options->folder);
}

/* Scans the folder and plans the part files; on rank 0. */
static pd_status plan_parts(packer *p, pd_bytes *bytes)
{
    pd_status status;
    pd_parts_plan plan;
    int size = p->options->size != 0 ? p->options->size : SIZE;

    /* An image is not a data set, so the second check also protects the images. */
    PD_TRY(pd_output_check(p->options->output, &p->options->labels, 1));
    PD_TRY(pd_dataset_check_replaced(p->options->output));
    /* Another process that packs to the same file would use the same part files, or replace the set
     * to append to between reading and writing it. */
    PD_TRY(pd_lock_take_file(p->options->output, "wait until it has ended, or write another file"));
    p->folds = p->options->folds;
    if (p->options->append != NULL) {
        const pd_append_options append = {.path = p->options->append,
                                          .size = p->options->size,
                                          .patient_pattern = p->options->patient_pattern,
                                          .new_patients = p->options->new_patients};
        PD_TRY(pd_append_open(&p->append, &append));
        p->folds = p->append.folds;
        size = pd_dataset_get_info(p->append.old)->width;
    }
    PD_TRY(scan_folder(p));
    PD_TRY(check_table(p));
    PD_TRY(pd_alloc(&p->drafts, (size_t)p->scan.count, sizeof *p->drafts));
    PD_TRY(pd_parts_find(&plan, &p->resumes, p->options->output, size));
    find_secret(&plan, &p->resumes, &p->scan, p->options->folder);
    PD_TRY(pd_bytes_append(bytes, &plan, sizeof plan));

cleanup:
    return status;
}

/* Decodes all images into the part files. Collective. */
static pd_status decode(packer *p)
{
    pd_status status = PD_OK;
    const pd_pack_options *options = p->options;
    const pd_team *team = p->team;
    const pd_draft_options draft = {.folder = options->folder,
                                    .keep_lateral = options->keep_lateral,
                                    .skip_bad = options->skip_bad,
                                    .threads = p->threads,
                                    .team = team};
    pd_parts_plan plan;
    pd_bytes bytes = {0};

    if (team->rank == 0)
        status = plan_parts(p, &bytes);
    PD_TRY(pd_team_follow(team, status));
    PD_TRY(pd_team_broadcast(team, &bytes));
    memcpy(&plan, bytes.bytes, sizeof plan);
    status = pd_parts_open(&p->parts, options->output, &plan, team->rank, team->size);
    PD_TRY(pd_team_agree(team, status));
    p->started = pd_clock_now();
    p->is_writing = true;
    PD_TRY(pd_drafts_decode(p->drafts, &p->parts, &p->scan, &draft));
    p->is_writing = false;

cleanup:
    pd_bytes_free(&bytes);
    return status;
}

/* --- From the drafts to the data set; on rank 0. --- */

/* Counts what decoding leaves out, and says what of it may surprise. */
static void count_left_out(const packer *p)
{
    pd_pack_result *result = p->result;
    const pd_draft_counts counts = pd_drafts_count(p->drafts, p->count);
    result->bad = counts.bad;
    result->lateral = counts.lateral;
    result->other = counts.other;
    result->left_out = p->scan.left_out;
    pd_remarks_on_drafts(&counts, "; --lateral packs them too");
}

static pd_status identify_patients(packer *p)
{
    pd_status status;
    pd_patient_tally *tally = &p->result->tally;
    pd_patient_rules *rules = NULL;

    PD_TRY(pd_patient_rules_create(&rules, p->options->patient_pattern));
    PD_TRY(pd_drafts_identify(tally, &p->scan, p->drafts, rules));
    PD_TRY(pd_append_check_sources(&p->append, tally, p->options->folder));
    PD_TRY(pd_append_identify(&p->append, &p->scan, tally));

cleanup:
    pd_patient_rules_destroy(&rules);
    return status;
}

/* Leaves one of each image, of the new ones and of the old ones. */
static pd_status drop_duplicates(packer *p)
{
    pd_status status;
    pd_append *append = &p->append;
    int64_t *duplicates = &p->result->info.duplicates, added = p->count - append->count;
    const char *folder = p->options->folder;

    PD_TRY(pd_drafts_deduplicate(p->drafts + append->count, &added, duplicates, &p->scan, folder));
    p->count = append->count + added;
    status = pd_append_deduplicate(append, p->drafts, &p->count, duplicates, &p->scan, &p->parts,
                                   folder);

cleanup:
    return status;
}

/* Makes one patient of those with almost the same images. */
static pd_status join_near_duplicates(packer *p, const pd_pixels *pixels)
{
    pd_status status;
    PD_TRY(pd_near_pairs_join(&p->near, &p->scan, p->drafts, p->count, pixels));
    PD_TRY(pd_append_keep_folds(&p->append, p->drafts, &p->count, &p->result->bridging, &p->scan,
                                &p->near));
    p->result->near_pairs = p->near.count;
    p->result->near_joined = p->near.joined;

cleanup:
    return status;
}

/* Counts the images of what is packed whose patient is unknown or whose name is hidden, and says
 * so: a duplicate that is left out is not one. */
static pd_status count_packed(packer *p)
{
    const pd_pack_options *options = p->options;
    pd_patient_tally *tally = &p->result->tally;
    tally->images[PD_PATIENT_UNKNOWN] = p->append.unknown;
    tally->example[PD_PATIENT_UNKNOWN] = -1;
    for (int64_t i = p->append.count; i < p->count; i++) {
        const pd_draft *draft = &p->drafts[i];
        p->result->named += draft->names_patient;
        tally->images[PD_PATIENT_UNKNOWN] += draft->is_unknown;
        if (draft->is_unknown && tally->example[PD_PATIENT_UNKNOWN] < 0)
            tally->example[PD_PATIENT_UNKNOWN] = draft->slot;
    }
    pd_remarks_on_names(p->result->named);
    return pd_remarks_on_patients(p->scan.samples, p->count, options->folder,
                                  options->patient_pattern, tally);
}

static pd_status collect_samples(packer *p)
{
    pd_status status = pd_drafts_collect(&p->samples, &p->patients, p->drafts, p->count, &p->scan);
    if (status == PD_OK && p->count == p->append.count)
        return pd_fail("%s contains no %s image", p->options->folder,
                       p->append.old != NULL ? "new readable" : "readable");
    return status;
}

static pd_status assign_folds(packer *p)
{
    pd_status status = pd_append_check_names(&p->append, p->samples, p->count);
    if (status == PD_OK)
        status =
            p->append.old == NULL
                ? pd_folds_assign(p->samples, p->count, p->patients, &p->folds)
                : pd_folds_extend(p->samples, p->count, p->patients, p->append.count, &p->folds);
    if (status != PD_OK)
        pd_error_prefix(status, "%s", p->options->folder);
    return status;
}

static void fill_info(pd_dataset_info *info, const packer *p)
{
    const pd_patient_tally *tally = &p->result->tally;
    info->count = p->count;
    info->height = info->width = (int)p->parts.plan.header.side;
    info->seed = p->folds.seed;
    info->unknown_patients = tally->images[PD_PATIENT_UNKNOWN];
    pd_patients_describe(info->grouping, sizeof info->grouping, tally);
    snprintf(info->version, sizeof info->version, "%s", PNEUMO_VERSION);
}

static void describe_folds(const packer *p)
{
    pd_dataset_info *info = &p->result->info;
    pd_folds_describe(info->fold_policy, sizeof info->fold_policy, &p->folds,
                      pd_patients_noun(info->unknown_patients), p->result->leaks);
    size_t used = strlen(info->fold_policy);
    if (p->append.old != NULL)
        snprintf(info->fold_policy + used, sizeof info->fold_policy - used, ", appended");
}

/* Sets the result but for the figures of the pixels, and warns of what makes figures too good. */
static pd_status describe(packer *p)
{
    pd_status status;
    pd_pack_result *result = p->result;

    fill_info(&result->info, p);
    const char *groups = pd_patients_noun(result->info.unknown_patients);
    pd_near_pairs_warn(&p->near, p->samples, groups);
    PD_TRY(
        pd_remarks_on_leaks(&result->leaks, p->samples, p->count, result->info.unknown_patients));
    describe_folds(p);
    PD_TRY(count_samples(result, p->samples, p->count, p->patients));
    pd_remarks_on_empty_folds(&result->info);
    PD_TRY(pd_shapes_compare(&result->shapes, p->samples, p->count));

cleanup:
    return status;
}

static pd_status make_set(packer *p)
{
    pd_status status;
    pd_pack_result *result = p->result;
    const pd_pack_options *options = p->options;
    const pd_pixels pixels = {.parts = &p->parts, .old = p->append.old, .threads = p->threads};

    PD_TRY(pd_parts_open_all(&p->parts));
    PD_TRY(pd_append_join(&p->append, &p->scan, &p->drafts, p->threads));
    p->count = p->scan.count;
    result->old = p->append.count;
    count_left_out(p);
    PD_TRY(identify_patients(p));
    PD_TRY(drop_duplicates(p));
    PD_TRY(pd_drafts_hide_names(&p->scan, p->drafts, p->count));
    PD_TRY(join_near_duplicates(p, &pixels));
    PD_TRY(count_packed(p));
    PD_TRY(collect_samples(p));
    PD_TRY(assign_folds(p));
    PD_TRY(describe(p));
    p->is_writing = true;
    PD_TRY(pd_dataset_writer_run(&result->info, options->output, p->samples, p->drafts, &pixels));
    pd_remarks_on_shapes(&result->shapes);

cleanup:
    return status;
}

/* Whether a new try can use the images that are decoded. */
static bool is_worth_keeping(const packer *p)
{
    bool bad = !p->options->skip_bad && pd_drafts_count(p->drafts, p->scan.count).bad > 0;
    bool long_work = p->started > 0 && pd_clock_now() - p->started >= p->options->keep_seconds;
    return p->resumes || long_work || (p->is_writing && !bad);
}

/* Removes the part files unless they are worth keeping; on rank 0. */
static void settle_parts(const packer *p, pd_status status)
{
    if (p->parts.output == NULL) /* not opened */
        return;
    if (status == PD_OK || !is_worth_keeping(p))
        pd_parts_remove(&p->parts);
    else
        pd_log_warn("kept the images that are decoded in %s.part-*: the same command continues "
                    "from them",
                    p->options->output);
}

pd_status pd_pack(const pd_pack_options *options, pd_pack_result *result)
{
    static const pd_team alone = {.size = 1};
    pd_status status;
    packer p = {.options = options,
                .team = options->team != NULL ? options->team : &alone,
                .result = result,
                .threads = options->threads > 0 ? options->threads : pd_host_threads(),
                .parts.own = -1};

    *result = (pd_pack_result){0};
    PD_TRY(check_options(options));
    PD_TRY(decode(&p));
    if (p.team->rank == 0)
        status = make_set(&p);
    PD_TRY(pd_team_follow(p.team, status));

cleanup:
    if (p.team->rank == 0) {
        settle_parts(&p, status);
        pd_lock_release_file(options->output);
    }
    free(p.samples);
    free(p.drafts);
    pd_near_pairs_free(&p.near);
    pd_parts_close(&p.parts);
    pd_scan_free(&p.scan);
    pd_append_close(&p.append);
    return status;
}
