/* Fine-tuning: what stays and what moves while layers are frozen; two stages and other numbers of
 * epochs, through stops and resumes. */
#include "pneumo/base/log.h"
#include "pneumo/base/stop.h"
#include "pneumo/comm/comm.h"
#include "pneumo/train/benchmark.h"
#include "pneumo/train/footprint.h"
#include "pneumo/train/setup.h"
#include "pneumo/train/train.h"

#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "io/files.h"
#include "train/small_data.h"

#define FOLDER "train-finetune"

static pd_comm *comm;
static pd_train_result result; /* of the last training */

/* Every slot of an optimiser: momentum, variance, average, its state, and start. */
static const char job_text[] =
    "[data]\nfile = " FOLDER "/data.h5\nsize = 16\n"
    "[model]\nname = cnn-deep\nwidth = 0.1\ndropout = 0.2\nfreeze = block3\n"
    "[train]\nepochs = 5\nunfreeze_epoch = 3\nepoch_images = 24\nbatch = 8\nlanes = 4\n"
    "optimizer = rmsprop\nlearning_rate = 1e-3\nrate_decay = 0.7\nema = 0.9\n"
    "plateau_epochs = 1\nmonitor = loss\n"
    "[regularise]\nl2_sp = 0.01\nl2 = 0.001\n"
    "[augment]\nflip = yes\nrotate = 10\n";

enum { STEPS = 3, OVERRIDES = 8 }; /* steps of an epoch */

static const char no_override[] = "train.epochs=5";

static void parse(pd_job *job, const char *const *overrides)
{
    int count = 0;
    while (overrides[count] != NULL)
        count++;
    if (pd_job_parse(job, "small", job_text, overrides, count) != PD_OK)
        fail_msg("%s", pd_error_message());
}

static pd_status train(const char *folder, bool resume, const char *const *overrides)
{
    pd_job job;
    parse(&job, overrides);
    const pd_run_options options = {.comm = comm,
                                    .job = &job,
                                    .folder = folder,
                                    .resume = resume,
                                    .extend = resume,
                                    .threads = 1};
    free(result.history);
    return pd_train(&options, &result);
}

static void train_well(const char *folder, bool resume, const char *const *overrides)
{
    if (train(folder, resume, overrides) != PD_OK)
        fail_msg("%s", pd_error_message());
}

static int join(void **state)
{
    (void)state;
    pd_log_set_quiet(true);
    return pd_comm_create(&comm);
}

static int leave(void **state)
{
    (void)state;
    free(result.history);
    pd_comm_destroy(&comm);
    return 0;
}

static int setup(void **state)
{
    (void)state;
    fresh_folder(FOLDER);
    write_data(FOLDER "/data.h5", PD_LABELS, 1);
    return 0;
}

static pd_checkpoint *load(const char *path)
{
    pd_checkpoint *loaded;
    if (pd_checkpoint_load(&loaded, path) != PD_OK)
        fail_msg("%s", pd_error_message());
    return loaded;
}

/* The step of a job, with the weights that a run of it starts with. */
static void set_up(pd_step *step, const char *const *overrides, pd_job *job)
{
    static pd_dataset_info info;
    pd_dataset *dataset;
    parse(job, overrides);
    assert_int_equal(pd_setup_dataset(&dataset, job), PD_OK);
    info = *pd_dataset_get_info(dataset);
    pd_dataset_destroy(&dataset);
    if (pd_step_set_up(step, comm, job, &info, 1) != PD_OK)
        fail_msg("%s", pd_error_message());
}

/* Compares the checkpoint's arrays with those that the run started with: frozen layers' are the
 * same, others' are not, and only these have slots. Returns the number of frozen arrays. */
static int compare_with_start(const char *path, const char *const *overrides)
{
    pd_checkpoint *last = load(path);
    pd_step step;
    pd_job job;
    int frozen = 0;
    set_up(&step, overrides, &job);
    for (int i = 0; i < pd_network_tensor_count(step.network); i++) {
        const pd_tensor *tensor = pd_network_tensor(step.network, i);
        const char *layer = tensor->layer->name, *weight = tensor->param->name;
        const pd_array *array =
            pd_array_find(last->arrays.weights, last->arrays.weight_count, layer, weight);
        assert_non_null(array);
        bool same =
            memcmp(array->data, tensor->param->value, tensor->size * sizeof *array->data) == 0;
        if (same != tensor->layer->frozen)
            fail_msg("%s/%s: %s", layer, weight, same ? "has not moved" : "has moved");
        frozen += tensor->layer->frozen;
        for (int j = 0; j < last->arrays.slot_count; j++) {
            const pd_slot *slot = &last->arrays.slots[j];
            bool of_state = strcmp(slot->name, "live_state") == 0;
            bool has = pd_array_find(slot->arrays, slot->count, layer, weight) != NULL;
            bool head = strcmp(layer, "predictions") == 0 && strcmp(slot->name, "start") == 0;
            assert_int_equal(has, !tensor->layer->frozen && !head &&
                                      of_state != tensor->param->trainable);
        }
    }
    pd_step_tear_down(&step);
    pd_checkpoint_destroy(&last);
    return frozen;
}

static void test_frozen_arrays_stay(void **state)
{
    (void)state;
    static const char *const names[] = {"block1", "block4_conv1", "base"};
    static const int frozen[] = {10, 31, 50};
    for (int i = 0; i < 3; i++) {
        char freeze[64], folder[64], path[96];
        snprintf(freeze, sizeof freeze, "model.freeze=%s", names[i]);
        snprintf(folder, sizeof folder, FOLDER "/%s", names[i]);
        snprintf(path, sizeof path, "%s/last.h5", folder);
        const char *overrides[] = {freeze, "train.unfreeze_epoch=0", "train.epochs=2", NULL};
        train_well(folder, false, overrides);
        assert_int_equal(compare_with_start(path, overrides), frozen[i]);
    }
}

static void test_unknown_layer(void **state)
{
    (void)state;
    const char *overrides[] = {"model.freeze=blok3", NULL};
    assert_int_equal(train(FOLDER "/run", false, overrides), PD_FAILED);
    assert_message("cannot freeze up to 'blok3': the network has no such layer or "
                   "block; did you mean 'block3'?");
    assert_false(pd_file_exists(FOLDER "/run"));
}

/* After unfreezing, the gradient is that of a network that was never frozen. */
static void test_unfrozen_step(void **state)
{
    (void)state;
    const char *never[] = {"model.freeze=", "train.unfreeze_epoch=0", NULL};
    const char *none[] = {no_override, NULL};
    pd_step step, whole;
    pd_job job, whole_job;
    pd_dataset *dataset;
    double loss, wanted_loss;
    const float *gradient, *wanted;
    set_up(&step, none, &job);
    set_up(&whole, never, &whole_job);
    assert_true(pd_network_gradient_count(step.network) < pd_network_gradient_count(whole.network));
    assert_int_equal(pd_setup_dataset(&dataset, &job), PD_OK);
    assert_int_equal(pd_step_unfreeze(&step, 6), PD_OK);
    size_t count = pd_network_gradient_count(step.network);
    assert_int_equal(count, pd_network_gradient_count(whole.network));
    pd_benchmark_fill(&step);
    pd_benchmark_fill(&whole);
    assert_int_equal(pd_step_gradient(&step, 6, &loss, &gradient), PD_OK);
    assert_int_equal(pd_step_gradient(&whole, 6, &wanted_loss, &wanted), PD_OK);
    assert_true(loss == wanted_loss);
    assert_memory_equal(gradient, wanted, count * sizeof *gradient);
    pd_dataset_destroy(&dataset);
    pd_step_tear_down(&step);
    pd_step_tear_down(&whole);
}

/* The memory of the stage that takes more. */
static void test_footprint_of_two_stages(void **state)
{
    (void)state;
    const char *two[] = {no_override, NULL};
    const char *frozen[] = {"train.unfreeze_epoch=0", NULL};
    const char *whole[] = {"train.unfreeze_epoch=0", "model.freeze=", NULL};
    const char *const *all[] = {two, frozen, whole};
    pd_footprint plans[3];
    pd_dataset *dataset;
    pd_job job;
    for (int i = 0; i < 3; i++) {
        parse(&job, all[i]);
        assert_int_equal(pd_comm_set_lanes(comm, job.sampling.lanes), PD_OK);
        assert_int_equal(pd_setup_dataset(&dataset, &job), PD_OK);
        assert_int_equal(pd_footprint_plan(&plans[i], comm, &job, pd_dataset_get_info(dataset), 1),
                         PD_OK);
        pd_dataset_destroy(&dataset);
    }
    assert_true(plans[0].total == plans[2].total);
    assert_true(plans[1].network < plans[2].network && plans[1].optimizer < plans[2].optimizer &&
                plans[1].reduction < plans[2].reduction && plans[1].file < plans[2].file);
}

/* The epochs of the first stage do not count for the patience. */
static void test_patience_begins_with_the_last_stage(void **state)
{
    (void)state;
    /* Nothing improves: there are no moving statistics, and the weights do not move. */
    const char *overrides[] = {"train.epochs=9",     "train.unfreeze_epoch=5",
                               "train.patience=1",   "train.learning_rate=1e-30",
                               "train.ema=0",        "model.name=cnn",
                               "model.freeze=conv2", NULL};
    train_well(FOLDER "/run", false, overrides);
    assert_int_equal(result.epochs, 5);
}

/* --- Other numbers of epochs --- */

/* A constant schedule makes an extended run equal to one that had all epochs from the start. */
static void test_more_epochs(void **state)
{
    (void)state;
    const char *two[] = {"train.epochs=4", "train.schedule=constant", NULL};
    const char *all[] = {"train.epochs=6", "train.schedule=constant", NULL};
    const char *cosine[] = {"train.epochs=6", "train.schedule=cosine", NULL};
    train_well(FOLDER "/alone", false, all);
    train_well(FOLDER "/run", false, two);
    assert_int_equal(result.epochs, 4);
    assert_int_equal(train(FOLDER "/run", true, cosine), PD_FAILED);
    assert_message("made by another job ('schedule = constant' there, 'schedule = cosine' now)");
    train_well(FOLDER "/run", true, all);
    assert_int_equal(result.epochs, 6);
    assert_same_file(FOLDER "/alone/last.h5", FOLDER "/run/last.h5");
    assert_same_file(FOLDER "/alone/history.csv", FOLDER "/run/history.csv");
}

/* With other schedules the rest of the run has the rates of a run of all epochs. */
static void test_schedule_of_more_epochs(void **state)
{
    (void)state;
    const char *four[] = {"train.epochs=4", "train.plateau_epochs=0", NULL};
    const char *six[] = {"train.epochs=6", "train.plateau_epochs=0", NULL};
    pd_job job;
    train_well(FOLDER "/run", false, four);
    train_well(FOLDER "/run", true, six);
    pd_checkpoint *last = load(FOLDER "/run/last.h5");
    assert_true(last->state.finished);
    assert_int_equal(last->state.history_count, 6);
    for (int i = 0; i < 6; i++) {
        parse(&job, i < 4 ? four : six);
        double rate = pd_schedule_rate(&job.schedule, STEPS * (i + 1) - 1, STEPS);
        assert_true(last->state.history[i].learning_rate == rate);
    }
    assert_non_null(strstr(last->job, "epochs = 6"));
    pd_checkpoint_destroy(&last);
}

static void test_fewer_epochs(void **state)
{
    (void)state;
    const char *four[] = {"train.epochs=4", NULL}, *three[] = {"train.epochs=3", NULL};
    train_well(FOLDER "/run", false, four);
    bytes before = slurp(FOLDER "/run/last.h5");
    assert_int_equal(train(FOLDER "/run", true, three), PD_FAILED);
    assert_message("run/last.h5: it has been trained for 4 epochs, so train.epochs = 3 is too few: "
                   "set 4 or more");
    bytes after = slurp(FOLDER "/run/last.h5");
    assert_int_equal(before.size, after.size);
    assert_memory_equal(before.data, after.data, before.size);
    free(before.data);
    free(after.data);

    /* As many as it has: it is finished. */
    pd_checkpoint *last = load(FOLDER "/run/previous.h5");
    assert_int_equal(last->state.epoch, 3);
    assert_false(last->state.finished);
    assert_int_equal(rename(FOLDER "/run/previous.h5", FOLDER "/run/last.h5"), 0);
    train_well(FOLDER "/run", true, three);
    assert_int_equal(result.epochs, 3);
    pd_checkpoint_destroy(&last);
}

/* Only --resume extends a run. */
static void test_epochs_without_extend(void **state)
{
    (void)state;
    pd_job job;
    const char *four[] = {"train.epochs=4", NULL}, *five[] = {no_override, NULL};
    train_well(FOLDER "/run", false, four);
    parse(&job, five);
    const pd_run_options options = {
        .comm = comm, .job = &job, .folder = FOLDER "/run", .resume = true, .threads = 1};
    free(result.history);
    assert_int_equal(pd_train(&options, &result), PD_FAILED);
    assert_message("made by another job ('epochs = 4' there, 'epochs = 5' now)");
}

/* More epochs continue a run that has stopped early, with new patience. */
static void test_more_epochs_after_an_early_stop(void **state)
{
    (void)state;
    const char *options[] = {"train.epochs=9", "train.unfreeze_epoch=0",    "train.patience=2",
                             "train.ema=0",    "train.learning_rate=1e-30", NULL};
    train_well(FOLDER "/run", false, options);
    int64_t epochs = result.epochs;
    assert_true(epochs < 9);
    train_well(FOLDER "/run", true, options);
    assert_int_equal(result.epochs, epochs);
    options[0] = "train.epochs=10";
    train_well(FOLDER "/run", true, options);
    assert_int_equal(result.epochs, epochs + 2);
}

/* A run that ended by its number of epochs continues with the patience that it has left. */
static void test_patience_of_more_epochs(void **state)
{
    (void)state;
    /* Nothing improves after the first epoch. */
    const char *options[] = {"train.epochs=3",
                             "train.unfreeze_epoch=0",
                             "train.patience=4",
                             "train.ema=0",
                             "train.learning_rate=1e-30",
                             "model.name=cnn",
                             "model.freeze=",
                             NULL};
    train_well(FOLDER "/run", false, options);
    assert_int_equal(result.epochs, 3);
    options[0] = "train.epochs=9";
    train_well(FOLDER "/run", true, options);
    assert_int_equal(result.epochs, 5);
}

/* Keys that an earlier version did not have had their defaults. */
static void test_job_of_an_earlier_version(void **state)
{
    (void)state;
    const char *plain[] = {"model.freeze=",
                           "train.unfreeze_epoch=0",
                           "train.rate_decay=1",
                           "regularise.l2_sp=0",
                           "train.schedule=constant",
                           "train.epochs=2",
                           NULL};
    const char *more[] = {"model.freeze=",
                          "train.unfreeze_epoch=0",
                          "train.rate_decay=1",
                          "regularise.l2_sp=0",
                          "train.schedule=constant",
                          "train.epochs=3",
                          NULL};
    static const char *const keys[] = {
        "freeze = ", "unfreeze_epoch = ", "rate_decay = ", "l2_sp = "};
    train_well(FOLDER "/run", false, plain);
    pd_checkpoint *last = load(FOLDER "/run/last.h5");
    char *text = strdup(last->job);
    assert_non_null(text);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        char *at = strstr(text, keys[i]);
        assert_non_null(at);
        char *end = strchr(at, '\n') + 1;
        memmove(at, end, strlen(end) + 1);
    }
    const char *kept = last->job;
    last->job = text;
    assert_int_equal(pd_checkpoint_save(FOLDER "/run/last.h5", last), PD_OK);
    last->job = kept;
    free(text);
    pd_checkpoint_destroy(&last);
    assert_int_equal(result.epochs, 2);
    train_well(FOLDER "/run", true, more);
    assert_int_equal(result.epochs, 3);
}

/* --- Stops --- */

/* Two stages in pieces of one step give the same files; up to the switch the frozen layers stay.
 * The signal stays set in the tests after this one. */
static void test_resume_after_every_step(void **state)
{
    (void)state;
    const char *none[] = {no_override, NULL};
    int64_t pieces = 1;
    pd_status status;
    train_well(FOLDER "/alone", false, none);
    pd_stop_listen(_exit, NULL);
    pd_stop_defer("stopping");
    raise(SIGUSR1);
    while ((status = train(FOLDER "/pieces", true, none)) == PD_STOPPED) {
        if (pieces == 1 || pieces == 2 * STEPS)
            assert_int_equal(compare_with_start(FOLDER "/pieces/last.h5", none), 30);
        pieces++;
    }
    assert_int_equal(status, PD_OK);
    assert_int_equal(pieces, 5 * STEPS + 1); /* the last one only validates */
    const char *all[] = {"model.freeze=", "train.unfreeze_epoch=0", NULL};
    assert_int_equal(compare_with_start(FOLDER "/pieces/last.h5", all), 0);
    assert_same_file(FOLDER "/alone/last.h5", FOLDER "/pieces/last.h5");
    assert_same_file(FOLDER "/alone/best.h5", FOLDER "/pieces/best.h5");
    assert_same_file(FOLDER "/alone/history.csv", FOLDER "/pieces/history.csv");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_frozen_arrays_stay, setup),
        cmocka_unit_test_setup(test_unknown_layer, setup),
        cmocka_unit_test_setup(test_unfrozen_step, setup),
        cmocka_unit_test_setup(test_footprint_of_two_stages, setup),
        cmocka_unit_test_setup(test_patience_begins_with_the_last_stage, setup),
        cmocka_unit_test_setup(test_more_epochs, setup),
        cmocka_unit_test_setup(test_schedule_of_more_epochs, setup),
        cmocka_unit_test_setup(test_fewer_epochs, setup),
        cmocka_unit_test_setup(test_epochs_without_extend, setup),
        cmocka_unit_test_setup(test_more_epochs_after_an_early_stop, setup),
        cmocka_unit_test_setup(test_patience_of_more_epochs, setup),
        cmocka_unit_test_setup(test_job_of_an_earlier_version, setup),
        cmocka_unit_test_setup(test_resume_after_every_step, setup),
    };
    return cmocka_run_group_tests(tests, join, leave);
}
