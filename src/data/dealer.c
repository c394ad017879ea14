#include "dealer.h"

#include "decoder.h"
#include "pneumo/base/log.h"
#include "pneumo/base/memory.h"
#include "pneumo/data/identity.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A round's images: at first a few per thread, later what takes some seconds. Ranks wait for the
 * slowest at its end, so several ranks have longer rounds. */
enum { FIRST_PER_THREAD = 8, GROWTH = 4, ROUND_MAX = 32768 };
static const double round_seconds = 4, round_seconds_alone = 1;

struct pd_dealer {
    pd_draft *drafts;
    const pd_scan *scan;
    const pd_draft_options *options;
    int64_t next; /* all images before it are decoded, bad, or dealt */
    int64_t done;
    int64_t round;  /* images of the last round */
    double *speeds; /* [ranks]: images per second; 0: not known */
};

pd_status pd_dealer_create(pd_dealer **out, pd_draft *drafts, const pd_scan *scan,
                           const pd_draft_options *options)
{
    pd_status status;
    pd_dealer *dealer = NULL;

    *out = NULL;
    PD_TRY(pd_alloc(&dealer, 1, sizeof *dealer));
    *dealer = (pd_dealer){.drafts = drafts, .scan = scan, .options = options};
    PD_TRY(pd_alloc(&dealer->speeds, (size_t)options->team->size, sizeof *dealer->speeds));
    *out = dealer;
    dealer = NULL;

cleanup:
    pd_dealer_destroy(&dealer);
    return status;
}

void pd_dealer_destroy(pd_dealer **dealer)
{
    if (*dealer == NULL)
        return;
    free((*dealer)->speeds);
    free(*dealer);
    *dealer = NULL;
}

int64_t pd_dealer_done(const pd_dealer *dealer)
{
    return dealer->done;
}

/* --- Reports --- */

static void set_draft(pd_dealer *dealer, int64_t number, const pd_report_entry *entry)
{
    const pd_part_record *record = &entry->record;
    bool lateral = record->projection == PD_PROJECTION_LATERAL;
    dealer->drafts[number] = (pd_draft){.identity = record->file,
                                        .patient = record->patient,
                                        .slot = number,
                                        .place = entry->place,
                                        .height = record->height,
                                        .width = record->width,
                                        .is_decoded = true,
                                        .is_lateral = lateral && !dealer->options->keep_lateral,
                                        .is_other = record->is_other,
                                        .names_patient = record->names_patient,
                                        .plain = record->plain,
                                        .hash = record->hash};
}

static pd_status fail_report(void)
{
    return pd_fail("a report of a rank on its images is damaged; check the network");
}

/* The key of a sample. */
typedef struct keyed {
    pd_identity key;
    int64_t number;
} keyed;

static int compare_keys(const void *a, const void *b)
{
    return pd_identity_compare(&((const keyed *)a)->key, &((const keyed *)b)->key);
}

static pd_status sort_keys(keyed **out, const pd_scan *scan)
{
    pd_status status = pd_alloc(out, (size_t)scan->count, sizeof **out);
    if (status != PD_OK)
        return status;
    for (int64_t i = 0; i < scan->count; i++)
        (*out)[i] = (keyed){.key = scan->keys[i], .number = i};
    qsort(*out, (size_t)scan->count, sizeof **out, compare_keys);
    return PD_OK;
}

pd_status pd_dealer_take_old(int64_t *taken, pd_dealer *dealer, const pd_bytes *reports)
{
    pd_status status;
    keyed *keys = NULL;
    pd_bytes_reader from = pd_bytes_read(reports);
    pd_report_head head;

    *taken = 0;
    PD_TRY(sort_keys(&keys, dealer->scan));
    while (pd_bytes_take(&from, &head, sizeof head)) {
        for (int64_t i = 0; i < head.count; i++) {
            pd_report_entry entry;
            if (!pd_bytes_take(&from, &entry, sizeof entry)) {
                status = fail_report();
                goto cleanup;
            }
            const keyed wanted = {.key = entry.record.key};
            const keyed *found =
                bsearch(&wanted, keys, (size_t)dealer->scan->count, sizeof *keys, compare_keys);
            if (found == NULL || dealer->drafts[found->number].is_decoded)
                continue;
            set_draft(dealer, found->number, &entry);
            ++*taken;
        }
    }
    dealer->done = *taken;

cleanup:
    free(keys);
    return status;
}

/* An image that cannot be read. */
typedef struct bad_image {
    int64_t number;
    const char *message; /* borrowed from the report */
} bad_image;

static int compare_numbers(const void *a, const void *b)
{
    const bad_image *x = a, *y = b;
    return (x->number > y->number) - (x->number < y->number);
}

/* Reads one rank's entries; images that cannot be read are appended to bad[*bad_count]. */
static pd_status take_entries(pd_dealer *dealer, pd_bytes_reader *from, const pd_report_head *head,
                              bad_image *bad, int64_t *bad_count)
{
    for (int64_t i = 0; i < head->count; i++) {
        pd_report_entry entry;
        if (!pd_bytes_take(from, &entry, sizeof entry))
            return fail_report();
        const char *message = pd_bytes_skip(from, entry.message_bytes);
        if (message == NULL || entry.number < 0 || entry.number >= dealer->scan->count)
            return fail_report();
        if (entry.message_bytes == 0)
            set_draft(dealer, entry.number, &entry);
        else
            bad[(*bad_count)++] = (bad_image){entry.number, message};
    }
    dealer->done += head->count;
    return PD_OK;
}

/* Fails because of the first bad image, or warns of all of them. */
static pd_status handle_bad(pd_dealer *dealer, bad_image *bad, int64_t count)
{
    qsort(bad, (size_t)count, sizeof *bad, compare_numbers);
    for (int64_t i = 0; i < count; i++) {
        dealer->drafts[bad[i].number] =
            (pd_draft){.slot = bad[i].number, .is_decoded = true, .bad = true};
        if (!dealer->options->skip_bad)
            return pd_fail("%s; --skip-bad leaves such images out", bad[i].message);
        pd_log_warn("left out: %s", bad[i].message);
    }
    return PD_OK;
}

/* Half of the new speed, so that one slow file does not starve a rank. */
static void learn_speed(pd_dealer *dealer, const pd_report_head *head)
{
    if (head->rank < 0 || head->rank >= dealer->options->team->size || head->count == 0)
        return;
    double speed = (double)head->count / fmax(head->seconds, 1e-6);
    double *known = &dealer->speeds[head->rank];
    *known = *known > 0 ? (*known + speed) / 2 : speed;
}

pd_status pd_dealer_take(pd_dealer *dealer, const pd_bytes *reports)
{
    pd_status status;
    int64_t count = 0;
    bad_image *bad = NULL;
    pd_bytes_reader from = pd_bytes_read(reports);
    pd_report_head head;

    PD_TRY(pd_alloc(&bad, reports->size / sizeof(pd_report_entry), sizeof *bad));
    while (pd_bytes_take(&from, &head, sizeof head)) {
        PD_TRY(take_entries(dealer, &from, &head, bad, &count));
        learn_speed(dealer, &head);
    }
    PD_TRY(handle_bad(dealer, bad, count));

cleanup:
    free(bad);
    return status;
}

/* --- Deals --- */

/* The speeds that rounds are cut by: ranks of unknown speed count as the mean of the others. */
static double sum_speeds(const pd_dealer *dealer, double *unknown)
{
    int ranks = dealer->options->team->size, known = 0;
    double sum = 0;
    for (int rank = 0; rank < ranks; rank++) {
        sum += dealer->speeds[rank];
        known += dealer->speeds[rank] > 0;
    }
    *unknown = known > 0 ? sum / known : 1;
    return sum + *unknown * (ranks - known);
}

static int64_t size_of_round(const pd_dealer *dealer, double speed)
{
    int ranks = dealer->options->team->size;
    int64_t first = (int64_t)FIRST_PER_THREAD * ranks * dealer->options->threads;
    double seconds = ranks == 1 ? round_seconds_alone : round_seconds;
    if (dealer->round == 0)
        return first;
    double most = fmin((double)ROUND_MAX, (double)(GROWTH * dealer->round));
    return (int64_t)fmax((double)ranks, fmin(most, seconds * speed));
}

/* The rank of the k-th image of a round: a low-discrepancy sequence (multiples of the golden ratio)
 * meets each rank's part of [0, 1) as often as its length says. */
static int32_t rank_of(const pd_dealer *dealer, int64_t k, double speed, double unknown)
{
    static const double golden = 0.6180339887498949;
    double place = fmod((double)k * golden, 1) * speed;
    int32_t rank = 0, last = dealer->options->team->size - 1;
    for (; rank < last; rank++) {
        place -= dealer->speeds[rank] > 0 ? dealer->speeds[rank] : unknown;
        if (place < 0)
            break;
    }
    return rank;
}

pd_status pd_dealer_deal(pd_bytes *work, pd_dealer *dealer)
{
    pd_status status = PD_OK;
    double unknown, speed = sum_speeds(dealer, &unknown);
    int64_t count = size_of_round(dealer, speed), k = 0;
    work->size = 0;
    for (; dealer->next < dealer->scan->count && k < count; dealer->next++) {
        const char *name = dealer->scan->samples[dealer->next].name;
        if (dealer->drafts[dealer->next].is_decoded)
            continue;
        const pd_deal deal = {.number = dealer->next,
                              .key = dealer->scan->keys[dealer->next],
                              .rank = rank_of(dealer, k++, speed, unknown),
                              .name_bytes = (uint32_t)strlen(name) + 1};
        PD_TRY(pd_bytes_append(work, &deal, sizeof deal));
        PD_TRY(pd_bytes_append(work, name, deal.name_bytes));
    }
    dealer->round = count;

cleanup:
    return status;
}
