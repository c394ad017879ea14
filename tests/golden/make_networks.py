#!/usr/bin/python3
"""Writes networks.h: loss and gradients of one training step of every model, by PyTorch.

Debian's python3-torch. Weights and images come from an integer hash that test_network.c computes in
the same way, so that only results are stored: of every gradient its norm, its dot product with a
hashed vector, and its first values.
"""
import numpy as np
import torch
import torch.nn.functional as F

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)  # the exact answer; float32 is held to it

SIZE, BATCH, EPS = 32, 6, 1e-3
SAMPLES = 6


def hashed(count, stream):
    """[-1, 1) floats, exact in single precision."""
    i = np.arange(count, dtype=np.uint64)
    h = (i * np.uint64(2654435761) + np.uint64(stream) * np.uint64(40503)) & np.uint64(0xFFFFFFFF)
    h ^= h >> np.uint64(15)
    h = (h * np.uint64(2246822519)) & np.uint64(0xFFFFFFFF)
    h ^= h >> np.uint64(13)
    return (h >> np.uint64(8)).astype(np.float64) / 2**23 - 1


class Net:
    """Collects parameters in the program's order and runs the layers."""

    def __init__(self):
        self.params = []
        self.index = 0  # of tensors, state included

    def tensor(self, shape, name):
        n = int(np.prod(shape))
        values = hashed(n, self.index + 1)
        fan_in = int(np.prod(shape[:-1])) if len(shape) > 1 else 0
        if name.endswith("kernel"):
            values = (np.float32(values) * np.float32(np.sqrt(6.0 / fan_in))).astype(np.float64)
        elif name.endswith("gamma"):
            values = np.float32(1) + np.float32(values) * np.float32(0.25)
        else:
            values = np.float32(values) * np.float32(0.25)
        t = torch.tensor(np.asarray(values, dtype=np.float64).reshape(shape), requires_grad=True)
        self.params.append((name, t))
        self.index += 1
        return t

    def conv(self, x, name, units, relu=False, bias=True):  # x: NHWC
        w = self.tensor((3, 3, x.shape[3], units), name + "/kernel")
        b = self.tensor((units,), name + "/bias") if bias else None
        y = F.conv2d(x.permute(0, 3, 1, 2), w.permute(3, 2, 0, 1), b, padding=1).permute(0, 2, 3, 1)
        return F.relu(y) if relu else y

    def dense(self, x, name, units, relu=False):
        w = self.tensor((x.shape[1], units), name + "/kernel")
        b = self.tensor((units,), name + "/bias")
        y = x @ w + b
        return F.relu(y) if relu else y

    def norm(self, x, name):
        gamma = self.tensor((x.shape[3],), name + "/gamma")
        beta = self.tensor((x.shape[3],), name + "/beta")
        self.index += 2  # moving mean and variance
        mean = x.mean((0, 1, 2))
        var = ((x - mean) ** 2).mean((0, 1, 2))
        return F.relu((x - mean) / torch.sqrt(var + EPS) * gamma + beta)

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


def run(out, name, build, outputs, weights):
    net = Net()
    x = torch.tensor(np.float32(hashed(BATCH * SIZE * SIZE, 1000)).astype(np.float64)
                     .reshape(BATCH, SIZE, SIZE, 1))
    logits = build(net, x)
    w = torch.tensor(weights)
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
    key = build.__name__
    out.write(f"static const golden_tensor {key}_tensors[] = {{\n")
    for number, (tensor_name, t) in enumerate(net.params):
        g = t.grad.numpy().ravel()
        values = ", ".join(f"{v:.9e}" for v in g[:SAMPLES])
        out.write(f'    {{"{tensor_name}", {g.size}, {np.linalg.norm(g):.12e}, '
                  f"{np.dot(g, hashed(g.size, 2000 + number)):.12e},\n     {{{values}}}}},\n")
    out.write("};\n")
    return (f'    {{"{name}", {outputs}, {loss.item():.12e}, {len(net.params)}, {key}_tensors}},\n')


def main():
    with open(__file__.rsplit("/", 1)[0] + "/networks.h", "w") as out:
        out.write("/* Made by make_networks.py with PyTorch in double precision; do not edit. */\n"
                  f"enum {{ GOLDEN_SIZE = {SIZE}, GOLDEN_BATCH = {BATCH}, GOLDEN_SAMPLES = {SAMPLES} }};\n"
                  "typedef struct golden_tensor {\n    const char *name;\n    int size;\n"
                  "    double norm, dot, first[GOLDEN_SAMPLES];\n} golden_tensor;\n"
                  "typedef struct golden_network {\n    const char *model;\n    int outputs;\n"
                  "    double loss;\n    int tensors;\n    const golden_tensor *tensor;\n"
                  "} golden_network;\n")
        plain = [1.0] * BATCH
        weighted = [0.5 + 0.25 * (i % 2 * 2) for i in range(BATCH)]
        rows = [run(out, "dense1", dense1, 1, plain), run(out, "mlp2", mlp2, 1, weighted),
                run(out, "cnn", cnn, 1, plain),
                run(out, "cnn", cnn_causes, 3, weighted), run(out, "cnn-deep", cnn_deep, 1, weighted)]
        out.write("static const golden_network golden_networks[] = {\n" + "".join(rows) + "};\n")


if __name__ == "__main__":
    main()
