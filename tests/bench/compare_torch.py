#!/usr/bin/env python3
"""Compares the training steps of pneumo-dist and PyTorch on this machine.

Alternates between `pneumo-dist bench` and a PyTorch step of the same model, each in a fresh
process, and prints Markdown tables of medians: images per second, peak resident memory, and their
ratios. The peers are PyTorch of peers.txt, in an environment below the build folder that this
script makes, and Debian's python3-torch. Of the newer one the fastest counts: both memory
layouts, eager and compiled (torch.compile), in float32 and with autocast to bfloat16; of its
memory the least counts. After the first round only those run on that are within a quarter of the
fastest.

Both sides compute the same step: binary cross-entropy on one logit, SGD with momentum 0.9, no
decay. --job-optimizer keeps the optimiser of the job instead. Models are compared only if both
sides have the same number of weights. --freeze also times steps that train the last layer only.
Two more tables compare a second rank with a second thread, and the exact sum of the gradient with
MPI's own.
"""
import argparse
import json
import os
import pathlib
import resource
import statistics
import sys
import time

import peers

PRECISIONS = ("float32", "bf16")
LAYOUTS = ("contiguous", "channels_last")
PLAIN_STEP = ["train.optimizer=sgd", "train.momentum=0.9", "train.nesterov=no", "train.ema=0",
              "train.clip_norm=0", "regularise.l1=0", "regularise.l2=0",
              "regularise.weight_decay=0", "regularise.label_smoothing=0"]
MODELS = ("vgg16", "vgg19", "xception", "cnn-deep", "mlp2")


# --- PyTorch. This part runs in a separate process. ---

def freeze_base(network):
    """Trains the last layer only: the others have no gradients and run as in inference."""
    network.eval()
    for weight in network.parameters():
        weight.requires_grad_(False)
    network[-1].train().requires_grad_(True)


def torch_step(model, layout, precision, mode, frozen, batch, size, channels, threads, steps):
    """Times PyTorch in this process; prints those keys of bench's output that are compared."""
    import torch
    import torch_models
    torch.manual_seed(0)
    torch.set_num_threads(threads)
    order = torch.channels_last if layout == "channels_last" else torch.contiguous_format
    network = torch_models.MODELS[model](torch.nn, channels, size).to(memory_format=order).train()
    parameters = sum(weight.numel() for weight in network.parameters())
    if frozen == "frozen":
        freeze_base(network)
    trained = [weight for weight in network.parameters() if weight.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=1e-6, momentum=0.9)
    loss = torch.nn.BCEWithLogitsLoss()
    images = torch.randn(batch, channels, size, size).to(memory_format=order)
    targets = (torch.arange(batch) % 2).float().unsqueeze(1)
    run = torch.compile(network) if mode == "compiled" else network
    warm = 3 if mode == "compiled" else 1
    seconds = []
    for _ in range(steps + warm):
        start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            logits = run(images)
        loss(logits.float(), targets).backward()
        optimizer.step()
        seconds.append(time.perf_counter() - start)
    step = statistics.median(seconds[warm:])
    print(json.dumps({
        "model": model, "parameters": parameters, "seconds_per_step": step,
        "images_per_second": batch / step,
        "peak_rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "version": torch.__version__}))


# --- The comparison. It does not import torch, whose memory would count for child processes. ---

class Contenders:
    """What is compared for one model: turns[name] runs one contender, class_of[name] is its
    class. In a class only the fastest counts."""

    def __init__(self, options, model):
        self.model, self.options = model, options
        self.shape = [str(n) for n in (options.batch, options.size, options.channels)]
        self.turns, self.class_of = {}, {}
        self.add_ours()
        if options.peer:
            self.add_torch()
        if options.ranks:
            self.add_ranks()

    def add(self, of_class, name, command):
        def turn():
            figures = peers.Done(command).json()
            return {**figures, "rate": figures["images_per_second"], "mib": figures["peak_rss_mib"]}
        self.turns[name], self.class_of[name] = turn, of_class

    def torch(self, python, layout, precision, mode, frozen):
        return [python, __file__, "--torch-step", self.model, layout, precision, mode, frozen,
                *self.shape, self.options.threads, self.options.steps]

    def bench(self, ranks, threads, *overrides):
        batch, size, channels = self.shape
        command = [self.options.program, "bench", self.model, "--batch", batch, "--size", size,
                   "--channels", channels, "--threads", threads, "--steps", self.options.steps,
                   "--json"]
        if not self.options.job_optimizer:
            overrides = (*PLAIN_STEP, *overrides)
        for override in (*overrides, *self.options.set):
            command += ["--set", override]
        if ranks > 1:
            command = ["mpirun", "--oversubscribe", "--bind-to", "none", "-np", ranks, *command]
        return command

    def add_ours(self):
        for precision in self.options.precisions:
            setting = [] if precision == "float32" else [f"model.precision={precision}"]
            for frozen in self.options.frozen:
                freeze = ["model.freeze=base"] if frozen == "frozen" else []
                name = " ".join(("ours", precision, frozen))
                self.add(name, name, self.bench(1, self.options.threads, *setting, *freeze))

    def add_torch(self):
        for frozen in self.options.frozen:
            for layout in LAYOUTS:
                if self.options.debian:
                    self.add(f"debian {frozen}", f"debian {frozen} {layout}",
                             self.torch(peers.DEBIAN, layout, "float32", "eager", frozen))
                for precision in self.options.precisions:
                    for mode in self.options.modes:
                        self.add(f"torch {precision} {frozen}",
                                 f"torch {precision} {frozen} {layout} {mode}",
                                 self.torch(self.options.peer, layout, precision, mode, frozen))

    def add_ranks(self):
        for name, arguments in {"1 rank x 2 threads": (1, 2), "2 ranks x 1 thread": (2, 1),
                                "2 ranks x 1 thread, mpi": (2, 1, "run.reduction=mpi")}.items():
            self.add(name, name, self.bench(*arguments))

    def measure(self):
        """results[name]: one result per round."""
        results = peers.alternate(self.turns, self.options.rounds, classes=self.class_of)
        counts = {name: of[0]["parameters"] for name, of in results.items()}
        if len(set(counts.values())) > 1:
            sys.exit(f"{self.model}: the networks differ: " + ", ".join(
                f"{name} has {count} weights" for name, count in counts.items()))
        return results

    def names(self, of_class):
        return [name for name, its in self.class_of.items() if its == of_class]


class Compared:
    """Ours against the fastest of a class of peers, and its least memory."""

    def __init__(self, contenders, results, ours, of_class):
        names = [name for name in contenders.names(of_class) if name in results]
        self.found = ours in results and bool(names)
        if not self.found:
            return
        self.peer = peers.fastest(results, names)
        self.ours_rate = peers.median(results[ours], "rate")
        self.peer_rate = peers.median(results[self.peer], "rate")
        self.ours_mib = peers.median(results[ours], "mib")
        self.peer_mib = min(peers.median(results[name], "mib") for name in names)
        self.version = results[self.peer][0]["version"]
        self.speed, self.memory = self.ours_rate / self.peer_rate, self.ours_mib / self.peer_mib


def compare(options, model, results, contenders):
    """{label: Compared} of one model."""
    found = {}
    for frozen in options.frozen:
        for precision in options.precisions:
            ours = f"ours {precision} {frozen}"
            pairs = {f"{precision}": f"torch {precision} {frozen}"}
            if precision == "float32":
                pairs["float32, Debian"] = f"debian {frozen}"
            for label, of_class in pairs.items():
                label = f"{model}, {label}" + (", base frozen" if frozen == "frozen" else "")
                found[label] = Compared(contenders, results, ours, of_class)
    return {label: compared for label, compared in found.items() if compared.found}


def print_peer_table(options, compared):
    print(f"{peers.processor()}. Batch {options.batch}, {options.size}x{options.size}x"
          f"{options.channels}, {options.threads} threads, whole step, median of "
          f"{options.rounds}:\n")
    print("| model | images/s | PyTorch | ratio | peak MiB | PyTorch | ratio | PyTorch's fastest |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |")
    for label, of in compared.items():
        print(f"| {label} | {of.ours_rate:.2f} | {of.peer_rate:.2f} | **{of.speed:.2f}** | "
              f"{of.ours_mib:.0f} | {of.peer_mib:.0f} | **{of.memory:.2f}** | {of.version}, "
              f"{' '.join(of.peer.split()[2:])} |")


def print_ranks_tables(results):
    print("\n| model | 1 rank x 2 threads, images/s | 2 ranks x 1 thread | ratio |")
    print("| --- | ---: | ---: | ---: |")
    for model, of in results.items():
        threads, ranks = (peers.median(of[name], "images_per_second")
                          for name in ("1 rank x 2 threads", "2 ranks x 1 thread"))
        print(f"| {model} | {threads:.2f} | {ranks:.2f} | **{ranks / threads:.3f}** |")
    print("\n| model, 2 ranks x 1 thread | reduction = exact, s per step | mpi | ratio |")
    print("| --- | ---: | ---: | ---: |")
    for model, of in results.items():
        exact, mpi = (peers.median(of[name], "seconds_per_step")
                      for name in ("2 ranks x 1 thread", "2 ranks x 1 thread, mpi"))
        print(f"| {model} | {exact:.4f} | {mpi:.4f} | **{exact / mpi:.3f}** |")


def parse(arguments=None):
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: tests/bench/compare_torch.py vgg16 xception --rounds 5 --size 224")
    p.add_argument("models", nargs="*", metavar="MODEL", default=["vgg16", "vgg19", "xception"],
                   help=f"{', '.join(MODELS)}; also the name of a job (default: the first three)")
    p.add_argument("--rounds", type=int, default=5, help="runs of each contender (default 5)")
    p.add_argument("--batch", type=int, default=8, help="images per step (default 8)")
    p.add_argument("--size", type=int, default=224, help="side of the images (default 224)")
    p.add_argument("--channels", type=int, choices=(1, 3), default=3, help="default 3")
    p.add_argument("--threads", type=int, default=2, help="on both sides (default 2)")
    p.add_argument("--steps", type=int, default=5, help="timed steps per run (default 5)")
    p.add_argument("--precision", action="append", choices=PRECISIONS,
                   help="of both sides; repeatable (default: all)")
    p.add_argument("--no-compile", dest="modes", action="store_const", const=["eager"],
                   default=["eager", "compiled"], help="without torch.compile")
    p.add_argument("--no-debian", dest="debian", action="store_false",
                   help="without Debian's PyTorch")
    p.add_argument("--no-peers", action="store_true", help="without any PyTorch")
    p.add_argument("--set", action="append", default=[], metavar="KEY=VALUE",
                   help="override a key of the job; repeatable")
    p.add_argument("--job-optimizer", action="store_true", help="keep the optimiser of the job")
    p.add_argument("--freeze", action="store_true",
                   help="also compare steps that train the last layer only")
    p.add_argument("--no-ranks", dest="ranks", action="store_false",
                   help="compare with PyTorch only; skip the runs on two ranks")
    p.add_argument("--program", default=None, help="pneumo-dist (default build/pneumo-dist)")
    options = p.parse_args(arguments)
    for model in options.models:
        if model not in MODELS:
            p.error(f"unknown model '{model}'; models are {', '.join(MODELS)}")
    for name in ("rounds", "batch", "size", "threads", "steps"):
        if getattr(options, name) < 1:
            p.error(f"--{name} must be at least 1")
    options.precisions = options.precision or PRECISIONS
    options.frozen = ("whole", "frozen") if options.freeze else ("whole",)
    options.program = peers.program(options.program)
    options.peer = None if options.no_peers else peers.install(
        pathlib.Path(options.program).resolve().parent)
    return options


def main():
    if sys.argv[1:2] == ["--torch-step"]:
        return torch_step(*sys.argv[2:7], *(int(n) for n in sys.argv[7:]))
    options = parse()
    if os.geteuid() == 0:
        os.environ.update(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    results, compared = {}, {}
    for model in options.models:
        contenders = Contenders(options, model)
        results[model] = contenders.measure()
        compared.update(compare(options, model, results[model], contenders))
    if options.peer:
        print_peer_table(options, compared)
    if options.ranks:
        print_ranks_tables(results)


if __name__ == "__main__":
    main()
