/* DICOM: greys by the standard's formulas, facts, identity, and the errors for bad files. Syntaxes
 * are compared with pydicom by test_dicom_peers.sh. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "data/dicom_file.h"
#include "data/dicom_grey.h"
#include "data/image_format.h"
#include "pneumo/base/memory.h"
#include "pneumo/base/random.h"
#include "pneumo/data/image.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void refuse(const dicom_file *file, const char *words)
{
    pd_image image;
    assert_int_equal(pd_image_decode(&image, file->bytes, file->size), PD_FAILED);
    assert_null(image.pixels);
    if (!strstr(pd_error_message(), words))
        fail_msg("'%s' does not say '%s'", pd_error_message(), words);
    assert_null(strchr(pd_error_message(), '\n'));
}

static void expect_pixels(const dicom_file *file, const uint8_t *wanted, int count)
{
    pd_image image;
    if (pd_image_decode(&image, file->bytes, file->size) != PD_OK)
        fail_msg("%s", pd_error_message());
    for (int i = 0; i < count; i++)
        assert_int_equal(image.pixels[i], wanted[i]);
    pd_image_free(&image);
}

static dicom_file *make_file(void)
{
    dicom_file *file;
    assert_int_equal(pd_alloc(&file, 1, sizeof *file), PD_OK);
    dicom_begin(file);
    return file;
}

/* --- Greys --- */

enum { SIDE = 4, PIXELS = SIDE * SIDE };

static pd_dicom make_dicom(uint16_t *samples, int bits)
{
    return (pd_dicom){
        .height = SIDE, .width = SIDE, .stored_bits = bits, .slope = 1, .samples = samples};
}

static void expect_greys(const pd_dicom *dicom, const uint8_t *wanted)
{
    uint8_t greys[PIXELS];
    assert_int_equal(pd_dicom_grey(greys, dicom), PD_OK);
    for (int i = 0; i < PIXELS; i++)
        if (greys[i] != wanted[i])
            fail_msg("pixel %d is %d instead of %d", i, greys[i], wanted[i]);
}

static uint8_t to_grey(double white)
{
    return (uint8_t)floor(255 * fmin(1, fmax(0, white)) + 0.5);
}

/* The formulas of PS3.3 C.11.2.1.2 and C.11.2.1.3 written out, after rescaling; both photometric
 * interpretations; signed and not. */
static void windows_follow_the_standard(void **state)
{
    (void)state;
    static const double spans[] = {1, 1.5, 2, 900, 4000};
    uint16_t samples[PIXELS];
    uint8_t wanted[PIXELS];
    for (int i = 0; i < PIXELS; i++)
        samples[i] = (uint16_t)(i * 273);
    for (int function = PD_DICOM_LINEAR; function <= PD_DICOM_SIGMOID; function++)
        for (int variant = 0; variant < 20; variant++) {
            pd_dicom dicom = make_dicom(samples, 12);
            double c = dicom.centre = 700.5, w = dicom.span = spans[variant / 4];
            dicom.window = (pd_dicom_function)function;
            dicom.inverted = variant % 2;
            dicom.is_signed = variant / 2 % 2;
            dicom.slope = 0.75;
            dicom.offset = -20;
            for (int i = 0; i < PIXELS; i++) {
                int stored = dicom.is_signed && samples[i] >= 2048 ? samples[i] - 4096 : samples[i];
                double x = stored * 0.75 - 20, y;
                if (function == PD_DICOM_LINEAR)
                    y = x <= c - 0.5 - (w - 1) / 2  ? 0
                        : x > c - 0.5 + (w - 1) / 2 ? 1
                                                    : (x - (c - 0.5)) / (w - 1) + 0.5;
                else if (function == PD_DICOM_LINEAR_EXACT)
                    y = x <= c - w / 2 ? 0 : x > c + w / 2 ? 1 : (x - c) / w + 0.5;
                else
                    y = 1 / (1 + exp(-4 * (x - c) / w));
                wanted[i] = dicom.inverted ? (uint8_t)(255 - to_grey(y)) : to_grey(y);
            }
            expect_greys(&dicom, wanted);
        }
}

static void tables_come_before_windows(void **state)
{
    (void)state;
    uint16_t samples[PIXELS], modality[] = {100, 90, 80, 70}, voi[] = {0, 1023, 512, 3};
    uint8_t wanted[PIXELS];
    pd_dicom dicom = make_dicom(samples, 12);
    dicom.modality_lut = (pd_dicom_lut){4, 2, 16, modality};
    dicom.voi_lut = (pd_dicom_lut){4, 78, 10, voi};
    dicom.window = PD_DICOM_LINEAR; /* not used beside the table */
    dicom.centre = dicom.span = 1;
    dicom.slope = 9; /* not used beside the table */
    for (int i = 0; i < PIXELS; i++) {
        samples[i] = (uint16_t)i;
        int value = modality[i <= 2 ? 0 : i >= 5 ? 3 : i - 2], at = value - 78;
        wanted[i] = to_grey(voi[at <= 0 ? 0 : at >= 3 ? 3 : at] / 1023.0);
    }
    expect_greys(&dicom, wanted);
}

static void without_a_window_percentiles_serve(void **state)
{
    (void)state;
    uint16_t samples[PIXELS];
    uint8_t wanted[PIXELS];
    for (int i = 0; i < PIXELS; i++) {
        samples[i] = (uint16_t)(1000 + 10 * i);
        wanted[i] = to_grey(i / 15.0);
    }
    pd_dicom dicom = make_dicom(samples, 14);
    expect_greys(&dicom, wanted); /* 0.5 % of 16 pixels is none */
    dicom.slope = -2;             /* reverses the order of the values */
    for (int i = 0; i < PIXELS; i++)
        wanted[i] = to_grey((15 - i) / 15.0);
    expect_greys(&dicom, wanted);

    /* Padding does not count. */
    dicom.slope = 1;
    dicom.has_padding = true;
    dicom.padding_low = 1150;
    dicom.padding_high = 16383;
    for (int i = 0; i < PIXELS; i++)
        wanted[i] = to_grey(i / 14.0);
    expect_greys(&dicom, wanted);

    /* At most 8 bits keep their whole range. */
    dicom = make_dicom(samples, 8);
    for (int i = 0; i < PIXELS; i++)
        samples[i] = wanted[i] = (uint8_t)(30 + i);
    expect_greys(&dicom, wanted);

    /* An image of one value is black or white, not a division by zero. */
    dicom = make_dicom(samples, 12);
    for (int i = 0; i < PIXELS; i++)
        samples[i] = 77, wanted[i] = 0;
    expect_greys(&dicom, wanted);
}

static void tails_become_black_and_white(void **state)
{
    (void)state;
    enum { HEIGHT = 100, WIDTH = 100 };
    static uint16_t samples[HEIGHT * WIDTH];
    static uint8_t greys[HEIGHT * WIDTH];
    pd_dicom dicom = {
        .height = HEIGHT, .width = WIDTH, .stored_bits = 16, .slope = 1, .samples = samples};
    for (int i = 0; i < HEIGHT * WIDTH; i++)
        samples[i] = (uint16_t)(i < 40 ? 0 : i < 9960 ? 20000 + i % 1000 : 65535);
    assert_int_equal(pd_dicom_grey(greys, &dicom), PD_OK);
    assert_int_equal(greys[0], 0);
    assert_int_equal(greys[9999], 255);
    assert_in_range(greys[500], 125, 130); /* 20500, in the middle of 20000 to 20999 */
}

/* --- Files --- */

static void a_file_becomes_grey(void **state)
{
    (void)state;
    static const uint16_t values[] = {0, 1000, 2000, 4095};
    dicom_file *file = make_file();
    dicom_shape(file, 2, 2, 16, 12, 0, "MONOCHROME1");
    dicom_text(file, 0x28, 0x1050, "DS", "2000.5\\7");
    dicom_text(file, 0x28, 0x1051, "DS", "4001\\9");
    dicom_pixels(file, values, 4);
    expect_pixels(file, (const uint8_t[]){255, 191, 127, 0}, 4);
    free(file);
}

/* Adds a look-up table of two entries, black and white, as explicit files hold it. */
static void add_table(dicom_file *file, unsigned sequence, const char *vr, unsigned first)
{
    const unsigned descriptor[] = {2, first, 16}, data[] = {0, 65535};
    enum { DESCRIPTOR = 8 + 6, DATA = 12 + 4 };
    dicom_start(file, 0x28, sequence, "SQ", 8 + DESCRIPTOR + DATA);
    dicom_put16(file, 0xfffe);
    dicom_put16(file, 0xe000);
    dicom_put32(file, DESCRIPTOR + DATA);
    dicom_put16(file, 0x28);
    dicom_put16(file, 0x3002);
    dicom_put(file, vr, 2);
    dicom_put16(file, 6);
    for (int i = 0; i < 3; i++)
        dicom_put16(file, descriptor[i]);
    dicom_start(file, 0x28, 0x3006, "OW", 4);
    for (int i = 0; i < 2; i++)
        dicom_put16(file, data[i]);
}

/* Values whose VR is US or SS are signed if what they are compared with is (PS3.3 C.11.2.1.1,
 * C.7.5.1.1.2), whatever VR is stated; implicit files state none. */
static void meaning_decides_the_sign(void **state)
{
    (void)state;
    static const uint16_t around_zero[] = {(uint16_t)-600, (uint16_t)-500, (uint16_t)-499, 500};
    static const uint16_t large[] = {39999, 40000, 40001, 50000};
    static const uint8_t wanted[] = {0, 0, 255, 255};
    static const char *const vrs[] = {"SS", "US"};
    for (int i = 0; i < 2; i++) {
        dicom_file *file = make_file(); /* signed pixels */
        dicom_shape(file, 2, 2, 16, 16, 1, "MONOCHROME2");
        add_table(file, 0x3010, vrs[i], (unsigned)-500 & 0xffff);
        dicom_pixels(file, around_zero, 4);
        expect_pixels(file, wanted, 4);

        dicom_begin(file); /* unsigned pixels that are rescaled below zero */
        dicom_shape(file, 2, 2, 16, 12, 0, "MONOCHROME2");
        dicom_text(file, 0x28, 0x1052, "DS", "-1000");
        dicom_text(file, 0x28, 0x1053, "DS", "1");
        add_table(file, 0x3010, vrs[i], (unsigned)-500 & 0xffff);
        dicom_pixels(file, (const uint16_t[]){0, 500, 501, 2000}, 4);
        expect_pixels(file, wanted, 4);

        dicom_begin(file); /* unsigned pixels, then signed ones rescaled to such */
        dicom_shape(file, 2, 2, 16, 16, 0, "MONOCHROME2");
        add_table(file, 0x3010, vrs[i], 40000);
        dicom_pixels(file, large, 4);
        expect_pixels(file, wanted, 4);
        dicom_begin(file);
        dicom_shape(file, 2, 2, 16, 16, 1, "MONOCHROME2");
        dicom_text(file, 0x28, 0x1052, "DS", "32768");
        dicom_text(file, 0x28, 0x1053, "DS", "1");
        add_table(file, 0x3010, vrs[i], 40000);
        dicom_pixels(file, (const uint16_t[]){7231, 7232, 7233, 17232}, 4);
        expect_pixels(file, wanted, 4);

        dicom_begin(file); /* a modality look-up table of signed pixels */
        dicom_shape(file, 2, 2, 16, 16, 1, "MONOCHROME2");
        add_table(file, 0x3000, vrs[i], (unsigned)-500 & 0xffff);
        dicom_text(file, 0x28, 0x1050, "DS", "32768");
        dicom_text(file, 0x28, 0x1051, "DS", "65536");
        dicom_pixels(file, around_zero, 4);
        expect_pixels(file, wanted, 4);
        free(file);
    }
}

static void padding_has_the_sign_of_the_pixels(void **state)
{
    (void)state;
    static const uint16_t values[] = {(uint16_t)-2000, 0, 100, 200};
    static const char *const vrs[] = {"SS", "US"};
    for (int i = 0; i < 2; i++) {
        dicom_file *file = make_file();
        dicom_shape(file, 2, 2, 16, 16, 1, "MONOCHROME2");
        dicom_put16(file, 0x28);
        dicom_put16(file, 0x0120);
        dicom_put(file, vrs[i], 2);
        dicom_put16(file, 2);
        dicom_put16(file, (unsigned)-2000 & 0xffff);
        dicom_pixels(file, values, 4);
        expect_pixels(file, (const uint8_t[]){0, 0, 128, 255}, 4);
        free(file);
    }
}

static void describe(dicom_file *file, const char *modality, const char *view, const char *rows,
                     const char *id)
{
    static const uint16_t values[4] = {0};
    dicom_begin(file);
    dicom_text(file, 0x08, 0x0050, "SH", "ACC-77341");
    dicom_text(file, 0x08, 0x0060, "CS", modality);
    dicom_text(file, 0x10, 0x0010, "PN", "Müller^Hans Georg^^Dr");
    dicom_text(file, 0x10, 0x0020, "LO", id);
    dicom_text(file, 0x10, 0x0030, "DA", "19610427");
    dicom_text(file, 0x18, 0x5101, "CS", view);
    dicom_text(file, 0x20, 0x0020, "CS", rows);
    dicom_shape(file, 2, 2, 16, 12, 0, "MONOCHROME2");
    dicom_pixels(file, values, 4);
}

static void the_header_states_projection_and_modality(void **state)
{
    (void)state;
    static const struct {
        const char *modality, *view, *rows;
        pd_projection projection;
        bool other;
    } cases[] = {{"DX", "PA", "", PD_PROJECTION_FRONTAL, false},
                 {"CR", "AP", "P\\F", PD_PROJECTION_FRONTAL, false},
                 {"DX", "LL", "L\\F", PD_PROJECTION_LATERAL, false},
                 {"DX", "LATERAL", "", PD_PROJECTION_LATERAL, false},
                 {"DX", "RLD", "", PD_PROJECTION_FRONTAL, false},
                 {"DX", "", "L\\F", PD_PROJECTION_FRONTAL, false},
                 {"DX", "", "A\\F", PD_PROJECTION_LATERAL, false},
                 {"", "", "", PD_PROJECTION_UNKNOWN, false},
                 {"CT", "", "L\\P", PD_PROJECTION_FRONTAL, true}};
    dicom_file *file = make_file();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pd_image image;
        describe(file, cases[i].modality, cases[i].view, cases[i].rows, "1");
        assert_int_equal(pd_image_decode(&image, file->bytes, file->size), PD_OK);
        assert_int_equal(image.projection, cases[i].projection);
        assert_int_equal(image.is_other, cases[i].other);
        assert_string_equal(image.modality, cases[i].modality);
        pd_image_free(&image);
    }
    free(file);
}

static void a_patient_is_known_by_a_hash(void **state)
{
    (void)state;
    static const char *const ids[] = {"4711", "4711", "4712", ""};
    pd_image images[4];
    dicom_file *file = make_file();
    for (int i = 0; i < 4; i++) {
        describe(file, "DX", "PA", "", ids[i]);
        assert_int_equal(pd_image_decode(&images[i], file->bytes, file->size), PD_OK);
    }
    assert_int_equal(strlen(images[0].patient), PD_IMAGE_PATIENT - 1);
    assert_null(strstr(images[0].patient, "4711"));
    assert_string_equal(images[0].patient, images[1].patient);
    assert_string_not_equal(images[0].patient, images[2].patient);
    assert_string_equal(images[3].patient, "");
    for (int i = 0; i < 4; i++)
        pd_image_free(&images[i]);
    free(file);
}

static void paths_are_searched_for_the_identity(void **state)
{
    (void)state;
    static const char *const naming[] = {"NORMAL/4711.dcm",   "muller/47-11/x.dcm", "Hans.dcm",
                                         "a/GEORG_1.dcm",     "1961-04-27.dcm",     "acc_77341.dcm",
                                         "M\xc3\xbcller.dcm", "M\xfcller.dcm"};
    static const char *const neutral[] = {"NORMAL/471.dcm", "Dr.dcm", "IM0001", "1961.dcm",
                                          "acc.dcm"};
    pd_image image;
    dicom_file *file = make_file();
    describe(file, "DX", "PA", "", "4711");
    assert_int_equal(pd_image_decode(&image, file->bytes, file->size), PD_OK);
    for (size_t i = 0; i < sizeof naming / sizeof *naming; i++)
        if (!pd_image_identity_in(&image, naming[i]))
            fail_msg("'%s' is not found to name the patient", naming[i]);
    for (size_t i = 0; i < sizeof neutral / sizeof *neutral; i++)
        if (pd_image_identity_in(&image, neutral[i]))
            fail_msg("'%s' is said to name the patient", neutral[i]);
    pd_image_free(&image);
    free(file);
}

static void other_images_are_refused(void **state)
{
    (void)state;
    static const uint16_t values[16] = {0};
    dicom_file *file = make_file();
    refuse(file, "no image");
    dicom_shape(file, 2, 2, 8, 8, 0, "RGB");
    dicom_pixels(file, values, 6);
    refuse(file, "in colour (RGB)");
    dicom_begin(file);
    dicom_text(file, 0x28, 0x0008, "IS", "3");
    dicom_shape(file, 2, 2, 16, 12, 0, "MONOCHROME2");
    dicom_pixels(file, values, 12);
    refuse(file, "has 3 frames");
    dicom_begin(file);
    dicom_shape(file, 2, 2, 32, 32, 0, "MONOCHROME2");
    dicom_pixels(file, values, 8);
    refuse(file, "32 of 32 bits");
    dicom_begin(file);
    dicom_shape(file, 2, 2, 16, 17, 0, "MONOCHROME2");
    dicom_pixels(file, values, 4);
    refuse(file, "17 of 16 bits");
    dicom_begin(file);
    dicom_shape(file, 2, 2, 16, 12, 0, "MONOCHROME2");
    refuse(file, "no image");
    file->size = 128 + 4;
    dicom_text(file, 2, 0x0010, "UI", "1.2.840.10008.1.2.4.999");
    refuse(file, "transfer syntax 1.2.840.10008.1.2.4.999 is not supported");
    free(file);
}

static void nest(dicom_file *file, int levels)
{
    for (int i = 0; i < levels && file->size + 20 < DICOM_FILE_ROOM; i++) {
        dicom_start(file, 0x08, 0x1140, "SQ", UINT32_MAX);
        dicom_put16(file, 0xfffe);
        dicom_put16(file, 0xe000);
        dicom_put32(file, UINT32_MAX);
    }
}

/* A forged header is refused before memory of its size is allocated or DCMTK descends into it. */
static void forged_headers_are_refused(void **state)
{
    (void)state;
    static const uint16_t values[16] = {0};
    dicom_file *file = make_file();
    dicom_shape(file, 65535, 65535, 16, 12, 0, "MONOCHROME2");
    dicom_pixels(file, values, 16);
    refuse(file, "too large (65535 x 65535");
    dicom_begin(file);
    dicom_shape(file, 4, 4, 16, 12, 0, "MONOCHROME2");
    dicom_pixels(file, values, 15);
    refuse(file, "30 of 32 bytes");
    dicom_begin(file);
    dicom_shape(file, 4, 4, 16, 12, 0, "MONOCHROME2");
    dicom_pixels(file, values, 16);
    file->size -= 2;
    refuse(file, "damaged or cut short");
    dicom_begin(file);
    dicom_start(file, 0x10, 0x0010, "UN", 0xfffffff0);
    dicom_shape(file, 4, 4, 16, 12, 0, "MONOCHROME2");
    refuse(file, "damaged or cut short");
    dicom_begin(file);
    nest(file, 2000);
    refuse(file, "damaged or cut short");
    dicom_begin(file);
    file->size = 132;
    for (int i = 0; i < 5000; i++) {
        dicom_put16(file, 0xfffe);
        dicom_put16(file, 0xe000);
        dicom_put32(file, 0);
    }
    refuse(file, "more than 4096");
    free(file);
}

/* Damaged bytes may be an error but must not crash, and cut files are errors. */
static void damaged_bytes_do_not_crash(void **state)
{
    (void)state;
    dicom_file *file = make_file(), *damaged = make_file();
    pd_image image;
    describe(file, "DX", "PA", "L\\F", "4711");
    for (size_t size = 0; size < file->size; size++)
        assert_int_equal(pd_image_decode(&image, file->bytes, size), PD_FAILED);
    for (uint64_t trial = 0; trial < 3000; trial++) {
        pd_random random = pd_random_stream(1, PD_PURPOSE_TEST, 7, trial);
        memcpy(damaged, file, sizeof *file);
        for (int i = 0; i < 3; i++)
            damaged->bytes[128 + pd_random_below(&random, (uint32_t)file->size - 128)] =
                (unsigned char)pd_random_bits(&random);
        if (pd_image_decode(&image, damaged->bytes, damaged->size) == PD_OK)
            pd_image_free(&image);
    }
    free(file);
    free(damaged);
}

static void content_is_recognised(void **state)
{
    (void)state;
    dicom_file *file = make_file();
    describe(file, "DX", "PA", "", "1");
    assert_ptr_equal(pd_image_format_of_bytes(file->bytes, file->size), &pd_image_format_dicom);
    assert_null(pd_image_format_of_bytes(file->bytes, 131));
    /* Without preamble. */
    assert_ptr_equal(pd_image_format_of_bytes(file->bytes + 132, file->size - 132),
                     &pd_image_format_dicom);
    assert_ptr_equal(pd_image_format_of_path("a/b.DCM"), &pd_image_format_dicom);
    free(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows_follow_the_standard),
        cmocka_unit_test(tables_come_before_windows),
        cmocka_unit_test(without_a_window_percentiles_serve),
        cmocka_unit_test(tails_become_black_and_white),
        cmocka_unit_test(a_file_becomes_grey),
        cmocka_unit_test(meaning_decides_the_sign),
        cmocka_unit_test(padding_has_the_sign_of_the_pixels),
        cmocka_unit_test(the_header_states_projection_and_modality),
        cmocka_unit_test(a_patient_is_known_by_a_hash),
        cmocka_unit_test(paths_are_searched_for_the_identity),
        cmocka_unit_test(other_images_are_refused),
        cmocka_unit_test(forged_headers_are_refused),
        cmocka_unit_test(damaged_bytes_do_not_crash),
        cmocka_unit_test(content_is_recognised),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
