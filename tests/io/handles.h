/* Checks that no HDF5 handle is left open. Include once per test program. */
#ifndef PNEUMO_TESTS_IO_HANDLES_H
#define PNEUMO_TESTS_IO_HANDLES_H

#include "io/hdf5.h"

/* HDF5 leaks memory when it reads a damaged object; assert_no_handles shows that this program
 * closes everything that it opens. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libhdf5\n";
}

static inline void assert_no_handles(void)
{
    pd_hdf5_start();
    assert_int_equal(H5Fget_obj_count((hid_t)H5F_OBJ_ALL, H5F_OBJ_ALL), 0);
}

#endif
