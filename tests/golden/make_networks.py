#!/usr/bin/python3
"""Writes networks.h: loss and gradients of one training step of every model, by PyTorch.

Needs PyTorch (Debian: python3-torch). test_network.c computes the weights and images by the same
integer hash, so only results are stored: of every gradient its norm, its dot product with a hashed
vector, and its first values. Also how far PyTorch's autocast to bfloat16 is from them.
"""
import numpy as np
import torch
import torch.nn.functional as F

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)  # the reference for float32

BATCH, EPS = 6, 1e-3
SAMPLES = 6


def hashed(count, stream):
    """Floats in [-1, 1), exact in single precision."""
    i = np.arange(count, dtype=np.uint64)
    h = (i * np.uint64(2654435761) + np.uint64(stream) * np.uint64(40503)) & np.uint64(0xFFFFFFFF)
    h ^= h >> np.uint64(15)
    h = (h * np.uint64(2246822519)) & np.uint64(0xFFFFFFFF)
    h ^= h >> np.uint64(13)
    return (h >> np.uint64(8)).astype(np.float64) / 2**23 - 1


class Net:
    """Collects parameters in the program's order and runs the layers."""

    def __init__(self, dtype=torch.float64):
        self.dtype = dtype
        self.params = []
        self.index = 0  # of tensors, state included

    def tensor(self, shape, name):
        n = int(np.prod(shape))
        values = hashed(n, self.index + 1)
        fan_in = int(np.prod(shape[:-1])) if len(shape) > 1 else 0
        if name.endswith("depthwise_kernel"):
            fan_in = shape[0] * shape[1]
        if name.endswith("kernel"):
            values = (np.float32(values) * np.float32(np.sqrt(6.0 / fan_in))).astype(np.float64)
        elif name.endswith("gamma"):
            values = np.float32(1) + np.float32(values) * np.float32(0.25)
        else:
            values = np.float32(values) * np.float32(0.25)
        t = torch.tensor(np.asarray(values, dtype=np.float64).reshape(shape), dtype=self.dtype,
                         requires_grad=True)
        self.params.append((name, t))
        self.index += 1
        return t

    def conv(self, x, name, units, relu=False, bias=True, size=3, stride=1, padding=1):  # x: NHWC
        w = self.tensor((size, size, x.shape[3], units), name + "/kernel")
        b = self.tensor((units,), name + "/bias") if bias else None
        y = F.conv2d(x.permute(0, 3, 1, 2), w.permute(3, 2, 0, 1), b, stride,
                     padding).permute(0, 2, 3, 1)
        return F.relu(y) if relu else y

    def separable(self, x, name, units):
        c = x.shape[3]
        depthwise = self.tensor((3, 3, c, 1), name + "/depthwise_kernel")
        pointwise = self.tensor((1, 1, c, units), name + "/pointwise_kernel")
        y = F.conv2d(x.permute(0, 3, 1, 2), depthwise.permute(2, 3, 0, 1), padding=1, groups=c)
        return F.conv2d(y, pointwise.permute(3, 2, 0, 1)).permute(0, 2, 3, 1)

    def dense(self, x, name, units, relu=False):
        w = self.tensor((x.shape[1], units), name + "/kernel")
        b = self.tensor((units,), name + "/bias")
        y = x @ w + b
        return F.relu(y) if relu else y

    def norm(self, x, name, relu=True):
        gamma = self.tensor((x.shape[3],), name + "/gamma")
        beta = self.tensor((x.shape[3],), name + "/beta")
        self.index += 2  # moving mean and variance
        y = F.batch_norm(x.permute(0, 3, 1, 2), None, None, gamma, beta, training=True,
                         eps=EPS).permute(0, 2, 3, 1)
        return F.relu(y) if relu else y

    def pool(self, x):
        return F.max_pool2d(x.permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1)


def dense1(net, x):
    return net.dense(x.flatten(1), "predictions", 1)


def mlp2(net, x):
    return net.dense(net.dense(x.flatten(1), "hidden", 24, True), "predictions", 1)


def cnn(net, x, outputs=1):
    for i, units in enumerate((8, 16, 32)):
        x = net.pool(net.conv(x, f"conv{i + 1}", units, relu=True))
    return net.dense(net.dense(x.flatten(1), "hidden", 24, True), "predictions", outputs)


def cnn_causes(net, x):
    return cnn(net, x, 3)


def cnn_deep(net, x):
    for i, units in enumerate((16, 24, 48, 80, 128)):
        for j in (1, 2):
            x = net.norm(net.conv(x, f"block{i + 1}_conv{j}", units, bias=False),
                         f"block{i + 1}_norm{j}")
        if i < 4:
            x = net.pool(x)
    return net.dense(x.mean((1, 2)), "predictions", 1)


EIGHTH = {64: 8, 128: 16, 256: 32, 512: 64, 728: 88, 1024: 128, 1536: 192, 2048: 256, 32: 8,
          4096: 512}  # channels at width 1/8: multiples of 8, at least 8


def vgg(net, x, counts, normalise, dense):
    for i, (count, channels) in enumerate(zip(counts, (64, 128, 256, 512, 512))):
        for j in range(count):
            name = f"block{i + 1}_conv{j + 1}"
            x = net.conv(x, name, EIGHTH[channels], relu=not normalise, bias=not normalise)
            if normalise:
                x = net.norm(x, name + "_bn")
        x = net.pool(x)
    if not dense:
        return net.dense(x.mean((1, 2)), "predictions", 1)
    x = net.dense(net.dense(x.flatten(1), "fc1", EIGHTH[4096], True), "fc2", EIGHTH[4096], True)
    return net.dense(x, "predictions", 1)


def vgg16(net, x):
    return vgg(net, x, (2, 2, 3, 3, 3), False, False)


def vgg16_normalised(net, x):
    return vgg(net, x, (2, 2, 3, 3, 3), True, False)


def vgg19(net, x):
    return vgg(net, x, (2, 2, 4, 4, 4), False, True)


def same_pool(x):
    """3 x 3, stride 2, with Keras' same padding: odd padding goes to the bottom and right."""
    pads = []
    for size in (x.shape[2], x.shape[1]):
        total = max((-(-size // 2) - 1) * 2 + 3 - size, 0)
        pads += [total // 2, total - total // 2]
    y = F.pad(x.permute(0, 3, 1, 2), pads, value=-np.inf)
    return F.max_pool2d(y, 3, 2).permute(0, 2, 3, 1)


def unnamed(kind, number):
    return kind if number == 0 else f"{kind}_{number}"


def halve(net, x, block, number, first, second):
    residual = net.conv(x, unnamed("conv2d", number), EIGHTH[second], bias=False, size=1, stride=2,
                        padding=0)
    residual = net.norm(residual, unnamed("batch_normalization", number), relu=False)
    if block > 2:
        x = F.relu(x)
    name = f"block{block}_sepconv"
    x = net.norm(net.separable(x, name + "1", EIGHTH[first]), name + "1_bn")
    x = net.norm(net.separable(x, name + "2", EIGHTH[second]), name + "2_bn", relu=False)
    return same_pool(x) + residual


def xception(net, x):
    x = net.norm(net.conv(x, "block1_conv1", EIGHTH[32], bias=False, stride=2, padding=0),
                 "block1_conv1_bn")
    x = net.norm(net.conv(x, "block1_conv2", EIGHTH[64], bias=False, padding=0), "block1_conv2_bn")
    for number, channels in enumerate((128, 256, 728)):
        x = halve(net, x, number + 2, number, channels, channels)
    for block in range(5, 13):
        residual = x
        for i in (1, 2, 3):
            name = f"block{block}_sepconv{i}"
            x = net.norm(net.separable(F.relu(x), name, EIGHTH[728]), name + "_bn", relu=False)
        x = x + residual
    x = halve(net, x, 13, 3, 728, 1024)
    for i, channels in ((1, 1536), (2, 2048)):
        name = f"block14_sepconv{i}"
        x = net.norm(net.separable(x, name, EIGHTH[channels]), name + "_bn")
    return net.dense(x.mean((1, 2)), "predictions", 1)


def distance(a, b):
    """1 minus the cosine of the angle between two vectors."""
    return 1 - float(torch.dot(a, b) / (a.norm() * b.norm()))


def autocast_distances(build, x, outputs):
    """How far logits and gradients by autocast to bfloat16 are from those in double precision. The
    gradient is that of dlogits which do not cancel, as those of similar samples do."""
    dlogits = torch.tensor(np.float32(hashed(BATCH * outputs, 1001)).reshape(BATCH, outputs))
    results = []
    for dtype, rounded in ((torch.float64, False), (torch.float32, True)):
        net = Net(dtype)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=rounded):
            logits = build(net, x.to(dtype))
        logits.backward(dlogits.to(logits.dtype))
        results.append((logits.detach().double().flatten(),
                        torch.cat([t.grad.double().flatten() for _, t in net.params])))
    return [distance(*pair) for pair in zip(*results)]


def run(out, name, build, outputs=1, weighted=False, size=32, channels=1, width=0.5):
    net = Net()
    x = torch.tensor(np.float32(hashed(BATCH * size * size * channels, 1000))
                     .astype(np.float64).reshape(BATCH, size, size, channels))
    logits = build(net, x)
    w = torch.tensor([0.5 + 0.5 * (i % 2) if weighted else 1.0 for i in range(BATCH)])
    smoothing = 0.1
    if outputs == 1:
        target = torch.tensor([float(i % 2) for i in range(BATCH)])
        target = target * (1 - smoothing) + smoothing / 2
        losses = F.binary_cross_entropy_with_logits(logits[:, 0], target, reduction="none")
    else:
        label = torch.tensor([i % outputs for i in range(BATCH)])
        losses = F.cross_entropy(logits, label, reduction="none", label_smoothing=smoothing)
    loss = (w * losses).sum() / BATCH
    loss.backward()
    logits_distance, gradient_distance = autocast_distances(build, x, outputs)
    key = build.__name__
    out.write(f"static const golden_tensor {key}_tensors[] = {{\n")
    for number, (tensor_name, t) in enumerate(net.params):
        g = t.grad.numpy().ravel()
        values = ", ".join(f"{v:.9e}" for v in g[:SAMPLES])
        out.write(f'    {{"{tensor_name}", {g.size}, {np.linalg.norm(g):.12e}, '
                  f"{np.dot(g, hashed(g.size, 2000 + number)):.12e},\n     {{{values}}}}},\n")
    out.write("};\n")
    return (f'    {{"{name}", {outputs}, {str(weighted).lower()}, {size}, {channels}, {width}f, '
            f'{"PD_HEAD_DENSE" if build is vgg19 else "PD_HEAD_POOL"}, '
            f'{str(build is vgg16_normalised).lower()},\n'
            f'     {loss.item():.12e}, {logits_distance:.3e}, {gradient_distance:.3e}, {len(net.params)}, '
            f'{key}_tensors}},\n')


def main():
    with open(__file__.rsplit("/", 1)[0] + "/networks.h", "w") as out:
        out.write("/* Written by make_networks.py with PyTorch in double precision; do not edit. */\n"
                  f"enum {{ GOLDEN_SIZE_MAX = 64, GOLDEN_BATCH = {BATCH}, GOLDEN_SAMPLES = {SAMPLES} }};\n"
                  "typedef struct golden_tensor {\n    const char *name;\n    int size;\n"
                  "    double norm, dot, first[GOLDEN_SAMPLES];\n} golden_tensor;\n"
                  "typedef struct golden_network {\n    const char *model;\n    int outputs;\n"
                  "    bool weighted;\n    int size, channels;\n    float width;\n    pd_head head;\n"
                  "    bool normalise;\n    double loss;\n"
                  "    double autocast_logits, autocast_gradient; /* 1 minus the cosine of the angle */\n"
                  "    int tensors;\n    const golden_tensor *tensor;\n"
                  "} golden_network;\n")
        rows = [run(out, "dense1", dense1), run(out, "mlp2", mlp2, weighted=True),
                run(out, "cnn", cnn), run(out, "cnn", cnn_causes, 3, True),
                run(out, "cnn-deep", cnn_deep, weighted=True),
                run(out, "vgg16", vgg16, width=0.125),
                run(out, "vgg16", vgg16_normalised, size=64, width=0.125),
                run(out, "vgg19", vgg19, weighted=True, channels=3, width=0.125),
                run(out, "xception", xception, size=64, channels=3, width=0.125)]
        out.write("static const golden_network golden_networks[] = {\n" + "".join(rows) + "};\n")


if __name__ == "__main__":
    main()
