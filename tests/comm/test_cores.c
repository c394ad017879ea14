/* The cores of a host, divided among the ranks that may run on them. */
#include "comm/cores.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { RANKS = 6 };

static void set(pd_rank_cores *rank, const char *host, int first, int count)
{
    memset(rank, 0, sizeof *rank);
    snprintf(rank->host, sizeof rank->host, "%s", host);
    for (int core = first; core < first + count; core++)
        CPU_SET((size_t)core, &rank->cores);
}

static void test_shares(void **state)
{
    (void)state;
    pd_rank_cores ranks[RANKS];
    double shares[RANKS];
    set(&ranks[0], "a", 0, 4); /* shares cores 2 and 3 with the next */
    set(&ranks[1], "b", 0, 8); /* two unbound ranks */
    set(&ranks[2], "a", 2, 2);
    set(&ranks[3], "b", 0, 8);
    set(&ranks[4], "c", 7, 1); /* bound to a core each, of the same number */
    set(&ranks[5], "d", 7, 1); /* on two hosts */
    pd_cores_divide(shares, ranks, RANKS);
    static const double expected[RANKS] = {3, 4, 1, 4, 1, 1};
    for (int rank = 0; rank < RANKS; rank++)
        assert_float_equal(shares[rank], expected[rank], 1e-12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_shares)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
