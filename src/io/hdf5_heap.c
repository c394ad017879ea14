#include "hdf5_heap.h"

#include "pneumo/base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Bytes of the search at a time, of a heap's signature with the version, and of what is before a
 * size: signature, version and reserve, or an object's index, references and reserve. */
enum { BLOCK = 1 << 20, SIGNATURE = 5, PREFIX = 8 };

static const unsigned char signature[SIGNATURE] = {'G', 'C', 'O', 'L', 1};

typedef struct content {
    const unsigned char *bytes; /* NULL: read the file */
    int file;
    int64_t size;
    size_t length_bytes; /* of a size in the file */
    int64_t room;        /* heaps do not overlap: bytes that further ones may have */
} content;

/* Returns the first `size` bytes from `at` on, in *buffer if they are read; NULL if they cannot be.
 */
static const unsigned char *get(const content *from, int64_t at, size_t size, unsigned char *buffer)
{
    if (from->bytes != NULL)
        return from->bytes + at;
    for (size_t done = 0; done < size;) {
        ssize_t part = pread(from->file, buffer + done, size - done, at + (int64_t)done);
        if (part == 0 || (part < 0 && errno != EINTR))
            return NULL;
        done += part < 0 ? 0 : (size_t)part;
    }
    return buffer;
}

/* A size as the file stores it; INT64_MAX if it is larger. */
static int64_t decode(const unsigned char *bytes, size_t count)
{
    uint64_t value = 0;
    for (size_t i = 0; i < count; i++) {
        if (i >= sizeof value && bytes[i] != 0)
            return INT64_MAX;
        if (i < sizeof value)
            value |= (uint64_t)bytes[i] << (8 * i);
    }
    return value > INT64_MAX ? INT64_MAX : (int64_t)value;
}

static int64_t align(int64_t size)
{
    return (size + 7) / 8 * 8;
}

/* Whether the objects of a heap fill it: each has a size, and is within the heap. Object 0 is the
 * rest, whose size includes its header. */
static bool is_sound(const unsigned char *heap, int64_t size, size_t length_bytes)
{
    const int64_t header = align(PREFIX + (int64_t)length_bytes);
    for (int64_t at = header; at + header <= size;) {
        const int64_t own = decode(heap + at + PREFIX, length_bytes);
        const bool is_rest = heap[at] == 0 && heap[at + 1] == 0;
        if (own > size - at || (is_rest && own == 0))
            return false;
        at += is_rest ? own : header + align(own);
        if (at > size)
            return false;
    }
    return true;
}

/* Checks what may be a heap at `at`: data can begin with the signature by chance, but not with a
 * size, too. *sound is unchanged if it is none. */
static pd_status check_heap(content *from, int64_t at, bool *sound)
{
    pd_status status = PD_OK;
    unsigned char start[PREFIX + 32], *buffer = NULL;
    const size_t header = PREFIX + from->length_bytes;
    if (at + (int64_t)header > from->size)
        return PD_OK;
    const unsigned char *heap = get(from, at, header, start);
    const int64_t size = heap == NULL ? 0 : decode(heap + PREFIX, from->length_bytes);
    if (size < (int64_t)header || size > from->size - at)
        return PD_OK;
    from->room -= size;
    if (from->room < 0) {
        *sound = false;
        return PD_OK;
    }
    if (from->bytes == NULL)
        PD_TRY(pd_alloc(&buffer, (size_t)size, 1));
    heap = get(from, at, (size_t)size, buffer);
    *sound = heap != NULL && is_sound(heap, size, from->length_bytes);

cleanup:
    free(buffer);
    return status;
}

static pd_status check_all(content *from, bool *sound)
{
    pd_status status = PD_OK;
    unsigned char *buffer = NULL;
    if (from->bytes == NULL)
        PD_TRY(pd_alloc(&buffer, BLOCK, 1));
    /* Blocks overlap, so that no signature is cut. */
    for (int64_t at = 0; at + SIGNATURE <= from->size && *sound; at += BLOCK - SIGNATURE + 1) {
        const int64_t left = from->size - at;
        const size_t size = left < BLOCK ? (size_t)left : BLOCK;
        const unsigned char *block = get(from, at, size, buffer), *end, *found;
        *sound = block != NULL;
        end = block + size;
        for (const unsigned char *next = block;
             *sound && (found = memmem(next, (size_t)(end - next), signature, SIGNATURE)) != NULL;
             next = found + 1)
            PD_TRY(check_heap(from, at + (found - block), sound));
    }

cleanup:
    free(buffer);
    return status;
}

pd_status pd_hdf5_check_heaps(const pd_hdf5 *file, const void *bytes)
{
    pd_status status = PD_OK;
    content from = {.bytes = bytes, .file = -1, .size = file->size, .room = file->size};
    size_t address_bytes;
    bool sound = true;
    hid_t plist = H5Fget_create_plist(file->id);
    herr_t result = H5Pget_sizes(plist, &address_bytes, &from.length_bytes);
    H5Pclose(plist);
    if (result < 0 || from.length_bytes > 32)
        return pd_hdf5_fail_read(file, "its superblock is damaged");
    if (bytes == NULL) {
        from.file = open(file->path, O_RDONLY | O_CLOEXEC);
        if (from.file < 0)
            return pd_fail("%s: cannot open: %s", file->path, strerror(errno));
    }
    PD_TRY(check_all(&from, &sound));
    if (!sound)
        status = pd_hdf5_fail_read(file, "a heap of its texts is damaged");

cleanup:
    if (from.file >= 0)
        close(from.file);
    return status;
}
