/* The stress test detects a model that uses the border of images, which unchanged images do not
 * show; and its figures equal those of direct scoring. */
#include "evaluate/stress_internal.h"
#include "pneumo/base/log.h"
#include "pneumo/base/random.h"
#include "pneumo/nn/loss.h"
#include "pneumo/train/setup.h"
#include "report/verdict.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "io/files.h"

#define FOLDER "evaluate-stress"

enum { SIDE = 32, IMAGES = 96, FOLD_IMAGES = IMAGES / 2, PIXELS = SIDE * SIDE, RIM = 2 };

static pd_comm *comm;
static pd_dataset *dataset;
static pd_network *network;
static pd_job job;
static uint8_t images[IMAGES][PIXELS];
static float kernel[PIXELS];
static const float bias = -1;
static const pd_decision decision = {.threshold = 0.5, .temperature = 1, .views = 1};

static bool on_rim(int pixel)
{
    int x = pixel % SIDE, y = pixel / SIDE;
    return x < RIM || y < RIM || x >= SIDE - RIM || y >= SIDE - RIM;
}

/* Every other image is in the validation fold, a third of which are pneumonias. The classes differ
 * only at the rim. */
static void make_data(void)
{
    pd_sample samples[IMAGES];
    pd_dataset *made;
    pd_random random = pd_random_stream(1, PD_PURPOSE_TEST, 0, 0);
    pd_dataset_info info = {.count = IMAGES, .height = SIDE, .width = SIDE};
    for (int i = 0; i < IMAGES; i++) {
        pd_label label = i / 2 % 3 == 0 ? PD_PNEUMONIA : PD_NORMAL;
        samples[i] = (pd_sample){
            .label = label, .fold = i % 2 == 0 ? PD_VAL : PD_TRAIN, .patient = i, .name = "x.jpeg"};
        int rim = label == PD_PNEUMONIA ? 170 : 90;
        for (int p = 0; p < PIXELS; p++)
            images[i][p] =
                (uint8_t)((on_rim(p) ? rim : 110) + (int)pd_random_below(&random, 41) - 20);
    }
    assert_int_equal(pd_dataset_create(&made, FOLDER "/data.h5", &info, samples), PD_OK);
    info = *pd_dataset_get_info(made);
    info.mean = 120;
    info.deviation = 50;
    snprintf(info.digest, sizeof info.digest, "%032d", 1);
    assert_int_equal(pd_dataset_write(made, 0, IMAGES, images[0]), PD_OK);
    assert_int_equal(pd_dataset_finish(made, &info), PD_OK);
    pd_dataset_destroy(&made);
    assert_int_equal(pd_dataset_open(&dataset, FOLDER "/data.h5"), PD_OK);
}

/* One weight per pixel, 0 except at the rim. */
static void make_network(void)
{
    const pd_plan plan = {.lanes = 1, .lane_samples = 8, .total_lanes = 1, .threads = 2};
    pd_input input;
    assert_int_equal(pd_setup_network(&network, &input, &job, pd_dataset_get_info(dataset)), PD_OK);
    assert_int_equal(pd_network_plan(network, &plan, 0, false), PD_OK);
    for (int p = 0; p < PIXELS; p++)
        kernel[p] = on_rim(p) ? 0.05f : 0;
    assert_int_equal(pd_network_tensor_count(network), 2);
    const pd_tensor *weights = pd_network_tensor(network, 0),
                    *biases = pd_network_tensor(network, 1);
    assert_int_equal(weights->size, PIXELS);
    assert_int_equal(biases->size, 1);
    memcpy(weights->param->value, kernel, sizeof kernel);
    biases->param->value[0] = bias;
}

static int set_up(void **state)
{
    (void)state;
    pd_log_set_quiet(true);
    fresh_folder(FOLDER);
    const char text[] =
        "[data]\nsize = 32\n[model]\nname = dense1\n[train]\nbatch = 8\nlanes = 1\n";
    assert_int_equal(pd_comm_create(&comm), PD_OK);
    assert_int_equal(pd_job_parse(&job, "rim.ini", text, NULL, 0), PD_OK);
    make_data();
    make_network();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pd_network_destroy(&network);
    pd_dataset_destroy(&dataset);
    pd_comm_destroy(&comm);
    return 0;
}

/* `skip` by sample id; NULL: none. */
static pd_member make_member(const pd_dataset *data, const uint8_t *skip)
{
    return (pd_member){.options = {.job = &job,
                                   .input = pd_setup_input(&job, pd_dataset_get_info(data)),
                                   .dataset = data,
                                   .fold = PD_VAL,
                                   .skip = skip,
                                   .chunk = 8,
                                   .views = 1,
                                   .threads = 2,
                                   .hold = true},
                       .network = network,
                       .temperature = 1};
}

static pd_stress run_members(const pd_member *members, int count, size_t most)
{
    pd_stress out;
    if (pd_stress_run(&out, comm, members, count, &decision, most) != PD_OK)
        fail_msg("%s", pd_error_message());
    return out;
}

static pd_stress run_without(const uint8_t *skip, size_t most)
{
    const pd_member member = make_member(dataset, skip);
    return run_members(&member, 1, most);
}

static pd_stress run(size_t most)
{
    return run_without(NULL, most);
}

/* Log-odds of image `id` under a change, NULL: as it is. */
static double logit_by_hand(const pd_change *change, int id)
{
    uint8_t changed[PIXELS];
    double sum = (double)bias;
    memcpy(changed, images[id], PIXELS);
    if (change != NULL) {
        float *scratch = malloc(pd_change_scratch(SIDE, SIDE) * sizeof *scratch);
        const pd_grey_image image = {.height = SIDE, .width = SIDE, .pixels = images[id]};
        assert_int_equal(pd_change_apply(change, job.seed, id, &image, changed, scratch), PD_OK);
        free(scratch);
    }
    for (int p = 0; p < PIXELS; p++)
        sum += (double)kernel[p] * (changed[p] - 120.0) / 50;
    return sum;
}

static bool is_pneumonia(int id)
{
    return id / 2 % 3 == 0;
}

/* The share of pairs of a pneumonia and a normal image that are in order; ties count half. */
static double area_by_hand(const double *logits, const bool *positive, int count)
{
    double right = 0, pairs = 0;
    for (int i = 0; i < count; i++)
        for (int j = 0; j < count; j++) {
            if (!positive[i] || positive[j])
                continue;
            right += logits[i] > logits[j] ? 1 : logits[i] == logits[j] ? 0.5 : 0;
            pairs++;
        }
    return right / pairs;
}

/* The versions of an image count as one patient. */
static void check_pooled_interval(const pd_figure *pooled, const double *logits,
                                  const bool *positive)
{
    static pd_score scores[PD_CHANGES * FOLD_IMAGES];
    pd_figure expected;
    for (int i = 0; i < PD_CHANGES * FOLD_IMAGES; i++)
        scores[i] = (pd_score){.probability = pd_loss_probability(logits[i]),
                               .positive = positive[i],
                               .patient = i % FOLD_IMAGES};
    assert_int_equal(pd_auc_patients(&expected, scores, PD_CHANGES * FOLD_IMAGES), PD_OK);
    assert_true(fabs(pooled->low - expected.low) < 1e-4);
    assert_true(fabs(pooled->high - expected.high) < 1e-4);
}

static void rows_equal_scoring_by_hand(void **state)
{
    (void)state;
    static double pool[PD_CHANGES * FOLD_IMAGES];
    static bool truths[PD_CHANGES * FOLD_IMAGES];
    pd_stress stress = run(0);
    assert_true(stress.present && stress.images == FOLD_IMAGES);
    assert_int_equal(stress.fold_images, FOLD_IMAGES);
    for (int r = 0; r < PD_STRESS_ROWS; r++) {
        const pd_stress_row *row = &stress.rows[r];
        const pd_change *change = r == 0 ? NULL : &pd_changes[r - 1];
        double logits[FOLD_IMAGES];
        bool positive[FOLD_IMAGES];
        pd_confusion expected = {0};
        for (int i = 0; i < FOLD_IMAGES; i++) {
            logits[i] = logit_by_hand(change, 2 * i);
            positive[i] = is_pneumonia(2 * i);
            if (positive[i])
                *(logits[i] >= 0 ? &expected.true_positive : &expected.false_negative) += 1;
            else
                *(logits[i] >= 0 ? &expected.false_positive : &expected.true_negative) += 1;
        }
        assert_string_equal(pd_stress_name(row), r == 0 ? "clean" : change->name);
        if (memcmp(&row->metrics.confusion, &expected, sizeof expected) != 0)
            fail_msg("%s: another confusion", pd_stress_name(row));
        double area = area_by_hand(logits, positive, FOLD_IMAGES);
        if (!(fabs(row->metrics.auc.value - area) < 1e-12))
            fail_msg("%s: AUC %g instead of %g", pd_stress_name(row), row->metrics.auc.value, area);
        if (r > 0) {
            memcpy(pool + (r - 1) * FOLD_IMAGES, logits, sizeof logits);
            memcpy(truths + (r - 1) * FOLD_IMAGES, positive, sizeof positive);
        }
    }
    double area = area_by_hand(pool, truths, PD_CHANGES * FOLD_IMAGES);
    assert_true(fabs(stress.pooled_auc.value - area) < 1e-5); /* ties but for rounding */
    check_pooled_interval(&stress.pooled_auc, pool, truths);
}

static const pd_metrics *metrics_of(const pd_stress *stress, const char *name)
{
    for (int i = 0; i < PD_STRESS_ROWS; i++)
        if (strcmp(pd_stress_name(&stress->rows[i]), name) == 0)
            return &stress->rows[i].metrics;
    fail_msg("there is no row '%s'", name);
    return NULL;
}

static void a_model_of_the_border_is_caught(void **state)
{
    (void)state;
    pd_stress stress = run(0);
    const pd_metrics *clean = &stress.rows[0].metrics;
    assert_true(clean->auc.value == 1 && clean->balanced_accuracy.value == 1);
    assert_true(metrics_of(&stress, "jpeg-30")->balanced_accuracy.value == 1);
    assert_true(metrics_of(&stress, "border-0.08")->sensitivity.value == 0);
    assert_true(metrics_of(&stress, "zoom-in-0.7")->balanced_accuracy.value < 0.6);
    assert_true(metrics_of(&stress, "zoom-in-0.7")->auc.value < 0.75);
    const pd_stress_row *worst = &stress.rows[stress.worst];
    assert_true(worst->metrics.balanced_accuracy.value <= 0.5);
    for (int i = 0; i < PD_STRESS_ROWS; i++)
        assert_true(stress.rows[i].metrics.balanced_accuracy.value >=
                    worst->metrics.balanced_accuracy.value);
    pd_verdict verdict = pd_verdict_of(&stress, "validation ", (pd_targets){0.95, 0.9});
    assert_true(verdict.missed);
    bool named = false;
    for (int i = 0; i < verdict.count; i++)
        named = named || (strstr(verdict.lines[i], pd_stress_phrase(worst)) != NULL &&
                          strstr(verdict.lines[i], "framed differently") != NULL);
    assert_true(named);
}

/* No row is the worst of images of one class. */
static void one_class_has_no_worst_row(void **state)
{
    (void)state;
    uint8_t skip[IMAGES];
    for (int i = 0; i < IMAGES; i++)
        skip[i] = !is_pneumonia(i);
    pd_stress stress = run_without(skip, 0);
    assert_true(stress.present && stress.images == FOLD_IMAGES / 3);
    assert_int_equal(stress.worst, PD_STRESS_NO_ROW);
}

/* Of a large fold, a subset with the class shares of the fold, the same every time. */
static void a_subset_keeps_the_shares(void **state)
{
    (void)state;
    pd_stress stress = run(12), again = run(12);
    const pd_confusion *c = &stress.rows[0].metrics.confusion;
    assert_int_equal(stress.images, 12);
    assert_int_equal(stress.fold_images, FOLD_IMAGES);
    assert_int_equal(c->true_positive, 4);
    assert_int_equal(c->true_negative, 8);
    assert_memory_equal(&stress.rows[1].metrics, &again.rows[1].metrics, sizeof(pd_metrics));
    job.seed++;
    again = run(12);
    job.seed--;
    bool differs = false;
    for (int i = 0; i < PD_STRESS_ROWS; i++)
        differs = differs || stress.rows[i].metrics.auc.value != again.rows[i].metrics.auc.value;
    assert_true(differs);
    stress = run(FOLD_IMAGES + 1);
    assert_int_equal(stress.images, FOLD_IMAGES);
}

/* Skipped images are in no row and in no subset. */
static void skipped_images_are_not_scored(void **state)
{
    (void)state;
    uint8_t skip[IMAGES] = {0};
    for (int i = 0; i < IMAGES; i += 6) /* all pneumonias but those of the first quarter */
        skip[i] = i >= IMAGES / 4;
    pd_stress stress = run_without(skip, 0);
    const pd_confusion *c = &stress.rows[PD_STRESS_ROWS - 1].metrics.confusion;
    assert_int_equal(stress.images, FOLD_IMAGES - 12);
    assert_int_equal(stress.fold_images, FOLD_IMAGES - 12);
    assert_int_equal(c->true_positive + c->false_negative, 4);
    assert_int_equal(c->true_negative + c->false_positive, 32);
    stress = run_without(skip, 18);
    c = &stress.rows[0].metrics.confusion;
    assert_int_equal(c->true_positive + c->false_negative, 2);
    assert_int_equal(c->true_negative + c->false_positive, 16);
}

/* Members with the folds of other parts score one subset, that of all their folds together. */
static void members_share_the_subset(void **state)
{
    (void)state;
    pd_dataset *parts[3];
    pd_member members[3];
    pd_fold folds[IMAGES];
    for (int part = 0; part < 3; part++) {
        assert_int_equal(pd_dataset_open(&parts[part], FOLDER "/data.h5"), PD_OK);
        /* The first half twice, and an overlapping one. */
        int first = part < 2 ? 0 : IMAGES / 4, end = part < 2 ? IMAGES / 2 : IMAGES;
        for (int i = 0; i < IMAGES; i++)
            folds[i] = i % 2 == 0 && i >= first && i < end ? PD_VAL : PD_TRAIN;
        pd_dataset_set_folds(parts[part], folds, "parts");
        members[part] = make_member(parts[part], NULL);
    }
    pd_stress stress = run_members(members, 3, 12), alone = run(12);
    assert_int_equal(stress.fold_images, FOLD_IMAGES);
    assert_int_equal(stress.images, 12);
    for (int i = 0; i < PD_STRESS_ROWS; i++)
        assert_memory_equal(&stress.rows[i].metrics.confusion, &alone.rows[i].metrics.confusion,
                            sizeof(pd_confusion));
    for (int part = 0; part < 3; part++)
        pd_dataset_destroy(&parts[part]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_equal_scoring_by_hand),
        cmocka_unit_test(a_model_of_the_border_is_caught),
        cmocka_unit_test(one_class_has_no_worst_row),
        cmocka_unit_test(a_subset_keeps_the_shares),
        cmocka_unit_test(skipped_images_are_not_scored),
        cmocka_unit_test(members_share_the_subset),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
