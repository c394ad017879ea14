#include "pneumo/train/footprint.h"

#include "pneumo/base/host.h"
#include "pneumo/comm/group.h"
#include "pneumo/kernels/tree.h"
#include "pneumo/train/optimizer.h"
#include "pneumo/train/setup.h"

#include <math.h>

/* Buckets that pd_reduction transfers at the same time. */
enum { BUCKETS_IN_TRANSFER = 64 };

static double fold_images(const pd_dataset_info *info, pd_fold fold)
{
    return (double)(info->counts[fold][PD_NORMAL] + info->counts[fold][PD_PNEUMONIA]);
}

/* A gradient for each of this rank's subtrees, and its pieces of the subtrees of other groups,
 * whose number is taken to be this rank's. */
static double reduction_bytes(const pd_comm *comm, const pd_job *job, double weights)
{
    pd_subtree subtrees[PD_SUBTREES_MAX];
    int own = pd_tree_subtrees(job->sampling.lanes, pd_comm_first_lane(comm),
                               pd_comm_lane_count(comm), subtrees);
    double group = pd_comm_group_size(comm), others = 1 - group / pd_comm_size(comm);
    double window = BUCKETS_IN_TRANSFER * (double)pd_setup_bucket(job, pd_comm_size(comm));
    return sizeof(float) * own * (weights + others / group * fmin(weights, window));
}

double pd_footprint_image_bytes(const pd_comm *comm, const pd_job *job, const pd_dataset_info *info)
{
    double train =
        ceil(fold_images(info, PD_TRAIN) / job->sampling.lanes) * pd_comm_lane_count(comm);
    double val = ceil(fold_images(info, PD_VAL) / pd_comm_size(comm));
    return (train + val) * info->height * info->width;
}

double pd_footprint_image_percent(const pd_comm *comm, double bytes)
{
    double share = pd_host_query("").memory / pd_comm_local_size(comm);
    return 100 * bytes / fmax(share, 1);
}

bool pd_footprint_streams(const pd_job *job, double percent)
{
    return job->images == PD_IMAGES_STREAM ||
           (job->images == PD_IMAGES_AUTO && percent > PD_IMAGES_PERCENT);
}

pd_status pd_footprint_plan(pd_footprint *out, const pd_comm *comm, const pd_job *job,
                            const pd_dataset_info *info, int threads)
{
    pd_status status = PD_OK;
    pd_network *network = NULL;
    size_t network_bytes = 0, weights = 0, state = 0;
    int lane_samples = job->sampling.batch / job->sampling.lanes,
        samples = pd_comm_lane_count(comm) * lane_samples;
    const pd_plan plan = {.lanes = pd_comm_lane_count(comm),
                          .lane_samples = lane_samples,
                          .total_lanes = job->sampling.lanes,
                          .threads = threads};
    pd_input input;
    *out = (pd_footprint){0};
    PD_TRY(pd_setup_network(&network, &input, job, info));
    PD_TRY(pd_network_measure(network, &plan, pd_comm_first_lane(comm), &network_bytes));
    pd_network_weights(network, &weights);
    pd_network_state(network, &state);
    out->network = (double)network_bytes;
    out->optimizer = (double)pd_optimizer_floats(&job->optimizer, weights, state) * sizeof(float);
    out->file = (double)(weights + state) * sizeof(float) + out->optimizer;
    out->reduction = reduction_bytes(comm, job, (double)weights);
    out->batch = ((double)samples + lane_samples) * input.size * input.size * input.channels *
                 (double)sizeof(float);
    double images = pd_footprint_image_bytes(comm, job, info);
    if (!pd_footprint_streams(job, pd_footprint_image_percent(comm, images)))
        out->images = images;
    out->checkpoint = pd_comm_rank(comm) == 0 ? out->file : 0;
    out->total =
        out->network + out->optimizer + out->reduction + out->batch + out->images + out->checkpoint;
cleanup:
    pd_network_destroy(&network);
    return status;
}
