/* Linked into sanitized builds only. Open MPI unloads its plugins before LeakSanitizer runs, which
 * can then no longer attribute their allocations to them, and so cannot apply leaks.supp. This
 * keeps the plugins loaded. */
#include <dlfcn.h>

int dlclose(void *handle)
{
    (void)handle;
    return 0;
}
