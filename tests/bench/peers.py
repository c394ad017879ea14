"""What the comparisons with other programs share: the programs, how they are run, and where."""
import fcntl
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
DEBIAN = "/usr/bin/python3"  # with the distribution's PyTorch
# Instructions that decide how fast a network is on a CPU.
FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")


def install(build):
    """Python with the packages of peers.txt: an environment in the folder `build`, about 1 GB. It
    is complete when it has a copy of that list."""
    folder, wanted = pathlib.Path(build) / "bench-peers", HERE / "peers.txt"
    python, made = folder / "bin/python", folder / "peers.txt"
    with open(f"{folder}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if made.exists() and made.read_text() == wanted.read_text():
            return str(python)
        print(f"installing {wanted.name} into {folder} (650 MB to download)", file=sys.stderr)
        subprocess.run([DEBIAN, "-m", "venv", "--clear", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-compile", "--no-deps",
                        "-r", wanted], check=True)
        site = next((folder / "lib").glob("python*/site-packages"))
        subprocess.run([sys.executable, HERE / "torch_cpu.py", site], check=True)
        made.write_text(wanted.read_text())
    return str(python)


def processor():
    """The processor's name, its instructions, and the number of cores of this process."""
    text = pathlib.Path("/proc/cpuinfo").read_text()
    fields = dict((part.strip() for part in line.split(":", 1))
                  for line in text.split("\n\n")[0].splitlines() if ":" in line)
    flags = fields.get("flags", "").split()
    family = f"family {fields.get('cpu family', '?')}, model {fields.get('model', '?')}"
    found = ", ".join(flag for flag in FLAGS if flag in flags)
    return (f"{fields.get('model name', 'unknown processor')} ({family}; {found}), "
            f"{len(os.sched_getaffinity(0))} cores")


class Done:
    """What a process printed, its seconds from start to end and its peak memory in MiB."""

    def __init__(self, command, environment=None):
        command = [str(word) for word in command]
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as log:
            start = time.monotonic()
            child = subprocess.Popen(command, stdout=out, stderr=log,
                                     env={**os.environ, **(environment or {})})
            _, status, usage = os.wait4(child.pid, 0)
            self.seconds, self.mib = time.monotonic() - start, usage.ru_maxrss / 1024
            child.returncode = os.waitstatus_to_exitcode(status)
            out.seek(0)
            log.seek(0)
            self.out, self.log = out.read(), log.read()
        if child.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}\nexit code {child.returncode}:\n{self.log}")

    def json(self):
        return json.loads(self.out.splitlines()[-1])


def alternate(turns, rounds, slower=1.25, classes=None):
    """results[name]: one result per round, of turns[name](), which has a "rate". Each round runs
    everything, every other one in reverse order, so that a slow minute does not affect one
    contender alone. After the first round, contenders that were `slower` times as slow as the
    fastest of their class are out: only the fastest of a class counts. A contender that fails in
    the first round is out, with a message."""
    results, names = {}, list(turns)
    for number in range(rounds):
        for name in names if number % 2 == 0 else reversed(names):
            try:
                result = turns[name]()
            except RuntimeError as error:
                if number > 0:
                    raise
                print(f"{name}: left out: {error}", file=sys.stderr)
                continue
            results.setdefault(name, []).append(result)
            print(f"round {number + 1}/{rounds}  {name:36} {result['rate']:9.2f}/s "
                  f"{result['mib']:7.0f} MiB", file=sys.stderr)
        if number == 0:
            names = [name for name in names if name in results and
                     results[name][0]["rate"] * slower >= max(
                         of[0]["rate"] for other, of in results.items()
                         if (classes or {}).get(other) == (classes or {}).get(name))]
    return results


def median(results, key):
    return statistics.median(result[key] for result in results)


def fastest(results, names):
    """Of those names that have results; None if none has."""
    names = [name for name in names if name in results]
    return max(names, key=lambda name: median(results[name], "rate"), default=None)


def program(given):
    found = given or str(ROOT / "build/pneumo-dist")
    if not os.access(found, os.X_OK):
        sys.exit(f"{found} is not a program: build it or pass --program")
    return found
