/* A build without the DICOM libraries names the packages to install. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* As such a build compiles it: PNEUMO_DICOM is not defined here. It replaces the library's row. */
#include "data/dicom.c"
#include "data/dicom_file.h"

#include <stdlib.h>

static void the_packages_are_named(void **state)
{
    (void)state;
    static const uint16_t values[4] = {0};
    dicom_file *file = calloc(1, sizeof *file);
    pd_image image;
    assert_non_null(file);
    dicom_begin(file);
    dicom_shape(file, 2, 2, 16, 12, 0, "MONOCHROME2");
    dicom_pixels(file, values, 4);
    assert_int_equal(pd_image_decode(&image, file->bytes, file->size), PD_FAILED);
    assert_non_null(
        strstr(pd_error_message(), "libdcmtk-dev, libtiff-dev, libopenjp2-7-dev and g++"));
    assert_null(strchr(pd_error_message(), '\n'));
    assert_null(image.pixels);
    free(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_packages_are_named)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
