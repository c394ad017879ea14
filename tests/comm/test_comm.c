/* Runs with and without mpirun; all ranks make the same assertions. PNEUMO_TEST_RANKS is the
 * expected number of ranks (default 1).
 *
 * An argument selects a scenario instead, in which the other ranks wait for the last one: `abort`
 * (it aborts with code 42), `stopped` (it stops), `mismatch` (it waits in a different operation) or
 * `busy` (it is late). With `group`, rank 0 prints the group size, and the groups compute a sum. */
#include "pneumo/base/memory.h"
#include "pneumo/base/random.h"
#include "pneumo/comm/group.h"
#include "pneumo/kernels/tree.h"

#include <math.h>
#include <mpi.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "comm/comm_internal.h"
#include "comm/reduction_internal.h"

static pd_comm *comm;

static const int LANES[] = {5, 6, 8, 16};
enum { LANES_COUNT = sizeof(LANES) / sizeof(LANES[0]) };

/* Random numbers over 24 powers of two, so that the result depends on the order of additions. */
static float draw_number(pd_random *random)
{
    return ldexpf(pd_random_normal(random), (int)pd_random_below(random, 24) - 12);
}

/* The vectors [lane][n] of lanes [first, first + count). */
static float *lane_vectors(int first, int count, size_t n, uint32_t trial)
{
    float *vectors = NULL;
    assert_int_equal(pd_alloc(&vectors, (size_t)count * n, sizeof(float)), PD_OK);
    for (int lane = 0; lane < count; lane++) {
        pd_random random = pd_random_stream(7, PD_PURPOSE_TEST, trial, (uint64_t)(first + lane));
        for (size_t j = 0; j < n; j++)
            vectors[(size_t)lane * n + j] = draw_number(&random);
    }
    return vectors;
}

/* The sum that a single rank computes for all lanes. */
static float *tree_sum(int lanes, size_t n, uint32_t trial)
{
    pd_subtree whole[PD_SUBTREES_MAX];
    assert_int_equal(pd_tree_subtrees(lanes, 0, lanes, whole), 1);
    float *vectors = lane_vectors(0, lanes, n, trial);
    pd_tree_fold_lanes(&whole[0], vectors, n, n, vectors);
    return vectors;
}

/* The subtree sums of this rank's lanes, one vector [n] each. */
static float *own_parts(size_t n, uint32_t trial, int expected_subtrees)
{
    pd_subtree subtrees[PD_SUBTREES_MAX];
    int first = pd_comm_first_lane(comm);
    int found = pd_tree_subtrees(pd_comm_lanes(comm), first, pd_comm_lane_count(comm), subtrees);
    assert_int_equal(found, expected_subtrees);
    float *parts = NULL;
    assert_int_equal(pd_alloc(&parts, (size_t)found * n, sizeof(float)), PD_OK);
    for (int i = 0; i < found; i++) {
        float *vectors = lane_vectors(subtrees[i].first, subtrees[i].count, n, trial);
        pd_tree_fold_lanes(&subtrees[i], vectors, n, n, parts + (size_t)i * n);
        free(vectors);
    }
    return parts;
}

static int join(void **state)
{
    (void)state;
    return pd_comm_create(&comm) == PD_OK ? 0 : -1;
}

/* Stands before MPI's function, as its profiling interface permits. MPI requires that all messages
 * have been received by then: heartbeats are. */
int MPI_Finalize(void)
{
    int found = 0;
    usleep(100000); /* what was sent arrives */
    MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, MPI_COMM_WORLD, &found, MPI_STATUS_IGNORE);
    if (found) {
        fprintf(stderr, "a message was not received before MPI_Finalize\n");
        _exit(1);
    }
    return PMPI_Finalize();
}

static int leave(void **state)
{
    (void)state;
    if (pd_comm_rank(comm) == 0)
        usleep(500000); /* heartbeats of both directions are on their way */
    pd_comm_destroy(&comm);
    pd_comm_destroy(&comm);
    return 0;
}

static void test_ranks(void **state)
{
    (void)state;
    const char *expected = getenv("PNEUMO_TEST_RANKS");
    assert_int_equal(pd_comm_size(comm), expected != NULL ? atoi(expected) : 1);
    assert_in_range(pd_comm_rank(comm), 0, pd_comm_size(comm) - 1);
    assert_int_equal(pd_comm_local_size(comm), pd_comm_size(comm));
    assert_true(strlen(pd_comm_host(comm)) > 0);
    assert_int_equal(pd_comm_barrier(comm), PD_OK);
}

static void test_every_lane_has_one_rank(void **state)
{
    (void)state;
    for (int lanes = pd_comm_size(comm); lanes <= 17; lanes++) {
        assert_int_equal(pd_comm_set_lanes(comm, lanes), PD_OK);
        assert_int_equal(pd_comm_lanes(comm), lanes);
        assert_in_range(pd_comm_lane_count(comm), 1, lanes);
        uint32_t mine = 0, all;
        for (int i = 0; i < pd_comm_lane_count(comm); i++)
            mine |= 1u << (pd_comm_first_lane(comm) + i);
        assert_int_equal(pd_comm_bitwise_or(comm, mine, &all), PD_OK);
        assert_int_equal(all, (1u << lanes) - 1);
    }
}

static void test_allgather(void **state)
{
    (void)state;
    const uint64_t *values, first = UINT64_C(1) << 63;
    assert_int_equal(pd_comm_allgather_u64(comm, first + (uint64_t)pd_comm_rank(comm), &values),
                     PD_OK);
    for (int rank = 0; rank < pd_comm_size(comm); rank++)
        assert_true(values[rank] == first + (uint64_t)rank);
}

static void test_lanes_out_of_range(void **state)
{
    (void)state;
    assert_int_equal(pd_comm_set_lanes(comm, 0), PD_FAILED);
    assert_int_equal(pd_comm_set_lanes(comm, -3), PD_FAILED);
    assert_int_equal(pd_comm_set_lanes(comm, PD_LANES_MAX + 1), PD_FAILED);
    if (pd_comm_size(comm) > 1) {
        assert_int_equal(pd_comm_set_lanes(comm, pd_comm_size(comm) - 1), PD_FAILED);
        assert_non_null(strstr(pd_error_message(), "raise lanes to"));
    }
}

static void test_doubling_rounds(void **state)
{
    (void)state;
    assert_int_equal(pd_comm_doubling_rounds(8, 1), 0);
    assert_int_equal(pd_comm_doubling_rounds(8, 2), 1);
    assert_int_equal(pd_comm_doubling_rounds(8, 8), 3);
    assert_int_equal(pd_comm_doubling_rounds(4096, 64), 6);
    assert_int_equal(pd_comm_doubling_rounds(8, 3), 0);
    assert_int_equal(pd_comm_doubling_rounds(12, 4),
                     0); /* three lanes do not form a node of the tree */
}

static void test_lane_sum(void **state)
{
    (void)state;
    /* Growing and shrinking lengths: the scratch buffer grows, and is then used in part. */
    const size_t counts[] = {1, 300, 0, 7};
    for (int l = 0; l < LANES_COUNT; l++) {
        int lanes = LANES[l];
        if (lanes < pd_comm_size(comm))
            continue;
        assert_int_equal(pd_comm_set_lanes(comm, lanes), PD_OK);
        for (int c = 0; c < 4; c++) {
            size_t n = counts[c];
            double all[16 * 300], expected[300], total[300];
            for (int lane = 0; lane < lanes; lane++) {
                pd_random random = pd_random_stream(3, PD_PURPOSE_TEST, 0, (uint64_t)lane);
                for (size_t j = 0; j < n; j++)
                    all[(size_t)lane * n + j] =
                        ldexp(draw_number(&random), (int)pd_random_below(&random, 60));
            }
            double *parts = NULL;
            size_t held = (size_t)pd_comm_lane_count(comm) * n;
            assert_int_equal(pd_alloc(&parts, held, sizeof(double)), PD_OK);
            if (held > 0)
                memcpy(parts, all + (size_t)pd_comm_first_lane(comm) * n, held * sizeof(double));
            assert_int_equal(pd_comm_lane_sum(comm, parts, n, total), PD_OK);
            pd_tree_fold_doubles(lanes, all, n, expected);
            assert_memory_equal(total, expected, n * sizeof(double));
            free(parts);
        }
    }
}

static void test_broadcast(void **state)
{
    (void)state;
    for (int root = 0; root < pd_comm_size(comm); root++) {
        bool is_root = pd_comm_rank(comm) == root;
        int32_t bytes[1000];
        for (int i = 0; i < 1000; i++)
            bytes[i] = is_root ? i * i + root : -1;
        assert_int_equal(pd_comm_broadcast(comm, bytes, sizeof bytes, root), PD_OK);
        for (int i = 0; i < 1000; i++)
            assert_int_equal(bytes[i], i * i + root);

        char *text = NULL;
        assert_int_equal(pd_comm_broadcast_text(comm, &text, is_root ? "Größe 3×3" : NULL, root),
                         PD_OK);
        assert_string_equal(text, "Größe 3×3");
        free(text);
        assert_int_equal(pd_comm_broadcast_text(comm, &text, is_root ? "" : NULL, root), PD_OK);
        assert_string_equal(text, "");
        free(text);
        assert_int_equal(pd_comm_broadcast_text(comm, &text, NULL, root), PD_OK);
        assert_null(text);
    }
}

static void test_gather_unequal_sizes(void **state)
{
    (void)state;
    int rank = pd_comm_rank(comm), size = pd_comm_size(comm);
    /* Some ranks contribute nothing, the others more with rising rank. */
    unsigned char mine[3000];
    size_t own = rank % 3 == 1 ? 0 : (size_t)rank * 300 + 5;
    memset(mine, rank + 1, sizeof mine);
    void *all = NULL;
    size_t total = 99;
    assert_int_equal(pd_comm_gather(comm, own > 0 ? mine : NULL, own, &all, &total), PD_OK);
    if (rank > 0) {
        assert_null(all);
        assert_int_equal(total, 0);
        return;
    }
    size_t at = 0;
    for (int r = 0; r < size; r++)
        for (size_t i = 0; i < (r % 3 == 1 ? 0 : (size_t)r * 300 + 5); i++)
            assert_int_equal(((unsigned char *)all)[at++], r + 1);
    assert_int_equal(total, at);
    free(all);
}

/* More than one operation of the transport carries, and not the same of every rank. */
static void test_gather_in_pieces(void **state)
{
    (void)state;
    int rank = pd_comm_rank(comm), size = pd_comm_size(comm);
    const size_t base = (size_t)40000003 / (size_t)size, step = 1000003;
    size_t own = base + (size_t)rank * step, total;
    uint8_t *mine = malloc(own);
    void *all;
    assert_non_null(mine);
    for (size_t i = 0; i < own; i++)
        mine[i] = (uint8_t)((i * 7 + (size_t)rank * 3) % 251); /* no period of a piece */
    assert_int_equal(pd_comm_gather(comm, mine, own, &all, &total), PD_OK);
    free(mine);
    if (rank > 0) {
        assert_null(all);
        return;
    }
    size_t at = 0, wrong = 0;
    for (int r = 0; r < size; r++)
        for (size_t i = 0; i < base + (size_t)r * step && at < total; i++, at++)
            wrong += ((uint8_t *)all)[at] != (uint8_t)((i * 7 + (size_t)r * 3) % 251);
    assert_int_equal(total, base * (size_t)size + step * (size_t)(size * (size - 1) / 2));
    assert_int_equal(at, total);
    assert_int_equal(wrong, 0);
    free(all);
}

static void test_bitwise_or_and_max(void **state)
{
    (void)state;
    int rank = pd_comm_rank(comm), size = pd_comm_size(comm);
    uint32_t all = 0;
    assert_int_equal(pd_comm_bitwise_or(comm, 1u << rank | 1u << 31, &all), PD_OK);
    assert_int_equal(all, (1u << size) - 1 + (1u << 31));

    double largest = 0;
    assert_int_equal(pd_comm_max(comm, -100.0 - rank, &largest), PD_OK);
    assert_true(largest == -100.0);
    assert_int_equal(pd_comm_max(comm, 0.5 * rank, &largest), PD_OK);
    assert_true(largest == 0.5 * (size - 1));
    assert_int_equal(pd_comm_max(comm, rank == size / 2 ? NAN : 1.0, &largest), PD_OK);
    assert_true(isnan(largest));
}

static void test_agree(void **state)
{
    (void)state;
    int rank = pd_comm_rank(comm), size = pd_comm_size(comm), last = size - 1;
    assert_int_equal(pd_comm_agree(comm, PD_OK), PD_OK);

    char prefix[300] = "";
    if (size > 1)
        snprintf(prefix, sizeof prefix, "rank %d on %s: ", last, pd_comm_host(comm));
    char expected[400];
    snprintf(expected, sizeof expected, "%sdisk is 100%% full: '%%s'", prefix);
    pd_status status = rank == last ? pd_fail("disk is 100%% full: '%%s'") : PD_OK;
    assert_int_equal(pd_comm_agree(comm, status), PD_FAILED);
    assert_string_equal(pd_error_message(), expected);

    /* If several fail, the lowest rank's status and message are reported. */
    status = rank == 0 ? pd_fail_usage("the first") : pd_fail("rank %d too", rank);
    assert_int_equal(pd_comm_agree(comm, status), PD_USAGE);
    assert_non_null(strstr(pd_error_message(), "the first"));

    assert_int_equal(pd_comm_agree(comm, PD_OK), PD_OK);
}

/* Sums parts [subtrees][n], marking ranges ready whose borders differ from those of the buckets.
 * With `disturb`, other collectives run in between and ranks are delayed. */
static const float *run_sum(pd_reduction *reduction, const float *parts, size_t n, bool disturb)
{
    pd_random random = pd_random_stream(5, PD_PURPOSE_TEST, 1, 0);
    double lane_parts[16], total;
    assert_int_equal(pd_reduction_begin(reduction), PD_OK);
    if (n > 0)
        memcpy(pd_reduction_parts(reduction), parts,
               (size_t)pd_reduction_subtrees(reduction) * n * sizeof(float));
    for (size_t offset = n; offset > 0;) {
        size_t range = pd_random_below(&random, 700);
        range = range < offset ? range : offset;
        offset -= range;
        assert_int_equal(pd_reduction_ready(reduction, offset, range), PD_OK);
        if (disturb && pd_random_below(&random, 8) == 0) {
            usleep((useconds_t)(pd_comm_rank(comm) * 300));
            for (int i = 0; i < 16; i++)
                lane_parts[i] = 1;
            assert_int_equal(pd_comm_lane_sum(comm, lane_parts, 1, &total), PD_OK);
            assert_true(total == pd_comm_lanes(comm));
        }
    }
    assert_int_equal(pd_reduction_finish(reduction), PD_OK);
    usleep((useconds_t)(pd_comm_rank(comm) * 500));
    return pd_reduction_result(reduction);
}

/* After pd_comm_set_lanes. */
static void check_exact_sum(size_t n, size_t bucket)
{
    pd_reduction *reduction = NULL;
    assert_int_equal(pd_reduction_create(&reduction, comm, PD_REDUCTION_EXACT, n, bucket), PD_OK);
    for (uint32_t trial = 0; trial < 2; trial++) {
        float *parts = own_parts(n, trial, pd_reduction_subtrees(reduction));
        float *expected = tree_sum(pd_comm_lanes(comm), n, trial);
        const float *sum = run_sum(reduction, parts, n, trial == 1);
        assert_memory_equal(sum, expected, n * sizeof(float));
        free(parts);
        free(expected);
    }
    pd_reduction_destroy(&reduction);
    assert_null(reduction);
    pd_reduction_destroy(&reduction);
}

static void check_exact_reduction(void)
{
    for (int l = 0; l < LANES_COUNT; l++) {
        if (LANES[l] < pd_comm_size(comm))
            continue;
        assert_int_equal(pd_comm_set_lanes(comm, LANES[l]), PD_OK);
        check_exact_sum(1003, 0);   /* one bucket, shorter than the default */
        check_exact_sum(4096, 512); /* buckets that divide the vector */
        check_exact_sum(10007, 64); /* more buckets than fit into the window */
        check_exact_sum(203, 3);    /* buckets smaller than the number of ranks */
        check_exact_sum(0, 0);
    }
}

static void set_group(int limit, int expected)
{
    assert_int_equal(pd_comm_set_group_size(comm, limit), PD_OK);
    assert_string_equal(pd_comm_group_obstacle(comm), "");
    assert_int_equal(pd_comm_group_size(comm), expected);
}

static void test_exact_reduction_without_groups(void **state)
{
    (void)state;
    set_group(1, 1);
    check_exact_reduction();
}

/* As on hosts with two ranks each. */
static void test_exact_reduction_in_pairs(void **state)
{
    (void)state;
    set_group(2, pd_comm_size(comm) % 2 == 0 ? 2 : 1);
    check_exact_reduction();
}

/* Groups of three and four ranks hold several nodes of the lane tree. */
static void test_exact_reduction_in_groups(void **state)
{
    (void)state;
    set_group(7, pd_comm_size(comm) == 8 ? 4 : pd_comm_size(comm));
    check_exact_reduction();
}

static void test_exact_reduction_in_one_group(void **state)
{
    (void)state;
    set_group(0, pd_comm_size(comm));
    check_exact_reduction();
}

/* The comparisons above are meaningful only if the result depends on the order of additions. */
static void test_data_depend_on_order(void **state)
{
    (void)state;
    size_t n = 1003;
    for (int l = 0; l < LANES_COUNT; l++) {
        float *vectors = lane_vectors(0, LANES[l], n, 0);
        float *expected = tree_sum(LANES[l], n, 0);
        for (int lane = 1; lane < LANES[l]; lane++)
            for (size_t j = 0; j < n; j++)
                vectors[j] += vectors[(size_t)lane * n + j];
        size_t differ = 0;
        for (size_t j = 0; j < n; j++)
            differ += vectors[j] != expected[j];
        assert_true(differ > n / 20);
        free(vectors);
        free(expected);
    }
}

static void test_mpi_reduction(void **state)
{
    (void)state;
    size_t n = 10007;
    for (int l = 0; l < LANES_COUNT; l++) {
        int lanes = LANES[l];
        if (lanes < pd_comm_size(comm))
            continue;
        assert_int_equal(pd_comm_set_lanes(comm, lanes), PD_OK);
        pd_reduction *reduction = NULL;
        assert_int_equal(pd_reduction_create(&reduction, comm, PD_REDUCTION_MPI, n, 64), PD_OK);
        float *parts = own_parts(n, 2, pd_reduction_subtrees(reduction));
        float *vectors = lane_vectors(0, lanes, n, 2);
        const float *all = run_sum(reduction, parts, n, true);
        for (size_t j = 0; j < n; j++) {
            double sum = 0, size = 0;
            for (int lane = 0; lane < lanes; lane++) {
                sum += vectors[(size_t)lane * n + j];
                size += fabsf(vectors[(size_t)lane * n + j]);
            }
            assert_true(fabs(all[j] - sum) <= size * 1e-6);
        }
        double waiting, folding;
        pd_reduction_seconds(reduction, &waiting, &folding);
        assert_true(waiting >= 0 && folding >= 0);
        pd_reduction_seconds(reduction, &waiting, &folding);
        assert_true(waiting == 0 && folding == 0);
        free(parts);
        free(vectors);
        pd_reduction_destroy(&reduction);
    }
}

static void test_reduction_misuse(void **state)
{
    (void)state;
    pd_reduction *reduction = NULL, *other = NULL;
    assert_int_equal(pd_comm_set_lanes(comm, 16), PD_OK);
    assert_int_equal(pd_reduction_create(&reduction, comm, PD_REDUCTION_EXACT, 100, 1u << 25),
                     PD_FAILED);
    assert_null(reduction);
    assert_int_equal(pd_reduction_create(&reduction, comm, PD_REDUCTION_EXACT, 100, 10), PD_OK);
    assert_int_equal(pd_reduction_create(&other, comm, PD_REDUCTION_EXACT, 100, 10), PD_OK);

    assert_int_equal(pd_reduction_begin(reduction), PD_OK);
    assert_int_equal(pd_reduction_ready(reduction, 0, 50), PD_FAILED);
    assert_int_equal(pd_reduction_ready(reduction, 90, 11), PD_FAILED);
    assert_int_equal(pd_reduction_ready(reduction, SIZE_MAX, 101), PD_FAILED);
    assert_int_equal(pd_reduction_ready(reduction, 75, 25), PD_OK);
    if (pd_comm_size(comm) > 1) {
        assert_int_equal(pd_reduction_begin(other), PD_OK);
        assert_int_equal(pd_reduction_ready(other, 75, 25), PD_FAILED);
    }
    /* The ranges that are ready complete all the same. */
    assert_int_equal(pd_reduction_finish(reduction), PD_FAILED);
    assert_non_null(strstr(pd_error_message(), "[0, 75)"));

    assert_int_equal(pd_reduction_begin(other), PD_OK);
    assert_int_equal(pd_reduction_ready(other, 0, 100), PD_OK);
    assert_int_equal(pd_reduction_finish(other), PD_OK);
    pd_reduction_destroy(&reduction);
    pd_reduction_destroy(&other);
}

static void test_reduction_before_lanes(void **state)
{
    (void)state;
    pd_reduction *reduction = NULL;
    assert_int_equal(pd_reduction_create(&reduction, comm, PD_REDUCTION_EXACT, 100, 10), PD_FAILED);
    assert_null(reduction);
}

static int abort_last_rank(void)
{
    if (pd_comm_create(&comm) != PD_OK)
        return 1;
    if (pd_comm_rank(comm) == pd_comm_size(comm) - 1)
        pd_comm_abort(comm, 42);
    pd_comm_barrier(comm);
    return 1;
}

/* Prints the group size and why it is not larger. */
static int print_group(void)
{
    if (pd_comm_create(&comm) != PD_OK || pd_comm_set_group_size(comm, 0) != PD_OK)
        return 1;
    if (pd_comm_rank(comm) == 0)
        printf("groups of %d: %s\n", pd_comm_group_size(comm), pd_comm_group_obstacle(comm));
    if (pd_comm_set_lanes(comm, 16) != PD_OK)
        return 1;
    check_exact_sum(1003, 64);
    pd_comm_destroy(&comm);
    return 0;
}

/* The other ranks wait for the last one, with a watchdog of a few seconds. */
static int wait_for_last_rank(const char *how)
{
    enum { SECONDS = 4 };
    pd_reduction *reduction = NULL;
    if (pd_comm_create(&comm) != PD_OK || pd_comm_set_lanes(comm, 16) != PD_OK ||
        pd_reduction_create(&reduction, comm, PD_REDUCTION_EXACT, 16, 0) != PD_OK)
        return 1;
    bool last = pd_comm_rank(comm) == pd_comm_size(comm) - 1;
    pd_comm_set_watchdog(comm, SECONDS, NULL);
    pd_comm_set_position(comm, "test %d", 7);
    if (last && strcmp(how, "stopped") == 0)
        raise(SIGSTOP);
    if (last && strcmp(how, "busy") == 0)
        sleep(2 * SECONDS);
    if (last && strcmp(how, "mismatch") == 0) {
        if (pd_reduction_begin(reduction) != PD_OK ||
            pd_reduction_ready(reduction, 0, 16) != PD_OK ||
            pd_reduction_finish(reduction) != PD_OK)
            return 1;
    }
    pd_status status = pd_comm_barrier(comm);
    pd_reduction_destroy(&reduction);
    pd_comm_destroy(&comm);
    return status;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "abort") == 0)
        return abort_last_rank();
    if (argc > 1 && strcmp(argv[1], "group") == 0)
        return print_group();
    if (argc > 1)
        return wait_for_last_rank(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reduction_before_lanes),
        cmocka_unit_test(test_ranks),
        cmocka_unit_test(test_every_lane_has_one_rank),
        cmocka_unit_test(test_allgather),
        cmocka_unit_test(test_lanes_out_of_range),
        cmocka_unit_test(test_doubling_rounds),
        cmocka_unit_test(test_lane_sum),
        cmocka_unit_test(test_broadcast),
        cmocka_unit_test(test_gather_unequal_sizes),
        cmocka_unit_test(test_gather_in_pieces),
        cmocka_unit_test(test_bitwise_or_and_max),
        cmocka_unit_test(test_agree),
        cmocka_unit_test(test_data_depend_on_order),
        cmocka_unit_test(test_exact_reduction_without_groups),
        cmocka_unit_test(test_exact_reduction_in_pairs),
        cmocka_unit_test(test_exact_reduction_in_groups),
        cmocka_unit_test(test_exact_reduction_in_one_group),
        cmocka_unit_test(test_mpi_reduction),
        cmocka_unit_test(test_reduction_misuse),
    };
    return cmocka_run_group_tests(tests, join, leave);
}
