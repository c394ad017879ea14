/* For fuzzers that read HDF5 files; only they link this. HDF5 leaks memory when it reads a damaged
 * object, so its leaks do not count, but every handle that is opened must be closed. Its stacks
 * need the slow unwinder. */
#include "fuzz.h"

#include "io/hdf5.h"

const char *__lsan_default_suppressions(void);
const char *__asan_default_options(void);

const char *__lsan_default_suppressions(void)
{
    return "leak:libhdf5\n";
}

const char *__asan_default_options(void)
{
    return "fast_unwind_on_malloc=0:malloc_context_size=8";
}

void fuzz_check_handles(void)
{
    fuzz_check(H5Fget_obj_count((hid_t)H5F_OBJ_ALL, H5F_OBJ_ALL) == 0, "every handle is closed");
}
