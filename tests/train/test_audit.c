/* Equal replicas, and every kind of tensor with one flipped bit on one rank. Runs without a
 * launcher and under mpirun: every rank makes the same assertions. */
#include "pneumo/base/log.h"
#include "pneumo/base/random.h"
#include "train/audit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static pd_comm *comm;
static pd_step step;
static pd_job job;

/* A model and an optimiser with moving statistics, two slots, and the moving average of both. */
static const char job_text[] = "[data]\nsize = 16\n"
                               "[model]\nname = cnn-deep\nwidth = 0.1\ndropout = 0.2\n"
                               "[train]\nbatch = 16\nlanes = 8\noptimizer = adamw\nema = 0.5\n";

static int set_up(void **state)
{
    (void)state;
    const pd_dataset_info info = {.height = 16, .width = 16, .mean = 100, .deviation = 50};
    double loss, norm;
    pd_log_set_quiet(true);
    assert_int_equal(pd_comm_create(&comm), PD_OK);
    const char *ranks = getenv("PNEUMO_TEST_RANKS");
    assert_int_equal(pd_comm_size(comm), ranks != NULL ? atoi(ranks) : 1);
    assert_int_equal(pd_job_parse(&job, "small", job_text, NULL, 0), PD_OK);
    assert_int_equal(pd_step_set_up(&step, comm, &job, &info, 2), PD_OK);
    for (int number = 0; number < 3; number++) {
        for (int i = 0; i < step.samples; i++) {
            pd_random random =
                pd_random_stream(1, PD_PURPOSE_TEST, (uint32_t)number,
                                 (uint64_t)(pd_comm_first_lane(comm) * step.lane_samples + i));
            for (size_t j = 0; j < step.sample_floats; j++)
                step.x[(size_t)i * step.sample_floats + j] = pd_random_normal(&random);
            step.targets[i] = (float)(i % 2);
            step.weights[i] = 1;
        }
        assert_int_equal(pd_step_take(&step, number, 1e-3, &loss, &norm), PD_OK);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pd_step_tear_down(&step);
    pd_comm_destroy(&comm);
    return 0;
}

static void flip(float *value)
{
    unsigned char bytes[sizeof *value];
    memcpy(bytes, value, sizeof bytes);
    bytes[0] ^= 1;
    memcpy(value, bytes, sizeof bytes);
}

static pd_status audit(void)
{
    return pd_audit(&step);
}

static void assert_message(const char *part)
{
    if (strstr(pd_error_message(), part) == NULL)
        fail_msg("message '%s' does not say '%s'", pd_error_message(), part);
}

static void test_same_replicas_pass(void **state)
{
    (void)state;
    assert_int_equal(audit(), PD_OK);
}

/* Flips the lowest bit of *value on rank `odd`, expects the audit to name that rank, `what` and
 * rank `other`, and flips the bit back. */
static void check_flip(float *value, int odd, int other, const char *what)
{
    char names_rank[64], names_other[64], names_what[256];
    int ranks = pd_comm_size(comm);
    snprintf(names_rank, sizeof names_rank, "rank %d on ", odd);
    snprintf(names_what, sizeof names_what, ": this rank's %s differ from ", what);
    snprintf(names_other, sizeof names_other, "those of rank %d on ", other);
    if (pd_comm_rank(comm) == odd)
        flip(value);
    assert_int_equal(audit(), ranks == 1 ? PD_OK : PD_FAILED);
    if (ranks > 1) {
        assert_int_equal(strncmp(pd_error_message(), names_rank, strlen(names_rank)), 0);
        assert_message(names_what);
        assert_message(names_other);
        assert_message(ranks > 2 ? "arithmetic on that host" : "which one is unknown");
    }
    if (pd_comm_rank(comm) == odd)
        flip(value);
    assert_int_equal(audit(), PD_OK);
}

static void test_flipped_bit_is_named(void **state)
{
    (void)state;
    char what[256];
    pd_optimizer_slot slots[PD_OPTIMIZER_SLOTS_MAX];
    int count = pd_optimizer_slots(step.optimizer, slots), odd = pd_comm_size(comm) - 1;
    int of_state = 0;
    assert_int_equal(count, 4);
    for (int i = 0; i < pd_network_tensor_count(step.network); i++) {
        const pd_tensor *tensor = pd_network_tensor(step.network, i);
        const char *layer = tensor->layer->name, *weight = tensor->param->name;
        snprintf(what, sizeof what, "weights '%s/%s'", layer, weight);
        check_flip(tensor->param->value + tensor->size - 1, odd, 0, what);
        of_state += !tensor->param->trainable;
        for (int s = 0; s < count; s++) {
            if (slots[s].of_state == tensor->param->trainable)
                continue;
            snprintf(what, sizeof what, "values in optimiser slot '%s' of the weights '%s/%s'",
                     slots[s].name, layer, weight);
            check_flip(slots[s].vector + tensor->offset, odd, 0, what);
        }
    }
    assert_true(of_state > 0);
}

/* Rank 0, which writes the checkpoints, can be the deviating one, too; with two ranks there is no
 * majority. */
static void test_rank_0_is_odd(void **state)
{
    (void)state;
    size_t weights;
    const pd_tensor *tensor = pd_network_tensor(step.network, 0);
    char what[256];
    snprintf(what, sizeof what, "weights '%s/%s'", tensor->layer->name, tensor->param->name);
    if (pd_comm_size(comm) > 2)
        check_flip(pd_network_weights(step.network, &weights), 0, 1, what);
}

/* Half of the ranks are not a majority: the message blames no host. */
static void test_no_majority(void **state)
{
    (void)state;
    size_t count;
    float *weights = pd_network_weights(step.network, &count);
    int ranks = pd_comm_size(comm), rank = pd_comm_rank(comm);
    if (ranks % 2 != 0)
        return;
    if (rank >= ranks / 2)
        flip(weights);
    assert_int_equal(audit(), PD_FAILED);
    char names_rank[64];
    snprintf(names_rank, sizeof names_rank, "rank %d on ", ranks / 2);
    assert_message(names_rank);
    assert_message("which one is unknown");
    if (rank >= ranks / 2)
        flip(weights);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_replicas_pass),
        cmocka_unit_test(test_flipped_bit_is_named),
        cmocka_unit_test(test_rank_0_is_odd),
        cmocka_unit_test(test_no_majority),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
