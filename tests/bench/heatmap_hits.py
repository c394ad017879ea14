#!/usr/bin/env python3
"""Measures how often the maximum of a heat map lies within the opacity, on phantoms, whose
opacities are known.

Draws and packs phantoms, trains a job on them, draws more phantoms with another seed, and explains
those with a focal opacity. Among those classified as PNEUMONIA, a hit is a map whose maximum lies
within the ellipse given in truth.csv. Needs only Python.
"""
import argparse
import csv
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: heatmap_hits.py --program build/pneumo-dist --job cnn-deep-plain")
    parser.add_argument("--program", default="build/pneumo-dist", help="(%(default)s)")
    parser.add_argument("--job", default="cnn-deep-plain", help="a job of jobs/ (%(default)s)")
    parser.add_argument("--images", type=int, default=2000, help="to train on (%(default)s)")
    parser.add_argument("--others", type=int, default=400, help="to test on (%(default)s)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE",
                        help="override a key of the job")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="(%(default)s)")
    parser.add_argument("--work", help="keep the files in this new folder")
    return parser.parse_args()


def explain(arguments, work):
    """Returns the rows of `explain`, and the ellipses by path."""
    program = pathlib.Path(arguments.program).resolve()
    job = pathlib.Path(__file__).resolve().parents[2] / "jobs" / f"{arguments.job}.ini"

    def run(*words, **options):
        return subprocess.run([program, *map(str, words)], cwd=work, check=True, text=True,
                              stdout=subprocess.PIPE, **options).stdout

    run("synth", "known", "--images", arguments.images, "--seed", 1)
    run("pack", "known", "-o", "known.h5", "--size", 112)
    overrides = [word for value in arguments.set for word in ("--set", value)]
    run("train", job, "--data", "known.h5", "--run", "run", "--threads", arguments.threads,
        *overrides)
    run("synth", "other", "--images", arguments.others, "--seed", 3, "--truth")
    with open(work / "other/truth.csv", newline="") as file:
        truth = {f"other/{row['path']}": [float(row[name]) for name in
                                          ("row", "column", "row_radius", "column_radius")]
                 for row in csv.DictReader(file) if row["row"]}
    text = run("explain", "run/best.h5", *truth, "-o", "maps", "--threads", arguments.threads)
    return list(csv.DictReader(text.splitlines())), truth


def is_hit(row, ellipse):
    y, x, ry, rx = ellipse
    return ((float(row["peak_row"]) + 0.5 - y) / ry) ** 2 + \
        ((float(row["peak_column"]) + 0.5 - x) / rx) ** 2 <= 1


def main():
    arguments = parse_arguments()
    with tempfile.TemporaryDirectory() as temporary:
        work = pathlib.Path(arguments.work or temporary)
        work.mkdir(parents=True, exist_ok=True)
        rows, truth = explain(arguments, work)
    found = [row for row in rows if row["label"] == "PNEUMONIA"]
    if not found:
        sys.exit(f"{arguments.job} detects none of {len(rows)} focal pneumonias: train it longer")
    hits = sum(row["peak_row"] != "" and is_hit(row, truth[row["path"]]) for row in found)
    borders = [float(row["border"]) for row in found if row["border"]]
    print(f"{arguments.job}: {len(found)} of {len(rows)} focal pneumonias detected; the map's "
          f"maximum lies within the opacity in {hits} of them ({100 * hits / len(found):.1f} %); "
          f"median border share {statistics.median(borders):.2f}")


if __name__ == "__main__":
    main()
