#include "archive.h"

#include "pneumo/base/memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zip.h>

/* "<path>: cannot write: <reason>" */
static pd_status fail(const char *path, zip_error_t *error)
{
    return pd_fail("%s: cannot write: %s", path, zip_error_strerror(error));
}

static pd_status add(zip_t *archive, const char *path, const pd_archive_member *member)
{
    enum { DATE_1980 = 1 << 5 | 1 }; /* 1 January, in MS-DOS' notation */
    zip_source_t *source = zip_source_buffer(archive, member->bytes, member->size, 0);
    zip_int64_t index = source == NULL ? -1 : zip_file_add(archive, member->name, source, 0);
    if (index < 0) {
        zip_source_free(source);
        return fail(path, zip_get_error(archive));
    }
    zip_uint64_t at = (zip_uint64_t)index;
    if (zip_set_file_compression(archive, at, ZIP_CM_STORE, 0) != 0 ||
        zip_file_set_dostime(archive, at, 0, DATE_1980, 0) != 0)
        return fail(path, zip_get_error(archive));
    return PD_OK;
}

/* Stores a copy of the archive that `source` holds. */
static pd_status copy(void **bytes, size_t *size, const char *path, zip_source_t *source)
{
    pd_status status = PD_OK;
    zip_stat_t about;
    void *block = NULL;
    if (zip_source_stat(source, &about) != 0 || zip_source_open(source) != 0)
        return fail(path, zip_source_error(source));
    PD_TRY(pd_alloc(&block, about.size, 1));
    if (zip_source_read(source, block, about.size) != (zip_int64_t)about.size) {
        status = fail(path, zip_source_error(source));
        goto cleanup;
    }
    *bytes = block;
    *size = about.size;
    block = NULL;

cleanup:
    free(block);
    zip_source_close(source);
    return status;
}

pd_status pd_archive_make(void **bytes, size_t *size, const char *path,
                          const pd_archive_member *members, int count)
{
    pd_status status = PD_OK;
    zip_error_t error;
    zip_t *archive = NULL;
    *bytes = NULL;
    zip_error_init(&error);
    zip_source_t *source = zip_source_buffer_create(NULL, 0, 0, &error);
    if (source != NULL)
        archive = zip_open_from_source(source, ZIP_TRUNCATE, &error);
    if (archive == NULL) {
        status = fail(path, &error);
        goto cleanup;
    }
    zip_source_keep(source); /* closing the archive releases it once */
    for (int i = 0; i < count; i++)
        PD_TRY(add(archive, path, &members[i]));
    if (zip_close(archive) != 0) {
        status = fail(path, zip_get_error(archive));
        goto cleanup;
    }
    archive = NULL;
    status = copy(bytes, size, path, source);

cleanup:
    if (archive != NULL)
        zip_discard(archive);
    zip_source_free(source);
    zip_error_fini(&error);
    return status;
}

/* --- Reading --- */

struct pd_archive {
    zip_t *zip;
    char *path;
    uint64_t largest; /* bytes that a member may have */
};

/* Newer versions of libzip tell such a file from one that never was a ZIP file. */
static bool has_no_directory(int code)
{
#ifdef ZIP_ER_TRUNCATED_ZIP
    return code == ZIP_ER_NOZIP || code == ZIP_ER_TRUNCATED_ZIP;
#else
    return code == ZIP_ER_NOZIP;
#endif
}

static pd_status open_zip(pd_archive *archive)
{
    struct stat about;
    int code = 0;
    if (stat(archive->path, &about) != 0)
        return pd_fail("%s: cannot open", archive->path);
    archive->largest = (uint64_t)about.st_size * PD_ARCHIVE_RATIO_MAX;
    archive->zip = zip_open(archive->path, ZIP_RDONLY | ZIP_CHECKCONS, &code);
    if (archive->zip != NULL)
        return PD_OK;
    if (has_no_directory(code))
        return pd_fail("%s: is a ZIP file without its directory: it is cut short; download it "
                       "again",
                       archive->path);
    zip_error_t error;
    zip_error_init_with_code(&error, code);
    pd_fail("%s: is a damaged ZIP file (%s); download it again", archive->path,
            zip_error_strerror(&error));
    zip_error_fini(&error);
    return PD_FAILED;
}

pd_status pd_archive_open(pd_archive **out, const char *path)
{
    pd_status status = PD_OK;
    pd_archive *archive = NULL;
    *out = NULL;
    PD_TRY(pd_alloc(&archive, 1, sizeof *archive));
    PD_TRY(pd_strdup(&archive->path, path));
    PD_TRY(open_zip(archive));
    *out = archive;
    archive = NULL;

cleanup:
    pd_archive_close(&archive);
    return status;
}

void pd_archive_close(pd_archive **archive)
{
    if (*archive == NULL)
        return;
    if ((*archive)->zip != NULL)
        zip_discard((*archive)->zip);
    free((*archive)->path);
    free(*archive);
    *archive = NULL;
}

bool pd_archive_has(const pd_archive *archive, const char *member)
{
    return zip_name_locate(archive->zip, member, 0) >= 0;
}

pd_status pd_archive_read(unsigned char **bytes, size_t *size, pd_archive *archive,
                          const char *member)
{
    pd_status status = PD_OK;
    zip_stat_t about;
    zip_file_t *file = NULL;
    *bytes = NULL;
    if (zip_stat(archive->zip, member, 0, &about) != 0 || !(about.valid & ZIP_STAT_SIZE))
        return pd_fail("%s: '%s' is missing in the ZIP file", archive->path, member);
    if (about.size > archive->largest)
        return pd_fail("%s: '%s' has %llu bytes, more than %d times the ZIP file", archive->path,
                       member, (unsigned long long)about.size, PD_ARCHIVE_RATIO_MAX);
    PD_TRY(pd_alloc(bytes, about.size + 1, 1));
    file = zip_fopen(archive->zip, member, 0);
    /* Only a read that meets the end compares the checksum. */
    if (file == NULL || zip_fread(file, *bytes, about.size) != (zip_int64_t)about.size ||
        zip_fread(file, *bytes + about.size, 1) != 0) {
        status = pd_fail("%s: '%s' is damaged in the ZIP file; download it again", archive->path,
                         member);
        goto cleanup;
    }
    (*bytes)[about.size] = '\0';
    *size = about.size;

cleanup:
    if (file != NULL)
        zip_fclose(file);
    if (status != PD_OK) {
        free(*bytes);
        *bytes = NULL;
    }
    return status;
}
