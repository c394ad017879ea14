#!/usr/bin/env python3
"""Compares training from images streamed from the file with training from images in memory.

Creates a synthetic data set of --images images (80,000 of 224 x 224 pixels are 4 GB): phantoms,
drawn and packed by the program, and repeated as further patients of the train fold. Then trains a
job on it for some steps, alternating between run.images = memory, = stream, and = stream after the
file has been dropped from the page cache. Prints medians in Markdown: images per second, CPU time
per image, peak resident memory, and the time until the first step; and whether all checkpoints are
equal. Needs python3-h5py, and space for the file in --folder, which is removed afterwards.

--together is for a machine with other load: each streamed run is paired with a simultaneous run
from memory, and the ratio is the median over the pairs.
"""
import argparse
import concurrent.futures
import hashlib
import json
import multiprocessing
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

WAYS = {"memory": ("memory", False), "stream": ("stream", False),
        "stream, cold cache": ("stream", True)}
TICKS = os.sysconf("SC_CLK_TCK")


# --- The data set ---

def repeat(small_path, big_path, count):
    """Writes the images of `small_path` repeatedly. The copies belong to the train fold."""
    import h5py
    import numpy as np
    with h5py.File(small_path, "r") as small, \
            h5py.File(big_path, "w", libver=("v110", "v110")) as big:
        images = small["images"][:]
        n = len(images)
        of, copy = np.arange(count) % n, np.arange(count) // n
        for key in small.attrs:
            big.attrs.create(key, small.attrs[key], dtype=small.attrs.get_id(key).dtype)
        for key in ("label", "cause", "fold", "patient", "name", "shape"):
            values = small[key][:]
            patients = values.max() + 1 if key == "patient" else 0
            values = values[of]
            if key == "fold":
                values[copy > 0] = 0
            elif key == "patient":
                values += copy.astype(values.dtype) * patients
            # The low-level interface preserves the exact type of the names.
            settings = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            settings.set_chunk((min(count, 1 << 14), *values.shape[1:]))
            settings.set_fletcher32()
            space = h5py.h5s.create_simple(values.shape)
            h5py.h5d.create(big.id, key.encode(), small[key].id.get_type(), space, settings).write(
                h5py.h5s.ALL, h5py.h5s.ALL, np.ascontiguousarray(values),
                small[key].id.get_type())
        for fold in range(3):
            for label in range(2):
                key = f"count_{('train', 'val', 'test')[fold]}_{('normal', 'pneumonia')[label]}"
                chosen = (big["fold"][:] == fold) & (big["label"][:] == label)
                big.attrs.modify(key, np.int64(chosen.sum()))
        out = big.create_dataset("images", (count, *images.shape[1:]), "u1",
                                 chunks=(1, *images.shape[1:]), fletcher32=True, track_times=False)
        for first in range(0, count, n):
            out[first:first + n] = images[:count - first]


def make_data(options, folder):
    phantoms, small, big = folder / "phantoms", folder / "small.h5", folder / "big.h5"
    print(f"drawing {options.phantoms} phantoms", file=sys.stderr)
    subprocess.run([options.program, "synth", phantoms, "--images", str(options.phantoms)],
                   check=True, capture_output=True)
    subprocess.run([options.program, "pack", phantoms, "-o", small], check=True,
                   capture_output=True)
    print(f"repeating them {options.images} times", file=sys.stderr)
    # In a separate process: a child inherits the peak memory of its parent.
    worker = multiprocessing.Process(target=repeat, args=(small, big, options.images))
    worker.start()
    worker.join()
    if worker.exitcode != 0:
        sys.exit("cannot create the data set")
    with open(big, "rb") as file:
        os.fsync(file.fileno())
    return big


# --- One run ---

def drop_from_cache(path):
    with open(path, "rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def processor_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def train(options, data, way, folder, ready):
    """Sets `ready` when the first step begins or the run has failed."""
    place, cold = WAYS[way]
    if cold:
        drop_from_cache(data)
    images = options.steps * options.batch
    run = folder / f"run-{place}"
    shutil.rmtree(run, ignore_errors=True)
    command = [options.program, "train", options.job, "--data", data, "--run", run,
               "--threads", str(options.threads), "--epochs", "1",
               "--set", f"train.batch={options.batch}", "--set", f"train.epoch_images={images}",
               "--set", f"run.images={place}"]
    for setting in options.set:
        command += ["--set", setting]
    begin = time.monotonic()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    log = b""
    for line in child.stderr:
        log += line
        if b"writing to" in line:
            started, idle = time.monotonic() - begin, processor_seconds(child.pid)
            ready.set()
        elif b"val loss" in line:
            used = processor_seconds(child.pid) - idle
    ready.set()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        sys.exit(f"{way}: exit code {child.returncode}:\n{log.decode()}")
    report = json.loads((run / "report.json").read_text())
    return {"rate": report["images_per_second"], "mib": usage.ru_maxrss / 1024, "start": started,
            "processor": 1000 * used / images,
            "digest": hashlib.sha256((run / "last.h5").read_bytes()).hexdigest()}


def measure(options, data, folder):
    results = {way: [] for way in WAYS}

    def note(number, way, found):
        results[way].append(found)
        print(f"round {number + 1}, {way}: {found['rate']:.1f} images/s, "
              f"{found['processor']:.2f} ms of CPU time per image, "
              f"{found['mib']:.0f} MiB, first step after {found['start']:.1f} s", file=sys.stderr)

    for number in range(options.rounds):
        for way in WAYS:
            if options.together and way == "memory":
                continue
            with concurrent.futures.ThreadPoolExecutor() as pool:
                ready = threading.Event()
                beside = None
                if options.together:
                    beside = pool.submit(train, options, data, "memory", folder, ready)
                    ready.wait()
                found = train(options, data, way, folder, threading.Event())
                if beside:
                    note(number, "memory", beside.result())
                    found["ratio"] = found["rate"] / beside.result()["rate"]
                note(number, way, found)
    for way in WAYS:
        for found in results[way]:
            found.setdefault("ratio", found["rate"] / statistics.median(
                r["rate"] for r in results["memory"]))
    return results


def print_table(results):
    def median(way, key):
        return statistics.median(r[key] for r in results[way])

    print("| images | images/s | ratio | CPU ms per image | peak MiB | first step after s |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for way in WAYS:
        print(f"| {way} | {median(way, 'rate'):.1f} | "
              f"**{1 if way == 'memory' else median(way, 'ratio'):.3f}** | "
              f"{median(way, 'processor'):.2f} | {median(way, 'mib'):.0f} | "
              f"{median(way, 'start'):.1f} |")


def parse():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter,
                                epilog="example: tests/bench/stream.py cnn --images 20000")
    p.add_argument("job", nargs="?", default="cnn-deep-plain", help="default cnn-deep-plain")
    p.add_argument("--images", type=int, default=80000, help="default 80000")
    p.add_argument("--phantoms", type=int, default=400, help="distinct images (default 400)")
    p.add_argument("--steps", type=int, default=100, help="per run (default 100)")
    p.add_argument("--batch", type=int, default=64, help="images per step (default 64)")
    p.add_argument("--rounds", type=int, default=3, help="runs per mode (default 3)")
    p.add_argument("--threads", type=int, default=2, help="default 2")
    p.add_argument("--together", action="store_true", help="run pairs simultaneously")
    p.add_argument("--set", action="append", default=[], metavar="KEY=VALUE",
                   help="override a key of the job; repeatable")
    p.add_argument("--folder", default=None, help="for temporary files (default: the system's)")
    p.add_argument("--data", default=None, help="use this packed data set instead")
    p.add_argument("--program", default=None, help="pneumo-dist (default build/pneumo-dist)")
    options = p.parse_args()
    root = pathlib.Path(__file__).resolve().parents[2]
    if options.program is None:
        options.program = str(root / "build/pneumo-dist")
    if not os.access(options.program, os.X_OK):
        p.error(f"{options.program} is not a program: build it or pass --program")
    if not options.job.endswith(".ini"):
        options.job = str(root / "jobs" / f"{options.job}.ini")
    return options


def main():
    options = parse()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="stream-", dir=options.folder))
    try:
        data = options.data or make_data(options, folder)
        results = measure(options, data, folder)
    finally:
        shutil.rmtree(folder)
    print_table(results)
    digests = {r["digest"] for way in WAYS for r in results[way]}
    if len(digests) > 1:
        sys.exit("the checkpoints differ")
    print("\nall checkpoints are equal")


if __name__ == "__main__":
    main()
