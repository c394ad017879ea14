#!/usr/bin/env python3
"""Writes statistics.h, the expected values of tests/metrics/test_calibration.c, test_curves.c,
test_difference.c and test_patients.c.

Needs numpy, scipy and scikit-learn (Debian: python3-sklearn). They compute the curves, the Brier
score, the reliability curve, McNemar's p and the temperature. DeLong's test compares every positive
with every negative, as in the textbook; Newcombe's interval and the bootstrap over patients are
implemented here.

    python3 make_statistics.py | clang-format > statistics.h
"""

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit
from scipy.stats import binomtest, norm
from sklearn import metrics
from sklearn.calibration import calibration_curve

random = np.random.default_rng(11)
Z = norm.ppf(0.975)


def number(value):
    if not np.isfinite(value):
        return "NAN" if np.isnan(value) else "INFINITY"
    return str(int(value)) if value == int(value) else repr(float(value))


def numbers(values):
    return "{" + ", ".join(map(number, values)) + "}"


def table(name, fields, rows):
    print(f"static const struct {name} {{\n    {fields}\n}} {name}s[] = {{")
    print(",\n".join("    {" + ", ".join(row) + "}" for row in rows))
    print("};\n")


# Curves ------------------------------------------------------------------------------------------


def thin(points, drop):
    """Leaves out the points for which drop(last kept point, point, next point) is true."""
    kept = []
    for point in points:
        if len(kept) > 1 and drop(kept[-2], kept[-1], point):
            kept.pop()
        kept.append(point)
    return kept


def curve_cases():
    for size, levels in ((12, 4), (30, 5), (40, 1000)):
        truth = random.integers(0, 2, size)
        yield truth, np.round((random.integers(0, levels, size) + truth) / (levels + 1), 4)
    apart = np.repeat([0, 1], [6, 9])
    yield apart, np.linspace(0.1, 0.9, 15)
    yield 1 - apart, np.linspace(0.1, 0.9, 15)
    yield apart, np.full(15, 0.5)
    # Three groups of ties, each one positive and two negatives: a single slanted line.
    yield np.tile([0, 1, 0], 3), np.repeat([0.2, 0.4, 0.6], 3)


def curve_row(truth, score):
    m, n = np.sum(truth == 1), np.sum(truth == 0)

    def straight(a, b, c):
        steps = [np.rint((np.subtract(q, p)[:2]) * (n, m)).astype(int) for p, q in ((a, b), (b, c))]
        return steps[0][0] * steps[1][1] == steps[0][1] * steps[1][0]

    def level_or_upright(a, b, c):
        return a[0] == b[0] == c[0] or a[1] == b[1] == c[1]

    fpr, tpr, thresholds = metrics.roc_curve(truth, score, drop_intermediate=False)
    thresholds[0] = np.inf  # older versions return the highest score plus one
    roc = thin(list(zip(fpr, tpr, thresholds)), straight)
    precision, recall, thresholds = metrics.precision_recall_curve(truth, score)
    points = zip(recall, precision, np.append(thresholds, np.inf))
    pr = thin(list(points)[::-1], level_or_upright)
    return (
        str(len(truth)),
        numbers(truth),
        numbers(score),
        str(len(roc)),
        "{" + ", ".join(map(numbers, roc)) + "}",
        str(len(pr)),
        "{" + ", ".join(map(numbers, pr)) + "}",
        number(metrics.average_precision_score(truth, score)),
    )


# Calibration -------------------------------------------------------------------------------------


def calibration_row(size, sharpness):
    score = random.beta(sharpness, sharpness, size)
    truth = (random.random(size) < score**1.5).astype(int)
    positive, mean = calibration_curve(truth, score, n_bins=10)
    count = np.histogram(score, bins=10, range=(0, 1))[0]
    spread = np.full((2, 10), np.nan)
    spread[:, count > 0] = mean, positive
    ece = np.nansum(count * np.abs(spread[0] - spread[1])) / size
    brier = metrics.brier_score_loss(truth, score)
    return (str(size), numbers(truth), numbers(score), number(brier), number(ece),
            "{" + ", ".join(map(str, count)) + "}", numbers(spread[0]), numbers(spread[1]))


def temperature_row(size, scale):
    logit = random.normal(0, 2, size)
    truth = (random.random(size) < expit(logit)).astype(int)
    logit *= scale

    def loss(log_temperature):
        return np.mean(np.logaddexp(0, np.where(truth, -1, 1) * logit / np.exp(log_temperature)))

    best = minimize_scalar(loss, bounds=np.log((0.05, 20)), method="bounded",
                           options={"xatol": 1e-10})
    return str(size), numbers(truth), numbers(logit), number(np.exp(best.x))


# Differences -------------------------------------------------------------------------------------


def delong(truth, a, b):
    def parts(score):
        x, y = score[truth == 1], score[truth == 0]
        wins = (x[:, None] > y[None, :]) + 0.5 * (x[:, None] == y[None, :])
        return wins.mean(), wins.mean(axis=1), wins.mean(axis=0)

    (auc_a, a10, a01), (auc_b, b10, b01) = parts(a), parts(b)
    s10, s01 = np.cov(a10, b10), np.cov(a01, b01)
    covariance = s10 / len(a10) + s01 / len(a01)
    contrast = np.array([1, -1])
    error = np.sqrt(contrast @ covariance @ contrast)
    value = auc_a - auc_b
    low, high = max(-1, value - Z * error), min(1, value + Z * error)
    return value, low, high, 2 * norm.sf(abs(value) / error)


def newcombe_paired(e, f, g, h):
    """Method 10 of Statistics in Medicine 17, 2635-2650, in its notation."""
    n = e + f + g + h
    p2, p3 = (e + f) / n, (e + g) / n
    l2, u2 = binomtest(e + f, n).proportion_ci(method="wilson")
    l3, u3 = binomtest(e + g, n).proportion_ci(method="wilson")
    product = (e + f) * (g + h) * (e + g) * (f + h)
    numerator = e * h - f * g
    if numerator > 0:
        numerator = max(numerator - n / 2, 0)
    phi = numerator / np.sqrt(product) if product else 0
    dl2, du2, dl3, du3 = p2 - l2, u2 - p2, p3 - l3, u3 - p3
    delta = np.sqrt(dl2**2 - 2 * phi * dl2 * du3 + du3**2)
    epsilon = np.sqrt(du2**2 - 2 * phi * du2 * dl3 + dl3**2)
    return p2 - p3, p2 - p3 - delta, p2 - p3 + epsilon


def difference_row(size, levels, noise_a, noise_b):
    truth = random.integers(0, 2, size)
    shared = random.normal(truth, 1)
    a, b = (
        np.round(expit(shared + random.normal(0, noise, size)) * levels) / levels
        for noise in (noise_a, noise_b)
    )
    thresholds = 0.5, 0.6
    right_a = (a >= thresholds[0]) == truth
    right_b = (b >= thresholds[1]) == truth
    f, g = np.sum(right_a & ~right_b), np.sum(~right_a & right_b)
    cells = np.sum(right_a & right_b), f, g, np.sum(~right_a & ~right_b)
    p = binomtest(f, f + g).pvalue if f + g else 1
    return (str(size), numbers(truth), numbers(a), numbers(b), numbers(thresholds),
            numbers(delong(truth, a, b)), numbers((*newcombe_paired(*map(int, cells)), p)))


# Bootstrap ---------------------------------------------------------------------------------------


def bootstrap_row(patients):
    """Images of a patient have the same truth and similar scores. Intervals of accuracy, sensitivity,
    specificity and AUC."""
    images = random.integers(1, 6, patients)
    patient = np.repeat(np.arange(patients), images)
    truth = random.integers(0, 2, patients)[patient]
    score = expit(random.normal(0, 1, patients)[patient] + 1.6 * (truth - 0.5)
                  + random.normal(0, 0.3, len(patient))).round(4)
    rows = [np.flatnonzero(patient == p) for p in range(patients)]
    figures = []
    for _ in range(10000):
        drawn = np.concatenate([rows[p] for p in random.integers(0, patients, patients)])
        t, s = truth[drawn], score[drawn]
        x, y = np.sort(s[t == 1]), s[t == 0]
        wins = len(x) - (np.searchsorted(x, y, "left") + np.searchsorted(x, y, "right")) / 2
        right = (s >= 0.5) == t
        figures.append((right.mean(), right[t == 1].mean(), right[t == 0].mean(),
                        wins.sum() / len(x) / len(y)))
    low, high = np.percentile(figures, (2.5, 97.5), axis=0)
    return (str(len(patient)), numbers(patient), numbers(truth), numbers(score), numbers(low),
            numbers(high))


print("/* Written by make_statistics.py; do not edit. */")
print("#include <math.h>\n")
table("golden_curve", "int count; int truth[40]; double score[40]; int roc_count; double roc[41][3];"
      " int pr_count; double pr[41][3]; double average_precision;",
      [curve_row(*case) for case in curve_cases()])
table("golden_calibration", "int count; int truth[120]; double score[120], brier, ece;"
      " int counts[10]; double mean[10], positive[10];",
      [calibration_row(120, 0.6), calibration_row(120, 8), calibration_row(5, 1)])
table("golden_temperature", "int count; int truth[100]; double logit[100], temperature;",
      [temperature_row(100, scale) for scale in (1, 4, 0.25, 0.01)])
table("golden_difference", "int count; int truth[100]; double a[100], b[100], thresholds[2],"
      " auc[4], accuracy[4];",
      [difference_row(*case) for case in ((20, 6, 0.5, 1), (60, 1000, 0.2, 2), (100, 20, 1, 1),
                                          (100, 1000, 0, 0.1))])
table("golden_bootstrap", "int count; int patient[400], truth[400]; double score[400], low[4],"
      " high[4];", [bootstrap_row(100)])
