#!/usr/bin/env python3
"""Measures the figures that pneumo-dist is held to against today's best programs: one table.

Each row can be chosen alone. The peers are installed below the build folder. All rows with the
default rounds take hours on two cores; nothing else should run. --quick runs everything once and at
small sizes, to see whether all programs work: its figures mean nothing.
"""
import argparse
import os
import sys

import compare_onnx
import compare_torch
import job_torch
import peers
import predict_torch

STEP_MODELS = ("vgg16", "vgg19", "xception")
# The floor and the aim of each figure; None: no aim of its own. Memory, and the time of the exact
# sum, should be low.
TARGETS = {
    "vgg16 step, float32": (2.5, 3.2), "vgg19 step, float32": (2.5, 3.2),
    "xception step, float32": (1.3, 1.6),
    "vgg16 step, best of both": (1.3, 2.0), "vgg19 step, best of both": (1.3, 2.0),
    "xception step, best of both": (1.3, 2.0),
    "xception step, bf16 over our float32": (1.4, 1.8),
    "vgg16 memory, float32": (0.65, 0.5), "vgg19 memory, float32": (0.65, 0.5),
    "xception memory, float32": (0.65, 0.5),
    "vgg16 memory, bf16": (0.5, 0.4), "vgg19 memory, bf16": (0.5, 0.4),
    "xception memory, bf16": (0.5, 0.4),
    "network alone over ONNX Runtime": (1.2, 1.5),
    "predict over PyTorch": (2.0, 3.0),
    "whole job over PyTorch": (1.5, 2.5),
    "exact over plain reduction": (1.05, 1.01),
}


def steps(options):
    """Training steps against PyTorch, and peak memory."""
    small = ["--size", "64", "--steps", "1"] if options.quick else []
    if options.no_compile or options.quick:
        small.append("--no-compile")
    for precision in options.precision:
        small += ["--precision", precision]
    of = compare_torch.parse([*options.models, "--rounds", str(options.rounds), "--no-ranks",
                              "--program", options.program, *small])
    for model in options.models:
        contenders = compare_torch.Contenders(of, model)
        results = contenders.measure()
        compared = compare_torch.compare(of, model, results, contenders)
        debian = compared.pop(f"{model}, float32, Debian", None)
        if debian:
            yield f"{model} step, float32, over Debian's PyTorch", debian.speed, debian.version
        for label, pair in compared.items():
            precision = label.split(", ")[1]
            of_peer = " ".join(pair.peer.split()[1:])
            if precision == "float32":
                yield f"{model} step, float32", pair.speed, (
                    f"{pair.ours_rate:.2f} and {pair.peer_rate:.2f} images/s ({of_peer})")
            yield f"{model} memory, {precision}", pair.memory, (
                f"{pair.ours_mib:.0f} and {pair.peer_mib:.0f} MiB")
        if f"{model}, bf16" in compared and f"{model}, float32" in compared:
            ours = max(pair.ours_rate for pair in compared.values())
            theirs = max(pair.peer_rate for pair in compared.values())
            yield (f"{model} step, best of both", ours / theirs,
                   f"{ours:.2f} and {theirs:.2f} images/s")
            rates = [compared[f"{model}, {precision}"].ours_rate
                     for precision in ("bf16", "float32")]
            yield (f"{model} step, bf16 over our float32", rates[0] / rates[1],
                   f"{rates[0]:.2f} and {rates[1]:.2f} images/s")


def network(options):
    """The network of the recommended job alone against ONNX Runtime."""
    small = ["--size", "64", "--passes", "1"] if options.quick else ["--size", "112"]
    of = compare_onnx.parse(["cnn-deep", "--rounds", str(options.rounds), "--program",
                             options.program, *small])
    results = compare_onnx.compare(of, "cnn-deep")
    peer = peers.fastest(results, [name for name in results if name != "ours"])
    rate, peer_rate = (peers.median(results[name], "rate") for name in ("ours", peer))
    yield "network alone over ONNX Runtime", rate / peer_rate, (
        f"cnn-deep, {rate:.1f} and {peer_rate:.1f} images/s "
        f"({results[peer][0]['version']}, {peer})")


def predict(options):
    """predict with decoding against PyTorch with its DataLoader."""
    if options.checkpoint is None:
        sys.exit("the row 'predict' needs --checkpoint FILE, of cnn-deep or a VGG")
    count = 64 if options.quick else 1000
    of = predict_torch.parse([options.checkpoint, *([options.images] if options.images else []),
                              "--rounds", str(options.rounds), "--count", str(count), "--program",
                              options.program, "--no-debian"])
    for label, ours, rate, ratio in predict_torch.compare(of):
        yield "predict over PyTorch", ratio, f"{ours:.1f} and {rate:.1f} images/s ({label})"


def job(options):
    """A whole job against PyTorch."""
    small = ["--epochs", "1", "--epoch-images", "128", "--count", "200"] if options.quick else []
    of = job_torch.parse([*([options.images] if options.images else []), "--rounds",
                          str(options.rounds), "--program", options.program, *small])
    results = job_torch.compare(of)
    best = [peers.fastest(results, [name for name in results if name.startswith(side)])
            for side in ("ours", "torch")]
    rates = [peers.median(results[name], "rate") for name in best]
    aucs = [peers.median(results[name], "auc") for name in best]
    yield "whole job over PyTorch", rates[0] / rates[1], (
        f"{3600 / rates[0]:.0f} and {3600 / rates[1]:.0f} s ({best[0]}, {best[1]}), test AUC "
        f"{aucs[0]:.3f} and {aucs[1]:.3f}")


def exact(options):
    """The exact sum of the gradient over MPI's own, on two ranks."""
    small = ["--size", "64", "--steps", "1"] if options.quick else []
    of = compare_torch.parse(["vgg16", "--rounds", str(options.rounds), "--no-peers", "--precision",
                              "float32", "--program", options.program, *small])
    results = compare_torch.Contenders(of, "vgg16").measure()
    seconds = [peers.median(results[name], "seconds_per_step")
               for name in ("2 ranks x 1 thread", "2 ranks x 1 thread, mpi")]
    yield "exact over plain reduction", seconds[0] / seconds[1], (
        f"vgg16, {seconds[0]:.4f} and {seconds[1]:.4f} s per step")


ROWS = {"steps": steps, "network": network, "predict": predict, "job": job, "exact": exact}


def print_row(name, value, detail):
    floor, aim = TARGETS.get(name, (None, None))
    low = floor is not None and aim < floor
    met = "" if floor is None else "aim" if (value <= aim if low else value >= aim) else \
        "floor" if (value <= floor if low else value >= floor) else "no"
    print(f"| {name} | **{value:.2f}** | {floor or ''} | {aim or ''} | {met} | {detail} |",
          flush=True)


def parse():
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: tests/bench/targets.py steps network --models xception --rounds 3")
    p.add_argument("rows", nargs="*", metavar="ROW", default=list(ROWS),
                   help=f"{', '.join(ROWS)} (default: all)")
    p.add_argument("--models", action="append", choices=STEP_MODELS,
                   help="of the row 'steps'; repeatable (default: all)")
    p.add_argument("--images", help="a folder of radiographs (default: phantoms)")
    p.add_argument("--checkpoint", help="for the row 'predict'")
    p.add_argument("--rounds", type=int, default=5, help="default 5")
    p.add_argument("--precision", action="append", default=[], choices=compare_torch.PRECISIONS,
                   help="of the row 'steps'; repeatable (default: all). PyTorch takes up to a minute "
                        "for a step in bf16 where the processor lacks the instructions")
    p.add_argument("--no-compile", action="store_true",
                   help="leave out torch.compile, which takes minutes per model")
    p.add_argument("--quick", action="store_true", help="once, at small sizes")
    p.add_argument("--program", default=None, help="pneumo-dist (default build/pneumo-dist)")
    options = p.parse_args()
    for row in options.rows:
        if row not in ROWS:
            p.error(f"unknown row '{row}'; rows are {', '.join(ROWS)}")
    if options.rounds < 1:
        p.error("--rounds must be at least 1")
    options.models = options.models or STEP_MODELS
    options.rounds = 1 if options.quick else options.rounds
    options.program = peers.program(options.program)
    return options


def main():
    options = parse()
    if os.geteuid() == 0:
        os.environ.update(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    print(f"{peers.processor()}, medians of {options.rounds} alternating runs.\n")
    print("| figure | measured | floor | aim | meets | ours and theirs |")
    print("| --- | ---: | ---: | ---: | --- | --- |")
    for row in options.rows:
        for name, value, detail in ROWS[row](options):
            print_row(name, value, detail)


if __name__ == "__main__":
    main()
