/* The layer "dropout" (Srivastava et al., JMLR 15, 2014), inverted: in training sets each element
 * to 0 with probability spec.rate and scales the others by 1 / (1 - rate); in inference y = x. The
 * mask is a function of (seed, step, layer->index, position of the sample in the global batch,
 * element), which backward computes again. Keeps neither input nor output, saves nothing. */
#include "registry.h"

#include "pneumo/kernels/activation.h"

static pd_status dropout_plan(pd_layer *layer, const pd_plan *plan)
{
    (void)plan;
    if (!(layer->spec.rate >= 0 && layer->spec.rate < 1))
        return pd_fail("layer '%s': dropout rate %g is not in [0, 1)", layer->name,
                       (double)layer->spec.rate);
    layer->out = layer->in[0];
    return PD_OK;
}

static void dropout_run(const pd_layer *layer, const pd_exec *exec, const float *x, float *y)
{
    pd_dropout dropout = {.seed = exec->seed,
                          .step = exec->step,
                          .layer = (uint32_t)layer->index,
                          .first_sample = (uint64_t)exec->first_sample,
                          .rate = layer->spec.rate};
    if (exec->training && dropout.rate > 0)
        pd_dropout_apply(&dropout, (size_t)pd_exec_samples(exec), pd_shape_size(layer->out), x, y,
                         exec->threads);
    else
        pd_copy(layer->precision, pd_exec_elements(exec, layer->out), x, y, exec->threads);
}

static pd_status dropout_forward(pd_layer *layer, const pd_exec *exec, const void *const *x,
                                 void *y, void *saved)
{
    (void)saved;
    dropout_run(layer, exec, x[0], y);
    return PD_OK;
}

static pd_status dropout_backward(pd_layer *layer, const pd_exec *exec, const pd_backward *arrays)
{
    if (arrays->dx[0] != NULL)
        dropout_run(layer, exec, arrays->dy, arrays->dx[0]);
    return PD_OK;
}

const pd_layer_type pd_layer_dropout = {.name = "dropout",
                                        .inputs = 1,
                                        .plan = dropout_plan,
                                        .forward = dropout_forward,
                                        .backward = dropout_backward,
                                        .only_in_training = true};
