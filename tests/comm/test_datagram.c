/* Heartbeats as datagrams between three ranks, all in this process. */
#include "comm/datagram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { SIZE = 3 };

static pd_datagram ranks[SIZE];

static int begin(void **state)
{
    (void)state;
    for (int i = 0; i < SIZE; i++) {
        assert_int_equal(pd_datagram_open(&ranks[i], i, SIZE), PD_OK);
        ranks[i].hub = ranks[0].hub;
    }
    return 0;
}

static int finish(void **state)
{
    (void)state;
    for (int i = 0; i < SIZE; i++)
        pd_datagram_close(&ranks[i]);
    return 0;
}

/* On one host a datagram that was sent has arrived. */
static void expect(int at, int from, pd_beat beat)
{
    int rank = -1;
    pd_beat got;
    assert_true(pd_datagram_receive(&ranks[at], &rank, &got));
    assert_int_equal(rank, from);
    assert_int_equal(got.completed, beat.completed);
    assert_int_equal(got.waiting, beat.waiting);
    assert_int_equal(got.ending, beat.ending);
}

static void expect_none(int at)
{
    int rank;
    pd_beat beat;
    assert_false(pd_datagram_receive(&ranks[at], &rank, &beat));
}

/* Receives all that has arrived: until rank 0 has answered, a rank sends to all of its addresses.
 */
static void drain(int at)
{
    int rank;
    pd_beat beat;
    while (pd_datagram_receive(&ranks[at], &rank, &beat)) {
    }
}

static void meet(void)
{
    const pd_beat beat = {1, true, false};
    for (int i = 1; i < SIZE; i++)
        pd_datagram_send(&ranks[i], beat);
    drain(0);
    pd_datagram_send(&ranks[0], beat);
    for (int i = 1; i < SIZE; i++)
        drain(i);
}

static void test_meeting(void **state)
{
    (void)state;
    const pd_beat first = {7, true, false}, answer = {4000000000, false, true};
    pd_datagram_send(&ranks[0], answer); /* it does not know where the others are */
    expect_none(1);
    pd_datagram_send(&ranks[2], first);
    expect(0, 2, first);
    drain(0);
    pd_datagram_send(&ranks[0], answer);
    expect(2, 0, answer);
    expect_none(2);
    expect_none(1);
}

static void test_exchange(void **state)
{
    (void)state;
    meet();
    for (uint32_t i = 0; i < 100; i++) {
        const pd_beat beat = {i, i % 2 == 1, i % 3 == 1};
        pd_datagram_send(&ranks[0], beat);
        expect(1, 0, beat);
        expect(2, 0, beat);
        pd_datagram_send(&ranks[1], beat);
        expect(0, 1, beat);
    }
    for (int i = 0; i < SIZE; i++)
        expect_none(i);
}

/* Sends `size` bytes to rank `to`, as from anywhere on the network. */
static void inject(int to, const void *bytes, size_t size)
{
    struct sockaddr_in address;
    socklen_t length = sizeof address;
    assert_int_equal(getsockname(ranks[to].socket, (struct sockaddr *)&address, &length), 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int from = socket(AF_INET, SOCK_DGRAM, 0);
    assert_int_equal(sendto(from, bytes, size, 0, (struct sockaddr *)&address, length),
                     (ssize_t)size);
    close(from);
}

/* Datagrams of other programs and other jobs count for nothing. */
static void test_strangers(void **state)
{
    (void)state;
    struct {
        uint64_t key;
        uint32_t words[8];
    } packet = {.key = ranks[0].hub.key, .words = {1, 5, 1, 1}};
    const size_t size = sizeof packet.key + 4 * sizeof packet.words[0];
    meet();
    inject(0, &packet, size);
    expect(0, 1, (pd_beat){5, true, true});
    for (size_t other = 0; other < sizeof packet; other++)
        if (other != size)
            inject(0, &packet, other);
    expect_none(0);
    for (uint32_t rank = 0; rank <= UINT32_MAX / 2; rank = 2 * rank + SIZE) {
        packet.words[0] = rank;
        inject(0, &packet, size);
    }
    expect_none(0);
    packet.words[0] = 2;
    inject(1, &packet, size); /* only rank 0 sends to others */
    expect_none(1);
    packet.words[0] = 1;
    packet.key ^= 1;
    inject(0, &packet, size);
    expect_none(0);
    pd_datagram_send(&ranks[1], (pd_beat){9, false, false});
    expect(0, 1, (pd_beat){9, false, false});
}

/* As where the system gives no socket. */
static void test_without_socket(void **state)
{
    (void)state;
    meet();
    close(ranks[1].socket);
    ranks[1].socket = -1;
    pd_datagram_send(&ranks[1], (pd_beat){9, false, false});
    expect_none(0);
    expect_none(1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_meeting, begin, finish),
        cmocka_unit_test_setup_teardown(test_exchange, begin, finish),
        cmocka_unit_test_setup_teardown(test_strangers, begin, finish),
        cmocka_unit_test_setup_teardown(test_without_socket, begin, finish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
