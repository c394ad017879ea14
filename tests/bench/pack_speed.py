#!/usr/bin/python3
"""pack_speed.py [IMAGES] [ROUNDS]: packs links to the images below the folder CHEST_XRAY_ORIGINALS
(NORMAL and PNEUMONIA), repeated until there are IMAGES (default 420), on 1 and 2 ranks of one thread,
in turn with pack_pillow.py in as many processes. Prints images per second of wall-clock time and of CPU
time (of all processes, start and end included), medians over ROUNDS (default 3). The program is
PNEUMO_DIST, or build/pneumo-dist."""
import itertools
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

source = pathlib.Path(__file__).resolve().parents[2]
program = os.environ.get("PNEUMO_DIST", str(source / "build/pneumo-dist"))
originals = pathlib.Path(os.environ["CHEST_XRAY_ORIGINALS"]).resolve()
count = int(sys.argv[1]) if len(sys.argv) > 1 else 420
rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3


def link_images(folder):
    files = [path for label in ("NORMAL", "PNEUMONIA") for path in sorted((originals / label).iterdir())]
    for number, path in zip(range(count), itertools.cycle(files)):
        link = folder / path.parent.name / f"{number // len(files)}-{path.name}"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path)


def measure(command, folder):
    """Seconds of the clock and of the processors."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (time.monotonic() - start,
            after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


with tempfile.TemporaryDirectory() as work:
    link_images(pathlib.Path(work) / "images")
    pack = [program, "pack", "images", "-o", "packed.h5", "--threads", "1"]
    pillow = [sys.executable, str(source / "tests/bench/pack_pillow.py"), "images", "pillow.h5"]
    commands = {"pack, 1 rank": pack, "Pillow, 1 process": pillow + ["1"],
                "pack, 2 ranks": ["mpirun", "-np", "2", *pack], "Pillow, 2 processes": pillow + ["2"]}
    seconds = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            seconds[name].append(measure(command, work))
    for name, found in seconds.items():
        clock, processor = (statistics.median(column) for column in zip(*found))
        print(f"{name:20} {count / clock:7.1f} images/s, {count / processor:7.1f} per CPU second")
