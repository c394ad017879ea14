#include "pneumo/data/pack.h"

#include "pneumo/base/log.h"
#include "pneumo/base/memory.h"
#include "pneumo/base/progress.h"
#include "pneumo/data/folds.h"
#include "pneumo/data/image.h"
#include "scan.h"
#include "pneumo/io/file.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

enum { BLOCK_BYTES = 32 << 20, BLOCK_MIN = 8, BLOCK_MAX = 256 };

/* A sample on its way into the file. */
typedef struct pd_draft {
    XXH128_hash_t hash;     /* of the file's bytes */
    int64_t slot;           /* its place in the spool, and among the scanned samples */
    uint16_t height, width; /* of the image before it became a square */
    bool bad;               /* unreadable, to be left out */
} pd_draft;

/* The folder's images at their final size. They are decoded once, before anything is known of
 * duplicates and folds, and wait in a file without a name, which vanishes with the process. */
typedef struct pd_spool {
    int file;
    const char *output; /* the path that it lies beside */
    size_t image_bytes;
    int64_t block;   /* images handled at a time */
    uint8_t *images; /* [block][image_bytes] */
} pd_spool;

pd_pack_options pd_pack_defaults(void)
{
    return (pd_pack_options){
        .size = 224, .folds = pd_folds_defaults(), .threads = omp_get_num_procs()};
}

static pd_status check_options(const pd_pack_options *options)
{
    if (options->size < PD_PACK_SIZE_MIN || options->size > PD_PACK_SIZE_MAX)
        return pd_fail("a size of %d pixels is not possible; choose %d to %d", options->size,
                       PD_PACK_SIZE_MIN, PD_PACK_SIZE_MAX);
    if (options->threads < 1)
        return pd_fail("%d threads are not possible; choose 1 or more", options->threads);
    return pd_folds_check(&options->folds);
}

static pd_status spool_open(pd_spool *out, const pd_pack_options *options)
{
    pd_status status;
    char *path = NULL;

    out->output = options->output;
    out->image_bytes = (size_t)options->size * (size_t)options->size;
    out->block = (int64_t)(BLOCK_BYTES / out->image_bytes);
    out->block = out->block < BLOCK_MIN ? BLOCK_MIN : out->block;
    out->block = out->block > BLOCK_MAX ? BLOCK_MAX : out->block;
    PD_TRY(pd_alloc(&out->images, (size_t)out->block, out->image_bytes));
    PD_TRY(pd_file_temporary(&path, options->output));
    PD_TRY(pd_folder_make_above(options->output));
    out->file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (out->file < 0 || unlink(path) != 0)
        status = pd_fail("%s: cannot write: %s", options->output, strerror(errno));

cleanup:
    free(path);
    return status;
}

static void spool_close(pd_spool *spool)
{
    if (spool->file >= 0)
        close(spool->file);
    free(spool->images);
}

/* Moves `size` bytes between memory and the spool. */
static pd_status spool_move(const pd_spool *spool, uint8_t *bytes, size_t size, int64_t slot,
                            bool write)
{
    off_t at = (off_t)slot * (off_t)spool->image_bytes;
    while (size > 0) {
        ssize_t moved =
            write ? pwrite(spool->file, bytes, size, at) : pread(spool->file, bytes, size, at);
        if (moved < 0 && errno == EINTR)
            continue;
        if (moved <= 0)
            return pd_fail("%s: cannot %s the temporary file beside it: %s", spool->output,
                           write ? "write" : "read", moved < 0 ? strerror(errno) : "cut short");
        bytes += moved;
        size -= (size_t)moved;
        at += moved;
    }
    return PD_OK;
}

/* A side always fits into the data set's 16 bits. */
_Static_assert(PD_IMAGE_SIDE_MAX <= UINT16_MAX, "/shape holds 16 bits a side");

/* Reads one file: its hash, the shape of its image, and the image at the final size in
 * out[size][size]. */
static pd_status prepare_image(pd_draft *draft, uint8_t *out, const char *name,
                               const pd_pack_options *options)
{
    pd_status status;
    char *path = NULL;
    unsigned char *bytes = NULL;
    size_t size;
    pd_image image = {0};

    PD_TRY(pd_format(&path, "%s/%s", options->folder, name));
    PD_TRY(pd_file_read(&bytes, &size, path, PD_IMAGE_FILE_MAX));
    draft->hash = XXH3_128bits(bytes, size);
    status = pd_image_decode(&image, bytes, size);
    if (status != PD_OK) {
        pd_error_prefix(status, "%s", path);
        goto cleanup;
    }
    draft->height = (uint16_t)image.height;
    draft->width = (uint16_t)image.width;
    PD_TRY(pd_image_resize(out, options->size, options->size, &image));

cleanup:
    pd_image_free(&image);
    free(bytes);
    free(path);
    return status;
}

/* Fills drafts[scan->count] and the spool. Which image is reported as unreadable does not depend on
 * the threads. */
static pd_status prepare_images(pd_draft *drafts, pd_spool *spool, int64_t *bad,
                                const pd_scan *scan, const pd_pack_options *options)
{
    pd_status status;
    char **messages = NULL;
    pd_progress progress;

    pd_progress_begin(&progress, "packing", 0, (uint64_t)scan->count);
    PD_TRY(pd_alloc(&messages, (size_t)spool->block, sizeof *messages));
    for (int64_t first = 0; first < scan->count; first += spool->block) {
        int64_t left = scan->count - first, count = left < spool->block ? left : spool->block;
#pragma omp parallel for schedule(dynamic) num_threads(options->threads)
        for (int64_t i = 0; i < count; i++) {
            pd_draft *d = &drafts[first + i];
            d->slot = first + i;
            d->bad = prepare_image(d, spool->images + (size_t)i * spool->image_bytes,
                                   scan->samples[first + i].name, options) != PD_OK;
            if (d->bad && pd_strdup(&messages[i], pd_error_message()) != PD_OK)
                messages[i] = NULL;
        }
        for (int64_t i = 0; i < count; i++) {
            if (!drafts[first + i].bad)
                continue;
            const char *message = messages[i] ? messages[i] : "out of memory";
            if (!options->skip_bad) {
                status = pd_fail("%s; --skip-bad leaves such images out", message);
                goto cleanup;
            }
            pd_log_warn("left out: %s", message);
            ++*bad;
            free(messages[i]);
            messages[i] = NULL;
        }
        PD_TRY(spool_move(spool, spool->images, (size_t)count * spool->image_bytes, first, true));
        pd_progress_update(&progress, (uint64_t)(first + count), NULL);
    }

cleanup:
    for (int64_t i = 0; messages && i < spool->block; i++)
        free(messages[i]);
    free(messages);
    pd_progress_end(&progress);
    return status;
}

static int compare_hashes(const void *a, const void *b)
{
    const pd_draft *x = a, *y = b;
    int order = XXH128_cmp(&x->hash, &y->hash);
    return order ? order : (x->slot > y->slot) - (x->slot < y->slot);
}

static int compare_slots(const void *a, const void *b)
{
    const pd_draft *x = a, *y = b;
    return (x->slot > y->slot) - (x->slot < y->slot);
}

static int32_t find_group(int32_t *parent, int32_t patient)
{
    while (parent[patient] != patient) {
        parent[patient] = parent[parent[patient]];
        patient = parent[patient];
    }
    return patient;
}

/* Leaves the good drafts that are no duplicates, in the order of their names, and makes one patient
 * of those who share an image: apart, they could carry it into two folds. */
static pd_status drop_duplicates(pd_draft *drafts, int64_t *count, int64_t *duplicates,
                                 pd_scan *scan, const pd_pack_options *options)
{
    pd_status status;
    int32_t *parent = NULL; /* [patients]: union-find */
    int64_t good = 0, kept = 0;

    PD_TRY(pd_alloc(&parent, (size_t)scan->patients, sizeof *parent));
    for (int32_t p = 0; p < scan->patients; p++)
        parent[p] = p;
    for (int64_t i = 0; i < *count; i++)
        if (!drafts[i].bad)
            drafts[good++] = drafts[i];
    qsort(drafts, (size_t)good, sizeof *drafts, compare_hashes);
    for (int64_t i = 0; i < good; i++) {
        if (kept == 0 || !XXH128_isEqual(drafts[i].hash, drafts[kept - 1].hash)) {
            drafts[kept++] = drafts[i];
            continue;
        }
        pd_sample *first = &scan->samples[drafts[kept - 1].slot];
        const pd_sample *again = &scan->samples[drafts[i].slot];
        if (first->label != again->label) {
            status = pd_fail("%s/%s and %s/%s are the same image under two labels; remove the "
                             "wrong one",
                             options->folder, first->name, options->folder, again->name);
            goto cleanup;
        }
        if (first->cause != again->cause)
            first->cause = PD_CAUSE_UNKNOWN;
        int32_t a = find_group(parent, first->patient), b = find_group(parent, again->patient);
        parent[a > b ? a : b] = a < b ? a : b;
    }
    qsort(drafts, (size_t)kept, sizeof *drafts, compare_slots);
    for (int64_t i = 0; i < scan->count; i++)
        scan->samples[i].patient = find_group(parent, scan->samples[i].patient);
    *duplicates = good - kept;
    *count = kept;

cleanup:
    free(parent);
    return status;
}

/* Stores at *out the samples that remain, with patients numbered anew from 0. Their names are
 * borrowed from the scan. */
static pd_status collect_samples(pd_sample **out, int32_t *patients, const pd_draft *drafts,
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

static void fill_info(pd_dataset_info *info, const pd_pack_options *options, int64_t count,
                      int64_t duplicates, int64_t leaks)
{
    *info = (pd_dataset_info){.count = count,
                              .height = options->size,
                              .width = options->size,
                              .seed = options->folds.seed,
                              .duplicates = duplicates};
    pd_folds_describe(info->fold_policy, sizeof info->fold_policy, &options->folds, leaks);
    snprintf(info->grouping, sizeof info->grouping, "patient by file name, duplicates as one");
    snprintf(info->version, sizeof info->version, "%s", PNEUMO_VERSION);
}

static pd_status count_samples(pd_pack_result *result, const pd_sample *samples, int64_t count,
                               int32_t patients)
{
    unsigned char *seen; /* [patients]: a bit per fold and label */
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

/* Adds a number to the digest, in a byte order of its own so that it is the same on any machine. */
static void digest_number(XXH3_state_t *digest, uint64_t number)
{
    unsigned char bytes[8];
    for (int i = 0; i < 8; i++)
        bytes[i] = (unsigned char)(number >> (8 * i));
    XXH3_128bits_update(digest, bytes, sizeof bytes);
}

static void digest_text(XXH3_state_t *digest, const char *text)
{
    XXH3_128bits_update(digest, text, strlen(text) + 1);
}

static void digest_info(XXH3_state_t *digest, const pd_dataset_info *info)
{
    digest_number(digest, (uint64_t)info->count);
    digest_number(digest, (uint64_t)info->height);
    digest_number(digest, (uint64_t)info->width);
    digest_number(digest, info->seed);
    digest_number(digest, (uint64_t)info->duplicates);
    digest_text(digest, info->fold_policy);
    digest_text(digest, info->grouping);
}

static void digest_sample(XXH3_state_t *digest, const pd_sample *sample)
{
    digest_number(digest, (uint64_t)sample->label);
    digest_number(digest, (uint64_t)sample->cause);
    digest_number(digest, (uint64_t)sample->fold);
    digest_number(digest, (uint64_t)sample->patient);
    digest_number(digest, sample->height);
    digest_number(digest, sample->width);
    digest_text(digest, sample->name);
}

/* Writes the data set, and fills mean, deviation and digest of `info` on the way. */
static pd_status write_dataset(pd_dataset_info *info, const pd_sample *samples,
                               const pd_draft *drafts, const pd_spool *spool, const char *output)
{
    pd_status status;
    pd_dataset *dataset = NULL;
    XXH3_state_t *digest = XXH3_createState();
    uint64_t pixels = 0, sum = 0, squares = 0; /* whole numbers: exact in any order */

    if (!digest) {
        status = pd_fail("out of memory for the digest of %s", output);
        goto cleanup;
    }
    XXH3_128bits_reset(digest);
    digest_info(digest, info);
    PD_TRY(pd_dataset_create(&dataset, output, info, samples));
    for (int64_t first = 0; first < info->count; first += spool->block) {
        int64_t left = info->count - first, count = left < spool->block ? left : spool->block;
        for (int64_t i = 0; i < count; i++) {
            uint8_t *image = spool->images + (size_t)i * spool->image_bytes;
            const pd_sample *sample = &samples[first + i];
            PD_TRY(spool_move(spool, image, spool->image_bytes, drafts[first + i].slot, false));
            digest_sample(digest, sample);
            XXH3_128bits_update(digest, image, spool->image_bytes);
            if (sample->fold != PD_TRAIN)
                continue;
            pixels += spool->image_bytes;
            for (size_t p = 0; p < spool->image_bytes; p++) {
                sum += image[p];
                squares += (uint64_t)image[p] * image[p];
            }
        }
        PD_TRY(pd_dataset_write(dataset, first, count, spool->images));
    }
    if (pixels > 0) {
        info->mean = (double)sum / (double)pixels;
        info->deviation = sqrt(fmax(0, (double)squares / (double)pixels - info->mean * info->mean));
    }
    XXH128_canonical_t bytes;
    XXH128_canonicalFromHash(&bytes, XXH3_128bits_digest(digest));
    for (size_t i = 0; i < sizeof bytes.digest; i++)
        snprintf(info->digest + 2 * i, 3, "%02x", bytes.digest[i]);
    PD_TRY(pd_dataset_finish(dataset, info));

cleanup:
    pd_dataset_destroy(&dataset);
    XXH3_freeState(digest);
    return status;
}

static pd_status warn_of_leaks(int64_t *leaks, const pd_sample *samples, int64_t count)
{
    int32_t example;
    pd_status status = pd_folds_leaks(leaks, &example, samples, count);
    if (status != PD_OK || *leaks == 0)
        return status;
    int64_t i = 0;
    while (samples[i].patient != example)
        i++;
    pd_log_warn("patients with images in two of the folder's own folds: %lld, such as that of %s; "
                "figures will be too good (--folds 70/15/15 keeps patients apart)",
                (long long)*leaks, samples[i].name);
    return PD_OK;
}

static void warn_of_shapes(const pd_shapes *shapes)
{
    const pd_shape_separation *aspect = &shapes->separations[PD_SHAPE_ASPECT];
    const pd_shape_separation *area = &shapes->separations[PD_SHAPE_AREA];
    if (aspect->is_shortcut || area->is_shortcut)
        pd_log_warn(
            "the %s of the images alone %s the classes apart: a model can learn this shortcut "
            "instead of the disease; the report's figures by shape and size show whether it "
            "does",
            !area->is_shortcut     ? "shape"
            : !aspect->is_shortcut ? "size"
                                   : "shape and the size",
            aspect->is_shortcut && area->is_shortcut ? "tell" : "tells");
}

pd_status pd_pack(const pd_pack_options *options, pd_pack_result *result)
{
    pd_status status;
    pd_scan scan = {0};
    pd_spool spool = {.file = -1};
    pd_draft *drafts = NULL;
    pd_sample *samples = NULL;
    int64_t count, duplicates = 0;
    int32_t patients;

    *result = (pd_pack_result){0};
    PD_TRY(check_options(options));
    PD_TRY(pd_scan_folder(&scan, options->folder));
    if (options->folds.policy == PD_FOLDS_KEEP && !scan.has_folds) {
        status = pd_fail("%s has no folds of its own to keep (train, val, test); ask for "
                         "--folds 70/15/15",
                         options->folder);
        goto cleanup;
    }
    count = scan.count;
    PD_TRY(spool_open(&spool, options));
    PD_TRY(pd_alloc(&drafts, (size_t)count, sizeof *drafts));
    PD_TRY(prepare_images(drafts, &spool, &result->bad, &scan, options));
    PD_TRY(drop_duplicates(drafts, &count, &duplicates, &scan, options));
    PD_TRY(collect_samples(&samples, &patients, drafts, count, &scan));
    if (count == 0) {
        status = pd_fail("%s holds no image that can be read", options->folder);
        goto cleanup;
    }
    status = pd_folds_assign(samples, count, patients, &options->folds);
    if (status != PD_OK) {
        pd_error_prefix(status, "%s", options->folder);
        goto cleanup;
    }
    PD_TRY(warn_of_leaks(&result->leaks, samples, count));
    result->skipped = scan.skipped;
    fill_info(&result->info, options, count, duplicates, result->leaks);
    PD_TRY(count_samples(result, samples, count, patients));
    PD_TRY(pd_shapes_compare(&result->shapes, samples, count));
    PD_TRY(write_dataset(&result->info, samples, drafts, &spool, options->output));
    warn_of_shapes(&result->shapes);

cleanup:
    free(samples);
    free(drafts);
    spool_close(&spool);
    pd_scan_free(&scan);
    return status;
}
