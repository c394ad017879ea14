#include "spool.h"

#include "pneumo/base/memory.h"
#include "pneumo/io/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BLOCK_BYTES = 32 << 20, BLOCK_MIN = 8, BLOCK_MAX = 256 };

pd_status pd_spool_open(pd_spool *out, const char *output, int size)
{
    pd_status status;
    char *path = NULL;

    *out = (pd_spool){.file = -1, .output = output, .image_bytes = (size_t)size * (size_t)size};
    out->block = (int64_t)(BLOCK_BYTES / out->image_bytes);
    out->block = out->block < BLOCK_MIN ? BLOCK_MIN : out->block;
    out->block = out->block > BLOCK_MAX ? BLOCK_MAX : out->block;
    PD_TRY(pd_alloc(&out->images, (size_t)out->block, out->image_bytes));
    PD_TRY(pd_file_temporary(&path, output));
    PD_TRY(pd_folder_make_above(output));
    out->file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (out->file < 0)
        status = pd_fail("%s: cannot write: %s", output, strerror(errno));

cleanup:
    if (path != NULL)
        pd_file_discard(path);
    free(path);
    return status;
}

void pd_spool_close(pd_spool *spool)
{
    if (spool->file >= 0)
        close(spool->file);
    free(spool->images);
}

static pd_status move(const pd_spool *spool, uint8_t *bytes, size_t size, int64_t slot, bool write)
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

pd_status pd_spool_write(const pd_spool *spool, int64_t slot, int64_t count)
{
    return move(spool, spool->images, (size_t)count * spool->image_bytes, slot, true);
}

pd_status pd_spool_read(const pd_spool *spool, int64_t slot, int64_t index)
{
    return move(spool, spool->images + (size_t)index * spool->image_bytes, spool->image_bytes, slot,
                false);
}
