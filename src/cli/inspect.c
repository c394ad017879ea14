/* pneumo-dist inspect: describes data sets, checkpoints and ensembles. */
#include "command.h"

#include "pneumo/base/memory.h"
#include "pneumo/io/checkpoint.h"
#include "pneumo/io/dataset.h"
#include "pneumo/io/ensemble.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HISTORY_ROWS = 10 };

static void print_heading(const char *path, const char *what)
{
    printf("%s: %s\n", path, what);
}

static void print_text(const char *name, const char *text)
{
    printf("  %-14s %s\n", name, text[0] == '\0' ? "-" : text);
}

static int compare_patients(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

/* Prints a line of the table: the samples of that fold and label, -1 standing for any. patients[]
 * is scratch for one entry per sample. */
static void print_samples(const pd_dataset *dataset, int fold, int label, int32_t *patients)
{
    const pd_sample *samples = pd_dataset_samples(dataset);
    int64_t total = pd_dataset_get_info(dataset)->count;
    int64_t causes[PD_CAUSES] = {0};
    int64_t images = 0, distinct = 0;
    for (int64_t i = 0; i < total; i++) {
        if ((fold >= 0 && (int)samples[i].fold != fold) ||
            (label >= 0 && (int)samples[i].label != label))
            continue;
        causes[samples[i].cause]++;
        patients[images++] = samples[i].patient;
    }
    qsort(patients, (size_t)images, sizeof *patients, compare_patients);
    for (int64_t i = 0; i < images; i++)
        distinct += i == 0 || patients[i] != patients[i - 1];
    printf("  %-5s  %-9s  %8" PRId64 "  %8" PRId64, fold < 0 ? "all" : pd_fold_names[fold],
           label < 0 ? "all" : pd_label_names[label], images, distinct);
    for (int cause = 0; cause < PD_CAUSES; cause++)
        printf("  %8" PRId64, causes[cause]);
    putchar('\n');
}

/* Prints the range of the shapes that the images had before packing. */
static void print_shapes(const pd_dataset *dataset)
{
    const pd_sample *samples = pd_dataset_samples(dataset);
    int64_t total = pd_dataset_get_info(dataset)->count;
    pd_sample least = samples[0], most = samples[0];
    for (int64_t i = 1; i < total; i++) {
        const pd_sample *s = &samples[i];
        least.height = s->height < least.height ? s->height : least.height;
        least.width = s->width < least.width ? s->width : least.width;
        most.height = s->height > most.height ? s->height : most.height;
        most.width = s->width > most.width ? s->width : most.width;
    }
    if (least.height == 0)
        print_text("packed from", "images of unknown height and width");
    else if (least.height == most.height && least.width == most.width)
        printf("  %-14s images of %d x %d pixels, all of them\n", "packed from", least.width,
               least.height);
    else
        printf("  %-14s images of %d to %d pixels wide, %d to %d high\n", "packed from",
               least.width, most.width, least.height, most.height);
}

static pd_status inspect_dataset(const char *path)
{
    pd_status status = PD_OK;
    pd_dataset *dataset = NULL;
    int32_t *patients = NULL;
    PD_TRY(pd_dataset_open(&dataset, path));
    const pd_dataset_info *info = pd_dataset_get_info(dataset);
    PD_TRY(pd_alloc(&patients, (size_t)info->count, sizeof *patients));

    print_heading(path, "data set");
    printf("  %-14s %" PRId64 " of %d x %d pixels, grey\n", "images", info->count, info->width,
           info->height);
    print_shapes(dataset);
    print_text("folds", info->fold_policy);
    print_text("patients", info->grouping);
    printf("  %-14s %" PRIu64 "\n", "seed", info->seed);
    printf("  %-14s %" PRId64 " dropped\n", "duplicates", info->duplicates);
    printf("  %-14s mean %.2f, deviation %.2f, of the train fold, 0 to 255\n", "pixels", info->mean,
           info->deviation);
    print_text("digest", info->digest);
    print_text("written by", info->version);

    printf("\n  %-5s  %-9s  %8s  %8s", "fold", "label", "images", "patients");
    for (int cause = 0; cause < PD_CAUSES; cause++)
        printf("  %8s", pd_cause_names[cause]);
    putchar('\n');
    for (int fold = 0; fold < PD_FOLDS; fold++) {
        for (int label = 0; label < PD_LABELS; label++)
            print_samples(dataset, fold, label, patients);
    }
    print_samples(dataset, -1, -1, patients);

cleanup:
    free(patients);
    pd_dataset_destroy(&dataset);
    return status;
}

static int64_t array_size(const pd_array *array)
{
    int64_t size = 1;
    for (int i = 0; i < array->rank; i++)
        size *= array->dims[i];
    return size;
}

static void print_weights(const pd_checkpoint *checkpoint)
{
    int layer_width = 5, weight_width = 6;
    int64_t total = 0;
    for (int i = 0; i < checkpoint->arrays.weight_count; i++) {
        const pd_array *array = &checkpoint->arrays.weights[i];
        int layer = (int)strlen(array->layer), weight = (int)strlen(array->weight);
        layer_width = layer > layer_width ? layer : layer_width;
        weight_width = weight > weight_width ? weight : weight_width;
    }
    printf("\n  %-*s  %-*s  %18s  %11s\n", layer_width, "layer", weight_width, "weight", "shape",
           "parameters");
    for (int i = 0; i < checkpoint->arrays.weight_count; i++) {
        const pd_array *array = &checkpoint->arrays.weights[i];
        bool same = i > 0 && strcmp(array->layer, checkpoint->arrays.weights[i - 1].layer) == 0;
        char shape[64] = "";
        int used = 0;
        for (int d = 0; d < array->rank; d++)
            used += snprintf(shape + used, sizeof shape - (size_t)used, "%s%d", d == 0 ? "" : " x ",
                             array->dims[d]);
        printf("  %-*s  %-*s  %18s  %11" PRId64 "\n", layer_width, same ? "" : array->layer,
               weight_width, array->weight, shape, array_size(array));
        total += array_size(array);
    }
    printf("  %-*s  %-*s  %18s  %11" PRId64 "\n", layer_width, "total", weight_width, "", "",
           total);
}

/* Prints a number in a column of that width, "-" if it is unknown. */
static void print_cell(int width, const char *format, double value)
{
    char text[32] = "-";
    if (!isnan(value))
        snprintf(text, sizeof text, format, value);
    printf("  %*s", width, text);
}

static void print_history(const pd_checkpoint *checkpoint)
{
    int first = checkpoint->state.history_count - HISTORY_ROWS;
    if (checkpoint->state.history_count == 0)
        return;
    first = first < 0 ? 0 : first;
    printf("\n  %5s  %10s  %10s  %8s  %7s  %8s  %11s  %11s  %8s  %11s\n", "epoch", "rate",
           "train loss", "val loss", "val AUC", "accuracy", "sensitivity", "specificity",
           "gradient", "changed AUC");
    if (first > 0)
        printf("  %5s\n", "...");
    for (int i = first; i < checkpoint->state.history_count; i++) {
        const pd_history_row *row = &checkpoint->state.history[i];
        printf("  %5" PRId32, row->epoch);
        print_cell(10, "%.3g", row->learning_rate);
        print_cell(10, "%.4f", row->train_loss);
        print_cell(8, "%.4f", row->val_loss);
        print_cell(7, "%.4f", row->val_auc);
        print_cell(8, "%.4f", row->val_accuracy);
        print_cell(11, "%.4f", row->val_sensitivity);
        print_cell(11, "%.4f", row->val_specificity);
        print_cell(8, "%.3g", row->gradient_norm);
        print_cell(11, "%.4f", row->val_stress_auc);
        putchar('\n');
    }
}

static void print_site(const pd_site *site)
{
    if (site->count == 0)
        return;
    printf("  %-14s by %" PRId64 " normal and %" PRId64 " pneumonia images of %" PRId64
           " x %" PRId64 " pixels: %s, digest %s\n",
           "calibrated", site->normal, site->pneumonia, site->image_width, site->image_height,
           site->source, site->data_digest);
    printf("  %-14s rule %s, targets: sensitivity %g %%, specificity %g %%\n", "", site->rule,
           100 * site->target_sensitivity, 100 * site->target_specificity);
}

static void print_decision(const pd_checkpoint *checkpoint)
{
    printf("  %-14s %.6f: %s", "threshold", checkpoint->decision.threshold,
           checkpoint->decision.rule);
    if (checkpoint->site.count == 0)
        printf(", chosen on %s", checkpoint->decision.fold);
    putchar('\n');
    printf("  %-14s logits are divided by %.4f%s\n", "calibration",
           checkpoint->decision.temperature,
           checkpoint->decision.views > 1 ? ", after averaging over views" : "");
    printf("  %-14s probabilities from %.6f to %.6f\n", "in doubt", checkpoint->decision.refer_low,
           checkpoint->decision.refer_high);
    print_site(&checkpoint->site);
    printf("  %-14s looked at %" PRId64 " time%s\n", "test fold", checkpoint->test_looks,
           checkpoint->test_looks == 1 ? "" : "s");
}

/* Prints the members of an average, a line each. */
static void print_members(const pd_ensemble *ensemble)
{
    printf("\n  %6s  %-16s  %-12s  %20s  %5s  %9s  %11s  %5s\n", "member", "job", "model", "seed",
           "epoch", "threshold", "temperature", "views");
    for (int i = 0; i < ensemble->count; i++) {
        const pd_checkpoint *member = ensemble->members[i];
        printf("  %6d  %-16s  %-12s  %20" PRIu64 "  %5" PRId64 "  %9.6f  %11.4f  %5d\n", i + 1,
               member->job_name, member->model, member->state.seed, member->state.epoch,
               member->decision.threshold, member->decision.temperature, member->decision.views);
    }
}

static void print_progress(const pd_checkpoint *checkpoint)
{
    printf("  %-14s %" PRId64 " epochs", "trained", checkpoint->state.epoch);
    if (checkpoint->state.epoch_step > 0)
        printf(" and %" PRId64 " steps of the next", checkpoint->state.epoch_step);
    printf(", %" PRId64 " steps in all; %s\n", checkpoint->state.step,
           checkpoint->state.finished ? "finished" : "not finished");
    if (isnan(checkpoint->state.best_metric))
        print_text("best", "none yet");
    else
        printf("  %-14s %.4f in epoch %" PRId64 "\n", "best", checkpoint->state.best_metric,
               checkpoint->state.best_epoch);
    if (checkpoint->has_decision)
        print_decision(checkpoint);
    else
        print_text("threshold", "none yet");
}

static void print_profile(const pd_checkpoint *checkpoint)
{
    const pd_profile *profile = &checkpoint->profile;
    if (!checkpoint->has_profile) {
        print_text("profile", "none: images unlike the training images are not detected");
        return;
    }
    printf("  %-14s of %" PRId64 " training images; those beyond the limits are unlike them\n",
           "profile", profile->images);
    printf("  %-14s %-9s  %8s  %8s  %10s  %10s\n", "", "trait", "low", "high", "least", "most");
    for (int i = 0; i < PD_TRAITS; i++) {
        const pd_trait_range *range = &profile->ranges[i];
        printf("  %-14s %-9s", "", pd_trait_names[i]);
        print_cell(8, "%.4g", range->low);
        print_cell(8, "%.4g", range->high);
        print_cell(10, "%.5g", range->least);
        print_cell(10, "%.5g", range->most);
        putchar('\n');
    }
}

static void print_slots(const pd_checkpoint *checkpoint)
{
    if (checkpoint->arrays.slot_count == 0)
        print_text("optimiser", "no slots");
    for (int i = 0; i < checkpoint->arrays.slot_count; i++) {
        const pd_slot *slot = &checkpoint->arrays.slots[i];
        int64_t size = 0;
        for (int a = 0; a < slot->count; a++)
            size += array_size(&slot->arrays[a]);
        printf("  %-14s %s, %" PRId64 " numbers\n", i == 0 ? "optimiser" : "", slot->name, size);
    }
}

static void print_job(const char *job)
{
    size_t length = strlen(job);
    fputs(job, stdout);
    if (length > 0 && job[length - 1] != '\n')
        putchar('\n');
}

static pd_status inspect_checkpoint(const char *path, bool job_only)
{
    pd_status status = PD_OK;
    pd_checkpoint *checkpoint = NULL;
    int64_t parameters = 0;
    PD_TRY(pd_checkpoint_load(&checkpoint, path));
    if (job_only) {
        print_job(checkpoint->job);
        goto cleanup;
    }
    for (int i = 0; i < checkpoint->arrays.weight_count; i++)
        parameters += array_size(&checkpoint->arrays.weights[i]);
    print_heading(path, "checkpoint");
    print_text("job", checkpoint->job_name);
    print_text("model", checkpoint->model);
    printf("  %-14s %d with weights\n", "layers", checkpoint->arrays.layer_count);
    printf("  %-14s %" PRId64 "\n", "parameters", parameters);
    print_progress(checkpoint);
    printf("  %-14s %" PRIu64 "\n", "seed", checkpoint->state.seed);
    printf("  %-14s %" PRId64 "\n", "lanes", checkpoint->state.lanes);
    print_profile(checkpoint);
    print_slots(checkpoint);
    print_text("data digest", checkpoint->data_digest);
    print_text("written by", checkpoint->version);
    print_weights(checkpoint);
    print_history(checkpoint);

cleanup:
    pd_checkpoint_destroy(&checkpoint);
    return status;
}

static pd_status inspect_ensemble(const char *path, bool job_only)
{
    pd_status status = PD_OK;
    pd_ensemble *ensemble = NULL;
    int64_t parameters = 0;
    PD_TRY(pd_ensemble_load(&ensemble, path));
    for (int i = 0; i < ensemble->count && job_only; i++) {
        printf("%s; member %d\n", i == 0 ? "" : "\n", i + 1);
        print_job(ensemble->members[i]->job);
    }
    if (job_only)
        goto cleanup;
    for (int i = 0; i < ensemble->count; i++)
        for (int w = 0; w < ensemble->members[i]->arrays.weight_count; w++)
            parameters += array_size(&ensemble->members[i]->arrays.weights[w]);
    print_heading(path, "average of several checkpoints");
    printf("  %-14s %d\n", "members", ensemble->count);
    printf("  %-14s %" PRId64 "\n", "parameters", parameters);
    print_decision(&ensemble->whole);
    print_text("data digest", ensemble->whole.data_digest);
    print_text("written by", ensemble->whole.version);
    print_members(ensemble);

cleanup:
    pd_ensemble_destroy(&ensemble);
    return status;
}

static pd_status inspect(const char *path, bool job_only)
{
    pd_status status = PD_OK;
    bool is_checkpoint, is_ensemble = false;
    PD_TRY(pd_checkpoint_recognise(&is_checkpoint, path));
    if (!is_checkpoint)
        PD_TRY(pd_ensemble_recognise(&is_ensemble, path));
    if (is_ensemble)
        PD_TRY(inspect_ensemble(path, job_only));
    else if (is_checkpoint)
        PD_TRY(inspect_checkpoint(path, job_only));
    else if (job_only)
        status = pd_fail("%s: is not a checkpoint; only checkpoints contain a job", path);
    else
        PD_TRY(inspect_dataset(path));

cleanup:
    return status;
}

typedef struct arguments {
    bool job_only;
} arguments;

static const pd_option options[] = {
    {"job", 'j', PD_OPTION_FLAG, offsetof(arguments, job_only), NULL,
     .help =
         "print only the text of the job that a checkpoint was trained with; for an average, of "
         "each member's"},
    {0}};

static pd_status run(pd_comm *comm, void *values, char **operands, int count)
{
    pd_status status = PD_OK;
    const arguments *given = values;
    (void)comm;
    for (int i = 0; i < count && status == PD_OK; i++) {
        if (i > 0)
            putchar('\n');
        status = inspect(operands[i], given->job_only);
    }
    return status;
}

const pd_command pd_command_inspect = {
    .name = "inspect",
    .summary = "describe data sets and checkpoints",
    .description = "Describes the contents of data sets, checkpoints and averages of several "
                   "checkpoints.",
    .examples = "pneumo-dist inspect data/chest_xray.h5 runs/cnn-deep/best.h5\n"
                "pneumo-dist inspect --job runs/cnn-deep/best.h5 > jobs/again.ini",
    .operands = {{"FILE", PD_COMPLETE_FILES, .repeated = true}},
    .options = options,
    .options_size = sizeof(arguments),
    .run = run,
    .one_rank = true,
};
