/* Whole runs of one rank on a few synthetic images: errors before the start, what resuming
 * restores, and what a failed save leaves. */
#include "pneumo/base/log.h"
#include "pneumo/base/stop.h"
#include "pneumo/comm/comm.h"
#include "pneumo/evaluate/evaluate.h"
#include "pneumo/io/file.h"
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
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "io/files.h"
#include "train/small_data.h"

#define FOLDER "train-train"

static pd_comm *comm;
static pd_train_result result; /* of the last training */

/* Everything that a checkpoint must keep: moving statistics and averages, dropout, augmentation,
 * and images so easy that the plateau and the patience run out. */
static const char job_text[] =
    "[data]\nfile = " FOLDER "/data.h5\nsize = 16\nbalance = oversample\n"
    "[model]\nname = cnn-deep\nwidth = 0.1\ndropout = 0.2\n"
    "[train]\nepochs = 12\nepoch_images = 24\nbatch = 8\nlanes = 4\n"
    "learning_rate = 1e-2\nplateau_epochs = 1\npatience = 2\nema = 0.5\n"
    "[augment]\nflip = yes\nrotate = 10\n";

static pd_status train_with(const char *folder, bool resume, const char *const *overrides,
                            int override_count)
{
    pd_job job;
    assert_int_equal(pd_job_parse(&job, "small", job_text, overrides, override_count), PD_OK);
    const pd_run_options options = {
        .comm = comm, .job = &job, .folder = folder, .resume = resume, .threads = 1};
    free(result.history);
    return pd_train(&options, &result);
}

static pd_status train(const char *folder, bool resume)
{
    return train_with(folder, resume, NULL, 0);
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

/* A threshold requires both classes: an error at the start, not after an epoch. */
static void test_validation_fold_of_one_class(void **state)
{
    (void)state;
    for (int label = 0; label < PD_LABELS; label++) {
        write_data(FOLDER "/data.h5", (pd_label)label, 1);
        assert_int_equal(train(FOLDER "/run", false), PD_FAILED);
        assert_message("data.h5: the validation fold has");
        assert_message(label == PD_NORMAL ? " 16 normal and 0 pneumonia images"
                                          : " 0 normal and 16 pneumonia images");
        assert_int_equal(result.epochs, 0);
    }
}

static void test_existing_run_is_kept(void **state)
{
    (void)state;
    assert_int_equal(train(FOLDER "/run", false), PD_OK);
    pd_checkpoint *last = load(FOLDER "/run/last.h5");
    assert_true(last->state.finished && last->state.epoch < 12); /* by its patience */
    assert_true(last->state.learning_scale < 1);
    int64_t epochs = last->state.epoch;
    assert_int_equal(result.epochs, epochs);
    assert_string_equal(last->version, PNEUMO_VERSION);
    /* The result has all epochs, the best checkpoint those up to its own. */
    pd_checkpoint *best = load(FOLDER "/run/best.h5");
    assert_true(best->state.history_count < epochs);
    assert_int_equal(result.history_count, epochs);
    assert_int_equal(result.history[epochs - 1].epoch, epochs);
    pd_checkpoint_destroy(&best);
    pd_checkpoint_destroy(&last);

    bytes before = slurp(FOLDER "/run/last.h5");
    assert_int_equal(train(FOLDER "/run", false), PD_FAILED);
    assert_message("train-train/run already contains a run");
    assert_int_equal(train(FOLDER "/run", true), PD_OK);
    assert_int_equal(result.epochs, epochs);
    bytes after = slurp(FOLDER "/run/last.h5");
    assert_int_equal(after.size, before.size);
    assert_memory_equal(after.data, before.data, before.size);
    free(before.data);
    free(after.data);
}

/* last.h5 is written last: resuming repeats a save that failed or was killed. */
static void test_failed_save_is_made_good(void **state)
{
    (void)state;
    assert_int_equal(train(FOLDER "/alone", false), PD_OK);
    assert_int_equal(pd_folder_make(FOLDER "/run/history.csv"), PD_OK);
    assert_int_equal(train(FOLDER "/run", false), PD_FAILED);
    assert_message("history.csv");
    assert_false(pd_file_exists(FOLDER "/run/last.h5"));
    assert_int_equal(rmdir(FOLDER "/run/history.csv"), 0);
    assert_int_equal(train(FOLDER "/run", true), PD_OK);
    assert_same_file(FOLDER "/alone/history.csv", FOLDER "/run/history.csv");
    assert_same_file(FOLDER "/alone/last.h5", FOLDER "/run/last.h5");
}

/* Counters that no run writes are an error. */
static void test_resume_refuses_impossible_counters(void **state)
{
    (void)state;
    assert_int_equal(train(FOLDER "/run", false), PD_OK);
    pd_checkpoint *last = load(FOLDER "/run/last.h5");
    const pd_train_state good = last->state;
    const pd_train_state bad[] = {
        {.epoch = 12},                                     /* all epochs, but not finished */
        {.epoch = good.epoch - 1},                         /* not that of the history */
        {.epoch = good.epoch, .epoch_step = 4},            /* an epoch has 3 */
        {.epoch = good.epoch, .step = 3 * good.epoch + 2}, /* not that of the epoch */
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        last->state.finished = false;
        last->state.epoch = bad[i].epoch;
        last->state.epoch_step = bad[i].epoch_step;
        last->state.step = bad[i].step > 0 ? bad[i].step : 3 * bad[i].epoch + bad[i].epoch_step;
        assert_int_equal(pd_checkpoint_save(FOLDER "/run/last.h5", last), PD_OK);
        assert_int_equal(train(FOLDER "/run", true), PD_FAILED);
        assert_message("run/last.h5: its counts of epochs and steps do not fit the job");
    }
    pd_checkpoint_destroy(&last);
}

/* The report says so if a model is evaluated on other data than those it was chosen on. */
static void test_evaluation_on_other_data(void **state)
{
    (void)state;
    pd_evaluation *evaluation;
    assert_int_equal(train(FOLDER "/run", false), PD_OK);
    write_data(FOLDER "/other.h5", PD_LABELS, 2);
    const char *const checkpoints[] = {FOLDER "/run/best.h5"};
    for (int other = 0; other < 2; other++) {
        const pd_evaluate_options options = {.checkpoints = checkpoints,
                                             .checkpoint_count = 1,
                                             .data = other ? FOLDER "/other.h5" : NULL,
                                             .test = true,
                                             .threads = 1};
        assert_int_equal(pd_evaluate(&evaluation, comm, &options), PD_OK);
        assert_int_equal(pd_evaluation_results(evaluation)->other_data, other);
        pd_evaluation_destroy(&evaluation);
    }
}

/* A checkpoint from within an epoch has the threshold of an earlier step, unless it was calibrated
 * afterwards. */
static void test_evaluation_within_an_epoch(void **state)
{
    (void)state;
    pd_identity images[] = {{{1}}, {{2}}};
    assert_int_equal(train(FOLDER "/run", false), PD_OK);
    pd_checkpoint *last = load(FOLDER "/run/last.h5");
    last->state.epoch_step = 1;
    const char *const checkpoints[] = {FOLDER "/within.h5"};
    const pd_evaluate_options options = {
        .checkpoints = checkpoints, .checkpoint_count = 1, .val = true, .threads = 1};
    for (int calibrated = 0; calibrated < 2; calibrated++) {
        pd_evaluation *evaluation;
        if (calibrated)
            last->site = (pd_site){.normal = 1,
                                   .pneumonia = 1,
                                   .image_height = 16,
                                   .image_width = 16,
                                   .count = 2,
                                   .images = images};
        assert_int_equal(pd_checkpoint_save(checkpoints[0], last), PD_OK);
        assert_int_equal(pd_evaluate(&evaluation, comm, &options), PD_OK);
        assert_int_equal(pd_evaluation_results(evaluation)->other_threshold, !calibrated);
        pd_evaluation_destroy(&evaluation);
    }
    last->site = (pd_site){.count = 0};
    pd_checkpoint_destroy(&last);
}

/* A run that stops after every step, from before the first decision on, gives the same result. The
 * signal stays set in the tests after this one. */
static void test_resume_after_every_step(void **state)
{
    (void)state;
    assert_int_equal(train(FOLDER "/alone", false), PD_OK);
    pd_checkpoint *last = load(FOLDER "/alone/last.h5");
    pd_stop_listen(_exit, NULL);
    pd_stop_defer("stopping");
    raise(SIGUSR1);
    int64_t pieces = 1;
    pd_status status;
    while ((status = train(FOLDER "/pieces", true)) == PD_STOPPED)
        pieces++;
    assert_int_equal(status, PD_OK);
    assert_int_equal(pieces, last->state.step + 1); /* the last one only validates */
    assert_same_file(FOLDER "/alone/last.h5", FOLDER "/pieces/last.h5");
    assert_same_file(FOLDER "/alone/best.h5", FOLDER "/pieces/best.h5");
    assert_same_file(FOLDER "/alone/history.csv", FOLDER "/pieces/history.csv");
    pd_checkpoint_destroy(&last);
}

/* Saved after every step, last.h5 holds finite weights even if the next step fails. Here a step
 * multiplies them by about a million, so that they overflow before the loss does. */
static void test_overflowing_weights_are_not_saved(void **state)
{
    (void)state;
    const char *overrides[] = {
        "model.name=dense1", "train.optimizer=sgd",      "train.momentum=0",       "train.ema=0",
        "regularise.l2=500", "train.learning_rate=1000", "train.schedule=constant"};
    pd_status status;
    do
        status = train_with(FOLDER "/run", true, overrides, 7);
    while (status == PD_STOPPED);
    assert_int_equal(status, PD_FAILED);
    assert_message("a weight is not finite, so nothing is saved");
    pd_checkpoint *last = load(FOLDER "/run/last.h5");
    assert_true(last->state.step > 1);
    for (int i = 0; i < last->arrays.weight_count; i++) {
        const pd_array *array = &last->arrays.weights[i];
        int64_t size = 1;
        for (int j = 0; j < array->rank; j++)
            size *= array->dims[j];
        for (int64_t j = 0; j < size; j++)
            assert_true(isfinite(array->data[j]));
    }
    pd_checkpoint_destroy(&last);
}

/* --- last.h5 that cannot be read --- */

static void cut_short(const char *path)
{
    bytes whole = slurp(path);
    spill(path, whole.data, whole.size / 2);
    free(whole.data);
}

static void copy_file(const char *from, const char *to)
{
    bytes whole = slurp(from);
    spill(to, whole.data, whole.size);
    free(whole.data);
}

/* In any number of pieces. */
static pd_status train_to_the_end(const char *folder)
{
    pd_status status;
    do
        status = train(folder, true);
    while (status == PD_STOPPED);
    return status;
}

/* Stopped after every step, and with last.h5 damaged every other time once there are two: the run
 * continues from the previous checkpoint, to the same result, although best.h5 is newer at the end
 * of an epoch. */
static void test_fallback_after_every_step(void **state)
{
    (void)state;
    int fallbacks = 0;
    assert_int_equal(train_to_the_end(FOLDER "/alone"), PD_OK);
    pd_checkpoint *last = load(FOLDER "/alone/last.h5");
    pd_status status;
    for (int i = 0; (status = train(FOLDER "/pieces", true)) == PD_STOPPED; i++) {
        if (i % 2 == 0)
            continue;
        cut_short(FOLDER "/pieces/last.h5");
        fallbacks++;
    }
    assert_int_equal(status, PD_OK);
    assert_int_equal(fallbacks, last->state.step - 1);
    assert_same_file(FOLDER "/alone/last.h5", FOLDER "/pieces/last.h5");
    assert_same_file(FOLDER "/alone/best.h5", FOLDER "/pieces/best.h5");
    assert_same_file(FOLDER "/alone/history.csv", FOLDER "/pieces/history.csv");
    pd_checkpoint_destroy(&last);
}

/* previous.h5 alone is a run, too: not overwritten, and continued. Nor is best.h5 alone. */
static void test_part_of_a_run_is_kept(void **state)
{
    (void)state;
    assert_int_equal(train(FOLDER "/run", false), PD_OK);
    assert_int_equal(rename(FOLDER "/run/last.h5", FOLDER "/last.h5"), 0);
    assert_int_equal(train(FOLDER "/run", false), PD_FAILED);
    assert_message("train-train/run already contains a run");
    assert_int_equal(train(FOLDER "/run", true), PD_OK);
    assert_same_file(FOLDER "/last.h5", FOLDER "/run/last.h5");

    copy_file(FOLDER "/run/best.h5", FOLDER "/best.h5");
    assert_int_equal(unlink(FOLDER "/run/last.h5"), 0);
    unlink(FOLDER "/run/previous.h5");
    assert_int_equal(train(FOLDER "/run", false), PD_FAILED);
    assert_message("train-train/run already contains the best.h5 of a run: move it elsewhere");
    assert_same_file(FOLDER "/best.h5", FOLDER "/run/best.h5");
    assert_int_equal(train(FOLDER "/run", true), PD_FAILED);
    assert_message("train-train/run contains the best.h5 of epoch");
    assert_same_file(FOLDER "/best.h5", FOLDER "/run/best.h5");
}

/* Until there is a valid last.h5 again, previous.h5 is the only checkpoint: a damaged last.h5 must
 * not replace it, even if saves fail in between. */
static void test_previous_outlives_a_damaged_last(void **state)
{
    (void)state;
    assert_int_equal(train(FOLDER "/run", false), PD_OK);
    copy_file(FOLDER "/run/last.h5", FOLDER "/last.h5");
    copy_file(FOLDER "/run/previous.h5", FOLDER "/previous.h5");
    cut_short(FOLDER "/run/last.h5");
    assert_int_equal(unlink(FOLDER "/run/history.csv"), 0);
    assert_int_equal(pd_folder_make(FOLDER "/run/history.csv"), PD_OK);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(train(FOLDER "/run", true), PD_FAILED);
        assert_message("history.csv");
        assert_same_file(FOLDER "/previous.h5", FOLDER "/run/previous.h5");
    }
    assert_int_equal(rmdir(FOLDER "/run/history.csv"), 0);
    assert_int_equal(train(FOLDER "/run", true), PD_OK);
    assert_same_file(FOLDER "/last.h5", FOLDER "/run/last.h5");
    assert_same_file(FOLDER "/previous.h5", FOLDER "/run/previous.h5");

    cut_short(FOLDER "/run/last.h5");
    cut_short(FOLDER "/run/previous.h5");
    assert_int_equal(train(FOLDER "/run", true), PD_FAILED);
    assert_message("run/last.h5: is damaged or cut short");
    assert_message(
        "; the previous checkpoint failed, too: train-train/run/previous.h5: is damaged");
    assert_message("; or copy train-train/run/best.h5 over train-train/run/last.h5");
}

/* The second rank's last.h5 is damaged: both continue from previous.h5, to the same result. */
static pd_status fall_back_together(void)
{
    struct stat before = {0}, after = {0};
    if (train(FOLDER "/run", false) != PD_OK)
        return PD_FAILED;
    if (pd_comm_rank(comm) == 0) {
        assert_int_equal(stat(FOLDER "/run/last.h5", &before), 0);
        copy_file(FOLDER "/run/last.h5", FOLDER "/last.h5");
        assert_int_equal(pd_folder_make(FOLDER "/elsewhere"), PD_OK);
        copy_file(FOLDER "/run/last.h5", FOLDER "/elsewhere/last.h5");
        copy_file(FOLDER "/run/previous.h5", FOLDER "/elsewhere/previous.h5");
        cut_short(FOLDER "/elsewhere/last.h5");
    }
    pd_comm_barrier(comm);
    pd_status status = train(pd_comm_rank(comm) == 0 ? FOLDER "/run" : FOLDER "/elsewhere", true);
    if (pd_comm_rank(comm) == 0) {
        assert_int_equal(stat(FOLDER "/run/last.h5", &after), 0);
        assert_true(after.st_ino != before.st_ino); /* written again */
    }
    assert_same_file(FOLDER "/last.h5", FOLDER "/run/last.h5");
    return status;
}

/* The second rank starts with one weight that differs by a bit. The audit detects it after a step,
 * if so set, or else before the run is saved. */
static pd_status start_with_odd_weight(void)
{
    char when[64], audit[32];
    const char *overrides[] = {audit};
    const char *folder = pd_comm_rank(comm) == 0 ? FOLDER "/run" : FOLDER "/elsewhere";
    pd_status status = train(FOLDER "/run", false);
    pd_checkpoint *previous = load(FOLDER "/run/previous.h5");
    if (pd_comm_rank(comm) == 0) {
        copy_file(FOLDER "/run/previous.h5", FOLDER "/run/last.h5");
        assert_int_equal(pd_folder_make(FOLDER "/elsewhere"), PD_OK);
        ((unsigned char *)previous->arrays.weights[0].data)[2] ^=
            1; /* a lower bit would be lost by rounding */
        assert_int_equal(pd_checkpoint_save(FOLDER "/elsewhere/last.h5", previous), PD_OK);
    }
    for (int each_step = 0; each_step < 2; each_step++) {
        pd_comm_barrier(comm);
        snprintf(audit, sizeof audit, "run.audit_steps=%d", each_step ? 1 : 1000);
        status = train_with(folder, true, overrides, 1);
        snprintf(when, sizeof when, ": epoch %d, %s: this rank's ", (int)previous->state.epoch + 1,
                 each_step ? "step 1" : "saving");
        assert_message(when);
        assert_same_file(FOLDER "/run/last.h5", FOLDER "/run/previous.h5");
    }
    pd_checkpoint_destroy(&previous);
    return status;
}

/* The second rank finds an older last.h5, or none, where rank 0 finds one. */
static pd_status start_apart(bool older)
{
    if (train(FOLDER "/run", false) != PD_OK)
        return PD_OK;
    if (pd_comm_rank(comm) == 0 && older) {
        assert_int_equal(pd_folder_make(FOLDER "/elsewhere"), PD_OK);
        copy_file(FOLDER "/run/previous.h5", FOLDER "/elsewhere/last.h5");
    }
    pd_comm_barrier(comm);
    return train(pd_comm_rank(comm) == 0 ? FOLDER "/run" : FOLDER "/elsewhere", true);
}

/* Damages every image of the train fold. */
static void damage_images(const char *path)
{
    pd_dataset *dataset;
    uint8_t image[SIDE * SIDE];
    bytes file = slurp(path);
    assert_int_equal(pd_dataset_open(&dataset, path), PD_OK);
    for (int64_t i = 0; i < IMAGES; i++) {
        if (pd_dataset_samples(dataset)[i].fold != PD_TRAIN)
            continue;
        assert_int_equal(pd_dataset_read(dataset, &i, 1, image), PD_OK);
        unsigned char *at = memmem(file.data, file.size, image, sizeof image);
        assert_non_null(at);
        *at ^= 1;
    }
    pd_dataset_destroy(&dataset);
    spill(path, file.data, file.size);
    free(file.data);
}

/* Both ranks continue a run and stream its images, which are damaged for rank 0 only: it fails
 * alone, in a step. */
static pd_status read_alone(void)
{
    const char *overrides[] = {"run.images=stream"};
    if (train(FOLDER "/run", false) != PD_OK)
        return PD_FAILED;
    if (pd_comm_rank(comm) == 0) {
        copy_file(FOLDER "/run/previous.h5", FOLDER "/run/last.h5");
        assert_int_equal(pd_folder_make(FOLDER "/other/" FOLDER), PD_OK);
        copy_file(FOLDER "/data.h5", FOLDER "/other/" FOLDER "/data.h5");
        assert_int_equal(rename(FOLDER "/run/previous.h5", FOLDER "/other/last.h5"), 0);
        damage_images(FOLDER "/data.h5");
    }
    pd_comm_barrier(comm);
    if (pd_comm_rank(comm) == 0)
        return train_with(FOLDER "/run", true, overrides, 1);
    assert_int_equal(chdir(FOLDER "/other"), 0);
    return train_with(".", true, overrides, 1);
}

/* What test_ranks.sh runs on two ranks: both must end, with a message. */
static int run_on_ranks(const char *how)
{
    char seed[32];
    const char *overrides[] = {seed};
    join(NULL);
    int rank = pd_comm_rank(comm);
    if (rank == 0)
        setup(NULL);
    pd_comm_barrier(comm);
    pd_status status = PD_OK;
    snprintf(seed, sizeof seed, "run.seed=%d", rank);
    if (strcmp(how, "job") == 0)
        status = train_with(FOLDER "/run", false, overrides, 1);
    else if (strcmp(how, "alone") == 0)
        status = read_alone();
    else if (strcmp(how, "fallback") == 0)
        status = fall_back_together();
    else if (strcmp(how, "odd") == 0)
        status = start_with_odd_weight();
    else
        status = start_apart(strcmp(how, "older") == 0);
    printf("rank %d: %s\n", rank, pd_error_message());
    leave(NULL);
    return status == PD_FAILED ? 3 : 0;
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return run_on_ranks(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_validation_fold_of_one_class, setup),
        cmocka_unit_test_setup(test_existing_run_is_kept, setup),
        cmocka_unit_test_setup(test_failed_save_is_made_good, setup),
        cmocka_unit_test_setup(test_previous_outlives_a_damaged_last, setup),
        cmocka_unit_test_setup(test_part_of_a_run_is_kept, setup),
        cmocka_unit_test_setup(test_resume_refuses_impossible_counters, setup),
        cmocka_unit_test_setup(test_evaluation_on_other_data, setup),
        cmocka_unit_test_setup(test_evaluation_within_an_epoch, setup),
        cmocka_unit_test_setup(test_resume_after_every_step, setup),
        cmocka_unit_test_setup(test_fallback_after_every_step, setup),
        cmocka_unit_test_setup(test_overflowing_weights_are_not_saved, setup),
    };
    return cmocka_run_group_tests(tests, join, leave);
}
