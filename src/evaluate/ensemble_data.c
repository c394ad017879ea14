#include "ensemble_data.h"

#include "pneumo/base/memory.h"
#include "pneumo/data/cross.h"
#include "pneumo/data/patient.h"

#include <stdlib.h>
#include <string.h>

/* Whether two members have the same folds in the data set that both were trained on. */
static bool same_folds(const pd_job *a, const pd_job *b)
{
    return a->cross == b->cross && a->cross_part == b->cross_part &&
           (a->cross == 0 || a->seed == b->seed);
}

pd_status pd_ensemble_data_open_member(pd_dataset **out, const pd_classifier_member *member,
                                       const char *path)
{
    const pd_job *job = &member->job;
    pd_status status = pd_dataset_open(out, path);
    if (status != PD_OK || job->cross == 0 ||
        strcmp(pd_dataset_get_info(*out)->digest, member->checkpoint->data_digest) != 0)
        return status;
    status = pd_cross_assign(*out, job->cross, job->cross_part, job->seed);
    return status == PD_OK ? PD_OK : pd_error_prefix(status, "%s", path);
}

/* Opens out->shown where the members' folds differ. */
static pd_status open_shown(pd_ensemble_data *out, const char *path)
{
    pd_status status = PD_OK;
    pd_fold *folds = NULL;
    out->shown = NULL;
    PD_TRY(pd_dataset_open(&out->shown, path));
    int64_t count = pd_dataset_get_info(out->shown)->count;
    PD_TRY(pd_alloc(&folds, (size_t)count, sizeof *folds));
    for (int64_t i = 0; i < count; i++) {
        folds[i] = PD_TRAIN;
        for (int m = 0; m < out->count && folds[i] == PD_TRAIN; m++)
            folds[i] = pd_dataset_samples(out->datasets[m])[i].fold;
    }
    int64_t unknown;
    PD_TRY(pd_patients_unknown(&unknown, out->shown));
    pd_dataset_set_folds(out->shown, folds,
                         unknown > 0 ? "by group, val is that of each part, out of fold"
                                     : "by patient, val is that of each part, out of fold");
cleanup:
    free(folds);
    return status;
}

pd_status pd_ensemble_data_open(pd_ensemble_data *out, const pd_classifier *classifier,
                                const char *path)
{
    *out = (pd_ensemble_data){.count = pd_classifier_count(classifier)};
    for (int i = 0; i < out->count; i++) {
        const pd_classifier_member *member = pd_classifier_at(classifier, i);
        for (int j = 0; j < i && out->datasets[i] == NULL; j++)
            if (same_folds(&member->job, &pd_classifier_at(classifier, j)->job))
                out->datasets[i] = out->datasets[j];
        if (out->datasets[i] != NULL)
            continue;
        pd_status status = pd_ensemble_data_open_member(&out->datasets[i], member, path);
        if (status != PD_OK)
            return status;
    }
    const char *digest = pd_dataset_get_info(out->datasets[0])->digest;
    for (int i = 1; i < out->count; i++)
        out->out_of_fold |=
            out->datasets[i] != out->datasets[0] &&
            strcmp(digest, pd_classifier_at(classifier, i)->checkpoint->data_digest) == 0;
    out->shown = out->datasets[0];
    return out->out_of_fold ? open_shown(out, path) : PD_OK;
}

void pd_ensemble_data_close(pd_ensemble_data *data)
{
    if (data->out_of_fold)
        pd_dataset_destroy(&data->shown);
    data->shown = NULL;
    for (int i = 0; i < data->count; i++) {
        pd_dataset *closing = data->datasets[i];
        for (int j = i; j < data->count; j++)
            if (data->datasets[j] == closing)
                data->datasets[j] = NULL;
        pd_dataset_destroy(&closing);
    }
}

void pd_ensemble_data_members(pd_member *members, const pd_classifier *classifier,
                              const pd_ensemble_data *data, pd_fold fold)
{
    for (int i = 0; i < data->count; i++) {
        const pd_classifier_member *from = pd_classifier_at(classifier, i);
        const pd_dataset_info *info = pd_dataset_get_info(data->datasets[i]);
        members[i] =
            (pd_member){.options = {.job = pd_classifier_job(classifier),
                                    .input = from->inference.input,
                                    .dataset = data->datasets[i],
                                    .fold = fold,
                                    .chunk = from->job.sampling.batch / from->job.sampling.lanes,
                                    .views = from->inference.views,
                                    .threads = from->inference.threads},
                        .network = from->inference.network,
                        .temperature = from->checkpoint->decision.temperature};
        members[i].options.input.height = info->height;
        members[i].options.input.width = info->width;
    }
}
