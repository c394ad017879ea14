/* Part files: what is stored is read back; what is torn, damaged or of other options is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "data/parts.h"
#include "pneumo/base/memory.h"
#include "pneumo/data/identity.h"
#include "pneumo/io/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SIDE = 16, IMAGES = 5 };

static char folder[64], output[128];

static int enter(void **state)
{
    (void)state;
    strcpy(folder, "parts-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(output, sizeof output, "%s/set.h5", folder);
    return 0;
}

static int leave(void **state)
{
    (void)state;
    return pd_folder_remove(folder) == PD_OK ? 0 : -1;
}

static pd_identity key_of(int number)
{
    return pd_identity_of_bytes(&number, sizeof number);
}

/* Finds the part files of a folder whose first image has the bytes `secret`. */
static bool find(pd_parts_plan *plan, const char *secret)
{
    bool found;
    pd_identity key = key_of(-1);
    assert_int_equal(pd_parts_find(plan, &found, output, SIDE), PD_OK);
    found = found && pd_parts_set_secret(plan, &key, secret, strlen(secret));
    if (!found) {
        pd_parts_renew(plan);
        assert_true(pd_parts_set_secret(plan, &key, secret, strlen(secret)));
    }
    return found;
}

static void fill(uint8_t *slot, int number)
{
    for (int i = 0; i < PD_NEAR_BYTES; i++)
        pd_parts_copy(slot)[i] = (uint8_t)(number + 3 * i);
    for (int i = 0; i < SIDE * SIDE; i++)
        pd_parts_pixels(slot)[i] = (uint8_t)(number + 7 * i);
}

/* Appends images [first, first + IMAGES) as one of two ranks. */
static void write_images(const pd_parts_plan *plan, int rank, int first, pd_place *places)
{
    pd_parts parts;
    uint8_t *slot;
    assert_int_equal(pd_parts_open(&parts, output, plan, rank, 2), PD_OK);
    assert_int_equal(pd_alloc(&slot, parts.slot_bytes, 1), PD_OK);
    for (int i = 0; i < IMAGES; i++) {
        pd_part_record record = {.key = key_of(first + i), .height = (uint16_t)(first + i)};
        fill(slot, first + i);
        assert_int_equal(pd_parts_append(&places[i], &parts, slot, &record), PD_OK);
    }
    free(slot);
    assert_int_equal(pd_parts_finish(&parts), PD_OK);
    pd_parts_close(&parts);
}

/* The images that a check finds. */
typedef struct found_images {
    int count;
    int heights[4 * IMAGES];
} found_images;

static pd_status note(void *context, pd_place place, const pd_part_record *record)
{
    (void)place;
    found_images *found = context;
    pd_identity key = key_of(record->height);
    assert_memory_equal(&key, &record->key, sizeof key);
    found->heights[found->count++] = record->height;
    return PD_OK;
}

/* What `ranks` ranks find together. */
static found_images check(const pd_parts_plan *plan, int ranks)
{
    found_images found = {0};
    for (int rank = 0; rank < ranks; rank++) {
        pd_parts parts;
        assert_int_equal(pd_parts_open(&parts, output, plan, rank, ranks), PD_OK);
        assert_int_equal(pd_parts_check(&parts, note, &found), PD_OK);
        pd_parts_close(&parts);
    }
    return found;
}

static void images_are_read_back(void **state)
{
    (void)state;
    pd_parts_plan plan;
    pd_place places[2 * IMAGES];
    pd_parts parts;
    uint8_t pixels[SIDE * SIDE], copy[PD_NEAR_BYTES], *slot, *scratch;
    assert_false(find(&plan, "first image"));
    write_images(&plan, 0, 0, places);
    write_images(&plan, 1, IMAGES, places + IMAGES);
    assert_int_equal(pd_parts_open(&parts, output, &plan, 0, 1), PD_OK);
    parts.count = 2;
    assert_int_equal(pd_parts_open_all(&parts), PD_OK);
    assert_int_equal(pd_alloc(&slot, parts.slot_bytes, 1), PD_OK);
    assert_int_equal(pd_alloc(&scratch, parts.slot_bytes, 1), PD_OK);
    for (int i = 0; i < 2 * IMAGES; i++) {
        fill(slot, i);
        assert_int_equal(pd_parts_read(&parts, places[i], pixels, scratch), PD_OK);
        assert_memory_equal(pixels, pd_parts_pixels(slot), sizeof pixels);
        assert_int_equal(pd_parts_read_copy(&parts, places[i], copy), PD_OK);
        assert_memory_equal(copy, pd_parts_copy(slot), sizeof copy);
    }
    free(slot);
    free(scratch);
    pd_parts_remove(&parts);
    pd_parts_close(&parts);
    assert_false(find(&plan, "first image"));
    assert_int_equal(plan.count, 0);
}

static void any_number_of_ranks_finds_all(void **state)
{
    (void)state;
    pd_parts_plan plan;
    pd_place places[IMAGES];
    assert_false(find(&plan, "first image"));
    write_images(&plan, 0, 0, places);
    write_images(&plan, 1, IMAGES, places);
    for (int ranks = 1; ranks <= 5; ranks++) {
        bool seen[2 * IMAGES] = {false};
        assert_true(find(&plan, "first image"));
        found_images found = check(&plan, ranks);
        assert_int_equal(found.count, 2 * IMAGES);
        for (int i = 0; i < found.count; i++)
            seen[found.heights[i]] = true;
        for (int i = 0; i < 2 * IMAGES; i++)
            assert_true(seen[i]);
    }
    /* What is appended later comes behind. */
    write_images(&plan, 0, 2 * IMAGES, places);
    assert_int_equal(places[0].slot, IMAGES);
    assert_int_equal(check(&plan, 2).count, 3 * IMAGES);
}

/* Changes the byte at `at` of the first part file; the file then ends at `size` (-1: as before). */
static void damage(long at, long size)
{
    char path[160];
    snprintf(path, sizeof path, "%s.part-0", output);
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    fseek(file, at, SEEK_SET);
    int byte = fgetc(file);
    fseek(file, at, SEEK_SET);
    fputc(byte ^ 16, file);
    fclose(file);
    if (size >= 0)
        assert_int_equal(truncate(path, size), 0);
}

/* Every byte of a slot counts; only its image is lost. */
static void damage_is_noticed(void **state)
{
    (void)state;
    pd_parts_plan plan;
    pd_place places[IMAGES];
    const long slot = (long)(sizeof(pd_part_record) + PD_NEAR_BYTES + SIDE * SIDE);
    assert_false(find(&plan, "first image"));
    write_images(&plan, 0, 0, places);
    assert_true(find(&plan, "first image"));
    for (long at = 0; at < slot; at += at < 96 ? 1 : 17) {
        long place = (long)sizeof(pd_parts_header) + slot + at;
        damage(place, -1);
        found_images found = check(&plan, 1);
        assert_int_equal(found.count, IMAGES - 1);
        for (int i = 0; i < found.count; i++)
            assert_int_not_equal(found.heights[i], 1);
        damage(place, -1);
        assert_int_equal(check(&plan, 1).count, IMAGES);
    }
    damage(0, (long)sizeof(pd_parts_header) + 3 * slot - 1); /* and back */
    damage(0, -1);
    assert_int_equal(check(&plan, 1).count, 2);
    /* A torn image is not overwritten in place, where another thread may have written behind it. */
    write_images(&plan, 0, IMAGES, places);
    assert_int_equal(places[0].slot, 3);
    assert_int_equal(check(&plan, 1).count, 2 + IMAGES);
    for (long at = 0; at < (long)sizeof(pd_parts_header); at++) {
        damage(at, -1);
        assert_false(find(&plan, "first image"));
        damage(at, -1);
        assert_true(find(&plan, "first image"));
    }
}

static void a_damaged_image_is_not_read(void **state)
{
    (void)state;
    pd_parts_plan plan;
    pd_place places[IMAGES];
    pd_parts parts;
    uint8_t pixels[SIDE * SIDE], *scratch;
    assert_false(find(&plan, "first image"));
    write_images(&plan, 0, 0, places);
    damage((long)sizeof(pd_parts_header) + 4200, -1);
    assert_int_equal(pd_parts_open(&parts, output, &plan, 0, 1), PD_OK);
    assert_int_equal(pd_parts_open_all(&parts), PD_OK);
    assert_int_equal(pd_alloc(&scratch, parts.slot_bytes, 1), PD_OK);
    assert_int_equal(pd_parts_read(&parts, places[0], pixels, scratch), PD_FAILED);
    assert_non_null(strstr(pd_error_message(), "set.h5.part-0: an image is damaged"));
    assert_int_equal(pd_parts_read(&parts, places[1], pixels, scratch), PD_OK);
    free(scratch);
    pd_parts_close(&parts);
}

static void other_sets_are_not_used(void **state)
{
    (void)state;
    pd_parts_plan plan;
    pd_place places[IMAGES];
    bool found;
    assert_false(find(&plan, "first image"));
    write_images(&plan, 0, 0, places);
    assert_false(find(&plan, "another image"));
    assert_int_equal(check(&plan, 2).count, 0); /* and the file begins anew */
    assert_false(find(&plan, "first image"));
    assert_int_equal(pd_parts_find(&plan, &found, output, SIDE), PD_OK);
    assert_true(found);
    assert_int_equal(pd_parts_find(&plan, &found, output, SIDE + 1), PD_OK);
    assert_false(found);
}

static void the_secret_is_not_stored(void **state)
{
    (void)state;
    pd_parts_plan plan;
    pd_place places[IMAGES];
    char path[160];
    unsigned char *bytes;
    size_t size;
    assert_false(find(&plan, "first image"));
    write_images(&plan, 0, 0, places);
    snprintf(path, sizeof path, "%s.part-0", output);
    assert_int_equal(pd_file_read(&bytes, &size, path, 1 << 20), PD_OK);
    assert_null(memmem(bytes, size, &plan.secret, sizeof plan.secret));
    free(bytes);
}

static void files_of_others_are_left_alone(void **state)
{
    (void)state;
    pd_parts_plan plan;
    pd_parts parts;
    char path[160];
    snprintf(path, sizeof path, "%s.part-0", output);
    assert_int_equal(pd_file_write(path, "precious", 8), PD_OK);
    assert_false(find(&plan, "first image"));
    assert_int_equal(pd_parts_open(&parts, output, &plan, 0, 1), PD_FAILED);
    assert_non_null(strstr(pd_error_message(), "a file of that name exists"));
    pd_parts_remove(&parts);
    pd_parts_close(&parts);
    assert_true(pd_file_exists(path));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, enter, leave)
    const struct CMUnitTest tests[] = {
        TEST(images_are_read_back),
        TEST(any_number_of_ranks_finds_all),
        TEST(damage_is_noticed),
        TEST(a_damaged_image_is_not_read),
        TEST(other_sets_are_not_used),
        TEST(the_secret_is_not_stored),
        TEST(files_of_others_are_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
