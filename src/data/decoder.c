#include "decoder.h"

#include "near.h"
#include "pneumo/base/clock.h"
#include "pneumo/base/memory.h"
#include "pneumo/data/identity.h"
#include "pneumo/data/image.h"
#include "pneumo/io/file.h"
#include "secret.h"

#include <stdlib.h>
#include <string.h>

_Static_assert(PD_IMAGE_SIDE_MAX <= UINT16_MAX, "/shape has 16 bits per side");

/* An image of this rank. */
typedef struct item {
    pd_deal deal;
    const char *name; /* borrowed from the work */
    pd_report_entry entry;
    char *message; /* why it cannot be read; NULL: it can */
} item;

typedef struct decoder {
    pd_parts *parts;
    const pd_decoder_options *options;
    item *items; /* [count] */
    int64_t count;
    pd_failure failure; /* the part file cannot be written, or memory, handles or the disk fail */
} decoder;

/* --- One image --- */

/* Sets what near-duplicates are found by: the small copy and its hash. */
static pd_status describe_image(pd_part_record *record, uint8_t *copy, const pd_image *image)
{
    bool plain;
    pd_status status = pd_near_describe(copy, &record->hash, &plain, image);
    if (status == PD_OK)
        record->plain = plain;
    return status;
}

static void set_facts(pd_part_record *record, const pd_image *image, const char *name,
                      const pd_identity *secret)
{
    record->height = (uint16_t)image->height;
    record->width = (uint16_t)image->width;
    record->projection = (uint8_t)image->projection;
    record->is_other = image->is_other;
    record->names_patient = pd_image_identity_in(image, name);
    if (image->patient[0] != '\0')
        record->patient = pd_secret_hash(secret, image->patient, strlen(image->patient));
}

/* Reads one file into a record and the copy and pixels of a slot. */
static pd_status decode_file(pd_part_record *record, uint8_t *slot, const char *name,
                             const decoder *d)
{
    pd_status status;
    char *path = NULL;
    unsigned char *bytes = NULL;
    size_t size;
    pd_image image = {0};
    int side = (int)d->parts->plan.header.side;

    PD_TRY(pd_format(&path, "%s/%s", d->options->folder, name));
    PD_TRY(pd_file_read(&bytes, &size, path, PD_IMAGE_FILE_MAX));
    record->file = pd_identity_of_bytes(bytes, size);
    status = pd_image_decode(&image, bytes, size);
    if (status != PD_OK) {
        pd_error_prefix(status, "%s", path);
        goto cleanup;
    }
    set_facts(record, &image, name, &d->parts->plan.secret);
    PD_TRY(pd_image_resize(pd_parts_pixels(slot), side, side, &image));
    PD_TRY(describe_image(record, pd_parts_copy(slot), &image));

cleanup:
    pd_image_free(&image);
    free(bytes);
    free(path);
    return status;
}

/* --- All images of this rank --- */

static void decode_item(decoder *d, item *i, uint8_t *slot)
{
    pd_part_record *record = &i->entry.record;
    i->entry.number = i->deal.number;
    record->key = i->deal.key;
    pd_status status = decode_file(record, slot, i->name, d);
    if (status == PD_OK)
        status = pd_parts_append(&i->entry.place, d->parts, slot, record);
    else if (!pd_error_is_system())
        status = pd_strdup(&i->message, pd_error_message());
    pd_failure_keep(&d->failure, status);
}

static void decode_items(decoder *d)
{
#pragma omp parallel num_threads(d->options->threads)
    {
        uint8_t *slot;
        pd_failure_keep(&d->failure, pd_alloc(&slot, d->parts->slot_bytes, 1));
#pragma omp for schedule(dynamic)
        for (int64_t i = 0; i < d->count; i++)
            if (!pd_failure_is_kept(&d->failure))
                decode_item(d, &d->items[i], slot);
        free(slot);
    }
}

/* Lists the images of this rank. */
static pd_status list_items(decoder *d, const pd_bytes *work)
{
    pd_status status;
    pd_bytes_reader from = pd_bytes_read(work);
    pd_deal deal;
    size_t most = work->size / sizeof deal;
    PD_TRY(pd_alloc(&d->items, most, sizeof *d->items));
    while (pd_bytes_take(&from, &deal, sizeof deal)) {
        const char *name = pd_bytes_skip(&from, deal.name_bytes);
        if (deal.rank == d->options->rank)
            d->items[d->count++] = (item){.deal = deal, .name = name};
    }

cleanup:
    return status;
}

static pd_status write_report(pd_bytes *report, const decoder *d, double seconds)
{
    pd_status status;
    const pd_report_head head = {.rank = d->options->rank, .count = d->count, .seconds = seconds};
    PD_TRY(pd_bytes_append(report, &head, sizeof head));
    for (int64_t i = 0; i < d->count; i++) {
        item *one = &d->items[i];
        one->entry.message_bytes = one->message != NULL ? strlen(one->message) + 1 : 0;
        PD_TRY(pd_bytes_append(report, &one->entry, sizeof one->entry));
        PD_TRY(pd_bytes_append(report, one->message, one->entry.message_bytes));
    }

cleanup:
    return status;
}

pd_status pd_decoder_run(pd_bytes *report, pd_parts *parts, const pd_bytes *work,
                         const pd_decoder_options *options)
{
    pd_status status;
    decoder d = {.parts = parts, .options = options};
    double started = pd_clock_now();

    PD_TRY(list_items(&d, work));
    decode_items(&d);
    PD_TRY(pd_failure_return(&d.failure));
    status = write_report(report, &d, pd_clock_now() - started);

cleanup:
    for (int64_t i = 0; i < d.count; i++)
        free(d.items[i].message);
    free(d.items);
    return status;
}

/* --- Images of earlier runs --- */

static pd_status report_old(void *context, pd_place place, const pd_part_record *record)
{
    pd_report_entry entry = {.number = -1, .place = place, .record = *record};
    return pd_bytes_append(context, &entry, sizeof entry);
}

pd_status pd_decoder_resume(pd_bytes *report, const pd_parts *parts)
{
    pd_status status;
    pd_report_head head = {.rank = parts->rank};
    size_t at = report->size;

    PD_TRY(pd_bytes_append(report, &head, sizeof head));
    PD_TRY(pd_parts_check(parts, report_old, report));
    head.count = (int64_t)((report->size - at - sizeof head) / sizeof(pd_report_entry));
    memcpy(report->bytes + at, &head, sizeof head);

cleanup:
    return status;
}
