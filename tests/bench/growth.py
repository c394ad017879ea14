#!/usr/bin/env python3
"""Measures how the time and the memory of training grow: with the side of the images, the batch,
the ranks, and the number of images (streamed).

The first three time steps with `pneumo-dist bench`; more ranks compute larger batches. For the last
one a data set of 32 x 32 pixels is made for each number, a thousand distinct phantoms repeated, and
a whole run of a fixed number of steps is timed, whose start alone can grow. The table of each line
shows seconds per unit (pixel, image of a batch, rank; for images the whole run), relative to the
first row: 1.00 is a straight line. Needs python3-h5py.
"""
import argparse
import os
import pathlib
import tempfile

import peers
import stream


def bench(options, ranks=1, **sizes):
    threads = 1 if ranks > 1 else options.threads
    command = [options.program, "bench", options.job, "--json", "--channels", 1, "--threads",
               threads, "--steps", options.steps, "--set", "model.weights="]
    for name, value in sizes.items():
        command += [f"--{name}", value]
    if sizes["batch"] % 8 != 0:
        command += ["--set", "train.lanes=1"]
    if ranks > 1:
        command = ["mpirun", "--oversubscribe", "--bind-to", "none", "-np", ranks, *command]
    figures = [peers.Done(command).json() for _ in range(options.rounds)]
    return (peers.median(figures, "seconds_per_step"), peers.median(figures, "peak_rss_mib"))


def table(head, rows):
    """rows: (label, units, seconds, MiB)."""
    print(f"\n| {head} | seconds | per unit | peak MiB |\n| ---: | ---: | ---: | ---: |")
    first = None
    for label, units, seconds, mib in rows:
        first = first or seconds / units
        print(f"| {label} | {seconds:.4f} | {seconds / units / first:.2f} | {mib:.0f} |", flush=True)


def sides(options):
    for side in options.sides:
        seconds, mib = bench(options, batch=8, size=side)
        yield side, side * side, seconds, mib


def batches(options):
    for batch in options.batches:
        seconds, mib = bench(options, batch=batch, size=options.size)
        yield batch, batch, seconds, mib


def ranks(options):
    for count in options.ranks:
        seconds, mib = bench(options, ranks=count, batch=8 * count, size=options.size)
        yield count, count, seconds, mib


def make_images(options, folder, count):
    """A packed set of `count` images of 32 x 32 pixels."""
    phantoms, small, big = folder / "phantoms", folder / "small.h5", folder / f"{count}.h5"
    if not small.exists():
        peers.Done([options.program, "synth", phantoms, "--images", 1000])
        peers.Done([options.program, "pack", phantoms, "-o", small, "--size", 32])
    stream.repeat(small, big, count)
    return big


def images(options):
    """Streamed: the seconds are those of a whole run of a fixed number of steps."""
    with tempfile.TemporaryDirectory(prefix="growth-", dir=options.folder) as name:
        folder = pathlib.Path(name)
        for count in options.images:
            data = make_images(options, folder, count)
            runs = []
            for number in range(options.rounds):
                done = peers.Done([options.program, "train", options.job, "--data", data, "--run",
                                   folder / f"run-{count}-{number}", "--epochs", 1, "--threads",
                                   options.threads, "--set", "data.size=32", "--set",
                                   f"train.epoch_images={64 * options.steps}", "--set",
                                   "run.images=stream", "--set", "evaluate.stress=no", "--set",
                                   "train.monitor=auc", "--set",
                                   "evaluate.threshold_on=validation"])
                runs.append({"seconds": done.seconds, "mib": done.mib})
            data.unlink()
            yield f"{count:,}", 1, peers.median(runs, "seconds"), peers.median(runs, "mib")


LINES = {"side": sides, "batch": batches, "images": images, "ranks": ranks}


def numbers(text):
    return [int(word) for word in text.split(",")]


def parse():
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: tests/bench/growth.py side batch --job xception --rounds 3")
    p.add_argument("lines", nargs="*", metavar="LINE", default=list(LINES),
                   help=f"{', '.join(LINES)} (default: all)")
    p.add_argument("--job", default="cnn-deep-plain", help="default cnn-deep-plain")
    p.add_argument("--sides", type=numbers, default=[64, 96, 128, 192, 256, 384, 512],
                   metavar="N,...", help="default 64 to 512, batch 8")
    p.add_argument("--batches", type=numbers, default=[1, 2, 4, 8, 16, 32, 64, 128, 256],
                   metavar="N,...", help="default 1 to 256")
    p.add_argument("--images", type=numbers, default=[10 ** n for n in range(3, 8)],
                   metavar="N,...", help="default 1,000 to 10,000,000, which takes 12 GB of disk")
    p.add_argument("--ranks", type=numbers, default=[1, 2, 4, 8], metavar="N,...",
                   help="of one thread and 8 images each (default 1,2,4,8)")
    p.add_argument("--size", type=int, default=112, help="side for batch and ranks (default 112)")
    p.add_argument("--steps", type=int, default=5, help="timed steps per run (default 5)")
    p.add_argument("--rounds", type=int, default=3, help="runs of each size (default 3)")
    p.add_argument("--threads", type=int, default=2, help="default 2")
    p.add_argument("--folder", default=None, help="for temporary files (default: the system's)")
    p.add_argument("--program", default=None, help="pneumo-dist (default build/pneumo-dist)")
    options = p.parse_args()
    for line in options.lines:
        if line not in LINES:
            p.error(f"unknown line '{line}'; lines are {', '.join(LINES)}")
    options.program = peers.program(options.program)
    return options


def main():
    options = parse()
    if os.geteuid() == 0:
        os.environ.update(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    print(f"{peers.processor()}. {options.job}, medians of {options.rounds}:")
    for line in options.lines:
        table(line, LINES[line](options))


if __name__ == "__main__":
    main()
