/* Fusing: which ReLUs move behind a pooling, and which leave their gradient to their reader. That
 * fused networks compute the right gradients is tested in test_network.c. */
#include "nn/fuse.h"
#include "nn/network_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const pd_layer_spec conv = {.units = 4, .kernel_h = 3, .kernel_w = 3, .relu = true};
static const pd_layer_spec pool = {.kernel_h = 2, .kernel_w = 2};

static pd_network *create(void)
{
    pd_network *net;
    assert_int_equal(pd_network_create(&net, (pd_shape){8, 8, 1}), PD_OK);
    return net;
}

static void assert_relu(const pd_network *net, int layer, bool relu, bool deferred)
{
    const pd_layer *of = pd_network_layer(net, layer);
    assert_int_equal(of->spec.relu, relu);
    assert_int_equal(of->relu_deferred, deferred);
}

static void a_relu_moves_behind_max_pooling(void **state)
{
    (void)state;
    for (int shown = -1; shown < 1; shown++) {
        pd_network *net = create();
        int x = pd_network_add(net, "conv", "a", PD_NETWORK_INPUT, conv);
        pd_network_add(net, "maxpool", "b", x, pool);
        pd_fuse_relus(net, shown);
        assert_relu(net, 0, shown == 0, false);
        assert_relu(net, 1, shown != 0, false);
        assert_true(pd_layer_built_relu(pd_network_layer(net, 0)));
        assert_false(pd_layer_built_relu(pd_network_layer(net, 1)));
        /* The initialisation is still that of a layer with ReLU. */
        assert_int_equal(pd_network_layer(net, 0)->spec.init,
                         shown == 0 ? PD_INIT_DEFAULT : PD_INIT_HE_NORMAL);
        pd_network_destroy(&net);
    }
}

static void a_relu_does_not_move_behind_other_layers(void **state)
{
    (void)state;
    static const struct {
        const char *first, *second;
    } cases[] = {{"conv", "avgpool"}, {"separable", "maxpool"}, {"dense", "maxpool"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pd_network *net = create();
        int x = pd_network_add(net, cases[i].first, "a", PD_NETWORK_INPUT, conv);
        pd_network_add(net, cases[i].second, "b", x, pool);
        pd_fuse_relus(net, -1);
        assert_relu(net, 0, true, false);
        assert_relu(net, 1, false, false);
        pd_network_destroy(&net);
    }
}

static void a_convolution_takes_the_gradient_of_the_relu_before_it(void **state)
{
    (void)state;
    pd_network *net = create();
    int x = pd_network_add(net, "conv", "a", PD_NETWORK_INPUT, conv);
    x = pd_network_add(net, "conv", "b", x, conv);
    x = pd_network_add(net, "maxpool", "c", x, pool);
    x = pd_network_add(net, "conv", "d", x, conv);
    pd_network_add(net, "dense", "e", x, (pd_layer_spec){.units = 2, .relu = true});
    pd_fuse_relus(net, -1);
    assert_relu(net, 0, true, true);
    assert_relu(net, 1, false, false);
    assert_relu(net, 2, true, true);
    assert_relu(net, 3, true, false);
    assert_false(pd_network_layer(net, 0)->masks_dx);
    assert_true(pd_network_layer(net, 1)->masks_dx);
    assert_true(pd_network_layer(net, 3)->masks_dx);
    assert_false(pd_network_layer(net, 4)->masks_dx);
    pd_network_destroy(&net);
}

static void layers_with_two_readers_are_not_fused(void **state)
{
    (void)state;
    pd_network *net = create();
    int x = pd_network_add(net, "conv", "a", PD_NETWORK_INPUT, conv);
    int left = pd_network_add(net, "maxpool", "b", x, pool);
    pd_network_add(net, "conv", "c", x, conv);
    pd_network_add(net, "relu", "d", left, (pd_layer_spec){0});
    pd_fuse_relus(net, -1);
    assert_relu(net, 0, true, false);
    assert_relu(net, 1, false, false);
    assert_false(pd_network_layer(net, 2)->masks_dx);
    pd_network_destroy(&net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_relu_moves_behind_max_pooling),
        cmocka_unit_test(a_relu_does_not_move_behind_other_layers),
        cmocka_unit_test(a_convolution_takes_the_gradient_of_the_relu_before_it),
        cmocka_unit_test(layers_with_two_readers_are_not_fused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
