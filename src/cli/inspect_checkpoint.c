#include "inspect.h"

#include "pneumo/base/text.h"
#include "pneumo/io/checkpoint.h"
#include "pneumo/io/ensemble.h"
#include "pneumo/train/setup.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { HISTORY_ROWS = 10 };

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
    if (pd_checkpoint_is_import(checkpoint))
        pd_inspect_text("test fold",
                        "evaluations are not counted: the data set of the training is unknown");
    else
        printf("  %-14s evaluated %" PRId64 " time%s\n", "test fold", checkpoint->test_looks,
               pd_text_plural(checkpoint->test_looks));
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
    printf("  %-14s %" PRId64 " epoch%s", "trained", checkpoint->state.epoch,
           pd_text_plural(checkpoint->state.epoch));
    if (checkpoint->state.epoch_step > 0)
        printf(" and %" PRId64 " step%s of the next", checkpoint->state.epoch_step,
               pd_text_plural(checkpoint->state.epoch_step));
    printf(", %" PRId64 " step%s in all; %s\n", checkpoint->state.step,
           pd_text_plural(checkpoint->state.step),
           checkpoint->state.finished ? "finished" : "not finished");
    if (isnan(checkpoint->state.best_metric))
        pd_inspect_text("best", "none yet");
    else
        printf("  %-14s %.4f in epoch %" PRId64 "\n", "best", checkpoint->state.best_metric,
               checkpoint->state.best_epoch);
    if (checkpoint->has_decision)
        print_decision(checkpoint);
    else
        pd_inspect_text("threshold", "none yet");
}

static void print_input(const pd_checkpoint *checkpoint)
{
    char scaling[160];
    const pd_input *input = &checkpoint->input;
    if (!checkpoint->has_input)
        return;
    pd_input_describe(scaling, sizeof scaling, input);
    printf("  %-14s %d x %d x %d, %s\n", "input", input->size, input->size, input->channels,
           scaling);
}

static void print_profile(const pd_checkpoint *checkpoint)
{
    const pd_profile *profile = &checkpoint->profile;
    if (!checkpoint->has_profile) {
        pd_inspect_text("profile", "none: images unlike the training images are not detected");
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

static void print_seed(const pd_checkpoint *checkpoint)
{
    if (pd_checkpoint_is_import(checkpoint)) {
        pd_inspect_text("seed", "unknown");
        pd_inspect_text("lanes", "unknown");
        return;
    }
    printf("  %-14s %" PRIu64 "\n", "seed", checkpoint->state.seed);
    printf("  %-14s %" PRId64 "\n", "lanes", checkpoint->state.lanes);
}

static void print_slots(const pd_checkpoint *checkpoint)
{
    if (checkpoint->arrays.slot_count == 0)
        pd_inspect_text("optimiser", "no slots");
    for (int i = 0; i < checkpoint->arrays.slot_count; i++) {
        const pd_slot *slot = &checkpoint->arrays.slots[i];
        int64_t size = 0;
        for (int a = 0; a < slot->count; a++)
            size += array_size(&slot->arrays[a]);
        printf("  %-14s %s, %" PRId64 " numbers\n", i == 0 ? "optimiser" : "", slot->name, size);
    }
}

static void print_frozen(const pd_checkpoint *checkpoint)
{
    char text[PD_SETUP_FROZEN];
    if (pd_setup_frozen_checkpoint(text, checkpoint) != PD_OK)
        printf("  %-14s unknown: %s\n", "frozen", pd_error_message());
    else if (text[0] != '\0')
        pd_inspect_text("frozen", text);
}

static void print_job(const char *job)
{
    size_t length = strlen(job);
    fputs(job, stdout);
    if (length > 0 && job[length - 1] != '\n')
        putchar('\n');
}

pd_status pd_inspect_checkpoint(const char *path, bool job_only)
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
    pd_inspect_heading(path, "checkpoint");
    pd_inspect_text("job", checkpoint->job_name);
    pd_inspect_text("model", checkpoint->model);
    printf("  %-14s %d with weights\n", "layers", checkpoint->arrays.layer_count);
    printf("  %-14s %" PRId64 "\n", "parameters", parameters);
    print_input(checkpoint);
    print_frozen(checkpoint);
    print_progress(checkpoint);
    print_seed(checkpoint);
    print_profile(checkpoint);
    print_slots(checkpoint);
    pd_inspect_text("data digest", checkpoint->data_digest);
    pd_inspect_text("written by", checkpoint->version);
    print_weights(checkpoint);
    print_history(checkpoint);

cleanup:
    pd_checkpoint_destroy(&checkpoint);
    return status;
}

pd_status pd_inspect_ensemble(const char *path, bool job_only)
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
    pd_inspect_heading(path, "average of several checkpoints");
    printf("  %-14s %d\n", "members", ensemble->count);
    printf("  %-14s %" PRId64 "\n", "parameters", parameters);
    print_decision(&ensemble->whole);
    pd_inspect_text("data digest", ensemble->whole.data_digest);
    pd_inspect_text("written by", ensemble->whole.version);
    print_members(ensemble);

cleanup:
    pd_ensemble_destroy(&ensemble);
    return status;
}
