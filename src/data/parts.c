#include "parts.h"

#include "pneumo/base/memory.h"
#include "pneumo/data/identity.h"
#include "pneumo/io/file.h"
#include "secret.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Changes with whatever changes decoded pixels or what is stored of them. */
enum { FORMAT = 1 };

/* More ranks than there will be; a stray file of a larger number is not looked at. */
enum { PARTS_MAX = 100000 };

static const char magic[16] = "pneumo-dist part";

_Static_assert(sizeof(pd_parts_header) == 96 && sizeof(pd_part_record) == 96,
               "written as they are: without padding");

static pd_status path_of(char **out, const char *output, int part)
{
    return pd_format(out, "%s.part-%d", output, part);
}

static pd_status fail_io(const pd_parts *parts, int part, const char *verb, int problem)
{
    return pd_fail("%s.part-%d: cannot %s: %s", parts->output, part, verb,
                   problem != 0 ? strerror(problem) : "cut short");
}

/* Moves `size` bytes at `at`; returns 0, an errno, or -1 at the end of the file. */
static int move(int file, void *bytes, size_t size, off_t at, bool write)
{
    unsigned char *from = bytes;
    while (size > 0) {
        ssize_t moved = write ? pwrite(file, from, size, at) : pread(file, from, size, at);
        if (moved < 0 && errno == EINTR)
            continue;
        if (moved <= 0)
            return moved < 0 ? errno : -1;
        from += moved;
        size -= (size_t)moved;
        at += moved;
    }
    return 0;
}

static off_t offset_of(const pd_parts *parts, int32_t slot)
{
    return (off_t)sizeof(pd_parts_header) + (off_t)slot * (off_t)parts->slot_bytes;
}

/* --- Hashes --- */

static pd_identity check_of_header(const pd_parts_header *header)
{
    return pd_identity_of_bytes(header, offsetof(pd_parts_header, check));
}

/* Of a record and the small copy that follows it in the slot. */
static pd_identity check_of_slot(const uint8_t *slot)
{
    const size_t first = sizeof(pd_identity);
    return pd_identity_of_bytes(slot + first, sizeof(pd_part_record) + PD_NEAR_BYTES - first);
}

static bool is_intact(const pd_parts *parts, uint8_t *slot, pd_part_record *record)
{
    memcpy(record, slot, sizeof *record);
    pd_identity check = check_of_slot(slot);
    if (pd_identity_compare(&check, &record->check) != 0)
        return false;
    pd_identity pixels = pd_identity_of_bytes(pd_parts_pixels(slot), parts->image_bytes);
    return pd_identity_compare(&pixels, &record->pixels) == 0;
}

/* --- The plan --- */

static pd_parts_header make_header(int side)
{
    pd_parts_header header = {.format = FORMAT, .side = (uint32_t)side};
    memcpy(header.magic, magic, sizeof header.magic);
    snprintf(header.version, sizeof header.version, "%s", PNEUMO_VERSION);
    return header;
}

/* Whether a header is of this program, these options, and intact. */
static bool is_usable(const pd_parts_header *header, int side)
{
    const pd_parts_header wanted = make_header(side);
    pd_identity check = check_of_header(header);
    return memcmp(header, &wanted, offsetof(pd_parts_header, secret_of)) == 0 &&
           pd_identity_compare(&check, &header->check) == 0;
}

/* The number in the name of a part file of `base`; -1: it is none. */
static int number_of(const char *name, const char *base)
{
    char *end;
    size_t length = strlen(base);
    if (strncmp(name, base, length) != 0 || strncmp(name + length, ".part-", 6) != 0)
        return -1;
    long number = strtol(name + length + 6, &end, 10);
    return end > name + length + 6 && *end == '\0' && number >= 0 && number < PARTS_MAX
               ? (int)number
               : -1;
}

static pd_status count_parts(int32_t *out, const char *output)
{
    char *folder;
    const char *slash = strrchr(output, '/'), *base = slash != NULL ? slash + 1 : output;
    *out = 0;
    pd_status status = slash == NULL
                           ? pd_strdup(&folder, ".")
                           : pd_format(&folder, "%.*s", (int)(slash - output) + 1, output);
    if (status != PD_OK)
        return status;
    DIR *directory = opendir(folder);
    for (struct dirent *entry; directory != NULL && (entry = readdir(directory)) != NULL;) {
        int number = number_of(entry->d_name, base);
        *out = number >= *out ? number + 1 : *out;
    }
    if (directory != NULL)
        closedir(directory);
    free(folder);
    return PD_OK;
}

/* Reads the header of a part file; returns its size, 0 if there is no such file. */
static size_t read_header(pd_parts_header *out, const char *output, int part)
{
    char *path;
    *out = (pd_parts_header){0};
    if (path_of(&path, output, part) != PD_OK)
        return 0;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = file < 0 ? 0 : pread(file, out, sizeof *out, 0);
    if (file >= 0)
        close(file);
    free(path);
    return size > 0 ? (size_t)size : 0;
}

pd_status pd_parts_find(pd_parts_plan *plan, bool *found, const char *output, int side)
{
    *plan = (pd_parts_plan){0};
    *found = false;
    pd_status status = count_parts(&plan->count, output);
    for (int part = 0; part < plan->count && !*found; part++)
        *found = read_header(&plan->header, output, part) == sizeof plan->header &&
                 is_usable(&plan->header, side);
    if (!*found)
        plan->header = make_header(side);
    return status;
}

void pd_parts_renew(pd_parts_plan *plan)
{
    plan->header = make_header((int)plan->header.side);
}

/* The file's own hash is stored too, so the secret is another hash of it. */
static const pd_identity secret_use = {{'s', 'e', 'c', 'r', 'e', 't'}};
static const pd_identity check_use = {{'c', 'h', 'e', 'c', 'k'}};

bool pd_parts_set_secret(pd_parts_plan *plan, const pd_identity *key, const void *bytes,
                         size_t size)
{
    static const pd_identity none = {{0}};
    pd_identity secret = pd_secret_hash(&secret_use, bytes, size);
    pd_identity check = pd_secret_hash(&check_use, &secret, sizeof secret);
    pd_parts_header *header = &plan->header;
    if (pd_identity_compare(&header->secret_of, &none) != 0 &&
        (pd_identity_compare(&header->secret_of, key) != 0 ||
         pd_identity_compare(&header->secret_check, &check) != 0))
        return false;
    header->secret_of = *key;
    header->secret_check = check;
    header->check = check_of_header(header);
    plan->secret = secret;
    return true;
}

/* --- Opening --- */

/* Empties the file unless it has the header of the plan, and finds where to append. */
static pd_status prepare_own(pd_parts *parts, const char *path)
{
    pd_parts_header header = {0};
    ssize_t size = pread(parts->own, &header, sizeof header, 0);
    if (size > 0 && memcmp(header.magic, magic, sizeof magic) != 0)
        return pd_fail("%s.part-%d: a file of that name exists and is not of pneumo-dist; move it "
                       "away",
                       parts->output, parts->rank);
    if (size == sizeof header && memcmp(&header, &parts->plan.header, sizeof header) == 0) {
        off_t end = lseek(parts->own, 0, SEEK_END) - (off_t)sizeof header;
        off_t slot = (off_t)parts->slot_bytes;
        parts->next_slot = (int32_t)((end + slot - 1) / slot); /* behind a torn one */
        return PD_OK;
    }
    int problem = ftruncate(parts->own, 0) != 0 ? errno : 0;
    if (problem == 0)
        problem = move(parts->own, &parts->plan.header, sizeof parts->plan.header, 0, true);
    if (problem == 0)
        return PD_OK;
    unlink(path);
    return fail_io(parts, parts->rank, "write", problem);
}

pd_status pd_parts_open(pd_parts *out, const char *output, const pd_parts_plan *plan, int rank,
                        int ranks)
{
    pd_status status;
    char *path = NULL;
    size_t side = plan->header.side;

    *out = (pd_parts){.output = output, .plan = *plan, .rank = rank, .ranks = ranks, .own = -1};
    out->image_bytes = side * side;
    out->slot_bytes = sizeof(pd_part_record) + PD_NEAR_BYTES + out->image_bytes;
    out->count = plan->count > ranks ? plan->count : ranks;
    PD_TRY(path_of(&path, output, rank));
    PD_TRY(pd_folder_make_above(output));
    /* For the owner alone: the images may not be meant for others. */
    out->own = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (out->own < 0)
        status = fail_io(out, rank, "write", errno);
    else
        status = prepare_own(out, path);

cleanup:
    free(path);
    return status;
}

void pd_parts_close(pd_parts *parts)
{
    if (parts->own >= 0)
        close(parts->own);
    for (int part = 0; parts->files != NULL && part < parts->count; part++)
        if (parts->files[part] >= 0)
            close(parts->files[part]);
    free(parts->files);
    parts->files = NULL;
    parts->own = -1;
}

/* --- Checking --- */

/* Visits the intact images of one file. */
static pd_status check_file(const pd_parts *parts, int part, int file, uint8_t *slot,
                            pd_status (*visit)(void *context, pd_place place,
                                               const pd_part_record *record),
                            void *context)
{
    pd_status status = PD_OK;
    pd_parts_header header;
    if (move(file, &header, sizeof header, 0, false) != 0 ||
        memcmp(&header, &parts->plan.header, sizeof header) != 0)
        return PD_OK;
    for (int32_t i = 0; status == PD_OK; i++) {
        pd_part_record record;
        if (move(file, slot, parts->slot_bytes, offset_of(parts, i), false) != 0)
            break;
        if (is_intact(parts, slot, &record))
            status = visit(context, (pd_place){.part = part, .slot = i}, &record);
    }
    return status;
}

pd_status pd_parts_check(const pd_parts *parts,
                         pd_status (*visit)(void *context, pd_place place,
                                            const pd_part_record *record),
                         void *context)
{
    uint8_t *slot;
    pd_status status = pd_alloc(&slot, parts->slot_bytes, 1);
    for (int part = parts->rank; part < parts->plan.count && status == PD_OK;
         part += parts->ranks) {
        char *path;
        status = path_of(&path, parts->output, part);
        int file = status == PD_OK ? open(path, O_RDONLY | O_CLOEXEC) : -1;
        if (status == PD_OK)
            free(path);
        if (file >= 0) {
            status = check_file(parts, part, file, slot, visit, context);
            close(file);
        }
    }
    free(slot);
    return status;
}

/* --- Appending --- */

pd_status pd_parts_append(pd_place *place, pd_parts *parts, uint8_t *slot, pd_part_record *record)
{
    int32_t at;
    record->pixels = pd_identity_of_bytes(pd_parts_pixels(slot), parts->image_bytes);
    memcpy(slot, record, sizeof *record);
    record->check = check_of_slot(slot);
    memcpy(slot, record, sizeof *record);
#pragma omp atomic capture
    at = parts->next_slot++;
    *place = (pd_place){.part = parts->rank, .slot = at};
    int problem = move(parts->own, slot, parts->slot_bytes, offset_of(parts, at), true);
    return problem == 0 ? PD_OK : fail_io(parts, parts->rank, "write", problem);
}

/* Network file systems report a full disk at close, and show the file to other hosts then. */
pd_status pd_parts_finish(pd_parts *parts)
{
    int file = parts->own;
    parts->own = -1;
    return close(file) == 0 ? PD_OK : fail_io(parts, parts->rank, "write", errno);
}

/* --- Reading --- */

pd_status pd_parts_open_all(pd_parts *parts)
{
    pd_status status;
    char *path = NULL;
    PD_TRY(pd_alloc(&parts->files, (size_t)parts->count, sizeof *parts->files));
    for (int part = 0; part < parts->count; part++)
        parts->files[part] = -1;
    for (int part = 0; part < parts->count; part++) {
        PD_TRY(path_of(&path, parts->output, part));
        parts->files[part] = open(path, O_RDONLY | O_CLOEXEC);
        free(path);
        /* A file of an earlier number of ranks may be gone. */
        if (parts->files[part] < 0 && errno != ENOENT)
            return fail_io(parts, part, "read", errno);
    }

cleanup:
    return status;
}

pd_status pd_parts_read(const pd_parts *parts, pd_place place, uint8_t *pixels, uint8_t *slot)
{
    pd_part_record record;
    int problem = move(parts->files[place.part], slot, parts->slot_bytes,
                       offset_of(parts, place.slot), false);
    if (problem != 0)
        return fail_io(parts, place.part, "read", problem < 0 ? 0 : problem);
    if (!is_intact(parts, slot, &record))
        return pd_fail("%s.part-%d: an image is damaged since it was written; run the same command "
                       "again to decode it again",
                       parts->output, place.part);
    memcpy(pixels, pd_parts_pixels(slot), parts->image_bytes);
    return PD_OK;
}

pd_status pd_parts_read_record(const pd_parts *parts, pd_place place, pd_part_record *record)
{
    int problem =
        move(parts->files[place.part], record, sizeof *record, offset_of(parts, place.slot), false);
    return problem == 0 ? PD_OK : fail_io(parts, place.part, "read", problem < 0 ? 0 : problem);
}

pd_status pd_parts_read_copy(const pd_parts *parts, pd_place place, uint8_t *copy)
{
    off_t at = offset_of(parts, place.slot) + (off_t)sizeof(pd_part_record);
    int problem = move(parts->files[place.part], copy, PD_NEAR_BYTES, at, false);
    return problem == 0 ? PD_OK : fail_io(parts, place.part, "read", problem < 0 ? 0 : problem);
}

void pd_parts_remove(const pd_parts *parts)
{
    for (int part = 0; part < parts->count; part++) {
        pd_parts_header header;
        char *path;
        size_t size = read_header(&header, parts->output, part);
        bool is_part = size > 0 && memcmp(header.magic, magic, sizeof magic) == 0;
        if (!is_part || path_of(&path, parts->output, part) != PD_OK)
            continue;
        unlink(path);
        free(path);
    }
}
