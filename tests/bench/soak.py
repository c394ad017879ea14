#!/usr/bin/env python3
"""Trains for hours on several ranks, preempting and resuming, with images streamed under memory pressure.

    tests/bench/soak.py --minutes 120 --out soak
    tests/bench/soak.py --table soak/samples.csv      # again, without training

Alternates stretches of a quarter of an hour with series of short ones; each ends with SIGUSR1, upon
which the run saves and stops, and continues with --resume. A control group (as root) limits the
memory of all ranks together to little more than they need, so that the file, which is larger, does not
stay in the page cache. Every few seconds the memory (anonymous and shared) and the open files of each
rank are written to OUT/samples.csv. Finally the same epochs are trained at one go, on one rank with
images in memory; the last checkpoint must be the same. Prints a table in Markdown and draws OUT/soak.svg.
Exit code 1: the checkpoints differ, memory has grown by more than 1 %, or open files have become more.
Needs python3-h5py, and 300 MB in --out.
"""
import argparse
import csv
import filecmp
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import time

import stream

STOPPED = 75          # exit code of a run that has saved because of a signal
EPOCHS = 100_000      # more than a soak trains
WARM = 60             # seconds after which a process has allocated what it needs
GROWTH = 0.01         # of a rank's memory that is allowed
# As in the tests: mpirun may run as root, and ranks that wait yield their core.
ENVIRONMENT = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1",
                   OMPI_MCA_mpi_yield_when_idle="1", OMP_WAIT_POLICY="passive")
COLUMNS = ("seconds", "stretch", "age", "rank", "mib", "files")


# --- The limit ---

class Limit:
    """A control group for the ranks; does nothing where it cannot be made."""

    def __init__(self):
        root = pathlib.Path("/sys/fs/cgroup")
        self.unified = (root / "cgroup.controllers").exists()
        self.folder = root / ("" if self.unified else "memory") / f"pneumo-soak-{os.getpid()}"
        try:
            self.folder.mkdir()
        except OSError:
            self.folder = None

    def enter(self):
        if self.folder:
            (self.folder / "cgroup.procs").write_text(str(os.getpid()))

    def set(self, size):
        if self.folder:
            name = "memory.max" if self.unified else "memory.limit_in_bytes"
            (self.folder / name).write_text(str(size))

    def count(self):
        """How often the limit was reached, upon which the kernel frees pages."""
        if not self.folder:
            return 0
        if not self.unified:
            return int((self.folder / "memory.failcnt").read_text())
        events = dict(line.split() for line in
                      (self.folder / "memory.events").read_text().splitlines())
        return int(events["max"])

    def remove(self):
        if self.folder:
            self.folder.rmdir()


# --- The run ---

def read_status(path):
    return dict(line.split(":", 1) for line in (path / "status").read_text().splitlines())


def ranks_of(program, launcher):
    """The processes of the program that this mpirun has started, by rank."""
    found = {}
    for path in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(path / "exe") != program or int(read_status(path)["PPid"]) != launcher:
                continue
            for entry in (path / "environ").read_bytes().split(b"\0"):
                if entry.startswith(b"OMPI_COMM_WORLD_RANK="):
                    found[int(entry.split(b"=")[1])] = path
        except OSError:
            pass
    return found


def listens(path):
    """Whether the process has a handler for SIGUSR1. Before, the signal ends it."""
    return int(read_status(path)["SigCgt"], 16) >> (signal.SIGUSR1 - 1) & 1 == 1


def measure(path):
    """MiB of anonymous and shared memory, and open files."""
    fields = read_status(path)
    kib = sum(int(fields[name].split()[0]) for name in ("RssAnon", "RssShmem"))
    return kib / 1024, len(os.listdir(path / "fd"))


class Soak:
    def __init__(self, options, folder, data):
        self.options, self.run, self.log = options, folder / "run", folder / "log"
        self.limit = Limit()
        self.begin = time.monotonic()
        self.job, self.stretch = None, 0
        self.samples = open(folder / "samples.csv", "w", newline="")
        self.writer = csv.writer(self.samples)
        self.writer.writerow(COLUMNS)
        self.command = [options.program, "train", options.job, "--data", data, "--threads", "1",
                        "--set", "train.schedule=constant", "--set", "train.epoch_images=512",
                        "--set", "train.batch=32", "--set", "data.size=64",
                        "--set", "model.width=0.3", "--set", "evaluate.stress=no",
                        "--set", "train.monitor=auc", "--set", "evaluate.threshold_on=validation"]

    def start(self, epochs):
        command = ["mpirun", "--oversubscribe", "--bind-to", "none", "-np",
                   str(self.options.ranks), *self.command, "--run", self.run, "--resume",
                   "--epochs", str(epochs), "--set", "run.images=stream"]
        self.stretch += 1
        self.started = time.monotonic()
        with open(self.log, "a") as log:
            self.job = subprocess.Popen(command, stdout=log, stderr=log, env=ENVIRONMENT,
                                        preexec_fn=self.limit.enter)

    def ranks(self):
        return ranks_of(self.options.program, self.job.pid)

    def sample(self):
        now = time.monotonic()
        for rank, path in sorted(self.ranks().items()):
            try:
                mib, files = measure(path)
            except OSError:
                continue
            self.writer.writerow([f"{now - self.begin:.1f}", self.stretch,
                                  f"{now - self.started:.1f}", rank, f"{mib:.2f}", files])
        self.samples.flush()

    def watch(self, seconds):
        """Takes samples for a time; the job must not end."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            time.sleep(2)
            if self.job.poll() is not None:
                sys.exit(f"the job ended with {self.job.returncode}; see {self.log}")
            self.sample()

    def preempt(self):
        ranks = []
        while len(ranks) < self.options.ranks or not all(listens(path) for path in ranks):
            time.sleep(0.1)
            ranks = list(self.ranks().values())
        self.job.send_signal(signal.SIGUSR1)
        if self.job.wait(timeout=300) != STOPPED:
            sys.exit(f"exit code {self.job.returncode} after SIGUSR1; see {self.log}")

    def set_limit(self):
        """Leaves an eighth of the file's size for the page cache."""
        stream.drop_from_cache(self.command[4])  # what others have read would not count
        used = sum(measure(path)[0] for path in self.ranks().values())
        file = os.path.getsize(self.command[4]) / 2**20
        self.limit.set(int((1.1 * used + 32 + file / 8) * 2**20))

    def end(self):
        """Leaves no process and no control group."""
        if self.job and self.job.poll() is None:
            self.job.terminate()
            self.job.wait()
        self.limit.remove()

    def epochs_done(self):
        return len((self.run / "history.csv").read_text().splitlines()) - 1


def soak(job, options):
    """Returns the epochs trained, and how often the memory limit was reached."""
    drawn = random.Random(1)
    end = job.begin + 60 * options.minutes
    job.start(EPOCHS)
    job.watch(min(WARM, 15 * options.minutes))
    job.set_limit()
    job.preempt()
    long = True
    while time.monotonic() < end:
        lengths = [900] if long else [drawn.uniform(5, 60) for _ in range(8)]
        long = not long
        for seconds in lengths:
            left = end - time.monotonic()
            if left > 0:
                job.start(EPOCHS)
                job.watch(min(seconds, left))
                job.preempt()
    epochs = job.epochs_done() + 1
    job.start(epochs)
    if job.job.wait() != 0:
        sys.exit(f"the last stretch failed; see {job.log}")
    return epochs, job.limit.count()


def train_at_one_go(job, folder, epochs):
    """Whether its last checkpoint is that of the soak, bit for bit."""
    once = folder / "once"
    with open(folder / "once.log", "w") as log:
        subprocess.run([*job.command, "--run", once, "--epochs", str(epochs),
                        "--set", "run.images=memory"], stdout=log, stderr=log, check=True)
    return all(filecmp.cmp(job.run / name, once / name, shallow=False)
               for name in ("last.h5", "history.csv"))


# --- The result ---

def read_samples(path):
    with open(path, newline="") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def summarise(samples, rank):
    """A rank's memory in the stretches in which it was warm, and its open files."""
    own = [row for row in samples if row["rank"] == rank]
    warm = {}
    for row in own:
        if row["age"] >= WARM:
            warm.setdefault(row["stretch"], []).append(row)
    means = [[sum(row["mib"] for row in part) / len(part) for part in halves(rows)]
             for rows in warm.values() if len(rows) >= 4]
    files = [row["files"] for rows in warm.values() for row in rows]
    earlier, later = halves(files)
    return {"stretches": len({row["stretch"] for row in own}),
            "warm": len(means),
            "mib": [level for pair in means for level in pair],
            "within": max((second / first - 1 for first, second in means), default=float("nan")),
            "across": sum(means[-1]) / sum(means[0]) - 1 if means else float("nan"),
            "files": files,
            "more_files": max(later, default=0) > max(earlier, default=0)}


def print_table(samples):
    """A row per rank. Returns whether memory and open files are flat."""
    print("| rank | stretches | warm | memory, MiB | growth within a stretch, at most | "
          "growth from the first to the last stretch | open files |")
    print("| ---: " * 7 + "|")
    flat = True
    for rank in sorted({row["rank"] for row in samples}):
        own = summarise(samples, rank)
        mib, files = own["mib"] or [0], own["files"] or [0]
        print(f"| {rank:.0f} | {own['stretches']} | {own['warm']} | {min(mib):.1f} to {max(mib):.1f} | "
              f"{100 * own['within']:+.2f} % | {100 * own['across']:+.2f} % | "
              f"{min(files):.0f} to {max(files):.0f} |")
        # Written so that missing figures (NaN) fail.
        flat = flat and own["within"] <= GROWTH and own["across"] <= GROWTH and not own["more_files"]
    return flat


def halves(rows):
    return rows[:len(rows) // 2], rows[len(rows) // 2:]


def corners(points):
    """Without those at the height of both neighbours."""
    heights = [point.split(",")[1] for point in points]
    return [point for i, point in enumerate(points)
            if i in (0, len(points) - 1) or not heights[i - 1] == heights[i] == heights[i + 1]]


def draw(samples, path):
    """Memory of each rank over time."""
    width, height, left, bottom = 800, 300, 60, 40
    colours = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00")
    last = max(row["seconds"] for row in samples)
    top = 1.1 * max(row["mib"] for row in samples)

    def point(row):
        return (f"{left + (width - left - 20) * row['seconds'] / last:.1f},"
                f"{(height - bottom) * (1 - row['mib'] / top):.1f}")

    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
             'font-family="sans-serif" font-size="12">',
             f'<rect width="{width}" height="{height}" fill="white"/>']
    for tick in range(0, int(top) + 1, max(10, int(top / 5) // 10 * 10)):
        y = (height - bottom) * (1 - tick / top)
        lines.append(f'<path d="M{left} {y:.1f}H{width - 20}" stroke="#ddd"/>'
                     f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{tick}</text>')
    for minutes in range(0, int(last / 60) + 1, 15):
        x = left + (width - left - 20) * minutes * 60 / last
        lines.append(f'<text x="{x:.1f}" y="{height - bottom + 18}" '
                     f'text-anchor="middle">{minutes}</text>')
    lines.append(f'<text x="{width / 2}" y="{height - 6}" text-anchor="middle">minutes</text>'
                 f'<text x="4" y="14">MiB</text>')
    for rank in sorted({row["rank"] for row in samples}):
        colour = colours[int(rank) % len(colours)]
        stretches = {}
        for row in samples:
            if row["rank"] == rank:
                stretches.setdefault(row["stretch"], []).append(point(row))
        lines.extend(f'<polyline fill="none" stroke="{colour}" '
                     f'points="{" ".join(corners(points))}"/>' for points in stretches.values())
        lines.append(f'<text x="{width - 60 - 70 * rank:.0f}" y="{height - 6}" fill="{colour}">'
                     f'rank {rank:.0f}</text>')
    path.write_text("\n".join(lines + ["</svg>", ""]))


def report(path):
    """Returns whether memory and open files are flat."""
    samples = read_samples(path)
    draw(samples, path.with_name("soak.svg"))
    return print_table(samples)


def main():
    root = pathlib.Path(__file__).resolve().parents[2]
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=120)
    parser.add_argument("--ranks", type=int, default=4)
    parser.add_argument("--phantoms", type=int, default=500)
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--job", default=root / "jobs/cnn-deep.ini")
    parser.add_argument("--program", default=root / "build/pneumo-dist")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("soak"))
    parser.add_argument("--table", type=pathlib.Path, help="samples.csv of an earlier soak")
    options = parser.parse_args()
    if options.table:
        sys.exit(0 if report(options.table) else 1)
    options.program = os.path.realpath(options.program)
    folder = options.out.resolve()
    folder.mkdir(parents=True)
    job = Soak(options, folder, stream.make_data(options, folder))
    try:
        epochs, reached = soak(job, options)
    finally:
        job.end()
    flat = report(folder / "samples.csv")
    equal = train_at_one_go(job, folder, epochs)
    print(f"\n{job.stretch} stretches, {epochs} epochs; the memory limit was reached {reached} times; "
          f"the checkpoints {'are equal to' if equal else 'DIFFER from'} those at one go; memory and "
          f"open files are {'flat' if flat else 'NOT flat'}")
    shutil.rmtree(folder / "phantoms")
    sys.exit(0 if equal and flat else 1)


if __name__ == "__main__":
    main()
