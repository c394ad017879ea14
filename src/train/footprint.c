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
    double fold = fold_images(info, PD_TRAIN);
    double used = job->train_images > 0 ? fmin(fold, job->train_images) : fold;
    double train = ceil(used / job->sampling.lanes) * pd_comm_lane_count(comm);
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

/* The memory in one stage. `network` may be planned; it is copied and not changed. */
static pd_status plan_stage(pd_footprint *out, const pd_comm *comm, const pd_job *job, int stage,
                            const pd_network *network, int threads)
{
    pd_status status = PD_OK;
    pd_network *measured = NULL;
    size_t bytes = 0, weights = 0, state = 0;
    *out = (pd_footprint){0};
    PD_TRY(pd_network_copy(&measured, network));
    PD_TRY(pd_setup_plan(measured, comm, job, stage, threads, &bytes));
    pd_network_weights(measured, &weights);
    pd_network_state(measured, &state);
    out->network = (double)bytes;
    out->optimizer = (double)pd_optimizer_floats(&job->optimizer, measured) * sizeof(float);
    out->file = (double)(weights + state) * sizeof(float) + out->optimizer;
    out->reduction = reduction_bytes(comm, job, (double)pd_network_gradient_count(measured));
    out->checkpoint = pd_comm_rank(comm) == 0 ? out->file : 0;
    out->total = out->network + out->optimizer + out->reduction + out->checkpoint;
cleanup:
    pd_network_destroy(&measured);
    return status;
}

/* The memory in the stage that takes more, and by how much. */
static pd_status plan_stages(pd_footprint *out, double *growth, const pd_comm *comm,
                             const pd_job *job, const pd_network *network, int threads)
{
    pd_footprint later;
    *growth = 0;
    pd_status status = plan_stage(out, comm, job, 0, network, threads);
    if (status != PD_OK || job->schedule.unfreeze_epoch == 0)
        return status;
    status = plan_stage(&later, comm, job, 1, network, threads);
    if (status != PD_OK || later.total <= out->total)
        return status;
    *growth = later.total - out->total;
    *out = later;
    return PD_OK;
}

pd_status pd_footprint_growth(double *bytes, const pd_comm *comm, const pd_job *job,
                              const pd_network *network, int threads)
{
    pd_footprint largest;
    return plan_stages(&largest, bytes, comm, job, network, threads);
}

pd_status pd_footprint_plan(pd_footprint *out, const pd_comm *comm, const pd_job *job,
                            const pd_dataset_info *info, int threads)
{
    pd_status status = PD_OK;
    pd_network *network = NULL;
    double growth;
    int lane_samples = job->sampling.batch / job->sampling.lanes,
        samples = pd_comm_lane_count(comm) * lane_samples;
    pd_input input;
    PD_TRY(pd_setup_network(&network, &input, job, info));
    PD_TRY(plan_stages(out, &growth, comm, job, network, threads));
    out->batch = ((double)samples + lane_samples) * input.size * input.size * input.channels *
                 (double)sizeof(float);
    double images = pd_footprint_image_bytes(comm, job, info);
    if (!pd_footprint_streams(job, pd_footprint_image_percent(comm, images + growth)))
        out->images = images;
    out->total += out->batch + out->images;
cleanup:
    pd_network_destroy(&network);
    return status;
}
