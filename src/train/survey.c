#include "survey.h"

#include "pneumo/base/memory.h"
#include "pneumo/base/progress.h"

#include <stdlib.h>
#include <string.h>

/* What this rank works on. */
typedef struct survey {
    pd_comm *comm;
    const pd_dataset *dataset;
    pd_images *images;
    size_t most;
    int threads;
    size_t count; /* images of the lanes held here */
    int64_t *ids; /* [count], ascending */
    pd_traits *traits;
    const uint8_t **pixels; /* [most] */
} survey;

static int by_value(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return a < b ? -1 : a > b;
}

/* Lists the images of the lanes held here, in the order in which they lie in the file. */
static pd_status set_up(survey *self, const pd_lanes *lanes)
{
    pd_status status = PD_OK;
    const int64_t *ids;
    int first = pd_comm_first_lane(self->comm), end = first + pd_comm_lane_count(self->comm);
    size_t count = 0;
    for (int lane = first; lane < end; lane++)
        count += pd_lanes_samples(lanes, lane, &ids);
    PD_TRY(pd_alloc(&self->ids, count, sizeof *self->ids));
    PD_TRY(pd_alloc(&self->traits, count, sizeof *self->traits));
    PD_TRY(pd_alloc(&self->pixels, self->most, sizeof *self->pixels));
    for (int lane = first; lane < end; lane++) {
        size_t own = pd_lanes_samples(lanes, lane, &ids);
        memcpy(self->ids + self->count, ids, own * sizeof *ids);
        self->count += own;
    }
    qsort(self->ids, self->count, sizeof *self->ids, by_value);
cleanup:
    return status;
}

static size_t chunk_size(const survey *self, size_t begin)
{
    return self->count - begin < self->most ? self->count - begin : self->most;
}

static pd_status measure(survey *self)
{
    pd_status status = PD_OK;
    pd_progress progress;
    const pd_dataset_info *info = pd_dataset_get_info(self->dataset);
    const pd_sample *samples = pd_dataset_samples(self->dataset);
    pd_progress_begin(&progress, "looking at the train fold", 0, self->count);
    for (size_t begin = 0; begin < self->count && status == PD_OK; begin += self->most) {
        const int64_t *ids = self->ids + begin;
        size_t count = chunk_size(self, begin);
        status = pd_images_fetch(self->images, ids, count, self->pixels);
        if (begin + count < self->count)
            pd_images_prefetch(self->images, ids + count, chunk_size(self, begin + count));
#pragma omp parallel for num_threads(self->threads)
        for (size_t i = 0; i < (status == PD_OK ? count : 0); i++)
            pd_traits_measure(&self->traits[begin + i], self->pixels[i], info->height, info->width,
                              samples[ids[i]].height, samples[ids[i]].width);
        pd_progress_update(&progress, begin + count, NULL);
    }
    pd_progress_end(&progress);
    return status;
}

/* The mean image of all ranks. Sums of grey values are whole numbers, and exact in whatever order
 * they are added up, so all of this rank's may go to its first lane. Collective. */
static pd_status average(const survey *self, float *mean)
{
    enum { SUMS = PD_PROFILE_CELLS + 1 };
    pd_status status = PD_OK;
    double *parts = NULL, total[SUMS];
    size_t lanes = (size_t)pd_comm_lane_count(self->comm);
    PD_TRY(pd_comm_agree(self->comm, pd_alloc(&parts, lanes * SUMS, sizeof *parts)));
    for (size_t i = 0; i < self->count; i++)
        for (int cell = 0; cell < PD_PROFILE_CELLS; cell++)
            parts[cell] += self->traits[i].thumbnail[cell];
    parts[PD_PROFILE_CELLS] = (double)self->count;
    PD_TRY(pd_comm_lane_sum(self->comm, parts, SUMS, total));
    for (int cell = 0; cell < PD_PROFILE_CELLS; cell++)
        mean[cell] = (float)(total[cell] / total[PD_PROFILE_CELLS]);
cleanup:
    free(parts);
    return status;
}

/* Compares all images with the mean and builds the profile of them on rank 0. Collective. */
static pd_status conclude(survey *self, pd_profile *out)
{
    pd_status status = PD_OK;
    double(*own)[PD_TRAITS] = NULL;
    void *all = NULL;
    size_t bytes;
    const pd_dataset_info *info = pd_dataset_get_info(self->dataset);
    PD_TRY(pd_comm_agree(self->comm, pd_alloc(&own, self->count, sizeof *own)));
#pragma omp parallel for num_threads(self->threads)
    for (size_t i = 0; i < self->count; i++) {
        pd_traits_compare(&self->traits[i], out->mean);
        memcpy(own[i], self->traits[i].values, sizeof *own);
    }
    PD_TRY(pd_comm_gather(self->comm, own, self->count * sizeof *own, &all, &bytes));
    if (pd_comm_rank(self->comm) == 0)
        status = pd_profile_build(out, all, bytes / sizeof *own,
                                  info->height < info->width ? info->height : info->width);
    status = pd_comm_agree(self->comm, status);
cleanup:
    free(own);
    free(all);
    return status;
}

pd_status pd_survey(pd_profile *out, pd_comm *comm, const pd_dataset *dataset,
                    const pd_lanes *lanes, pd_images *images, size_t most, int threads)
{
    pd_status status = PD_OK;
    survey self = {
        .comm = comm, .dataset = dataset, .images = images, .most = most, .threads = threads};
    pd_comm_set_position(comm, "looking at the train fold");
    status = set_up(&self, lanes);
    if (status == PD_OK)
        status = measure(&self);
    PD_TRY(pd_comm_agree(comm, status));
    PD_TRY(average(&self, out->mean));
    PD_TRY(conclude(&self, out));
cleanup:
    free(self.ids);
    free(self.traits);
    free(self.pixels);
    return status;
}
