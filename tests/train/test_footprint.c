/* The planned memory of a rank against what setting up its step allocates. */
#include "pneumo/train/footprint.h"

#include "pneumo/train/step.h"

#include <malloc.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { SIZE = 64 };

static const pd_dataset_info info = {
    .count = 1000, .height = 100, .width = 120, .counts = {{300, 300}, {100, 100}, {100, 100}}};

static double allocated(void)
{
    struct mallinfo2 heap = mallinfo2();
    return (double)heap.uordblks + (double)heap.hblkhd;
}

static void check_job(pd_comm *comm, const char *text)
{
    pd_job job;
    pd_step step;
    pd_footprint plan;
    assert_int_equal(pd_job_parse(&job, "test", text, NULL, 0), PD_OK);
    assert_int_equal(pd_comm_set_lanes(comm, job.sampling.lanes), PD_OK);
    double before = allocated();
    assert_int_equal(pd_footprint_plan(&plan, comm, &job, &info, 1), PD_OK);
    assert_true(allocated() - before < 1e6); /* planning allocates nothing large */
    before = allocated();
    assert_int_equal(pd_step_set_up(&step, comm, &job, &info, 1), PD_OK);
    double taken = allocated() - before;
    /* The scorer allocates the chunk of the validation fold, not the step. */
    double chunk = 4.0 * SIZE * SIZE * job.sampling.batch / job.sampling.lanes;
    double planned = plan.network + plan.optimizer + plan.reduction + plan.batch - chunk;
    /* Large blocks are aligned to huge pages and rounded up to them. */
    if (fabs(taken - planned) > 0.01 * planned + 40e6)
        fail_msg("%s: %.0f bytes planned, %.0f allocated", job.model.name, planned, taken);
    pd_step_tear_down(&step);
    /* 600 train images, rounded up per lane, and the validation fold. */
    double images = pd_footprint_image_bytes(comm, &job, &info);
    assert_true(plan.images == images &&
                images ==
                    (ceil(600.0 / job.sampling.lanes) * job.sampling.lanes + 200) * 100 * 120);
    assert_true(plan.checkpoint == plan.file && plan.file > 0);
    assert_true(fabs(plan.network + plan.optimizer + plan.reduction + plan.batch + plan.images +
                     plan.checkpoint - plan.total) < 1);
}

/* Images count if they are held in memory. */
static void test_streamed_images(void **state)
{
    (void)state;
    pd_job job;
    pd_comm *comm;
    pd_footprint plan;
    assert_int_equal(pd_comm_create(&comm), PD_OK);
    assert_int_equal(pd_job_parse(&job, "test", "[data]\nsize = 64\n", NULL, 0), PD_OK);
    assert_int_equal(pd_comm_set_lanes(comm, job.sampling.lanes), PD_OK);
    assert_false(pd_footprint_streams(&job, PD_IMAGES_PERCENT));
    assert_true(pd_footprint_streams(&job, PD_IMAGES_PERCENT + 1));
    pd_dataset_info huge = info;
    huge.counts[PD_TRAIN][PD_NORMAL] = (int64_t)1 << 40;
    assert_int_equal(pd_footprint_plan(&plan, comm, &job, &huge, 1), PD_OK);
    assert_true(plan.images == 0);
    job.images = PD_IMAGES_MEMORY;
    assert_int_equal(pd_footprint_plan(&plan, comm, &job, &huge, 1), PD_OK);
    assert_true(plan.images == pd_footprint_image_bytes(comm, &job, &huge));
    assert_false(pd_footprint_streams(&job, 1000));
    job.images = PD_IMAGES_STREAM;
    assert_true(pd_footprint_streams(&job, 0));
    /* Only those that are trained on. */
    job.train_images = 100;
    assert_true(pd_footprint_image_bytes(comm, &job, &huge) == (104.0 + 200) * 100 * 120);
    job.train_images = 1000;
    assert_true(pd_footprint_image_bytes(comm, &job, &info) == (600.0 + 200) * 100 * 120);
    pd_comm_destroy(&comm);
}

static void test_allocations(void **state)
{
    (void)state;
#ifdef __SANITIZE_ADDRESS__
    skip(); /* its allocator does not report sizes */
#endif
    pd_comm *comm;
    assert_int_equal(pd_comm_create(&comm), PD_OK);
    check_job(comm, "[data]\nsize = 64\n[model]\nname = vgg16\n[train]\nbatch = 32\nema = 0.9\n");
    check_job(comm, "[data]\nsize = 64\n[model]\nname = xception\n[train]\nbatch = 16\n");
    check_job(comm, "[data]\nsize = 64\n[model]\nname = mlp2\nhidden = 6000\n[train]\n"
                    "optimizer = sgd\nlanes = 1\nbatch = 9\n");
    check_job(comm, "[data]\nsize = 64\n[model]\nname = mlp2\nhidden = 6000\n[train]\nlanes = 1\n"
                    "batch = 8\noptimizer = rmsprop\nmomentum = 0\n");
    pd_comm_destroy(&comm);
}

/* A job too large for any machine can be planned, too. */
static void test_huge(void **state)
{
    (void)state;
    pd_job job;
    pd_comm *comm;
    pd_footprint plan;
    const char *text = "[data]\nsize = 4096\n[model]\nname = vgg16\n[train]\nbatch = 1024\n";
    assert_int_equal(pd_comm_create(&comm), PD_OK);
    assert_int_equal(pd_job_parse(&job, "test", text, NULL, 0), PD_OK);
    assert_int_equal(pd_comm_set_lanes(comm, job.sampling.lanes), PD_OK);
    assert_int_equal(pd_footprint_plan(&plan, comm, &job, &info, 1), PD_OK);
    assert_true(plan.network > 1e12);
    assert_true(plan.images > 0);
    /* What the second stage takes more leaves no memory for images. */
    const char *stages[] = {"model.freeze=base", "train.unfreeze_epoch=2"};
    assert_int_equal(pd_job_parse(&job, "test", text, stages, 2), PD_OK);
    assert_int_equal(pd_footprint_plan(&plan, comm, &job, &info, 1), PD_OK);
    assert_true(plan.images == 0);
    pd_comm_destroy(&comm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_streamed_images),
                                       cmocka_unit_test(test_allocations),
                                       cmocka_unit_test(test_huge)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
