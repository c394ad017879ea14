#include "near.h"

#include "pneumo/base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE = PD_NEAR_SIDE };

/* --- Small copies --- */

/* The overlap of source pixel `at` of `size` with target pixel `to` of SIDE, in units of 1 / SIDE
 * source pixels. */
static uint32_t overlap(int at, int to, int size)
{
    int64_t low = (int64_t)at * SIDE, high = low + SIDE;
    int64_t first = (int64_t)to * size, last = first + size;
    low = low > first ? low : first;
    high = high < last ? high : last;
    return high > low ? (uint32_t)(high - low) : 0;
}

/* Sums the rows that target row `to` covers into sums[width], weighted by their overlap. */
static void sum_rows(uint32_t *sums, const pd_image *image, int to)
{
    int first = (int)((int64_t)to * image->height / SIDE);
    int end = (int)(((int64_t)(to + 1) * image->height + SIDE - 1) / SIDE);
    memset(sums, 0, (size_t)image->width * sizeof *sums);
    for (int y = first; y < end; y++) {
        const uint8_t *row = image->pixels + (size_t)y * (size_t)image->width;
        uint32_t weight = overlap(y, to, image->height);
        for (int x = 0; x < image->width; x++)
            sums[x] += weight * row[x];
    }
}

pd_status pd_near_copy(uint8_t *out, const pd_image *image)
{
    uint32_t *sums; /* [width], at most 255 * height */
    uint64_t area = (uint64_t)image->height * (uint64_t)image->width;
    pd_status status = pd_alloc(&sums, (size_t)image->width, sizeof *sums);
    for (int to_y = 0; to_y < SIDE && status == PD_OK; to_y++) {
        sum_rows(sums, image, to_y);
        for (int to_x = 0; to_x < SIDE; to_x++) {
            int first = (int)((int64_t)to_x * image->width / SIDE);
            int end = (int)(((int64_t)(to_x + 1) * image->width + SIDE - 1) / SIDE);
            uint64_t sum = area / 2;
            for (int x = first; x < end; x++)
                sum += (uint64_t)overlap(x, to_x, image->width) * sums[x];
            out[to_y * SIDE + to_x] = (uint8_t)(sum / area);
        }
    }
    free(sums);
    return status;
}

/* --- Hash --- */

enum { HALF = SIDE / 2, LOWEST = 4, FREQUENCIES = 8 };

uint64_t pd_near_hash(const uint8_t *copy)
{
    double waves[FREQUENCIES][HALF], columns[FREQUENCIES][HALF] = {{0}};
    uint64_t hash = 0;
    for (int f = 0; f < FREQUENCIES; f++)
        for (int x = 0; x < HALF; x++)
            waves[f][x] = cos(acos(-1) * (f + LOWEST) * (2 * x + 1) / (2 * HALF));
    for (int y = 0; y < HALF; y++) {
        for (int x = 0; x < HALF; x++) {
            const uint8_t *four = copy + ((ptrdiff_t)y * SIDE + x) * 2;
            double grey = four[0] + four[1] + four[SIDE] + four[SIDE + 1];
            for (int f = 0; f < FREQUENCIES; f++)
                columns[f][x] += waves[f][y] * grey;
        }
    }
    for (int f = 0; f < FREQUENCIES; f++) {
        for (int g = 0; g < FREQUENCIES; g++) {
            double sum = 0;
            for (int x = 0; x < HALF; x++)
                sum += columns[f][x] * waves[g][x];
            hash |= (uint64_t)(sum > 0) << (f * FREQUENCIES + g);
        }
    }
    return hash;
}

/* Mirroring changes the sign of the odd horizontal frequencies. */
uint64_t pd_near_mirror(uint64_t hash)
{
    return hash ^ UINT64_C(0xaaaaaaaaaaaaaaaa);
}

_Static_assert(LOWEST % 2 == 0 && FREQUENCIES == 8, "the mask of pd_near_mirror");

/* --- Details --- */

enum { REACH = 2, REACHED = (2 * REACH + 1) * (2 * REACH + 1) }; /* of the local mean */

/* Below this mean size of details, in grey levels, they are the rounding of a plain image. */
static const double least_detail = 0.25;

static int clamp(int at)
{
    return at < 0 ? 0 : at >= SIDE ? SIDE - 1 : at;
}

/* Sets out[PD_NEAR_BYTES] to the differences to the local mean. */
static void subtract_mean(float *out, const uint8_t *copy)
{
    int rows[PD_NEAR_BYTES]; /* sums of 2 * REACH + 1 pixels of a row */
    for (int i = 0; i < PD_NEAR_BYTES; i++) {
        rows[i] = 0;
        for (int d = -REACH; d <= REACH; d++)
            rows[i] += copy[i - i % SIDE + clamp(i % SIDE + d)];
    }
    for (int i = 0; i < PD_NEAR_BYTES; i++) {
        int sum = 0;
        for (int d = -REACH; d <= REACH; d++)
            sum += rows[clamp(i / SIDE + d) * SIDE + i % SIDE];
        out[i] = (float)(copy[i] - sum / (double)REACHED);
    }
}

bool pd_near_details(float *out, const uint8_t *copy)
{
    double size = 0, mean = 0, squares = 0;
    subtract_mean(out, copy);
    for (int i = 0; i < PD_NEAR_BYTES; i++)
        size += fabsf(out[i]);
    size /= PD_NEAR_BYTES;
    for (int i = 0; i < PD_NEAR_BYTES; i++) {
        out[i] = (float)fmax(-2 * size, fmin(2 * size, out[i]));
        mean += out[i];
    }
    mean /= PD_NEAR_BYTES;
    for (int i = 0; i < PD_NEAR_BYTES; i++)
        squares += (out[i] - mean) * (out[i] - mean);
    bool plain = size < least_detail;
    for (int i = 0; i < PD_NEAR_BYTES; i++)
        out[i] = plain ? 0 : (float)((out[i] - mean) / sqrt(squares));
    return !plain;
}

pd_status pd_near_describe(uint8_t *copy, uint64_t *hash, bool *plain, const pd_image *image)
{
    float details[PD_NEAR_BYTES];
    pd_status status = pd_near_copy(copy, image);
    if (status != PD_OK)
        return status;
    *hash = pd_near_hash(copy);
    *plain = !pd_near_details(details, copy);
    return PD_OK;
}

double pd_near_correlation(const float *a, const float *b, bool mirrored)
{
    double sum = 0;
    for (int i = 0; i < PD_NEAR_BYTES; i++)
        sum += a[i] * (double)b[mirrored ? i - i % SIDE + (SIDE - 1 - i % SIDE) : i];
    return sum;
}

/* --- Search --- */

enum { PARTS = 4, PART_BITS = 16, BUCKETS = 1 << PART_BITS, PART_DISTANCE = 1 };

_Static_assert(PARTS *PART_BITS == 64 && PD_NEAR_DISTANCE < PARTS * (PART_DISTANCE + 1),
               "the pigeonhole principle of pd_near_search_run");

struct pd_near_search {
    const uint64_t *hashes;
    const bool *plain;
    int64_t count;
    int64_t *starts[PARTS]; /* [BUCKETS + 1] */
    int64_t *ids[PARTS];    /* [count]: by part, then ascending */
};

static unsigned part_of(uint64_t hash, int part)
{
    return (unsigned)(hash >> (part * PART_BITS)) & (BUCKETS - 1);
}

/* Sorts the images by one part of their hashes, by counting. */
static void fill_part(pd_near_search *search, int part)
{
    int64_t *starts = search->starts[part];
    for (int64_t i = 0; i < search->count; i++)
        if (!search->plain[i])
            starts[part_of(search->hashes[i], part) + 1]++;
    for (int b = 0; b < BUCKETS; b++)
        starts[b + 1] += starts[b];
    for (int64_t i = 0; i < search->count; i++)
        if (!search->plain[i])
            search->ids[part][starts[part_of(search->hashes[i], part)]++] = i;
    memmove(starts + 1, starts, BUCKETS * sizeof *starts);
    starts[0] = 0;
}

pd_status pd_near_search_create(pd_near_search **out, const uint64_t *hashes, const bool *plain,
                                int64_t count)
{
    pd_status status;
    pd_near_search *search = NULL;

    *out = NULL;
    PD_TRY(pd_alloc(&search, 1, sizeof *search));
    search->hashes = hashes;
    search->plain = plain;
    search->count = count;
    for (int part = 0; part < PARTS; part++) {
        PD_TRY(pd_alloc(&search->starts[part], BUCKETS + 1, sizeof *search->starts[part]));
        PD_TRY(pd_alloc(&search->ids[part], (size_t)count, sizeof *search->ids[part]));
        fill_part(search, part);
    }
    *out = search;
    search = NULL;

cleanup:
    pd_near_search_destroy(&search);
    return status;
}

void pd_near_search_destroy(pd_near_search **search)
{
    if (*search == NULL)
        return;
    for (int part = 0; part < PARTS; part++) {
        free((*search)->starts[part]);
        free((*search)->ids[part]);
    }
    free(*search);
    *search = NULL;
}

/* The first part by which two hashes are found. */
static int first_part(uint64_t difference)
{
    int part = 0;
    while (__builtin_popcount(part_of(difference, part)) > PART_DISTANCE)
        part++;
    return part;
}

/* What pd_near_search_run is doing. */
typedef struct pd_near_run {
    const pd_near_search *search;
    pd_status (*visit)(void *context, const pd_near_pair *pair);
    void *context;
    int64_t visited;
} pd_near_run;

/* Visits the images before pair->a whose hashes are close to `hash` and found by this part. */
static pd_status visit_part(pd_near_run *run, uint64_t hash, int part, pd_near_pair pair)
{
    pd_status status = PD_OK;
    const int64_t *ids = run->search->ids[part], *starts = run->search->starts[part];
    for (int flip = 0; flip <= PART_BITS; flip++) { /* the last flips no bit */
        unsigned bucket = part_of(hash, part) ^ (flip < PART_BITS ? 1u << flip : 0);
        for (int64_t i = starts[bucket]; i < starts[bucket + 1] && ids[i] < pair.a; i++) {
            uint64_t difference = hash ^ run->search->hashes[ids[i]];
            if (__builtin_popcountll(difference) > PD_NEAR_DISTANCE ||
                first_part(difference) != part)
                continue;
            pair.b = ids[i];
            run->visited++;
            PD_TRY(run->visit(run->context, &pair));
        }
    }

cleanup:
    return status;
}

pd_status pd_near_search_run(int64_t *searched, const pd_near_search *search, int64_t first,
                             int64_t limit,
                             pd_status (*visit)(void *context, const pd_near_pair *pair),
                             void *context)
{
    pd_status status = PD_OK;
    pd_near_run run = {.search = search, .visit = visit, .context = context};
    int64_t *a = searched;
    for (*a = first; *a < search->count && run.visited <= limit; ++*a) {
        for (int way = 0; way < 2 * PARTS && !search->plain[*a]; way++) {
            const pd_near_pair pair = {.a = *a, .mirrored = way >= PARTS};
            uint64_t hash = search->hashes[*a];
            hash = pair.mirrored ? pd_near_mirror(hash) : hash;
            PD_TRY(visit_part(&run, hash, way % PARTS, pair));
        }
    }

cleanup:
    return status;
}
