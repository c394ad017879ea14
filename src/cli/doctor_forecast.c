/* Measures a training step here, and predicts it on other numbers of ranks. */
#include "doctor.h"
#include "pneumo/base/memory.h"
#include "pneumo/base/number.h"
#include "pneumo/base/text.h"
#include "pneumo/comm/group.h"
#include "pneumo/kernels/tree.h"
#include "pneumo/train/benchmark.h"
#include "pneumo/train/setup.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Defaults of links that are neither measured nor given: the memory of a typical server, and 10
 * Gbit/s Ethernet over TCP. The work per message is taken as proportional to the latency, since
 * software causes most of both; networks with a latency below `fabric_latency` move bytes without
 * the processor. */
static const pd_link common_local = {1e-6, 2e-6, 5e9, 0};
static const pd_link common_network = {30e-6, 6e-6, 1.25e9, 1e-9};
static const double overhead_per_latency = 0.2, fabric_latency = 10e-6;

/* The times of the steps. */
typedef struct step_times {
    double *parts;          /* [steps][PD_STEP_PARTS], of this rank */
    double *seconds;        /* [steps] */
    double *all;            /* rank 0: [ranks][steps][PD_STEP_PARTS] */
    pd_layer_times *layers; /* [layers]: of this rank, summed over the steps */
} step_times;

/* Reorders values[count]. */
static double median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, pd_compare_doubles);
    return values[(count - 1) / 2];
}

/* The time of forward and backward of one rank in one step. */
static double compute_seconds(const double parts[PD_STEP_PARTS])
{
    return parts[PD_STEP_FORWARD] + parts[PD_STEP_BACKWARD];
}

/* A rank's median over the steps of the sum of parts [first, last]. */
static double rank_median(const pd_doctor *doctor, const step_times *times, int rank, int first,
                          int last)
{
    int steps = doctor->given->steps;
    double sums[steps];
    for (int i = 0; i < steps; i++) {
        const double *parts =
            times->all + ((size_t)rank * (size_t)steps + (size_t)i) * PD_STEP_PARTS;
        sums[i] = 0;
        for (int part = first; part <= last; part++)
            sums[i] += parts[part];
    }
    return median(sums, steps);
}

/* The mean over the ranks of rank_median. */
static double mean_median(const pd_doctor *doctor, const step_times *times, int first, int last)
{
    int ranks = pd_comm_size(doctor->comm);
    double sum = 0;
    for (int rank = 0; rank < ranks; rank++)
        sum += rank_median(doctor, times, rank, first, last);
    return sum / ranks;
}

/* Standard deviation of the computing times of all ranks and steps, as a share of their mean. */
static double measure_spread(const pd_doctor *doctor, const step_times *times)
{
    int count = pd_comm_size(doctor->comm) * doctor->given->steps;
    double sum = 0, squares = 0;
    for (int i = 0; i < count; i++)
        sum += compute_seconds(times->all + (size_t)i * PD_STEP_PARTS);
    double mean = sum / count;
    for (int i = 0; i < count; i++) {
        double off = compute_seconds(times->all + (size_t)i * PD_STEP_PARTS) - mean;
        squares += off * off;
    }
    return count < 2 ? 0 : sqrt(squares / (count - 1)) / mean;
}

static void check_step(pd_doctor *doctor, const step_times *times)
{
    const double slow = 1.25;
    int ranks = pd_comm_size(doctor->comm), slowest = 0;
    double most = 0;
    double mean = mean_median(doctor, times, PD_STEP_FORWARD, PD_STEP_BACKWARD);
    for (int rank = 0; rank < ranks; rank++) {
        double own = rank_median(doctor, times, rank, PD_STEP_FORWARD, PD_STEP_BACKWARD);
        if (own > most) {
            most = own;
            slowest = rank;
        }
    }
    /* With uneven lanes, the check of lanes has already warned. */
    bool even = doctor->job.sampling.lanes % ranks == 0;
    if (even && most > slow * mean)
        pd_checks_add(
            &doctor->checks, PD_CHECK_WARN, "step",
            "%.3f s for %d images; rank %d on %s computes %.3f s of it, the ranks' mean "
            "is %.3f s: all ranks wait for it; check what else runs on that host, or leave it out",
            doctor->step_seconds, doctor->job.sampling.batch, slowest, doctor->all[slowest].host,
            most, mean);
    else
        pd_checks_add(&doctor->checks, PD_CHECK_OK, "step",
                      "%.3f s for %d images (%.1f images/s), median of %d; a rank computes %.3f s "
                      "of it, with a standard deviation of %.0f %%",
                      doctor->step_seconds, doctor->job.sampling.batch,
                      doctor->job.sampling.batch / doctor->step_seconds, doctor->given->steps, mean,
                      100 * measure_spread(doctor, times));
}

/* Sets model->layers from rank 0's times, scaled to add up to `backward`. */
static pd_status model_layers(pd_doctor *doctor, const pd_step *step, const step_times *times,
                              double backward)
{
    int layers = pd_network_layer_count(step->network), count = 0;
    pd_status status = pd_alloc(&doctor->layers, (size_t)layers, sizeof *doctor->layers);
    if (status != PD_OK)
        return status;
    double all = 0, pending = 0;
    for (int i = layers - 1; i >= 0; i--) {
        size_t weights = pd_layer_trainable(pd_network_layer(step->network, i));
        double seconds = times->layers[i].backward + times->layers[i].fold;
        all += seconds;
        pending += seconds;
        if (weights == 0)
            continue;
        doctor->layers[count++] =
            (pd_forecast_layer){.weights = (double)weights, .backward = pending};
        pending = 0;
    }
    for (int i = 0; i < count && all > 0; i++)
        doctor->layers[i].backward *= backward / all;
    doctor->model.layers = doctor->layers;
    doctor->model.layer_count = count;
    return PD_OK;
}

/* Counts the lane sums of short vectors in a step: those of the layers, of the loss, and of the
 * agreement on signals. */
static void model_sums(pd_doctor *doctor, const pd_step *step)
{
    pd_forecast_model *model = &doctor->model;
    model->sums = 2;
    model->sum_numbers = 2;
    for (int i = 0; i < pd_network_layer_count(step->network); i++) {
        const pd_layer *layer = pd_network_layer(step->network, i);
        model->sums += layer->lane_sums;
        model->sum_numbers += (double)layer->lane_sums * layer->lane_sum_numbers;
    }
}

/* Sets the links: the given ones, else the measured ones, else the defaults. */
static void model_links(pd_doctor *doctor)
{
    const pd_doctor_options *given = doctor->given;
    const pd_probe *probe = &doctor->probe;
    pd_forecast_model *model = &doctor->model;
    int hosts, ranks = pd_comm_size(doctor->comm);
    int host_ranks = pd_facts_host_ranks(doctor->all, ranks, &hosts);
    model->local = common_local;
    model->network = common_network;
    doctor->network = "assumed to have 10 Gbit/s, not measured";
    if (hosts > 1 && probe->transfer > 0) {
        double far = (double)(ranks - host_ranks) / (ranks - 1);
        model->network = (pd_link){probe->latency, probe->overhead,
                                   host_ranks * far / probe->transfer, probe->work / far};
        /* The measurement includes the traffic within a host, which cannot be separated. */
        model->local = (pd_link){probe->latency, probe->overhead, (double)INFINITY, 0};
        doctor->network = "as measured";
    } else if (ranks > 1 && probe->transfer > 0) {
        model->local = (pd_link){probe->latency, probe->overhead, ranks / probe->transfer, 0};
    }
    if (given->latency > 0) {
        model->network.latency = given->latency;
        model->network.overhead = overhead_per_latency * given->latency;
        model->network.work = given->latency < fabric_latency ? 0 : common_network.work;
    }
    if (given->overhead > 0)
        model->network.overhead = given->overhead;
    if (given->bandwidth > 0)
        model->network.bandwidth = given->bandwidth;
    if (given->bandwidth > 0 || given->latency > 0 || given->overhead > 0)
        doctor->network = "as given";
    int fit = CPU_COUNT(&doctor->all[0].cores) / doctor->threads;
    model->host_ranks = hosts == 1 && fit > host_ranks ? fit : host_ranks;
    if (given->host_ranks > 0)
        model->host_ranks = given->host_ranks;
    model->group = doctor->job.share_ranks > 0 ? doctor->job.share_ranks : model->host_ranks;
    if (pd_comm_group_obstacle(doctor->comm)[0] != '\0')
        model->group = 1;
}

static void model_files(pd_doctor *doctor)
{
    pd_forecast_model *model = &doctor->model;
    int ranks = pd_comm_size(doctor->comm);
    const int64_t *train = doctor->info.counts[PD_TRAIN];
    double bytes = 0, slowest = 0, open = 0;
    for (int rank = 0; rank < ranks; rank++) {
        open = fmax(open, doctor->all[rank].open);
        bytes += doctor->all[rank].read_bytes;
        slowest = fmax(slowest, doctor->all[rank].read_seconds);
    }
    doctor->epoch_images = doctor->job.sampling.epoch_images > 0
                               ? doctor->job.sampling.epoch_images
                               : train[PD_NORMAL] + train[PD_PNEUMONIA];
    model->epoch_steps = fmax(1, ceil((double)doctor->epoch_images / doctor->job.sampling.batch));
    if (doctor->storage.write > 0)
        model->checkpoint = doctor->checkpoint_bytes / doctor->storage.write;
    if (!doctor->has_data || bytes == 0)
        return;
    model->open = open / ranks; /* all ranks opened it at the same time */
    model->read =
        (double)doctor->info.count * doctor->info.height * doctor->info.width * slowest / bytes;
}

static pd_status build_model(pd_doctor *doctor, const pd_step *step, const step_times *times)
{
    double backward = mean_median(doctor, times, PD_STEP_BACKWARD, PD_STEP_BACKWARD);
    doctor->model = (pd_forecast_model){
        .samples = (double)doctor->job.sampling.batch / pd_comm_size(doctor->comm),
        .forward = mean_median(doctor, times, PD_STEP_FORWARD, PD_STEP_FORWARD),
        .update = mean_median(doctor, times, PD_STEP_UPDATE, PD_STEP_UPDATE),
        .spread =
            isnan(doctor->given->spread) ? measure_spread(doctor, times) : doctor->given->spread,
        .fold = doctor->probe.fold,
        .batch = doctor->job.sampling.batch,
        .lanes = doctor->job.sampling.lanes,
        .bucket = 256.0 * doctor->job.bucket_kib,
        .slice = PD_SLICE_LEAST};
    model_sums(doctor, step);
    model_links(doctor);
    model_files(doctor);
    return model_layers(doctor, step, times, backward);
}

/* Times training steps after a warm-up step. Collective. */
static pd_status take_steps(pd_doctor *doctor, pd_step *step, step_times *out)
{
    pd_status status = PD_OK;
    int steps = doctor->given->steps, layers = pd_network_layer_count(step->network);
    void *all = NULL;
    size_t size, row = PD_STEP_PARTS * sizeof(double);
    pd_layer_times *warm_up = NULL;
    status = pd_alloc(&out->parts, (size_t)steps, row);
    if (status == PD_OK)
        status = pd_alloc(&out->seconds, (size_t)steps, sizeof(double));
    if (status == PD_OK)
        status = pd_alloc(&out->layers, (size_t)layers, sizeof *out->layers);
    if (status == PD_OK)
        status = pd_alloc(&warm_up, (size_t)layers, sizeof *warm_up);
    PD_TRY(pd_comm_agree(doctor->comm, status));
    PD_TRY(pd_benchmark_step(step, 0, warm_up, out->seconds));
    for (int i = 0; i < steps; i++) {
        PD_TRY(pd_benchmark_step(step, i + 1, out->layers, &out->seconds[i]));
        memcpy(out->parts + (size_t)i * PD_STEP_PARTS, step->seconds, row);
    }
    PD_TRY(pd_comm_gather(doctor->comm, out->parts, (size_t)steps * row, &all, &size));
    out->all = all;
    doctor->step_seconds = median(out->seconds, steps);
cleanup:
    free(warm_up);
    return status;
}

pd_status pd_doctor_forecast_measure(pd_doctor *doctor)
{
    pd_status status = PD_OK;
    pd_step step = {0};
    step_times times = {0};
    PD_TRY(pd_step_set_up(&step, doctor->comm, &doctor->job, &doctor->info, doctor->threads));
    pd_benchmark_fill(&step);
    PD_TRY(take_steps(doctor, &step, &times));
    if (pd_comm_rank(doctor->comm) == 0) {
        check_step(doctor, &times);
        status = build_model(doctor, &step, &times);
    }
    PD_TRY(pd_comm_agree(doctor->comm, status));
    doctor->stepped = true;
cleanup:
    pd_step_tear_down(&step);
    free(times.parts);
    free(times.seconds);
    free(times.all);
    free(times.layers);
    return status;
}

/* --- Printing --- */

void pd_doctor_forecast_print(const pd_doctor *doctor)
{
    const pd_doctor_options *given = doctor->given;
    const pd_forecast_model *model = &doctor->model;
    printf("\nA step on other numbers of ranks, %s; at most %d rank%s on a host;\nnetwork %s: %.3g "
           "Gbit/s each way per host, %.3g us, %.3g us of work per message.\n\n",
           given->strong ? "with the same batch" : "with the same number of images per rank",
           model->host_ranks, pd_text_plural(model->host_ranks), doctor->network,
           8e-9 * model->network.bandwidth, 1e6 * model->network.latency,
           1e6 * model->network.overhead);
    printf("%6s %6s %8s %8s %9s %10s %10s  %-11s %8s\n", "ranks", "hosts", "batch", "lanes",
           "s/step", "images/s", "efficiency", "limited by", "start, s");
    for (int i = 0; i < given->ranks.count; i++) {
        int ranks = given->ranks.values[i];
        pd_forecast_case of;
        pd_forecast predicted;
        if (!pd_forecast_grow(model, ranks, given->strong, &of)) {
            printf("%6d  not possible: %s\n", ranks,
                   ranks > PD_LANES_MAX ? "more ranks than a job can have lanes"
                                        : "more ranks than images in a batch");
            continue;
        }
        pd_forecast_compute(model, &of, given->strong, &predicted);
        printf("%6d %6d %8lld %8lld %9.4f %10.1f %8.0f %%  %-11s %8.1f\n", ranks,
               (ranks + model->host_ranks - 1) / model->host_ranks, (long long)of.batch,
               (long long)of.lanes, predicted.seconds, (double)of.batch / predicted.seconds,
               100 * predicted.efficiency,
               ranks == 1 ? "-" : pd_forecast_part_names[predicted.limit], predicted.start);
    }
    printf("\nBatch and lanes are the keys train.batch and train.lanes to set for so many ranks.");
    if (doctor->epoch_images > 0)
        printf(" A batch\nabove %lld requires a larger data set.", (long long)doctor->epoch_images);
    printf("\n");
}

/* Prints a number, or null if it is not finite. */
static void print_json_number(const char *key, double value)
{
    if (isfinite(value))
        printf("\"%s\": %.9g", key, value);
    else
        printf("\"%s\": null", key);
}

static void print_json_link(const char *name, const pd_link *link)
{
    printf("\"%s\": {\"latency\": %.9g, \"overhead\": %.9g, ", name, link->latency, link->overhead);
    print_json_number("bandwidth", link->bandwidth);
    printf(", \"work\": %.9g}", link->work);
}

static void print_json_model(const pd_doctor *doctor)
{
    const pd_forecast_model *model = &doctor->model;
    double backward = 0, weights = 0;
    for (int i = 0; i < model->layer_count; i++) {
        backward += model->layers[i].backward;
        weights += model->layers[i].weights;
    }
    printf("{\"seconds_per_step\": %.9g, \"samples\": %.9g, \"forward\": %.9g, \"backward\": %.9g, "
           "\"update\": %.9g, \"spread\": %.9g, \"fold\": %.9g, \"weights\": %.0f, \"bucket\": "
           "%.0f, \"sums\": %.0f, \"sum_numbers\": %.0f, \"checkpoint\": %.9g, \"host_ranks\": %d, "
           "\"group\": %d, ",
           doctor->step_seconds, model->samples, model->forward, backward, model->update,
           model->spread, model->fold, weights, model->bucket, model->sums, model->sum_numbers,
           model->checkpoint, model->host_ranks, model->group);
    print_json_link("local", &model->local);
    printf(", ");
    print_json_link("network", &model->network);
    printf("}");
}

static void print_json_prediction(const pd_doctor *doctor, int ranks)
{
    const pd_forecast_model *model = &doctor->model;
    pd_forecast_case of;
    pd_forecast predicted;
    printf("{\"ranks\": %d, ", ranks);
    if (!pd_forecast_grow(model, ranks, doctor->given->strong, &of)) {
        printf("\"possible\": false}");
        return;
    }
    pd_forecast_compute(model, &of, doctor->given->strong, &predicted);
    printf("\"possible\": true, \"batch\": %lld, \"lanes\": %lld, \"seconds_per_step\": %.9g, "
           "\"images_per_second\": %.9g, \"efficiency\": %.9g, \"limit\": \"%s\", \"start\": %.9g, "
           "\"parts\": {",
           (long long)of.batch, (long long)of.lanes, predicted.seconds,
           (double)of.batch / predicted.seconds, predicted.efficiency,
           pd_forecast_part_names[predicted.limit], predicted.start);
    for (int i = 0; i < PD_FORECAST_PARTS; i++)
        printf("%s\"%s\": %.9g", i == 0 ? "" : ", ", pd_forecast_part_names[i], predicted.parts[i]);
    printf("}}");
}

void pd_doctor_forecast_print_json(const pd_doctor *doctor)
{
    printf("\"measured\": ");
    print_json_model(doctor);
    printf(", \"predictions\": [");
    for (int i = 0; i < doctor->given->ranks.count; i++) {
        printf("%s", i == 0 ? "" : ", ");
        print_json_prediction(doctor, doctor->given->ranks.values[i]);
    }
    printf("]");
}
