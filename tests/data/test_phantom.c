/* Synthetic radiographs: reproducible, with the opacity at the stated position, and no other
 * difference between the classes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "data/draft.h"
#include "data/phantom.h"
#include "pneumo/base/log.h"
#include "pneumo/data/synth.h"
#include "pneumo/io/file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void draw(pd_image *image, pd_opacity *opacity, pd_cause cause, int patient, int number)
{
    assert_int_equal(pd_phantom_draw(image, opacity, 5, cause, patient, number), PD_OK);
}

static double mean_of(const pd_image *image)
{
    double sum = 0;
    for (int i = 0; i < image->height * image->width; i++)
        sum += image->pixels[i];
    return sum / (image->height * image->width);
}

static void equal_numbers_give_equal_images(void **state)
{
    (void)state;
    pd_image a, b;
    pd_opacity x, y;
    for (int cause = 0; cause < PD_CAUSES; cause++) {
        draw(&a, &x, (pd_cause)cause, 3, 2);
        draw(&b, &y, (pd_cause)cause, 3, 2);
        assert_int_equal(a.width, b.width);
        assert_int_equal(a.height, b.height);
        assert_memory_equal(a.pixels, b.pixels, (size_t)(a.width * a.height));
        assert_memory_equal(&x, &y, sizeof x);
        pd_image_free(&a);
        pd_image_free(&b);
    }
    assert_int_equal(pd_phantom_draw(&a, &x, 1, PD_CAUSE_NONE, -1, 0), PD_FAILED);
    assert_null(a.pixels);
}

static void the_opacity_lies_within_the_image(void **state)
{
    (void)state;
    pd_image image;
    pd_opacity o;
    for (int cause = 0; cause < PD_CAUSES; cause++) {
        for (int patient = 1; patient <= 5; patient++) {
            draw(&image, &o, (pd_cause)cause, patient, 1);
            if (cause == PD_CAUSE_NONE) {
                assert_true(o.cx == 0 && o.cy == 0 && o.rx == 0 && o.ry == 0);
            } else {
                assert_true(o.rx > 0.05f * (float)image.width);
                assert_true(o.ry > 0.05f * (float)image.height);
                assert_true(o.cx - o.rx >= 0 && o.cx + o.rx <= (float)image.width);
                assert_true(o.cy - o.ry >= 0 && o.cy + o.ry <= (float)image.height);
            }
            pd_image_free(&image);
        }
    }
}

/* Mean grey in the centre of an ellipse minus the mean of the image. */
static double light_at(const pd_image *image, float cx, float cy, float rx, float ry)
{
    double sum = 0, count = 0;
    for (int y = 0; y < image->height; y++)
        for (int x = 0; x < image->width; x++) {
            float u = ((float)x - cx) / (0.5f * rx), v = ((float)y - cy) / (0.5f * ry);
            if (u * u + v * v < 1) {
                sum += image->pixels[y * image->width + x];
                count++;
            }
        }
    return sum / count - mean_of(image);
}

/* The opacity is brighter than its mirror image in the other lung. */
static void focal_opacities_are_bright(void **state)
{
    (void)state;
    pd_image image;
    pd_opacity o;
    int brighter = 0;
    for (int patient = 1; patient <= 20; patient++) {
        draw(&image, &o, PD_CAUSE_BACTERIA, patient, 1);
        double here = light_at(&image, o.cx, o.cy, o.rx, o.ry);
        double there = light_at(&image, (float)image.width - o.cx, o.cy, o.rx, o.ry);
        brighter += here > there;
        pd_image_free(&image);
    }
    assert_in_range(brighter, 15, 20);
}

static void the_mean_does_not_separate_the_classes(void **state)
{
    (void)state;
    enum { EACH = 30 };
    double mean[3] = {0}, squares = 0, all = 0;
    for (int cause = 0; cause < 3; cause++) {
        for (int patient = 1; patient <= EACH; patient++) {
            pd_image image;
            pd_opacity o;
            draw(&image, &o, (pd_cause)cause, patient, 1);
            double m = mean_of(&image);
            mean[cause] += m / EACH;
            squares += m * m / (3 * EACH);
            all += m / (3 * EACH);
            pd_image_free(&image);
        }
    }
    double deviation = sqrt(squares - all * all);
    for (int cause = PD_CAUSE_BACTERIA; cause < 3; cause++)
        assert_true(fabs(mean[cause] - mean[PD_CAUSE_NONE]) < 0.8 * deviation);
}

static void synth_writes_the_published_layout_once(void **state)
{
    (void)state;
    char root[] = "synth-XXXXXX", command[64];
    unsigned char *bytes[2];
    size_t size[2];
    pd_log_set_quiet(true);
    assert_non_null(mkdtemp(root));
    for (int i = 0; i < 2; i++) {
        char folder[64], path[128];
        snprintf(folder, sizeof folder, "%s/%d", root, i);
        pd_synth_options options = {.folder = folder, .images = 37, .seed = 3, .threads = 1 + i};
        assert_int_equal(pd_synth(&options), PD_OK);
        snprintf(path, sizeof path, "%s/train/PNEUMONIA/person1_virus_1.jpeg", folder);
        assert_int_equal(pd_file_read(&bytes[i], &size[i], path, 1 << 20), PD_OK);

        pd_scan scan;
        int64_t of_cause[PD_CAUSES] = {0};
        assert_int_equal(pd_scan_folder(&scan, &(pd_scan_options){.folder = folder}), PD_OK);
        assert_int_equal(scan.count, 37);
        pd_patient_rules *rules;
        pd_patient_tally tally;
        pd_draft *drafts = calloc(37, sizeof *drafts);
        assert_int_equal(pd_patient_rules_create(&rules, NULL), PD_OK);
        assert_int_equal(pd_drafts_identify(&tally, &scan, drafts, rules), PD_OK);
        assert_int_equal(tally.images[PD_PATIENT_NAME], 37);
        assert_true(scan.patients < 37);
        pd_patient_rules_destroy(&rules);
        free(drafts);
        for (int64_t s = 0; s < scan.count; s++)
            of_cause[scan.samples[s].cause]++;
        assert_int_equal(of_cause[PD_CAUSE_NONE], 10);
        assert_int_equal(of_cause[PD_CAUSE_BACTERIA], 18);
        assert_int_equal(of_cause[PD_CAUSE_VIRUS], 9);
        pd_scan_free(&scan);

        assert_int_equal(pd_synth(&options), PD_FAILED);
        assert_non_null(strstr(pd_error_message(), "is not empty"));
    }
    assert_int_equal(size[0], size[1]);
    assert_memory_equal(bytes[0], bytes[1], size[0]);
    free(bytes[0]);
    free(bytes[1]);
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    assert_int_equal(system(command), 0);
}

/* truth.csv lists every image, with the position from pd_phantom_draw for focal opacities. */
static void synth_writes_truth_on_request(void **state)
{
    (void)state;
    char root[] = "synth-XXXXXX", folder[32], path[64], expected[128], command[64];
    unsigned char *text;
    size_t size;
    pd_image image;
    pd_opacity o;
    pd_log_set_quiet(true);
    assert_non_null(mkdtemp(root));
    snprintf(folder, sizeof folder, "%s/all", root);
    snprintf(path, sizeof path, "%s/truth.csv", folder);
    const pd_synth_options options = {
        .folder = folder, .images = 20, .seed = 5, .threads = 2, .truth = true};
    assert_int_equal(pd_synth(&options), PD_OK);
    assert_int_equal(pd_file_read(&text, &size, path, 1 << 20), PD_OK);
    int lines = 0;
    for (size_t i = 0; i < size; i++)
        lines += text[i] == '\n';
    assert_int_equal(lines, 21);
    const char *rows = (const char *)text;
    assert_ptr_equal(strstr(rows, "path,row,column,row_radius,column_radius\n"), rows);
    assert_non_null(strstr(rows, "\ntrain/NORMAL/IM-0001-0001.jpeg,,,,\n"));
    assert_non_null(strstr(rows, "\ntrain/PNEUMONIA/person1_virus_1.jpeg,,,,\n"));
    draw(&image, &o, PD_CAUSE_BACTERIA, 1, 1);
    snprintf(expected, sizeof expected,
             "\ntrain/PNEUMONIA/person1_bacteria_1.jpeg,%.1f,%.1f,%.1f,%.1f\n", (double)o.cy,
             (double)o.cx, (double)o.ry, (double)o.rx);
    assert_non_null(strstr(rows, expected));
    pd_image_free(&image);
    free(text);

    /* It is not an image of the folder, and is written only on request. */
    pd_scan scan;
    assert_int_equal(pd_scan_folder(&scan, &(pd_scan_options){.folder = folder}), PD_OK);
    assert_int_equal(scan.count, 20);
    assert_int_equal(scan.left_out, 1);
    pd_scan_free(&scan);
    snprintf(folder, sizeof folder, "%s/none", root);
    snprintf(path, sizeof path, "%s/truth.csv", folder);
    const pd_synth_options silent = {.folder = folder, .images = 8, .seed = 5, .threads = 1};
    assert_int_equal(pd_synth(&silent), PD_OK);
    assert_false(pd_file_exists(path));
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_numbers_give_equal_images),
        cmocka_unit_test(the_opacity_lies_within_the_image),
        cmocka_unit_test(focal_opacities_are_bright),
        cmocka_unit_test(the_mean_does_not_separate_the_classes),
        cmocka_unit_test(synth_writes_the_published_layout_once),
        cmocka_unit_test(synth_writes_truth_on_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
