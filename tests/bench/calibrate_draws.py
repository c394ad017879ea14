#!/usr/bin/env python3
"""Evaluates the decisions that `calibrate` derives from few images of a site.

Draws 10, 25, 50 and 100 images of each class from the scores of a site, 200 times each, derives a
decision from them and evaluates it on all other images: mean and worst tenth (the 10 % quantile) of
sensitivity and specificity, and how often both targets are met.

    pneumo-dist evaluate best.h5 --data site.h5 --scores site.csv
    calibrate_draws.py site.csv [more.csv ...] [--rule both]

The rule is implemented independently in numpy. --check PROGRAM CHECKPOINT DATA compares it with the
program on one draw: it calibrates on fold val of DATA, identifies the drawn images as those that
`evaluate` then excludes, and compares temperature and threshold.

Needs numpy and scipy; --check also h5py. --check takes the margins of the checkpoint's job as options.
"""

import argparse
import csv
import os
import subprocess
import sys
import tempfile

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit
from scipy.stats import beta


def read_scores(path, fold=None):
    with open(path, newline="") as file:
        rows = [row for row in csv.DictReader(file) if fold is None or row["fold"] == fold]
    if not rows:
        sys.exit(f"{path}: contains no scores")
    return {"name": np.array([row["name"] for row in rows]),
            "logit": np.array([float(row["logit"]) for row in rows]),
            "positive": np.array([row["label"] == "PNEUMONIA" for row in rows]),
            "patient": np.array([int(row["patient"]) for row in rows])}


def fit_temperature(logit, positive):
    """The T in [1/20, 20] of least cross-entropy; 1 if all predictions are correct."""
    if np.all((logit > 0) == positive) and np.all(logit != 0):
        return 1.0

    def slope(log_t):
        return np.mean(logit * (expit(logit / np.exp(log_t)) - positive))

    low, high = -np.log(20), np.log(20)
    if slope(low) <= 0:
        return 1 / 20
    if slope(high) >= 0:
        return 20.0
    return np.exp(brentq(slope, low, high, xtol=1e-14))


def candidates(probability, positive):
    """Thresholds in descending order, with the true and false positives at each."""
    levels = np.unique(probability)[::-1]
    thresholds = np.concatenate([[np.nextafter(levels[0], np.inf)],
                                 (levels[:-1] + levels[1:]) / 2, [levels[-1]]])
    called = probability[None, :] >= thresholds[:, None]
    return thresholds, (called & positive).sum(axis=1), (called & ~positive).sum(axis=1)


def decide(logit, positive, options):
    """Temperature and threshold, as in src/metrics/decision.c."""
    sensitivity = options.sensitivity + options.margin
    specificity = options.specificity + options.specificity_margin
    temperature = fit_temperature(logit, positive)
    thresholds, tp, fp = candidates(expit(logit / temperature), positive)
    p, n = positive.sum(), (~positive).sum()
    if options.rule == "both":
        good = beta.logsf(sensitivity, tp + 1, p - tp + 1) + beta.logsf(specificity, n - fp + 1, fp + 1)
        best = np.flatnonzero(good == good.max())
        return temperature, thresholds[best[(len(best) - 1) // 2]]
    enough = np.flatnonzero(tp / p >= min(1, sensitivity))
    same = enough[fp[enough] == fp[enough[0]]]
    return temperature, thresholds[same[-1]]


def draw(scores, each, random):
    """Takes whole patients in random order, skipping those that would exceed `each` in a class."""
    taken = np.zeros(len(scores["logit"]), bool)
    counts = np.zeros(2, int)
    order = np.argsort(scores["patient"], kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(scores["patient"][order])) + 1)
    for i in random.permutation(len(groups)):
        own = np.bincount(scores["positive"][groups[i]].astype(int), minlength=2)
        if np.all(counts + own <= each):
            taken[groups[i]] = True
            counts += own
    return taken


def judge(scores, which, temperature, threshold):
    called = expit(scores["logit"][which] / temperature) >= threshold
    positive = scores["positive"][which]
    return called[positive].mean(), 1 - called[~positive].mean()


def simulate(path, options):
    scores = read_scores(path)
    classes = np.bincount(scores["positive"].astype(int), minlength=2)
    print(f"{path}: {classes[0]} normal, {classes[1]} pneumonia, rule {options.rule}, "
          f"{options.draws} draws, seed {options.seed}")
    print("  images of each class   sensitivity: mean  worst tenth   specificity: mean  worst tenth"
          "   both met")
    for each in options.images:
        if min(classes) < each + 10:
            print(f"  {each:20}   too few images to evaluate")
            continue
        random = np.random.default_rng([options.seed, each])
        figures = []
        for _ in range(options.draws):
            taken = draw(scores, each, random)
            decision = decide(scores["logit"][taken], scores["positive"][taken], options)
            figures.append(judge(scores, ~taken, *decision))
        figures = np.array(figures)
        mean, tenth = figures.mean(axis=0), np.quantile(figures, 0.1, axis=0)
        met = np.mean((figures[:, 0] >= options.sensitivity) & (figures[:, 1] >= options.specificity))
        print(f"  {each:20}   {100 * mean[0]:15.1f} %   {100 * tenth[0]:8.1f} %"
              f"   {100 * mean[1]:15.1f} %   {100 * tenth[1]:8.1f} %   {100 * met:6.0f} %")


def check(program, checkpoint, data, options):
    """Compares the program's decision on one draw with ours."""
    import h5py
    with tempfile.TemporaryDirectory() as folder:
        new, before, after = (os.path.join(folder, name) for name in ("new.h5", "all.csv", "left.csv"))
        each = options.images[0]

        def run(*words):
            subprocess.run([program, *words], check=True, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)

        run("calibrate", checkpoint, "-d", data, "--fold", "val", "--images", str(each), "--seed",
            str(options.seed), "--rule", options.rule, "--target-sensitivity",
            str(options.sensitivity), "--target-specificity", str(options.specificity), "-o", new)
        run("evaluate", new, "-d", data, "--fold", "val", "--scores", after)
        with h5py.File(new, "a") as file:
            decision = dict(file["decision"].attrs)
            del file["calibration"]
        run("evaluate", new, "-d", data, "--fold", "val", "--scores", before)
        scores = read_scores(before, "VAL")
        taken = ~np.isin(scores["name"], read_scores(after, "VAL")["name"])
    temperature, threshold = decide(scores["logit"][taken], scores["positive"][taken], options)
    print(f"{taken.sum()} images drawn; temperature {decision['temperature']:.9f} and "
          f"{temperature:.9f}, threshold {decision['threshold']:.9f} and {threshold:.9f}")
    if not (np.isclose(temperature, decision["temperature"], rtol=1e-6) and
            np.isclose(threshold, decision["threshold"], rtol=1e-6)):
        sys.exit("the program's decision differs")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("scores", nargs="*", help="scores.csv of a site")
    parser.add_argument("--rule", choices=["sensitivity", "both"], default="both")
    parser.add_argument("--sensitivity", type=float, default=0.95)
    parser.add_argument("--specificity", type=float, default=0.9)
    parser.add_argument("--margin", type=float, default=0.0, help="evaluate.sensitivity_margin")
    parser.add_argument("--specificity-margin", type=float, default=0.0,
                        help="evaluate.specificity_margin, for rule both")
    parser.add_argument("--images", type=int, nargs="+", default=[10, 25, 50, 100])
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--check", nargs=3, metavar=("PROGRAM", "CHECKPOINT", "DATA"))
    options = parser.parse_args()
    if not options.check and not options.scores:
        parser.error("give scores.csv or --check")
    if options.check:
        check(*options.check, options)
    for path in options.scores:
        simulate(path, options)


main()
