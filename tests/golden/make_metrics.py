#!/usr/bin/env python3
"""Writes metrics.h, the expected values of tests/metrics/test_metrics.c.

Needs numpy, scipy and scikit-learn (Debian: python3-sklearn). The methods differ from those of
the C code: scikit-learn computes the values, DeLong's variance compares every positive with every
negative, as in the textbook, and the score intervals invert their test with a root finder.

    python3 make_metrics.py | clang-format > metrics.h
"""

import warnings

import numpy as np
from scipy.optimize import brentq
from scipy.stats import binomtest, norm
from sklearn import metrics

warnings.simplefilter("ignore")
Z = norm.ppf(0.975)
NONE = (np.nan, np.nan, np.nan)


def wilson(successes, trials):
    if trials == 0:
        return NONE
    interval = binomtest(int(successes), int(trials)).proportion_ci(method="wilson")
    return successes / trials, interval.low, interval.high


def newcombe(auc, m, n):
    others = (m + n) / 2 - 1

    def distance(theta):
        factor = 1 + others * (1 - theta) / (2 - theta) + others * theta / (1 + theta)
        return (auc - theta) ** 2 - Z**2 * theta * (1 - theta) * factor / (m * n)

    # At 0 and 1 the estimate is itself a root; the limit is the other root.
    low = 0.0 if auc == 0 else brentq(distance, 1e-12, auc - 1e-9, xtol=1e-15)
    high = 1.0 if auc == 1 else brentq(distance, auc + 1e-9, 1 - 1e-12, xtol=1e-15)
    return low, high


def area(truth, score):
    x, y = score[truth == 1], score[truth == 0]
    m, n = len(x), len(y)
    if m == 0 or n == 0:
        return NONE
    auc = metrics.roc_auc_score(truth, score)
    wins = (x[:, None] > y[None, :]) + 0.5 * (x[:, None] == y[None, :])
    if m > 1 and n > 1:
        variance = wins.mean(axis=1).var(ddof=1) / m + wins.mean(axis=0).var(ddof=1) / n
        if variance > 1e-20:
            half = Z * np.sqrt(variance)
            return auc, max(0.0, auc - half), min(1.0, auc + half)
    return (auc, *newcombe(auc, m, n))


def balanced(truth, called, sensitivity, specificity):
    if np.isnan(sensitivity[0] + specificity[0]):
        return NONE
    value = metrics.balanced_accuracy_score(truth, called)
    below = np.subtract(sensitivity[0], sensitivity[1]), np.subtract(specificity[0], specificity[1])
    above = np.subtract(sensitivity[2], sensitivity[0]), np.subtract(specificity[2], specificity[0])
    return value, value - np.linalg.norm(below) / 2, value + np.linalg.norm(above) / 2


def f1(truth, called):
    hits, relevant = np.sum(truth & called), np.sum(truth | called)
    if relevant == 0:
        return NONE
    value = metrics.f1_score(truth, called)

    # F1 = F corresponds to a proportion of F / (2 - F). Find the F that the observed proportion does
    # not reject.
    def distance(candidate):
        proportion = candidate / (2 - candidate)
        return ((hits / relevant - proportion) ** 2
                - Z**2 * proportion * (1 - proportion) / relevant)

    low = 0.0 if value == 0 else brentq(distance, 1e-12, value - 1e-9, xtol=1e-15)
    high = 1.0 if value == 1 else brentq(distance, value + 1e-9, 1 - 1e-12, xtol=1e-15)
    return value, low, high


def cases():
    random = np.random.default_rng(7)
    for size, levels in ((12, 4), (30, 5), (30, 1000), (48, 12)):
        truth = random.integers(0, 2, size)
        score = np.round((random.integers(0, levels, size) + truth) / (levels + 1), 4)
        yield f"{size} samples, {levels} levels", truth, score, 0.5
    apart = np.repeat([0, 1], [6, 9])
    yield "fully apart", apart, np.linspace(0.1, 0.9, 15), 0.5
    yield "fully reversed", 1 - apart, np.linspace(0.1, 0.9, 15), 0.5
    yield "all scores equal", apart, np.full(15, 0.5), 0.5
    yield "all called normal", apart, np.linspace(0.1, 0.4, 15), 0.5
    yield "one positive", np.repeat([0, 1, 0], [5, 1, 2]), np.linspace(0.1, 0.8, 8), 0.35
    yield "only positives", np.ones(5, int), np.linspace(0.3, 0.7, 5), 0.5
    yield "only negatives", np.zeros(5, int), np.linspace(0.3, 0.7, 5), 0.5
    # Hanley and McNeil (Radiology 143, 1982), table I: area 0.893.
    truth = np.repeat([0, 1], [58, 51])
    ratings = np.repeat([1, 2, 3, 4, 5] * 2, [33, 6, 6, 11, 2, 3, 2, 2, 11, 33])
    yield "Hanley and McNeil", truth, ratings / 5, 0.75


def text(figure):
    return "{" + ", ".join("NAN" if np.isnan(v) else repr(float(v)) for v in figure) + "}"


print("/* Written by make_metrics.py; do not edit. */")
print("#include <math.h>\n")
print("#define GOLDEN_SAMPLES 109\n")
print("static const struct golden_case {")
print("    const char *name;")
print("    int count;")
print("    double threshold;")
print("    int truth[GOLDEN_SAMPLES];")
print("    double score[GOLDEN_SAMPLES];")
print("    double accuracy[3], balanced_accuracy[3], sensitivity[3], specificity[3], precision[3],")
print("        f1[3], auc[3];")
print("} golden_cases[] = {")
for name, truth, score, threshold in cases():
    called = (score >= threshold).astype(int)
    sensitivity = wilson(np.sum(called & truth), np.sum(truth))
    specificity = wilson(np.sum((1 - called) & (1 - truth)), np.sum(1 - truth))
    figures = (
        wilson(np.sum(called == truth), len(truth)),
        balanced(truth, called, sensitivity, specificity),
        sensitivity,
        specificity,
        wilson(np.sum(called & truth), np.sum(called)),
        f1(truth, called),
        area(truth, score),
    )
    print(f'    {{"{name}",\n     {len(truth)},\n     {threshold},')
    print("     {" + ", ".join(map(str, truth)) + "},")
    print("     {" + ", ".join(repr(float(s)) for s in score) + "},")
    print(",\n".join("     " + text(figure) for figure in figures) + "},")
print("};")
