#!/usr/bin/env python3
"""Measures the effect of each part of a training recipe on the stress test of the val fold.

Trains variants of a job one after the other and prints a row for each:

    tests/bench/recipe.py cnn-deep -d data/chest_xray.h5 --run runs/recipe --set train.epochs=12 \\
        all= no-sharpness=augment.blur=0,augment.resample_min=1,augment.noise=0,augment.sharpen=0

A variant is NAME=KEY=VALUE,...; the part after the first = may be empty. A variant that already has
a report is not trained again. Only figures of the validation fold are printed; `train` also
evaluates the test fold of each variant.
"""
import argparse
import json
import pathlib
import subprocess
import sys

# Columns after the clean one: name, and the rows of the catalogue of which the worst counts.
COLUMNS = (
    ("zoom 0.85", ("zoom-in-0.85",)),
    ("stretch 0.85", ("stretch-width-0.85", "stretch-height-0.85")),
    ("padded", ("zoom-out-black-1.08", "zoom-out-black-1.3")),
    ("exposure", ("gamma-0.7", "gamma-1.4", "contrast-0.7", "contrast-1.3")),
    ("sharpness", ("blur-0.008", "resample-0.35", "jpeg-30", "jpeg-10", "noise-0.04", "sharpen-1")),
    ("two at once", ("zoom-0.85-gamma-0.7", "zoom-0.85-gamma-1.4", "zoom-0.85-blur-0.008")),
)


def train(arguments, name, overrides):
    """Trains a variant unless it has a report, and returns its stress test."""
    program, run = arguments.program, arguments.run / name
    report = run / "stress.json"
    settings = [f"--set={setting}" for setting in arguments.set + overrides]
    if not report.exists():
        subprocess.run([program, "train", arguments.job, "-d", arguments.data, "--run", run,
                        "--resume", *settings], check=True, stdout=subprocess.DEVNULL)
        subprocess.run([program, "evaluate", run / "best.h5", "--fold", "val", "--stress",
                        "-o", report], check=True, stdout=subprocess.DEVNULL)
    return json.loads(report.read_text())["folds"]["val"]["stress"]


def cell(rows, names):
    """AUC, sensitivity and specificity of the row with the lowest balanced accuracy."""
    row = min((rows[name] for name in names), key=lambda row: row["balanced_accuracy"]["value"])
    return (f"{row['auc']['value']:.4f} {100 * row['sensitivity']['value']:.1f}/"
            f"{100 * row['specificity']['value']:.1f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("job")
    parser.add_argument("variants", nargs="+", metavar="NAME=KEY=VALUE,...")
    parser.add_argument("-d", "--data", default="data/chest_xray.h5")
    parser.add_argument("--run", type=pathlib.Path, default=pathlib.Path("runs/recipe"))
    parser.add_argument("--set", action="append", default=[], help="for all variants")
    parser.add_argument("--program", default="build/pneumo-dist")
    arguments = parser.parse_args()
    print("| variant | clean | " + " | ".join(name for name, _ in COLUMNS) +
          " | worst row | pooled AUC |")
    print("| --- " * (len(COLUMNS) + 4) + "|")
    for variant in arguments.variants:
        name, equals, text = variant.partition("=")
        if not equals:
            sys.exit(f"{variant}: write it as NAME=KEY=VALUE,... or NAME=")
        stress = train(arguments, name, [part for part in text.split(",") if part])
        rows = {row["name"]: row for row in stress["rows"]}
        cells = [cell(rows, ("clean",))] + [cell(rows, names) for _, names in COLUMNS]
        worst = f"{stress['worst']}: {cell(rows, (stress['worst'],))}"
        print(f"| {name} | " + " | ".join(cells) +
              f" | {worst} | {stress['pooled_auc']['value']:.4f} |", flush=True)


if __name__ == "__main__":
    main()
