#include "seen.h"

#include "pneumo/base/memory.h"
#include "pneumo/data/identity.h"

#include <stdlib.h>
#include <string.h>

bool pd_seen_comparable(const pd_site *site, const pd_dataset *dataset)
{
    const pd_dataset_info *info = pd_dataset_get_info(dataset);
    return info->height == site->image_height && info->width == site->image_width;
}

/* Marks those of samples [begin, end) whose images are in site->images. */
static pd_status mark_slice(uint8_t *seen, const pd_site *site, const pd_dataset *dataset,
                            int64_t begin, int64_t end)
{
    pd_status status = PD_OK;
    pd_identity *identities = NULL;
    PD_TRY(pd_alloc(&identities, (size_t)(end - begin), sizeof *identities));
    PD_TRY(pd_identities_read(identities, dataset, begin, end - begin));
    for (int64_t i = begin; i < end; i++)
        seen[i] = bsearch(&identities[i - begin], site->images, (size_t)site->count,
                          sizeof *identities, pd_identity_compare) != NULL;
cleanup:
    free(identities);
    return status;
}

static int compare_patients(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

/* Marks the other images of the patients of marked ones. */
static pd_status mark_patients(uint8_t *seen, const pd_dataset *dataset)
{
    int64_t count = pd_dataset_get_info(dataset)->count;
    const pd_sample *samples = pd_dataset_samples(dataset);
    size_t marked = 0;
    int32_t *patients = NULL;
    pd_status status = pd_alloc(&patients, (size_t)count, sizeof *patients);
    if (status != PD_OK)
        return status;
    for (int64_t i = 0; i < count; i++)
        if (seen[i])
            patients[marked++] = samples[i].patient;
    qsort(patients, marked, sizeof *patients, compare_patients);
    for (int64_t i = 0; i < count; i++)
        seen[i] = bsearch(&samples[i].patient, patients, marked, sizeof *patients,
                          compare_patients) != NULL;
    free(patients);
    return PD_OK;
}

pd_status pd_seen_find(uint8_t **seen, pd_comm *comm, const pd_site *site,
                       const pd_dataset *dataset)
{
    pd_status status = PD_OK;
    int64_t count = pd_dataset_get_info(dataset)->count;
    int64_t rank = pd_comm_rank(comm), ranks = pd_comm_size(comm);
    int64_t begin = rank * count / ranks, end = (rank + 1) * count / ranks;
    void *all = NULL;
    size_t size;
    *seen = NULL;
    status = pd_alloc(seen, (size_t)count, 1);
    if (status == PD_OK)
        status = mark_slice(*seen, site, dataset, begin, end);
    PD_TRY(pd_comm_agree(comm, status));
    PD_TRY(pd_comm_gather(comm, *seen + begin, (size_t)(end - begin), &all, &size));
    if (rank == 0) {
        memcpy(*seen, all, size);
        status = mark_patients(*seen, dataset);
    }
    PD_TRY(pd_comm_agree(comm, status));
    PD_TRY(pd_comm_broadcast(comm, *seen, (size_t)count, 0));
cleanup:
    free(all);
    if (status != PD_OK) {
        free(*seen);
        *seen = NULL;
    }
    return status;
}
