#include "draft.h"

#include "near.h"
#include "pneumo/base/log.h"
#include "pneumo/base/memory.h"
#include "pneumo/base/progress.h"
#include "pneumo/data/image.h"
#include "pneumo/io/file.h"

#include <stdlib.h>
#include <string.h>

_Static_assert(PD_IMAGE_SIDE_MAX <= UINT16_MAX, "/shape has 16 bits per side");

/* Sets what near-duplicates are found by: the small copy and its hash. */
static pd_status describe_image(pd_draft *draft, uint8_t *copy, const pd_image *image)
{
    float details[PD_NEAR_BYTES];
    pd_status status = pd_near_copy(copy, image);
    if (status != PD_OK)
        return status;
    draft->hash = pd_near_hash(copy);
    draft->plain = !pd_near_details(details, copy);
    return PD_OK;
}

/* Reads one file: its identity, the shape of its image, the resized image out [size][size], and the
 * small copy. */
static pd_status decode_file(pd_draft *draft, uint8_t *out, uint8_t *copy, const char *name,
                             const pd_draft_options *options)
{
    pd_status status;
    char *path = NULL;
    unsigned char *bytes = NULL;
    size_t size;
    pd_image image = {0};

    PD_TRY(pd_format(&path, "%s/%s", options->folder, name));
    PD_TRY(pd_file_read(&bytes, &size, path, PD_IMAGE_FILE_MAX));
    draft->identity = pd_identity_of_bytes(bytes, size);
    status = pd_image_decode(&image, bytes, size);
    if (status != PD_OK) {
        pd_error_prefix(status, "%s", path);
        goto cleanup;
    }
    draft->height = (uint16_t)image.height;
    draft->width = (uint16_t)image.width;
    memcpy(draft->patient, image.patient, sizeof draft->patient);
    draft->is_other = image.is_other;
    draft->is_lateral = image.projection == PD_PROJECTION_LATERAL && !options->keep_lateral;
    draft->names_patient = pd_image_identity_in(&image, name);
    PD_TRY(pd_image_resize(out, options->size, options->size, &image));
    PD_TRY(describe_image(draft, copy, &image));

cleanup:
    pd_image_free(&image);
    free(bytes);
    free(path);
    return status;
}

/* What decoding reads and fills. */
typedef struct decoder {
    pd_draft *drafts;
    pd_spool *spool, *copies;
    const pd_scan *scan;
    const pd_draft_options *options;
    char **messages; /* [spool->block]: set for bad images of the block */
} decoder;

/* Decodes `count` images from `first` on into the images of both spools. */
static void decode_block(const decoder *d, int64_t first, int64_t count)
{
#pragma omp parallel for schedule(dynamic) num_threads(d->options->threads)
    for (int64_t i = 0; i < count; i++) {
        pd_draft *draft = &d->drafts[first + i];
        draft->slot = first + i;
        draft->bad = decode_file(draft, d->spool->images + (size_t)i * d->spool->image_bytes,
                                 d->copies->images + (size_t)i * d->copies->image_bytes,
                                 d->scan->samples[first + i].name, d->options) != PD_OK;
        if (draft->bad && pd_strdup(&d->messages[i], pd_error_message()) != PD_OK)
            d->messages[i] = NULL;
    }
}

/* Fails because of the first bad draft, or warns of and counts all of them. Frees messages[i]. */
static pd_status handle_bad(const pd_draft *drafts, int64_t count, int64_t *bad, bool skip_bad,
                            char **messages)
{
    for (int64_t i = 0; i < count; i++) {
        if (!drafts[i].bad)
            continue;
        const char *message = messages[i] != NULL ? messages[i] : "out of memory";
        if (!skip_bad)
            return pd_fail("%s; --skip-bad leaves such images out", message);
        pd_log_warn("left out: %s", message);
        ++*bad;
        free(messages[i]);
        messages[i] = NULL;
    }
    return PD_OK;
}

pd_status pd_drafts_decode(pd_draft *drafts, pd_spool *spool, pd_spool *copies, int64_t *bad,
                           const pd_scan *scan, const pd_draft_options *options)
{
    pd_status status;
    decoder d = {
        .drafts = drafts, .spool = spool, .copies = copies, .scan = scan, .options = options};
    int64_t block = spool->block < copies->block ? spool->block : copies->block;
    pd_progress progress;

    pd_progress_begin(&progress, "packing", 0, (uint64_t)scan->count);
    PD_TRY(pd_alloc(&d.messages, (size_t)block, sizeof *d.messages));
    for (int64_t first = 0; first < scan->count; first += block) {
        int64_t left = scan->count - first, count = left < block ? left : block;
        decode_block(&d, first, count);
        PD_TRY(handle_bad(drafts + first, count, bad, options->skip_bad, d.messages));
        PD_TRY(pd_spool_write(spool, first, count));
        PD_TRY(pd_spool_write(copies, first, count));
        pd_progress_update(&progress, (uint64_t)(first + count), NULL);
    }

cleanup:
    for (int64_t i = 0; d.messages != NULL && i < block; i++)
        free(d.messages[i]);
    free(d.messages);
    pd_progress_end(&progress);
    return status;
}

pd_draft_counts pd_drafts_count(const pd_draft *drafts, int64_t count)
{
    pd_draft_counts counts = {0};
    for (int64_t i = 0; i < count; i++) {
        counts.lateral += drafts[i].is_lateral && !drafts[i].is_other;
        counts.other += drafts[i].is_other;
        counts.named += drafts[i].names_patient && pd_draft_is_good(&drafts[i]);
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
        status = pd_format(&name, "%s/image-%06lld.dcm", pd_label_names[sample->label],
                           (long long)drafts[i].slot);
        if (status == PD_OK) {
            free(sample->name);
            sample->name = name;
        }
    }
    return status;
}
