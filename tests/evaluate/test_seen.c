/* All images of the patients whose images calibration used are found, and no others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "evaluate/seen.h"
#include "io/files.h"
#include "pneumo/base/random.h"
#include "pneumo/data/identity.h"

#include <stdlib.h>
#include <string.h>

enum { COUNT = 300, SIDE = 9, PIXELS = SIDE * SIDE };

static const char *const FOLDER = "evaluate-seen";
static uint8_t images[COUNT][PIXELS];
static pd_dataset *dataset;
static pd_comm *comm;

/* Images 100 to 102 are identical; 200 to 202, one in each fold, are of the patient of image 0. */
static int setup(void **state)
{
    (void)state;
    pd_sample samples[COUNT];
    pd_dataset_info info = {.count = COUNT, .height = SIDE, .width = SIDE, .deviation = 1};
    pd_random random = pd_random_stream(1, PD_PURPOSE_TEST, 0, 0);
    fresh_folder(FOLDER);
    for (int i = 0; i < COUNT; i++) {
        samples[i] = (pd_sample){.label = i % 2,
                                 .fold = i % 3,
                                 .patient = i >= 200 && i <= 202 ? 0 : i,
                                 .name = "x.jpeg"};
        for (int j = 0; j < PIXELS; j++)
            images[i][j] = (uint8_t)pd_random_below(&random, 256);
    }
    for (int i = 101; i < 103; i++)
        memcpy(images[i], images[100], PIXELS);
    assert_int_equal(pd_dataset_create(&dataset, "evaluate-seen/a.h5", &info, samples), PD_OK);
    assert_int_equal(pd_dataset_write(dataset, 0, COUNT, images[0]), PD_OK);
    assert_int_equal(pd_dataset_finish(dataset, &info), PD_OK);
    pd_dataset_destroy(&dataset);
    assert_int_equal(pd_dataset_open(&dataset, "evaluate-seen/a.h5"), PD_OK);
    return pd_comm_create(&comm);
}

static int teardown(void **state)
{
    (void)state;
    pd_dataset_destroy(&dataset);
    pd_comm_destroy(&comm);
    return 0;
}

static void test_found(void **state)
{
    (void)state;
    /* Of train, val, test and val again; the last is not an image of the data set. */
    const int known[] = {0, 1, 2, 100, 299};
    enum { KNOWN = sizeof known / sizeof *known };
    const uint8_t black[PIXELS] = {0};
    pd_identity identities[KNOWN + 1];
    for (int i = 0; i < KNOWN; i++)
        identities[i] = pd_identity_of(images[known[i]], SIDE, SIDE);
    identities[KNOWN] = pd_identity_of(black, SIDE, SIDE);
    qsort(identities, KNOWN + 1, sizeof *identities, pd_identity_compare);
    pd_site site = {
        .image_height = SIDE, .image_width = SIDE, .count = KNOWN + 1, .images = identities};
    assert_true(pd_seen_comparable(&site, dataset));

    uint8_t *seen;
    assert_int_equal(pd_seen_find(&seen, comm, &site, dataset), PD_OK);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(seen[i],
                         i <= 2 || (i >= 100 && i <= 102) || (i >= 200 && i <= 202) || i == 299);
    free(seen);
    site.image_width = SIDE + 1;
    assert_false(pd_seen_comparable(&site, dataset));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_found),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
