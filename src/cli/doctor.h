/* What the files of the command doctor share: doctor.c, and doctor_forecast.c, which times steps
 * and predicts those on other numbers of ranks. */
#ifndef PNEUMO_CLI_DOCTOR_H
#define PNEUMO_CLI_DOCTOR_H

#include "doctor_checks.h"
#include "job.h"
#include "options.h"
#include "pneumo/comm/probe.h"
#include "pneumo/io/storage.h"
#include "pneumo/train/forecast.h"

/* The command line. */
typedef struct pd_doctor_options {
    const char *folder;
    pd_overrides overrides;
    pd_option_ints ranks;                /* to predict */
    double bandwidth, latency, overhead; /* bytes/s, seconds; 0: not given */
    double spread;                       /* NAN: not given */
    int host_ranks;                      /* 0: not given */
    int steps;
    bool strong, json;
} pd_doctor_options;

/* The state of the examination. Members marked "rank 0" are set on rank 0 only. */
typedef struct pd_doctor {
    pd_comm *comm;
    const pd_doctor_options *given;
    pd_job job;
    int threads;
    pd_dataset_info info; /* of rank 0's data set, or a substitute for it */
    bool has_data, planned;
    double checkpoint_bytes;
    bool fits; /* no check failed that rules out training steps */

    pd_facts own;       /* of this rank */
    pd_facts *all;      /* rank 0: [ranks] */
    pd_checks checks;   /* rank 0 */
    pd_storage storage; /* rank 0 */

    pd_probe probe;
    bool stepped;
    double step_seconds;       /* of the median step */
    pd_forecast_layer *layers; /* rank 0: of the model */
    pd_forecast_model model;   /* rank 0 */
    int64_t epoch_images;      /* rank 0; 0: unknown */
    const char *network;       /* rank 0: where the figures of the network come from */
} pd_doctor;

/* Trains a few steps on random images, adds a check of them, and on rank 0 builds the scaling
 * model. Requires the facts and the probe. Collective. */
pd_status pd_doctor_forecast_measure(pd_doctor *doctor);

/* Prints the table of predictions, or the same as members of a JSON object. After
 * pd_doctor_forecast_measure, on rank 0. */
void pd_doctor_forecast_print(const pd_doctor *doctor);
void pd_doctor_forecast_print_json(const pd_doctor *doctor);

#endif
