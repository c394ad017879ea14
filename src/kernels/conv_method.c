#include "pneumo/kernels/conv_method.h"

#include "pneumo/kernels/conv.h"
#include "pneumo/kernels/winograd.h"

const pd_conv_method pd_conv_direct = {
    .prepared_size = pd_conv_prepared_size,
    .prepare = pd_conv_prepare,
    .forward = pd_conv_forward,
    .forward_workspace = pd_conv_forward_workspace,
    .backward_input = pd_conv_backward_input,
    .backward_input_workspace = pd_conv_backward_input_workspace,
    .backward_kernel = pd_conv_backward_kernel,
    .backward_kernel_workspace = pd_conv_backward_kernel_workspace,
};

const pd_conv_method pd_conv_winograd = {
    .prepared_size = pd_winograd_prepared_size,
    .prepare = pd_winograd_prepare,
    .forward = pd_winograd_forward,
    .forward_workspace = pd_winograd_forward_workspace,
    .backward_input = pd_winograd_backward_input,
    .backward_input_workspace = pd_winograd_backward_input_workspace,
    .backward_kernel = pd_winograd_backward_kernel,
    .backward_kernel_workspace = pd_winograd_backward_kernel_workspace,
};
