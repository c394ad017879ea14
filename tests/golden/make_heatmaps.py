#!/usr/bin/python3
"""Writes heatmaps.h: Grad-CAM (arXiv:1610.02391) of every convolutional model, by PyTorch.

Needs PyTorch (Debian: python3-torch). The models are those of make_networks.py in inference mode;
weights, moving statistics and the image come from the same integer hash.
"""
import numpy as np
import torch
import torch.nn.functional as F

import make_networks as networks


class Inference(networks.Net):
    """Normalises by moving statistics, and stores the last convolution's activation."""

    def note(self, y):
        self.last = y
        y.retain_grad()
        return y

    def conv(self, *arguments, **options):
        return self.note(super().conv(*arguments, **options))

    def separable(self, *arguments):
        return self.note(super().separable(*arguments))

    def norm(self, x, name, relu=True):
        gamma = self.tensor((x.shape[3],), name + "/gamma")
        beta = self.tensor((x.shape[3],), name + "/beta")
        mean, spread = (torch.tensor(0.25 * networks.hashed(x.shape[3], self.index + i))
                        for i in (1, 2))
        self.index += 2
        y = (x - mean) / torch.sqrt(1 + spread + networks.EPS) * gamma + beta
        return self.note(F.relu(y) if relu else y)


def run(out, name, build, outputs=1, size=32, channels=1, width=0.5):
    net = Inference()
    x = torch.tensor(networks.hashed(size * size * channels, 1000).reshape(1, size, size, channels))
    logits = build(net, x)[0]
    (logits[0] if outputs == 1 else logits[1:].max() - logits[0]).backward()
    weights = net.last.grad.mean((1, 2), keepdim=True)
    heat = F.relu((weights * net.last).sum(3))[0].detach().numpy()
    assert heat.max() > 0, name
    h, w = heat.shape
    key = build.__name__
    values = ",\n    ".join(", ".join(f"{v:.9e}" for v in row) for row in heat)
    out.write(f"static const double {key}_heat[] = {{\n    {values}}};\n")
    return (f'    {{"{name}", {outputs}, {size}, {channels}, {width}f, '
            f'{"PD_HEAD_DENSE" if build is networks.vgg19 else "PD_HEAD_POOL"}, '
            f'{str(build is networks.vgg16_normalised).lower()}, {h}, {w}, {key}_heat}},\n')


def main():
    with open(__file__.rsplit("/", 1)[0] + "/heatmaps.h", "w") as out:
        out.write("/* Written by make_heatmaps.py with PyTorch in double precision; do not edit. */\n"
                  "typedef struct golden_heatmap {\n    const char *model;\n"
                  "    int outputs, size, channels;\n    float width;\n    pd_head head;\n"
                  "    bool normalise;\n    int rows, columns;\n"
                  "    const double *values; /* [rows][columns] */\n} golden_heatmap;\n")
        rows = [run(out, "cnn", networks.cnn), run(out, "cnn", networks.cnn_causes, 3),
                run(out, "cnn-deep", networks.cnn_deep, size=64),
                run(out, "vgg16", networks.vgg16, width=0.125),
                run(out, "vgg16", networks.vgg16_normalised, size=64, width=0.125),
                run(out, "vgg19", networks.vgg19, channels=3, width=0.125),
                run(out, "xception", networks.xception, size=96, channels=3, width=0.125)]
        out.write("static const golden_heatmap golden_heatmaps[] = {\n" + "".join(rows) + "};\n")


if __name__ == "__main__":
    main()
