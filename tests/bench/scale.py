#!/usr/bin/env python3
"""Compares doctor's predictions of a training step with measured steps, and extrapolates them.

First part: `pneumo-dist bench` with several numbers of ranks on this machine, compared with the
prediction of doctor from measurements with two ranks. Weak scaling: the number of images per rank
is constant, and each rank has one lane. If there are more ranks than cores, a step takes ranks x
threads / cores times as long; the prediction is multiplied by that factor, and efficiencies are per
core: the step time of one rank, times that factor, over the step time. Rounds alternate in order,
and the fastest step counts.

Second part: the scale table. The efficiency with 8 to 4,096 ranks and its largest cost, for several
network speeds, as predicted by doctor from steps of one rank on this machine. --launch replaces
mpirun as the launcher of both commands, for ranks on several hosts.
"""
import argparse
import json
import math
import os
import pathlib
import shlex
import subprocess
import sys

MEASURED = [1, 2, 4, 8]
TABLE = [8, 64, 512, 4096]


def run(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode != 0 or not lines:
        sys.exit(f"{shlex.join(command)}\nfailed with exit code {done.returncode}:\n{done.stderr}"
                 f"{done.stdout}")
    return json.loads(lines[-1])


class Program:
    """The command lines for one model."""

    def __init__(self, options, model):
        self.options, self.model = options, model

    def command(self, ranks, name, *words):
        o = self.options
        launch = []
        if ranks > 1:
            launch = shlex.split(o.launch.format(ranks=ranks))
        # Each rank has one lane.
        sizes = {"train.lanes": ranks, "train.batch": ranks * o.images, "run.threads": o.threads,
                 "train.epoch_images": 0, "data.size": o.size, "data.channels": o.channels}
        settings = [f"{key}={value}" for key, value in sizes.items()] + o.set
        return [*launch, o.program, name, self.model, "--json", *words,
                *(word for setting in settings for word in ("--set", setting))]

    def bench(self, ranks):
        return run(self.command(ranks, "bench", "--steps", str(self.options.steps)))

    def doctor(self, ranks, cases, *words):
        """The figures of doctor, whose exit code is ignored: a failed check, such as for a missing
        data set, does not affect them."""
        command = self.command(ranks, "doctor", "--steps", str(self.options.steps), "--ranks",
                               ",".join(map(str, cases)), *words)
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
        figures = json.loads(lines[-1]) if lines else {"measured": None}
        if figures["measured"] is None:
            sys.exit(f"{shlex.join(command)}\nmeasured nothing:\n{done.stderr}{done.stdout}")
        return figures


def threads_per_core(options, ranks):
    """The number of threads that share a core, at least 1."""
    return max(1, ranks * options.threads / options.cores)


def print_measured(options):
    print(f"Weak scaling on {options.cores} cores, {options.images} images of {options.size}x"
          f"{options.size}x{options.channels} per rank, {options.threads} thread"
          f"{'s' if options.threads > 1 else ''} per rank, fastest of {options.rounds} x "
          f"{options.steps} steps:\n")
    print("| model | ranks | threads per core | measured, s/step | predicted | "
          "predicted / measured | efficiency per core, measured | predicted |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for model in options.models:
        program = Program(options, model)
        fastest = {ranks: math.inf for ranks in options.ranks}
        best = None
        for number in range(options.rounds):
            order = options.ranks if number % 2 == 0 else options.ranks[::-1]
            for ranks in order:
                seconds = program.bench(ranks)["seconds_fastest"]
                fastest[ranks] = min(fastest[ranks], seconds)
                print(f"round {number + 1}/{options.rounds}  {model:10} {ranks} ranks "
                      f"{seconds:.3f} s", file=sys.stderr)
            figures = program.doctor(2, options.ranks, "--spread", "0", "--per-host",
                                  str(options.per_host or max(options.ranks)))
            best = figures if best is None else min(best, figures, key=computing)
        predicted = {row["ranks"]: row["seconds_per_step"] - row["parts"]["checkpoint"]
                     for row in best["predictions"]}
        first = options.ranks[0]
        for ranks in options.ranks:
            factor = threads_per_core(options, ranks)
            print(f"| {model} | {ranks} | {factor:g} | {fastest[ranks]:.3f} | "
                  f"{factor * predicted[ranks]:.3f} | "
                  f"{factor * predicted[ranks] / fastest[ranks]:.2f} | "
                  f"{factor * fastest[first] / fastest[ranks]:.2f} | "
                  f"{predicted[first] / predicted[ranks]:.2f} |")


def computing(figures):
    return figures["measured"]["forward"] + figures["measured"]["backward"]


def latency(options, gbit):
    """Microseconds: of TCP over Ethernet below 100 Gbit/s, of a fabric from there on."""
    return options.fabric_latency if gbit >= 100 else options.latency


def print_table(options):
    print(f"\nPredicted weak scaling, {options.images} images of {options.size}x{options.size}x"
          f"{options.channels} per rank, {options.table_per_host} ranks of {options.threads} thread"
          f"{'s' if options.threads > 1 else ''} on a host, latency {options.latency:g} us "
          f"({options.fabric_latency:g} us from 100 Gbit/s on), compute times within "
          f"{options.spread:g} %:\n")
    head = [f"{ranks} ranks" for ranks in options.table]
    print(f"| model | Gbit/s | {' | '.join(head)} |")
    print(f"| --- | ---: |{' --- |' * len(head)}")
    for model in options.models:
        for gbit in options.bandwidths:
            tries = [Program(options, model).doctor(
                1, options.table, "--bandwidth", f"{gbit:g}", "--latency",
                f"{latency(options, gbit):g}", "--per-host", str(options.table_per_host),
                "--spread", f"{options.spread:g}") for _ in range(options.rounds)]
            figures = min(tries, key=computing)
            cells = [f"{100 * row['efficiency']:.0f} %, {row['limit']}"
                     if row["possible"] else "not possible" for row in figures["predictions"]]
            print(f"| {model} | {gbit:g} | {' | '.join(cells)} |")


def numbers(text):
    return [int(word) for word in text.split(",")]


def parse():
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: tests/bench/scale.py vgg16 xception --rounds 5 --images 8 --size 112")
    p.add_argument("models", nargs="*", metavar="JOB", default=["vgg16", "xception"],
                   help="names of jobs (default: vgg16 xception)")
    p.add_argument("--ranks", type=numbers, default=MEASURED, metavar="N,N,...",
                   help="to measure, beginning with 1 (default 1,2,4,8)")
    p.add_argument("--table", type=numbers, default=TABLE, metavar="N,N,...",
                   help="to predict (default 8,64,512,4096)")
    p.add_argument("--images", type=int, default=8, help="per rank and step (default 8)")
    p.add_argument("--size", type=int, default=112, help="side of the images (default 112)")
    p.add_argument("--channels", type=int, choices=(1, 3), default=1, help="default 1")
    p.add_argument("--threads", type=int, default=1, help="per rank (default 1)")
    p.add_argument("--cores", type=int, default=len(os.sched_getaffinity(0)),
                   help="shared by the ranks (default: those of this machine)")
    p.add_argument("--rounds", type=int, default=3, help="default 3")
    p.add_argument("--steps", type=int, default=5, help="timed steps per run (default 5)")
    p.add_argument("--per-host", type=int, default=None,
                   help="ranks per host in the measurement (default: all)")
    p.add_argument("--table-per-host", type=int, default=8,
                   help="ranks per host in the table (default 8)")
    p.add_argument("--bandwidths", type=numbers, default=[1, 10, 100], metavar="GBIT,...",
                   help="default 1,10,100")
    p.add_argument("--latency", type=float, default=30, help="us, TCP (default 30)")
    p.add_argument("--fabric-latency", type=float, default=2, help="us (default 2)")
    p.add_argument("--spread", type=float, default=2, help="percent (default 2)")
    p.add_argument("--set", action="append", default=[], metavar="KEY=VALUE",
                   help="override a key of the job; repeatable")
    p.add_argument("--launch", default="mpirun --oversubscribe --bind-to none -np {ranks}",
                   help="command that starts {ranks} ranks")
    p.add_argument("--no-measure", action="store_true", help="print only the scale table")
    p.add_argument("--program", default=None, help="pneumo-dist (default build/pneumo-dist)")
    options = p.parse_args()
    if options.program is None:
        options.program = str(pathlib.Path(__file__).resolve().parents[2] / "build/pneumo-dist")
    if not os.access(options.program, os.X_OK):
        p.error(f"{options.program} is not a program: build it or pass --program")
    return options


def main():
    options = parse()
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ.setdefault("OMPI_MCA_mpi_yield_when_idle", "1")
    if os.geteuid() == 0:
        os.environ.update(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    if not options.no_measure:
        print_measured(options)
    print_table(options)


if __name__ == "__main__":
    main()
