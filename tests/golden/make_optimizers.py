#!/usr/bin/env python3
"""Writes optimizers.h: steps of PyTorch's optimisers and its OneCycleLR schedule.

    python3 make_optimizers.py > optimizers.h
"""
import textwrap

import numpy as np
import torch

STEPS = 5
SHAPES = [(5, 7), (7,), (7, 1), (1,)]  # kernel and bias of two dense layers
COUNT = sum(int(np.prod(s)) for s in SHAPES)

rng = np.random.default_rng(7)
weights = rng.normal(0, 0.5, COUNT).astype(np.float32)
weights[0] = 0  # where the L1 penalty has no gradient
gradients = rng.normal(0, 1, (STEPS, COUNT)).astype(np.float32)


def split(flat):
    parts, at = [], 0
    for shape in SHAPES:
        size = int(np.prod(shape))
        parts.append(torch.tensor(flat[at : at + size].reshape(shape)))
        at += size
    return parts


def run(make, l1=0.0, l2=0.0, clip=0.0):
    params = [torch.nn.Parameter(p) for p in split(weights)]
    optimizer = make([{"params": params[0::2]}, {"params": params[1::2], "weight_decay": 0.0}])
    for step in range(STEPS):
        for i, (param, gradient) in enumerate(zip(params, split(gradients[step]))):
            if i % 2 == 0:
                gradient = gradient + l1 * param.data.sign() + 2 * l2 * param.data
            param.grad = gradient
        if clip:
            torch.nn.utils.clip_grad_norm_(params, clip)
        optimizer.step()
    return torch.cat([p.detach().flatten() for p in params]).numpy()


def run_keras_sgd(rates, momentum):
    """Keras' velocity includes the learning rate; PyTorch's does not."""
    w, v = weights.astype(np.float64), np.zeros(COUNT)
    for rate, gradient in zip(rates, gradients):
        v = momentum * v - rate * gradient
        w = w + v
    return w


def onecycle(warm):
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 0.002, total_steps=20, pct_start=warm, cycle_momentum=False,
        div_factor=25, final_div_factor=40)
    rates = []
    for _ in range(20):
        rates.append(schedule.get_last_lr()[0])
        optimizer.step()
        if len(rates) < 20:
            schedule.step()
    return rates


def table(name, values, kind="float"):
    values = np.asarray(values).flatten()
    digits = 9 if kind == "float" else 17
    text = ", ".join(f"{v:.{digits}g}" for v in values)
    print(f"static const {kind} {name}[{len(values)}] = {{")
    for line in textwrap.wrap(text, 96):
        print("    " + line)
    print("};")


o = torch.optim
print("/* Written by make_optimizers.py; do not edit. */")
print("/* clang-format off */")
print(f"enum {{ GOLDEN_STEPS = {STEPS}, GOLDEN_COUNT = {COUNT} }};")
table("golden_weights", weights)
table("golden_gradients", gradients)
table("golden_sgd", run(lambda p: o.SGD(p, lr=0.1)))
table("golden_sgd_momentum", run(lambda p: o.SGD(p, lr=0.1, momentum=0.9)))
table("golden_sgd_nesterov", run(lambda p: o.SGD(p, lr=0.1, momentum=0.9, nesterov=True)))
table("golden_sgd_clip", run(lambda p: o.SGD(p, lr=0.1), clip=0.5))
table("golden_adam", run(lambda p: o.Adam(p, lr=0.01)))
table("golden_adam_l1_l2", run(lambda p: o.Adam(p, lr=0.01), l1=0.3, l2=0.2))
table("golden_adamw", run(lambda p: o.AdamW(p, lr=0.01, weight_decay=0.5)))
table("golden_rmsprop", run(lambda p: o.RMSprop(p, lr=0.01, alpha=0.9)))
table("golden_rmsprop_momentum", run(lambda p: o.RMSprop(p, lr=0.01, alpha=0.9, momentum=0.8)))
table("golden_keras_sgd", run_keras_sgd([0.1, 0.2, 0.05, 0.01, 0.1], 0.9))
table("golden_onecycle_30", onecycle(0.30), "double")
table("golden_onecycle_25", onecycle(0.25), "double")
