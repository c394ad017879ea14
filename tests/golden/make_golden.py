#!/usr/bin/env python3
"""Writes layers.golden and losses.golden beside itself: outputs and gradients of every layer type
and loss, computed by PyTorch in double precision. Needs PyTorch; the tests only read the files.
Usage: make_golden.py

A golden file is a list of cases. A case is

    case <name> <type> <key>=<number> ...\\n
    array <name> <rank> <dim> ...\\n        then the array, raw little-endian float32; repeated
    end\\n

Keys of layers are the fields of pd_layer_spec, and `training`. Arrays are x0 (x1): inputs
[n][h][w][c]; dy; y; dx0 (dx1); each param by its name, and `d` + name: its gradient over all
samples; for batchnorm also moving_mean_after and moving_variance_after. Each half of the samples is
one lane.
"""
import os

import numpy as np
import torch
import torch.nn.functional as F

KINK = 2e-5  # least magnitude of a ReLU's input: float and double may differ in sign closer to 0


class Writer:
    def __init__(self, name):
        folder = os.path.dirname(os.path.abspath(__file__))
        self.file = open(os.path.join(folder, name), "wb")

    def case(self, name, kind, keys, arrays):
        text = "".join(f" {key}={float(value):.9g}" for key, value in keys.items())
        self.file.write(f"case {name} {kind}{text}\n".encode())
        for key, value in arrays.items():
            value = np.ascontiguousarray(torch.as_tensor(value).detach().numpy(), "<f4")
            dims = " ".join(str(d) for d in value.shape)
            self.file.write(f"array {key} {value.ndim} {dims}\n".encode() + value.tobytes())
        self.file.write(b"end\n")


def draw(*shape, scale=1.0):
    """Normally distributed float32 numbers, as doubles."""
    return (torch.randn(*shape) * scale).double()


def differentiable(*tensors):
    return [t.clone().requires_grad_(True) for t in tensors]


def same_padding(size, kernel, stride):
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def padded(x, spec, value):
    """x [n][c][h][w] with the padding of the spec."""
    if spec["padding"]:
        return x
    top, bottom = same_padding(x.shape[2], spec["kernel_h"], spec["stride"])
    left, right = same_padding(x.shape[3], spec["kernel_w"], spec["stride"])
    return F.pad(x, (left, right, top, bottom), value=value)


def nchw(x):
    return x.permute(0, 3, 1, 2)


def nhwc(x):
    return x.permute(0, 2, 3, 1)


def relu(z, spec):
    if not spec.get("relu"):
        return z
    assert z.abs().min() > KINK, "draw again: a pre-activation is too close to 0"
    return torch.relu(z)


def conv(spec, x, kernel, bias=None):
    z = F.conv2d(padded(nchw(x), spec, 0), kernel.permute(3, 2, 0, 1), bias,
                 stride=spec["stride"])
    return relu(nhwc(z), spec)


def separable(spec, x, depthwise_kernel, pointwise_kernel, bias=None):
    x = torch.relu(x) if spec["relu_first"] else x
    z = F.conv2d(padded(nchw(x), spec, 0), depthwise_kernel.permute(2, 3, 0, 1),
                 stride=spec["stride"], groups=x.shape[3])
    z = F.conv2d(z, pointwise_kernel.permute(3, 2, 0, 1), bias)
    return relu(nhwc(z), spec)


def dense(spec, x, kernel, bias=None):
    z = x.reshape(x.shape[0], -1) @ kernel
    z = z if bias is None else z + bias
    return relu(z.reshape(x.shape[0], 1, 1, -1), spec)


def maxpool(spec, x):
    window = (spec["kernel_h"], spec["kernel_w"])
    return nhwc(F.max_pool2d(padded(nchw(x), spec, -np.inf), window, spec["stride"]))


def avgpool(spec, x):
    window = (spec["kernel_h"], spec["kernel_w"])
    total = F.avg_pool2d(padded(nchw(x), spec, 0), window, spec["stride"])
    share = F.avg_pool2d(padded(torch.ones_like(nchw(x)), spec, 0), window, spec["stride"])
    return nhwc(total / share)


def normalised(x, mean, variance, spec, gamma, beta):
    return (x - mean) / torch.sqrt(variance + spec["epsilon"]) * gamma + beta


def moments(x):
    return x.mean((0, 1, 2)), x.var((0, 1, 2), unbiased=False)


def run(writer, name, kind, spec, forward, inputs, params):
    """Writes a case: forward(spec, *inputs, *params), and its gradients for a random dy."""
    inputs, params = dict(inputs), dict(params)
    leaves = differentiable(*inputs.values(), *params.values())
    y = forward(spec, *leaves)
    dy = draw(*y.shape)
    y.backward(dy)
    arrays = {**inputs, **params, "dy": dy, "y": y}
    for key, leaf in zip([*inputs, *params], leaves):
        arrays["d" + key] = leaf.grad
    writer.case(name, kind, {"training": 1, **spec}, arrays)


def conv_cases(writer):
    #        name              n  h  w  c  k  kh kw s valid relu no_bias
    table = [("3x3_same_relu", 2, 9, 7, 5, 6, 3, 3, 1, 0, 1, 0),
             ("3x3_valid", 4, 7, 6, 3, 4, 3, 3, 1, 1, 0, 0),
             ("3x3_wide", 2, 6, 6, 16, 16, 3, 3, 1, 0, 0, 1),
             ("3x3_stride2_relu", 4, 7, 8, 3, 5, 3, 3, 2, 0, 1, 1),
             ("3x3_stride2_valid", 2, 8, 7, 4, 3, 3, 3, 2, 1, 0, 0),
             ("1x1_relu", 4, 3, 5, 8, 5, 1, 1, 1, 0, 1, 0),
             ("1x1_stride2", 4, 5, 6, 4, 3, 1, 1, 2, 1, 0, 1),
             ("5x5_stride2", 4, 9, 9, 1, 4, 5, 5, 2, 0, 0, 0),
             ("7x7_stride2_relu", 4, 11, 10, 1, 3, 7, 7, 2, 0, 1, 0),
             ("3x2", 4, 5, 4, 2, 3, 3, 2, 1, 0, 0, 0)]
    for name, n, h, w, c, k, kh, kw, stride, valid, use_relu, no_bias in table:
        spec = dict(units=k, kernel_h=kh, kernel_w=kw, stride=stride, padding=valid, relu=use_relu,
                    no_bias=no_bias)
        params = {"kernel": draw(kh, kw, c, k, scale=(kh * kw * c) ** -0.5)}
        if not no_bias:
            params["bias"] = draw(k, scale=0.5)
        run(writer, "conv_" + name, "conv", spec, conv, {"x0": draw(n, h, w, c)}, params)


def separable_cases(writer):
    #        name             n  h  w  c   k  kh kw s valid first relu no_bias
    table = [("3x3_same",     2, 7, 6, 18, 5, 3, 3, 1, 0, 0, 0, 1),
             ("3x3_first",    4, 5, 7, 6, 7, 3, 3, 1, 0, 1, 0, 1),
             ("3x3_stride2",  2, 7, 8, 5, 4, 3, 3, 2, 0, 1, 1, 0),
             ("5x3_valid",    2, 8, 6, 3, 6, 5, 3, 1, 1, 0, 1, 0)]
    for name, n, h, w, c, k, kh, kw, stride, valid, first, use_relu, no_bias in table:
        spec = dict(units=k, kernel_h=kh, kernel_w=kw, stride=stride, padding=valid,
                    relu_first=first, relu=use_relu, no_bias=no_bias)
        params = {"depthwise_kernel": draw(kh, kw, c, 1, scale=(kh * kw) ** -0.5),
                  "pointwise_kernel": draw(1, 1, c, k, scale=c ** -0.5)}
        if not no_bias:
            params["bias"] = draw(k, scale=0.5)
        run(writer, "separable_" + name, "separable", spec, separable, {"x0": draw(n, h, w, c)},
            params)


def dense_cases(writer):
    for name, inputs, units, use_relu, no_bias in [("relu", 24, 7, 1, 0), ("logit", 33, 1, 0, 0),
                                                   ("no_bias", 17, 20, 0, 1)]:
        spec = dict(units=units, relu=use_relu, no_bias=no_bias)
        params = {"kernel": draw(inputs, units, scale=inputs ** -0.5)}
        if not no_bias:
            params["bias"] = draw(units, scale=0.5)
        run(writer, "dense_" + name, "dense", spec, dense, {"x0": draw(6, 1, 1, inputs)}, params)


def pool_cases(writer):
    #        name          h  w  c   kh kw s valid
    table = [("2x2", 7, 6, 5, 2, 2, 2, 1),
             ("3x3_stride2_same", 7, 8, 18, 3, 3, 2, 0),
             ("3x3_stride1_same", 4, 5, 9, 3, 3, 1, 0),
             ("5x4_stride3", 9, 8, 2, 5, 4, 3, 1),
             ("1x1_stride2", 5, 4, 3, 1, 1, 2, 1)]
    for name, h, w, c, kh, kw, stride, valid in table:
        spec = dict(kernel_h=kh, kernel_w=kw, stride=stride, padding=valid)
        run(writer, "maxpool_" + name, "maxpool", spec, maxpool, {"x0": draw(2, h, w, c)}, {})
        run(writer, "avgpool_" + name, "avgpool", spec, avgpool, {"x0": draw(2, h, w, c)}, {})
    # Many ties, as after a ReLU: the first of equal elements gets the gradient.
    spec = dict(kernel_h=3, kernel_w=3, stride=2, padding=0)
    x = torch.relu(torch.round(draw(2, 7, 7, 4)))
    run(writer, "maxpool_ties", "maxpool", spec, maxpool, {"x0": x}, {})
    run(writer, "globalpool", "globalpool", {}, lambda _, v: v.mean((1, 2), keepdim=True),
        {"x0": draw(4, 5, 3, 19)}, {})


def batchnorm_cases(writer):
    for name, shape, scope, use_relu in [("batch", (4, 4, 3, 5), 0, 0),
                                         ("batch_relu", (4, 5, 3, 18), 0, 1),
                                         ("lane_relu", (4, 4, 3, 6), 1, 1),
                                         ("vector", (8, 1, 1, 9), 0, 0)]:
        c = shape[3]
        spec = dict(relu=use_relu, momentum=0.9, epsilon=1e-3, scope=scope)
        x = (draw(*shape, scale=2) + draw(c, scale=3)).float().double()
        gamma, beta, moving_mean = draw(c) + 1, draw(c), draw(c)
        moving_variance = draw(c).abs() + 0.5
        gamma, moving_variance = gamma.float().double(), moving_variance.float().double()
        lanes = 2 if scope else 1
        leaves = differentiable(x, gamma, beta)
        parts, mean, variance = [], 0, 0
        for part in leaves[0].chunk(lanes):
            part_mean, part_variance = moments(part)
            parts.append(normalised(part, part_mean, part_variance, spec, *leaves[1:]))
            mean, variance = mean + part_mean / lanes, variance + part_variance / lanes
        y = relu(torch.cat(parts), spec)
        dy = draw(*shape)
        y.backward(dy)
        writer.case("batchnorm_" + name, "batchnorm", {"training": 1, **spec}, {
            "x0": x, "gamma": gamma, "beta": beta, "moving_mean": moving_mean,
            "moving_variance": moving_variance, "dy": dy, "y": y, "dx0": leaves[0].grad,
            "dgamma": leaves[1].grad, "dbeta": leaves[2].grad,
            "moving_mean_after": 0.9 * moving_mean + 0.1 * mean,
            "moving_variance_after": 0.9 * moving_variance + 0.1 * variance})
        if name == "batch_relu":
            y = relu(normalised(x, moving_mean, moving_variance, spec, gamma, beta), spec)
            writer.case("batchnorm_inference", "batchnorm", {"training": 0, **spec}, {
                "x0": x, "gamma": gamma, "beta": beta, "moving_mean": moving_mean,
                "moving_variance": moving_variance, "y": y})


def elementwise_cases(writer):
    run(writer, "relu", "relu", {}, lambda _, x: relu(x, {"relu": 1}), {"x0": draw(4, 3, 3, 7)}, {})
    run(writer, "flatten", "flatten", {}, lambda _, x: x.reshape(4, 1, 1, -1),
        {"x0": draw(4, 3, 2, 5)}, {})
    for use_relu in 0, 1:
        run(writer, f"add_{use_relu}", "add", {"relu": use_relu},
            lambda spec, a, b: relu(a + b, spec),
            {"x0": draw(4, 3, 3, 7), "x1": draw(4, 3, 3, 7)}, {})


def depthwise(spec, x, depthwise_kernel, bias=None):
    z = F.conv2d(padded(nchw(x), spec, 0), depthwise_kernel.permute(2, 3, 0, 1), bias,
                 stride=spec["stride"], groups=x.shape[3])
    return relu(nhwc(z), spec)


def depthwise_cases(writer):
    #        name           n  h  w  c   kh kw s valid relu no_bias
    table = [("3x3_same",    2, 7, 6, 18, 3, 3, 1, 0, 0, 1),
             ("3x3_stride2", 4, 8, 7, 5,  3, 3, 2, 0, 1, 0),
             ("5x3_valid",   2, 8, 6, 3,  5, 3, 1, 1, 0, 0)]
    for name, n, h, w, c, kh, kw, stride, valid, use_relu, no_bias in table:
        spec = dict(kernel_h=kh, kernel_w=kw, stride=stride, padding=valid, relu=use_relu,
                    no_bias=no_bias)
        params = {"depthwise_kernel": draw(kh, kw, c, 1, scale=(kh * kw) ** -0.5)}
        if not no_bias:
            params["bias"] = draw(c, scale=0.5)
        run(writer, "depthwise_" + name, "depthwise", spec, depthwise, {"x0": draw(n, h, w, c)},
            params)


def rectifier(spec, x):
    y = F.leaky_relu(x, spec["slope"])
    return y.clamp(max=spec["limit"]) if spec["limit"] else y


def imported_cases(writer):
    """Layers that only imported networks have."""
    depthwise_cases(writer)
    for name, slope, limit in [("relu6", 0, 6), ("leaky", 0.2, 0), ("both", 0.1, 1)]:
        run(writer, "rectifier_" + name, "rectifier", dict(slope=slope, limit=limit), rectifier,
            {"x0": draw(4, 3, 3, 7, scale=4)}, {})
    run(writer, "elu", "elu", dict(alpha=1.5), lambda spec, x: F.elu(x, spec["alpha"]),
        {"x0": draw(4, 3, 3, 7, scale=2)}, {})
    run(writer, "sigmoid", "sigmoid", {}, lambda _, x: torch.sigmoid(x),
        {"x0": draw(4, 3, 3, 7, scale=4)}, {})
    run(writer, "concat", "concat", {}, lambda _, a, b: torch.cat((a, b), 3),
        {"x0": draw(4, 3, 2, 7), "x1": draw(4, 3, 2, 7)}, {})
    run(writer, "zeropad", "zeropad", dict(pad_top=1, pad_bottom=2, pad_left=0, pad_right=3),
        lambda _, x: F.pad(x, (0, 0, 0, 3, 1, 2)), {"x0": draw(2, 4, 3, 5)}, {})
    run(writer, "globalmax", "globalmax", {}, lambda _, x: x.amax((1, 2), keepdim=True),
        {"x0": draw(4, 5, 3, 19)}, {})


def loss_cases(writer):
    n, classes, scale = 8, 3, 0.125
    for smoothing in 0, 0.1:
        logit, weight = draw(n, scale=3), draw(n).abs()
        target = torch.tensor([0., 1, 1, 0, 1, 0, 0, 1]).double()
        [z] = differentiable(logit)
        smooth = target * (1 - smoothing) + smoothing / 2
        loss = F.binary_cross_entropy_with_logits(z, smooth, weight, reduction="none") * scale
        loss.sum().backward()
        writer.case(f"binary_{smoothing}", "binary", dict(smoothing=smoothing, scale=scale), {
            "logit": logit, "target": target, "weight": weight, "dlogit": z.grad,
            "lane_loss": loss.reshape(2, -1).sum(1), "probability": torch.sigmoid(logit)})

        logit = draw(n, classes, scale=3)
        label = torch.tensor([0, 1, 2, 2, 1, 0, 0, 1])
        [z] = differentiable(logit)
        loss = F.cross_entropy(z, label, reduction="none", label_smoothing=smoothing)
        loss = loss * weight * scale
        loss.sum().backward()
        writer.case(f"softmax_{smoothing}", "softmax", dict(smoothing=smoothing, scale=scale), {
            "logit": logit, "label": label, "weight": weight, "dlogit": z.grad,
            "lane_loss": loss.reshape(2, -1).sum(1),
            "probability": torch.softmax(logit, 1)})


def main():
    torch.set_num_threads(1)
    torch.manual_seed(2)
    layers = Writer("layers.golden")
    for cases in conv_cases, dense_cases, pool_cases, batchnorm_cases, elementwise_cases:
        cases(layers)
    loss_cases(Writer("losses.golden"))
    separable_cases(layers)
    imported_cases(layers)


if __name__ == "__main__":
    main()
