#include "fuse.h"

#include "network_internal.h"

/* The largest element after ReLU is ReLU of the largest element, so a ReLU between a convolution
 * and the max pooling that alone reads it can follow the pooling. There it has fewer elements, and
 * the output of the convolution, the largest array of most networks, need not be kept for its
 * gradient. */
static void move_relus_behind_pooling(pd_network *network, int shown)
{
    for (int i = 0; i < network->count; i++) {
        pd_layer *pool = &network->nodes[i].layer;
        pd_node *source = pd_network_source(network, i);
        if (source == NULL || source->consumers != 1 || source->layer.index == shown ||
            !pool->type->commutes_with_relu || !source->layer.type->can_move_relu)
            continue;
        pd_layer_spec *spec = &source->layer.spec;
        if (!spec->relu)
            continue;
        spec->relu = false;
        source->layer.relu_moved = true;
        pool->relu_moved = !pool->spec.relu;
        pool->spec.relu = true;
        /* The default is chosen by the ReLU, which the layer no longer has. */
        if (spec->init == PD_INIT_DEFAULT)
            spec->init = PD_INIT_HE_NORMAL;
    }
}

/* The gradient of a ReLU needs its output, and the gradient that comes from its reader. A
 * convolution that alone reads it has both, which saves another pass over memory. */
static void defer_relus_to_readers(pd_network *network)
{
    for (int i = 0; i < network->count; i++) {
        pd_layer *reader = &network->nodes[i].layer;
        pd_node *source = pd_network_source(network, i);
        if (source == NULL || source->consumers != 1 || !source->layer.spec.relu ||
            !reader->type->can_mask_dx || !source->layer.type->can_defer_relu)
            continue;
        source->layer.relu_deferred = true;
        reader->masks_dx = true;
    }
}

void pd_fuse_relus(pd_network *network, int shown)
{
    move_relus_behind_pooling(network, shown);
    defer_relus_to_readers(network);
}
