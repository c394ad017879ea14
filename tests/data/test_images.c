/* Images held in memory and streamed: the same pixels, bounded memory, and damage is detected. */
#include "pneumo/data/images.h"

#include "pneumo/base/random.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "io/files.h"

#define FOLDER    "data-images"
#define FILE_NAME FOLDER "/a.h5"

enum { COUNT = 60, SIDE = 512, PIXELS = SIDE * SIDE };

static uint8_t *images; /* [COUNT][PIXELS]; image 7 is black */
static pd_dataset *dataset;

static int make(void **state)
{
    (void)state;
    fresh_folder(FOLDER);
    images = malloc((size_t)COUNT * PIXELS);
    assert_non_null(images);
    pd_random random = pd_random_stream(1, PD_PURPOSE_TEST, 0, 0);
    for (size_t i = 0; i < (size_t)COUNT * PIXELS; i++)
        images[i] = (uint8_t)pd_random_below(&random, 256);
    memset(images + 7 * PIXELS, 0, PIXELS);
    return 0;
}

static int clear(void **state)
{
    (void)state;
    free(images);
    return system("rm -rf " FOLDER);
}

static int open_new(void **state)
{
    (void)state;
    pd_sample samples[COUNT];
    pd_dataset_info info = {.count = COUNT, .height = SIDE, .width = SIDE, .deviation = 1};
    for (int i = 0; i < COUNT; i++)
        samples[i] = (pd_sample){.patient = i, .name = "x.jpeg"};
    assert_int_equal(pd_dataset_create(&dataset, FILE_NAME, &info, samples), PD_OK);
    assert_int_equal(pd_dataset_write(dataset, 0, COUNT, images), PD_OK);
    assert_int_equal(pd_dataset_finish(dataset, &info), PD_OK);
    pd_dataset_destroy(&dataset);
    assert_int_equal(pd_dataset_open(&dataset, FILE_NAME), PD_OK);
    return 0;
}

static int close_it(void **state)
{
    (void)state;
    pd_dataset_destroy(&dataset);
    return 0;
}

static const int64_t ids[] = {59, 3, 7, 8, 9, 0, 30};
enum { IDS = sizeof ids / sizeof *ids };

static pd_images *create(bool hold, size_t most)
{
    pd_images *self;
    assert_int_equal(pd_images_create(&self, dataset, ids, IDS, hold, most), PD_OK);
    return self;
}

static void test_same_pixels(void **state)
{
    (void)state;
    const int64_t asked[] = {7, 59, 7, 3}; /* an image can occur twice in a batch */
    const uint8_t *pixels[4];
    for (int hold = 0; hold < 2; hold++) {
        pd_images *self = create(hold, 4);
        for (int round = 0; round < 2; round++) {
            pd_images_prefetch(self, asked, 4);
            assert_int_equal(pd_images_fetch(self, asked, 4, pixels), PD_OK);
            for (int i = 0; i < 4; i++)
                assert_memory_equal(pixels[i], images + asked[i] * PIXELS, PIXELS);
        }
        assert_int_equal(pd_images_fetch(self, asked, 0, pixels), PD_OK);
        assert_int_equal(pd_images_fetch(self, ids, 5, pixels), PD_FAILED);
        assert_message("cannot fetch 5 images at a time; the limit is 4");
        pd_images_destroy(&self);
        assert_null(self);
        pd_images_destroy(&self);
    }
}

static void test_only_held_images_are_available(void **state)
{
    (void)state;
    const int64_t other = 4, none = COUNT;
    const uint8_t *pixels;
    pd_images *self = create(true, 1);
    assert_int_equal(pd_images_fetch(self, &other, 1, &pixels), PD_FAILED);
    assert_message("the image of sample 4 is not in memory");
    pd_images_destroy(&self);
    self = create(false, 1);
    assert_int_equal(pd_images_fetch(self, &none, 1, &pixels), PD_FAILED);
    assert_message("there is no sample 60");
    pd_images_destroy(&self);
}

/* The resident memory of this process in bytes, or -1. */
static long resident(void)
{
    long size, pages = -1;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%ld %ld", &size, &pages) != 2)
        pages = -1;
    if (file != NULL)
        fclose(file);
    return pages < 0 ? -1 : pages * sysconf(_SC_PAGESIZE);
}

/* Streaming needs memory for `most` images, regardless of their total number. */
static void test_bounded_memory(void **state)
{
    (void)state;
#ifdef __SANITIZE_ADDRESS__
    skip(); /* it delays the release of memory */
#endif
    const uint8_t *pixels[2];
    long before = resident();
    if (before < 0)
        skip();
    pd_images *self = create(false, 2);
    for (int64_t i = 0; i < COUNT; i += 2) {
        const int64_t pair[] = {i, COUNT - 1 - i};
        assert_int_equal(pd_images_fetch(self, pair, 2, pixels), PD_OK);
        assert_memory_equal(pixels[1], images + pair[1] * PIXELS, PIXELS);
        assert_true(resident() - before < 10 * PIXELS);
    }
    pd_images_destroy(&self);
    int64_t all[COUNT];
    for (int i = 0; i < COUNT; i++)
        all[i] = i;
    assert_int_equal(pd_images_create(&self, dataset, all, COUNT, true, 2), PD_OK);
    assert_true(resident() - before > (COUNT - 10) * PIXELS);
    pd_images_destroy(&self);
}

/* The offset of the pixels of image `id` in the file. */
static off_t offset_of(int64_t id)
{
    bytes file = slurp(FILE_NAME);
    unsigned char *at = memmem(file.data, file.size, images + id * PIXELS, PIXELS);
    assert_non_null(at);
    off_t offset = at - file.data;
    free(file.data);
    return offset;
}

/* The fraction of the file's pages from `start` on, for `size` bytes, that are in memory. */
static double cached_share(int file, off_t start, size_t size)
{
    long page = sysconf(_SC_PAGESIZE);
    off_t first = start / page * page;
    size_t length = size + (size_t)(start - first),
           pages = (length + (size_t)page - 1) / (size_t)page;
    unsigned char flags[2 * PIXELS / 4096 + 2];
    size_t found = 0;
    assert_true(pages <= sizeof flags);
    void *map = mmap(NULL, length, PROT_READ, MAP_SHARED, file, first);
    assert_true(map != MAP_FAILED);
    assert_int_equal(mincore(map, length, flags), 0);
    for (size_t i = 0; i < pages; i++)
        found += flags[i] & 1;
    munmap(map, length);
    return (double)found / (double)pages;
}

static void test_prefetch_loads_the_images(void **state)
{
    (void)state;
    /* Far apart, so that reading around one image does not include the next. */
    const int64_t asked[] = {0, 20, 45, COUNT - 1};
    pd_images *self = create(false, 1);
    int file = open(FILE_NAME, O_RDONLY | O_CLOEXEC);
    assert_true(file >= 0);
    assert_int_equal(fsync(file), 0);
    for (int i = 0; i < 4; i++) {
        off_t at = offset_of(asked[i]);
        assert_int_equal(posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED), 0);
        if (cached_share(file, at, PIXELS) > 0.1)
            skip(); /* a file system in memory, or another process reads the file */
        pd_images_prefetch(self, &asked[i], 1);
        for (int wait = 0; cached_share(file, at, PIXELS) < 0.9 && wait < 3000; wait++)
            nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
        assert_true(cached_share(file, at, PIXELS) >= 0.9);
    }
    close(file);
    pd_images_destroy(&self);
}

static void test_damage_is_detected(void **state)
{
    (void)state;
    const uint8_t *pixels;
    pd_images *self;
    bytes whole = slurp(FILE_NAME);
    whole.data[offset_of(3) + 1000] ^= 1;
    pd_dataset_destroy(&dataset);
    spill(FILE_NAME, whole.data, whole.size);
    free(whole.data);
    assert_int_equal(pd_dataset_open(&dataset, FILE_NAME), PD_OK);
    assert_int_equal(pd_images_create(&self, dataset, ids, IDS, true, 1), PD_FAILED);
    assert_null(self);
    assert_message(FILE_NAME ": the image of sample 3 (x.jpeg) is damaged");
    self = create(false, 1);
    assert_int_equal(pd_images_fetch(self, &ids[0], 1, &pixels), PD_OK);
    assert_int_equal(pd_images_fetch(self, &ids[1], 1, &pixels), PD_FAILED);
    assert_message(FILE_NAME ": the image of sample 3 (x.jpeg) is damaged");
    pd_images_destroy(&self);
}

/* HDF5 reads zeros beyond the end of a file, and their checksum is correct. */
static void test_file_cut_short_in_use(void **state)
{
    (void)state;
    const uint8_t *pixels;
    const int64_t last = COUNT - 1;
    pd_images *self = create(false, 1);
    assert_int_equal(pd_images_fetch(self, &last, 1, &pixels), PD_OK);
    assert_int_equal(truncate(FILE_NAME, offset_of(40)), 0);
    pd_images_prefetch(self, &last, 1);
    assert_int_equal(pd_images_fetch(self, &last, 1, &pixels), PD_FAILED);
    assert_message(FILE_NAME ": was changed while it was in use");
    pd_images_destroy(&self);
}

static void test_file_written_in_use(void **state)
{
    (void)state;
    const uint8_t *pixels;
    pd_images *self = create(false, 1);
    bytes whole = slurp(FILE_NAME);
    /* The resolution of file times is a few milliseconds. */
    nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    spill(FILE_NAME, whole.data, whole.size);
    assert_int_equal(pd_images_fetch(self, ids, 1, &pixels), PD_FAILED);
    assert_message(FILE_NAME ": was changed while it was in use");
    /* Replacing a file creates another one: the open file is unchanged. */
    pd_dataset_destroy(&dataset);
    assert_int_equal(pd_dataset_open(&dataset, FILE_NAME), PD_OK);
    pd_images_destroy(&self);
    self = create(false, 1);
    spill(FOLDER "/b.h5", whole.data, 100);
    assert_int_equal(rename(FOLDER "/b.h5", FILE_NAME), 0);
    assert_int_equal(pd_images_fetch(self, ids, 1, &pixels), PD_OK);
    assert_memory_equal(pixels, images + ids[0] * PIXELS, PIXELS);
    pd_images_destroy(&self);
    free(whole.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_same_pixels, open_new, close_it),
        cmocka_unit_test_setup_teardown(test_only_held_images_are_available, open_new, close_it),
        cmocka_unit_test_setup_teardown(test_bounded_memory, open_new, close_it),
        cmocka_unit_test_setup_teardown(test_prefetch_loads_the_images, open_new, close_it),
        cmocka_unit_test_setup_teardown(test_damage_is_detected, open_new, close_it),
        cmocka_unit_test_setup_teardown(test_file_cut_short_in_use, open_new, close_it),
        cmocka_unit_test_setup_teardown(test_file_written_in_use, open_new, close_it),
    };
    return cmocka_run_group_tests(tests, make, clear);
}
