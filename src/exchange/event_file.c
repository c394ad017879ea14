#include "pneumo/exchange/event_file.h"

#include "event.pb-c.h"
#include "event_file_internal.h"
#include "pneumo/base/memory.h"
#include "pneumo/io/file.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* A record is its length, a checksum of that, the content, a checksum of that. */
enum { HEAD = 12, TAIL = 4, CONTENT_MAX = 1 << 16 };

static char version[] = "brain.Event:2";

/* --- Records --- */

uint32_t pd_event_file_checksum(const void *bytes, size_t size)
{
    const unsigned char *at = bytes;
    uint32_t rest = 0xffffffffu;
    for (size_t i = 0; i < size; i++) {
        rest ^= at[i];
        for (int bit = 0; bit < 8; bit++)
            rest = rest >> 1 ^ (rest & 1 ? 0x82f63b78u : 0);
    }
    return ~rest;
}

/* As it is stored: TFRecord masks checksums (tensorflow/core/lib/hash/crc32c.h). */
static uint32_t stored_checksum(const void *bytes, size_t size)
{
    uint32_t sum = pd_event_file_checksum(bytes, size);
    return htole32((sum >> 15 | sum << 17) + 0xa282ead8u);
}

/* Stores the record of an event at *out (free()). */
static pd_status make_record(unsigned char **out, size_t *size, const Tensorboard__Event *event)
{
    size_t content = tensorboard__event__get_packed_size(event);
    uint64_t length = htole64(content);
    pd_status status = pd_alloc(out, HEAD + content + TAIL, 1);
    if (status != PD_OK)
        return status;
    memcpy(*out, &length, sizeof length);
    uint32_t sum = stored_checksum(*out, sizeof length);
    memcpy(*out + sizeof length, &sum, sizeof sum);
    tensorboard__event__pack(event, *out + HEAD);
    sum = stored_checksum(*out + HEAD, content);
    memcpy(*out + HEAD + content, &sum, sizeof sum);
    *size = HEAD + content + TAIL;
    return PD_OK;
}

/* Reads the next record into bytes[HEAD + CONTENT_MAX + TAIL]. False if there is no whole one. */
static bool read_record(FILE *in, unsigned char *bytes, size_t *content)
{
    uint64_t length;
    uint32_t sum;
    if (fread(bytes, 1, HEAD, in) != HEAD)
        return false;
    memcpy(&length, bytes, sizeof length);
    sum = stored_checksum(bytes, sizeof length);
    length = le64toh(length);
    if (memcmp(bytes + sizeof length, &sum, sizeof sum) != 0 || length > CONTENT_MAX ||
        fread(bytes + HEAD, 1, length + TAIL, in) != length + TAIL)
        return false;
    sum = stored_checksum(bytes + HEAD, length);
    *content = length;
    return memcmp(bytes + HEAD + length, &sum, sizeof sum) == 0;
}

/* --- Files --- */

/* Appends an event, or nothing. */
static pd_status append(const char *path, Tensorboard__Event *event)
{
    pd_status status = PD_OK;
    unsigned char *record = NULL;
    size_t size;
    struct stat before;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    event->has_wall_time = true;
    event->wall_time = (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
    int file = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (file < 0 || fstat(file, &before) != 0) {
        status = pd_fail("%s: cannot open: %s", path, strerror(errno));
        goto cleanup;
    }
    PD_TRY(make_record(&record, &size, event));
    int problem = pd_file_write_all(file, record, size);
    if (problem != 0) {
        status = pd_fail("%s: cannot write: %s", path, strerror(problem));
        if (ftruncate(file, before.st_size) != 0)
            pd_error_prefix(status, "left with a record cut short");
    }
cleanup:
    free(record);
    /* Network file systems report a full disk at close. */
    if (file >= 0 && close(file) != 0 && status == PD_OK)
        status = pd_fail("%s: cannot write: %s", path, strerror(errno));
    return status;
}

/* Finds the end of the records to keep, and the step of the last one. */
static pd_status find_end(int64_t *step, long *end, FILE *in, int64_t last)
{
    unsigned char *bytes = NULL;
    size_t content;
    pd_status status = pd_alloc(&bytes, HEAD + CONTENT_MAX + TAIL, 1);
    bool kept = status == PD_OK;
    *step = *end = 0;
    while (kept && read_record(in, bytes, &content)) {
        Tensorboard__Event *event = tensorboard__event__unpack(NULL, content, bytes + HEAD);
        kept =
            event != NULL && event->step <= last &&
            (*end > 0 ? event->step > *step
                      : event->file_version != NULL && strcmp(event->file_version, version) == 0);
        if (kept) {
            *step = event->step;
            *end += (long)(HEAD + content + TAIL);
        }
        if (event != NULL)
            tensorboard__event__free_unpacked(event, NULL);
    }
    free(bytes);
    return status;
}

pd_status pd_event_file_continue(int64_t *step, const char *path, int64_t last)
{
    pd_status status = PD_OK;
    long end = 0;
    FILE *in = fopen(path, "re");
    *step = 0;
    if (in == NULL && errno != ENOENT)
        return pd_fail("%s: cannot open: %s", path, strerror(errno));
    if (in != NULL) {
        PD_TRY(find_end(step, &end, in, last));
        if (truncate(path, end) != 0) {
            status = pd_fail("%s: cannot write: %s", path, strerror(errno));
            goto cleanup;
        }
    }
    if (end == 0) {
        Tensorboard__Event event = TENSORBOARD__EVENT__INIT;
        event.file_version = version;
        status = append(path, &event);
    }
cleanup:
    if (in != NULL)
        fclose(in);
    return status;
}

pd_status pd_event_file_append(const char *path, int64_t step, const pd_event_scalar *scalars,
                               int count)
{
    Tensorboard__Event event = TENSORBOARD__EVENT__INIT;
    Tensorboard__Summary summary = TENSORBOARD__SUMMARY__INIT;
    Tensorboard__Summary__Value values[PD_EVENT_SCALARS_MAX], *list[PD_EVENT_SCALARS_MAX];
    for (int i = 0; i < count; i++) {
        if (!isfinite(scalars[i].value))
            continue;
        Tensorboard__Summary__Value *value = &values[summary.n_value];
        tensorboard__summary__value__init(value);
        value->tag = (char *)scalars[i].tag;
        value->has_simple_value = true;
        value->simple_value = (float)scalars[i].value;
        list[summary.n_value++] = value;
    }
    summary.value = list;
    event.has_step = true;
    event.step = step;
    event.summary = &summary;
    return append(path, &event);
}
