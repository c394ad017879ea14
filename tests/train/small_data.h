/* A data set of a few small images, written in a moment. */
#ifndef PNEUMO_TESTS_TRAIN_SMALL_DATA_H
#define PNEUMO_TESTS_TRAIN_SMALL_DATA_H

#include "pneumo/base/random.h"
#include "pneumo/io/dataset.h"

#include <stdio.h>

enum { SIDE = 16, IMAGES = 64 };

/* The label and fold of image i: every fourth is of the fold val, every fourth of test. */
static inline void write_data(const char *path, pd_label val_label, uint64_t seed)
{
    pd_dataset *dataset;
    pd_sample samples[IMAGES];
    uint8_t images[IMAGES][SIDE * SIDE];
    pd_random random = pd_random_stream(seed, PD_PURPOSE_TEST, 0, 0);
    pd_dataset_info info = {.count = IMAGES, .height = SIDE, .width = SIDE};
    for (int i = 0; i < IMAGES; i++) {
        pd_fold fold = i % 4 == 1 ? PD_VAL : i % 4 == 3 ? PD_TEST : PD_TRAIN;
        pd_label label = i / 4 % 2 == 0 ? PD_NORMAL : PD_PNEUMONIA;
        if (fold == PD_VAL && val_label != PD_LABELS)
            label = val_label;
        samples[i] = (pd_sample){.label = label, .fold = fold, .patient = i, .name = "x.jpeg"};
        for (int j = 0; j < SIDE * SIDE; j++)
            images[i][j] = (uint8_t)(pd_random_below(&random, 156) +
                                     (label == PD_PNEUMONIA && j > SIDE * SIDE / 2 ? 99 : 0));
    }
    assert_int_equal(pd_dataset_create(&dataset, path, &info, samples), PD_OK);
    info = *pd_dataset_get_info(dataset);
    info.mean = 100;
    info.deviation = 50;
    snprintf(info.digest, sizeof info.digest, "%032llx", (unsigned long long)seed);
    assert_int_equal(pd_dataset_write(dataset, 0, IMAGES, images[0]), PD_OK);
    assert_int_equal(pd_dataset_finish(dataset, &info), PD_OK);
    pd_dataset_destroy(&dataset);
}

#endif
