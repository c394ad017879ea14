#!/usr/bin/env python3
"""Compares the training steps of pneumo-dist and PyTorch on this machine.

Alternates between `pneumo-dist bench` and a PyTorch step of the same model, each in a fresh
process, and prints a Markdown table of medians: images per second, peak resident memory, and their
ratios. The faster of PyTorch's two memory layouts counts. Two more tables compare a second rank
with a second thread, and the exact sum of the gradient with MPI's own.

Both sides compute the same step: binary cross-entropy on one logit, SGD with momentum 0.9, no
decay. --job-optimizer keeps the optimiser of the job instead. Models are compared only if both
sides have the same number of weights. --freeze also times steps that train the last layer only, of
both sides, and compares them with whole steps. Needs python3-torch (not torchvision).
"""
import argparse
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import time

LAYOUTS = ("contiguous", "channels_last")
PLAIN_STEP = ["train.optimizer=sgd", "train.momentum=0.9", "train.nesterov=no", "train.ema=0",
              "train.clip_norm=0", "regularise.l1=0", "regularise.l2=0",
              "regularise.weight_decay=0", "regularise.label_smoothing=0"]


# --- The models in plain torch.nn. This part runs in a separate process. ---

def vgg(nn, blocks, channels, _size):
    """Simonyan and Zisserman, arXiv:1409.1556, with global average pooling for a head."""
    layers = []
    for count, width in zip(blocks, (64, 128, 256, 512, 512)):
        for _ in range(count):
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
            channels = width
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 1))


def xception(nn, channels, _size):
    """Chollet, arXiv:1610.02357, with Keras' paddings and batch normalisation."""
    def norm(c):
        return nn.BatchNorm2d(c, eps=1e-3, momentum=0.01)

    def separable(c, k):
        return [nn.Conv2d(c, c, 3, padding=1, groups=c, bias=False),
                nn.Conv2d(c, k, 1, bias=False), norm(k)]

    class Residual(nn.Module):
        def __init__(self, c, widths, halve, first_relu=True):
            super().__init__()
            body, at = [], c
            for i, k in enumerate(widths):
                if i > 0 or first_relu:
                    # Not in place, since the shortcut reads the same input.
                    body.append(nn.ReLU())
                body += separable(at, k)
                at = k
            self.shortcut = nn.Identity()
            if halve:
                body.append(nn.MaxPool2d(3, 2, 1))
                self.shortcut = nn.Sequential(nn.Conv2d(c, at, 1, stride=2, bias=False), norm(at))
            self.body = nn.Sequential(*body)

        def forward(self, x):
            return self.body(x) + self.shortcut(x)

    entry = [nn.Conv2d(channels, 32, 3, stride=2, bias=False), norm(32), nn.ReLU(),
             nn.Conv2d(32, 64, 3, bias=False), norm(64), nn.ReLU(),
             Residual(64, (128, 128), True, first_relu=False),
             Residual(128, (256, 256), True), Residual(256, (728, 728), True)]
    middle = [Residual(728, (728, 728, 728), False) for _ in range(8)]
    leave = [Residual(728, (728, 1024), True), *separable(1024, 1536), nn.ReLU(),
             *separable(1536, 2048), nn.ReLU()]
    return nn.Sequential(*entry, *middle, *leave, nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                         nn.Linear(2048, 1))


def cnn_deep(nn, channels, _size):
    """As build_cnn_deep in src/nn/model.c."""
    layers = []
    for block, width in enumerate((24, 48, 96, 160, 256)):
        if block > 0:
            layers.append(nn.MaxPool2d(2, ceil_mode=True))
        for _ in range(2):
            layers += [nn.Conv2d(channels, width, 3, padding=1, bias=False),
                       nn.BatchNorm2d(width, eps=1e-3), nn.ReLU(inplace=True)]
            channels = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 1))


def mlp2(nn, channels, size):
    """As build_mlp2 in src/nn/model.c."""
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * size * size, 128), nn.ReLU(),
                         nn.Linear(128, 1))


MODELS = {
    "mlp2": mlp2,
    "cnn-deep": cnn_deep,
    "vgg16": lambda nn, *shape: vgg(nn, (2, 2, 3, 3, 3), *shape),
    "vgg19": lambda nn, *shape: vgg(nn, (2, 2, 4, 4, 4), *shape),
    "xception": xception,
}


def freeze_base(network):
    """Trains the last layer only: the others have no gradients and run as in inference."""
    network.eval()
    for weight in network.parameters():
        weight.requires_grad_(False)
    network[-1].train().requires_grad_(True)


def torch_step(model, layout, frozen, batch, size, channels, threads, steps):
    """Times PyTorch in this process; prints those keys of bench's output that are compared."""
    import torch
    torch.manual_seed(0)
    torch.set_num_threads(threads)
    order = torch.channels_last if layout == "channels_last" else torch.contiguous_format
    network = MODELS[model](torch.nn, channels, size).to(memory_format=order).train()
    if frozen == "frozen":
        freeze_base(network)
    trained = [weight for weight in network.parameters() if weight.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=1e-6, momentum=0.9)
    loss = torch.nn.BCEWithLogitsLoss()
    images = torch.randn(batch, channels, size, size).to(memory_format=order)
    targets = (torch.arange(batch) % 2).float().unsqueeze(1)
    seconds = []
    for _ in range(steps + 1):
        start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        loss(network(images), targets).backward()
        optimizer.step()
        seconds.append(time.perf_counter() - start)
    step = statistics.median(seconds[1:])  # the first one warms up
    print(json.dumps({
        "model": model, "parameters": sum(w.numel() for w in network.parameters()),
        "seconds_per_step": step, "images_per_second": batch / step,
        "peak_rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "version": torch.__version__}))


# --- The comparison. It does not import torch, whose memory would count for child processes. ---

def run(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}\nfailed with exit code {done.returncode}:\n{done.stderr}")
    return json.loads(done.stdout)


class Contenders:
    """The command lines to compare for one model."""

    def __init__(self, options, model):
        self.model, self.options = model, options
        self.shape = [str(n) for n in (options.batch, options.size, options.channels)]

    def torch(self, layout, frozen="whole"):
        return [sys.executable, __file__, "--torch-step", self.model, layout, frozen, *self.shape,
                str(self.options.threads), str(self.options.steps)]

    def bench(self, ranks, threads, *overrides):
        batch, size, channels = self.shape
        command = [self.options.program, "bench", self.model, "--batch", batch, "--size", size,
                   "--channels", channels, "--threads", str(threads),
                   "--steps", str(self.options.steps), "--json"]
        if not self.options.job_optimizer:
            overrides = (*PLAIN_STEP, *overrides)
        for override in (*overrides, *self.options.set):
            command += ["--set", override]
        if ranks > 1:
            command = ["mpirun", "--oversubscribe", "--bind-to", "none", "-np", str(ranks),
                       *command]
        return command

    def all(self):
        threads = self.options.threads
        rows = {"ours": self.bench(1, threads)}
        rows.update({layout: self.torch(layout) for layout in LAYOUTS})
        if self.options.freeze:
            rows["ours, frozen"] = self.bench(1, threads, "model.freeze=base")
            rows.update({f"{layout}, frozen": self.torch(layout, "frozen") for layout in LAYOUTS})
        if self.options.ranks:
            rows["1 rank x 2 threads"] = self.bench(1, 2)
            rows["2 ranks x 1 thread"] = self.bench(2, 1)
            rows["2 ranks x 1 thread, mpi"] = self.bench(2, 1, "run.reduction=mpi")
        return rows


def measure(options):
    """results[model][contender]: one result per round. Each round runs everything, every other
    one in reverse order, so that a slow minute does not affect a single contender."""
    commands = {model: Contenders(options, model).all() for model in options.models}
    turns = [(model, name) for model in commands for name in commands[model]]
    results = {model: {name: [] for name in commands[model]} for model in commands}
    for number in range(options.rounds):
        for model, name in turns if number % 2 == 0 else reversed(turns):
            result = run(commands[model][name])
            results[model][name].append(result)
            print(f"round {number + 1}/{options.rounds}  {model:10} {name:24} "
                  f"{result['images_per_second']:9.2f} images/s {result['peak_rss_mib']:7.0f} MiB",
                  file=sys.stderr)
    return results


def median(results, key):
    return statistics.median(result[key] for result in results)


def check_weights(model, results):
    counts = {name: of[0]["parameters"] for name, of in results.items()}
    if len(set(counts.values())) > 1:
        sys.exit(f"{model}: the networks differ: " +
                 ", ".join(f"{name} has {count} weights" for name, count in counts.items()))


def print_torch_table(options, results):
    version = next(iter(results.values()))[LAYOUTS[0]][0]["version"]
    print(f"Batch {options.batch}, {options.size}x{options.size}x{options.channels}, "
          f"{options.threads} threads, whole step, median of {options.rounds}, against "
          f"PyTorch {version}:\n")
    print("| model | images/s | PyTorch | ratio | peak MiB | PyTorch | ratio | PyTorch's layout |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |")
    for model, of in results.items():
        layout = max(LAYOUTS, key=lambda name: median(of[name], "images_per_second"))
        speed, peer = (median(of[name], "images_per_second") for name in ("ours", layout))
        memory, peer_memory = (median(of[name], "peak_rss_mib") for name in ("ours", layout))
        print(f"| {model} | {speed:.2f} | {peer:.2f} | **{speed / peer:.2f}** | {memory:.0f} | "
              f"{peer_memory:.0f} | **{memory / peer_memory:.2f}** | {layout} |")


def print_frozen_table(results):
    print("\n| model, base frozen | images/s | PyTorch | ratio | peak MiB | PyTorch | ratio | "
          "speed over the whole step's | PyTorch's | memory | PyTorch's |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for model, of in results.items():
        def best(suffix):
            return max((layout + suffix for layout in LAYOUTS),
                       key=lambda name: median(of[name], "images_per_second"))
        names = {"ours": "ours, frozen", best(""): best(", frozen")}
        figures = [(median(of[name], key), median(of[whole], key))
                   for key in ("images_per_second", "peak_rss_mib")
                   for whole, name in names.items()]
        (speed, whole), (peer, peer_whole), (memory, more), (peer_memory, peer_more) = figures
        print(f"| {model} | {speed:.2f} | {peer:.2f} | **{speed / peer:.2f}** | {memory:.0f} | "
              f"{peer_memory:.0f} | **{memory / peer_memory:.2f}** | **{speed / whole:.2f}** | "
              f"{peer / peer_whole:.2f} | {memory / more:.2f} | {peer_memory / peer_more:.2f} |")


def print_ranks_tables(results):
    print("\n| model | 1 rank x 2 threads, images/s | 2 ranks x 1 thread | ratio |")
    print("| --- | ---: | ---: | ---: |")
    for model, of in results.items():
        threads, ranks = (median(of[name], "images_per_second")
                          for name in ("1 rank x 2 threads", "2 ranks x 1 thread"))
        print(f"| {model} | {threads:.2f} | {ranks:.2f} | **{ranks / threads:.3f}** |")
    print("\n| model, 2 ranks x 1 thread | reduction = exact, s per step | mpi | ratio |")
    print("| --- | ---: | ---: | ---: |")
    for model, of in results.items():
        exact, mpi = (median(of[name], "seconds_per_step")
                      for name in ("2 ranks x 1 thread", "2 ranks x 1 thread, mpi"))
        print(f"| {model} | {exact:.4f} | {mpi:.4f} | **{exact / mpi:.3f}** |")


def parse():
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: tests/bench/compare_torch.py vgg16 xception --rounds 5 --size 224")
    p.add_argument("models", nargs="*", metavar="MODEL", default=["vgg16", "vgg19", "xception"],
                   help=f"{', '.join(MODELS)}; also the name of a job (default: the last three)")
    p.add_argument("--rounds", type=int, default=5, help="runs of each contender (default 5)")
    p.add_argument("--batch", type=int, default=8, help="images per step (default 8)")
    p.add_argument("--size", type=int, default=224, help="side of the images (default 224)")
    p.add_argument("--channels", type=int, choices=(1, 3), default=3, help="default 3")
    p.add_argument("--threads", type=int, default=2, help="on both sides (default 2)")
    p.add_argument("--steps", type=int, default=5, help="timed steps per run (default 5)")
    p.add_argument("--set", action="append", default=[], metavar="KEY=VALUE",
                   help="override a key of the job; repeatable")
    p.add_argument("--job-optimizer", action="store_true", help="keep the optimiser of the job")
    p.add_argument("--freeze", action="store_true",
                   help="also compare steps that train the last layer only")
    p.add_argument("--no-ranks", dest="ranks", action="store_false",
                   help="compare with PyTorch only; skip the runs on two ranks")
    p.add_argument("--program", default=None, help="pneumo-dist (default build/pneumo-dist)")
    options = p.parse_args()
    for model in options.models:
        if model not in MODELS:
            p.error(f"unknown model '{model}'; models are {', '.join(MODELS)}")
    for name in ("rounds", "batch", "size", "threads", "steps"):
        if getattr(options, name) < 1:
            p.error(f"--{name} must be at least 1")
    if options.program is None:
        options.program = str(pathlib.Path(__file__).resolve().parents[2] / "build/pneumo-dist")
    if not os.access(options.program, os.X_OK):
        p.error(f"{options.program} is not a program: build it or pass --program")
    return options


def main():
    if sys.argv[1:2] == ["--torch-step"]:
        return torch_step(*sys.argv[2:5], *(int(n) for n in sys.argv[5:]))
    options = parse()
    if os.geteuid() == 0:
        os.environ.update(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    results = measure(options)
    for model, of in results.items():
        check_weights(model, of)
    print_torch_table(options, results)
    if options.freeze:
        print_frozen_table(results)
    if options.ranks:
        print_ranks_tables(results)


if __name__ == "__main__":
    main()
