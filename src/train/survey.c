#include "survey.h"

#include "pneumo/base/memory.h"
#include "pneumo/base/number.h"
#include "pneumo/base/progress.h"

#include <stdlib.h>
#include <string.h>

/* The state of a survey on this rank. */
typedef struct pd_survey_state {
    pd_comm *comm;
    const pd_dataset *dataset;
    pd_images *images;
    size_t most;
    int threads;
    size_t count; /* images of the lanes held here */
    int64_t *ids; /* [count], ascending */
    pd_traits *traits;
    const uint8_t **pixels; /* [most] */
} pd_survey_state;

/* Lists the images of the lanes held here, in the order of the file. */
static pd_status set_up(pd_survey_state *survey, const pd_lanes *lanes)
{
    pd_status status = PD_OK;
    const int64_t *ids;
    int first = pd_comm_first_lane(survey->comm), end = first + pd_comm_lane_count(survey->comm);
    size_t count = 0;
    for (int lane = first; lane < end; lane++)
        count += pd_lanes_samples(lanes, lane, &ids);
    PD_TRY(pd_alloc(&survey->ids, count, sizeof *survey->ids));
    PD_TRY(pd_alloc(&survey->traits, count, sizeof *survey->traits));
    PD_TRY(pd_alloc(&survey->pixels, survey->most, sizeof *survey->pixels));
    for (int lane = first; lane < end; lane++) {
        size_t own = pd_lanes_samples(lanes, lane, &ids);
        memcpy(survey->ids + survey->count, ids, own * sizeof *ids);
        survey->count += own;
    }
    qsort(survey->ids, survey->count, sizeof *survey->ids, pd_compare_int64);
cleanup:
    return status;
}

static size_t chunk_size(const pd_survey_state *survey, size_t begin)
{
    return survey->count - begin < survey->most ? survey->count - begin : survey->most;
}

static pd_status measure(pd_survey_state *survey)
{
    pd_status status = PD_OK;
    pd_progress progress;
    const pd_dataset_info *info = pd_dataset_get_info(survey->dataset);
    const pd_sample *samples = pd_dataset_samples(survey->dataset);
    pd_progress_begin(&progress, "surveying the train fold", 0, survey->count);
    for (size_t begin = 0; begin < survey->count && status == PD_OK; begin += survey->most) {
        const int64_t *ids = survey->ids + begin;
        size_t count = chunk_size(survey, begin);
        status = pd_images_fetch(survey->images, ids, count, survey->pixels);
        if (begin + count < survey->count)
            pd_images_prefetch(survey->images, ids + count, chunk_size(survey, begin + count));
#pragma omp parallel for num_threads(survey->threads)
        for (size_t i = 0; i < (status == PD_OK ? count : 0); i++)
            pd_traits_measure(&survey->traits[begin + i], survey->pixels[i], info->height,
                              info->width, samples[ids[i]].height, samples[ids[i]].width);
        pd_progress_update(&progress, begin + count, NULL);
    }
    pd_progress_end(&progress);
    return status;
}

/* The mean image over all ranks. Sums of grey values are integers and exact in any order, so all of
 * this rank's are added to its first lane. Collective. */
static pd_status average(const pd_survey_state *survey, float *mean)
{
    enum { SUMS = PD_PROFILE_CELLS + 1 };
    pd_status status = PD_OK;
    double *parts = NULL, total[SUMS];
    size_t lanes = (size_t)pd_comm_lane_count(survey->comm);
    PD_TRY(pd_comm_agree(survey->comm, pd_alloc(&parts, lanes * SUMS, sizeof *parts)));
    for (size_t i = 0; i < survey->count; i++)
        for (int cell = 0; cell < PD_PROFILE_CELLS; cell++)
            parts[cell] += survey->traits[i].thumbnail[cell];
    parts[PD_PROFILE_CELLS] = (double)survey->count;
    PD_TRY(pd_comm_lane_sum(survey->comm, parts, SUMS, total));
    for (int cell = 0; cell < PD_PROFILE_CELLS; cell++)
        mean[cell] = (float)(total[cell] / total[PD_PROFILE_CELLS]);
cleanup:
    free(parts);
    return status;
}

/* Compares all images with the mean and builds the profile on rank 0. Collective. */
static pd_status conclude(pd_survey_state *survey, pd_profile *out)
{
    pd_status status = PD_OK;
    double(*own)[PD_TRAITS] = NULL;
    void *all = NULL;
    size_t bytes;
    const pd_dataset_info *info = pd_dataset_get_info(survey->dataset);
    PD_TRY(pd_comm_agree(survey->comm, pd_alloc(&own, survey->count, sizeof *own)));
#pragma omp parallel for num_threads(survey->threads)
    for (size_t i = 0; i < survey->count; i++) {
        pd_traits_compare(&survey->traits[i], out->mean);
        memcpy(own[i], survey->traits[i].values, sizeof *own);
    }
    PD_TRY(pd_comm_gather(survey->comm, own, survey->count * sizeof *own, &all, &bytes));
    if (pd_comm_rank(survey->comm) == 0)
        status = pd_profile_build(out, all, bytes / sizeof *own,
                                  info->height < info->width ? info->height : info->width);
    status = pd_comm_agree(survey->comm, status);
cleanup:
    free(own);
    free(all);
    return status;
}

pd_status pd_survey(pd_profile *out, pd_comm *comm, const pd_dataset *dataset,
                    const pd_lanes *lanes, pd_images *images, size_t most, int threads)
{
    pd_status status = PD_OK;
    pd_survey_state survey = {
        .comm = comm, .dataset = dataset, .images = images, .most = most, .threads = threads};
    pd_comm_set_position(comm, "surveying the train fold");
    status = set_up(&survey, lanes);
    if (status == PD_OK)
        status = measure(&survey);
    PD_TRY(pd_comm_agree(comm, status));
    PD_TRY(average(&survey, out->mean));
    PD_TRY(conclude(&survey, out));
cleanup:
    free(survey.ids);
    free(survey.traits);
    free(survey.pixels);
    return status;
}
