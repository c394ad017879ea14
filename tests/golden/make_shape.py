#!/usr/bin/env python3
"""Writes shape.h, the expected values of tests/metrics/test_shape.c.

Needs numpy and scipy. scipy computes correlations, chi-square and Wilson's intervals; the exact
test sums its multivariate hypergeometric distribution; an AUC compares every pair; Holm's
adjustment is implemented here.

    python3 make_shape.py | clang-format > shape.h
"""

import itertools

import numpy as np
from scipy.special import expit
from scipy.stats import binomtest, chi2_contingency, multivariate_hypergeom, norm, spearmanr

random = np.random.default_rng(5)
Z = norm.ppf(0.975)
SIZE = 400


def number(value):
    if not np.isfinite(value):
        return "NAN"
    return str(int(value)) if value == int(value) else repr(float(value))


def numbers(values):
    return "{" + ", ".join(map(number, values)) + "}"


def nested(rows):
    return "{" + ", ".join(row if isinstance(row, str) else numbers(row) for row in rows) + "}"


def exact(right, count):
    """The total probability of all tables that are at most as probable as this one."""
    chance = multivariate_hypergeom(count, right.sum())
    tables = itertools.product(*(range(min(n, right.sum()) + 1) for n in count[:-1]))
    tables = [(*t, right.sum() - sum(t)) for t in tables]
    p = chance.pmf([t for t in tables if 0 <= t[-1] <= count[-1]])
    return p[p <= chance.pmf(right) * (1 + 1e-7)].sum()


def difference(right, count):
    right, count = right[count > 0], count[count > 0]
    if len(count) < 2:
        return np.nan, "none"
    wrong = count - right
    if right.sum() == 0 or wrong.sum() == 0:
        return 1, "constant"
    _, p, _, expected = chi2_contingency([right, wrong], correction=False)
    return (p, "chi2") if expected.min() >= 5 else (exact(right, count), "exact")


def correlation(a, b):
    if len(set(a)) < 2 or len(set(b)) < 2:
        return np.nan, np.nan, np.nan
    r, n = spearmanr(a, b)[0], len(a)
    if n < 4:
        return r, -1, 1
    z = np.arctanh(np.clip(r, -1 + 6 / (n**3 - n), 1 - 6 / (n**3 - n)))
    half = Z * np.sqrt((1 + r * r / 2) / (n - 3))
    return r, min(r, np.tanh(z - half)), max(r, np.tanh(z + half))


def auc(normal, pneumonia):
    if len(normal) == 0 or len(pneumonia) == 0:
        return np.nan
    wins = (pneumonia[:, None] > normal) + 0.5 * (pneumonia[:, None] == normal)
    return wins.mean()


def split(value):
    ordered = np.sort(value)
    cuts = [ordered[int(np.ceil(k * len(value) / 3)) - 1] for k in (1, 2)]
    third = (value > cuts[0]).astype(int) + (value > cuts[1])
    return [np.flatnonzero(third == i) for i in range(3)]


def holm(p):
    adjusted, floor = np.array(p, float), 0
    order = [i for i in np.argsort(p) if not np.isnan(p[i])]
    for rank, i in enumerate(order):
        floor = min(1, max(floor, (len(order) - rank) * p[i]))
        adjusted[i] = floor
    return adjusted


def row(height, width, truth, probability, threshold):
    measures, tests, kinds = [], [], []
    for value in (width / height, width * height):
        classes, members = [], []
        for label in (0, 1):
            v, p = value[truth == label], probability[truth == label]
            thirds = split(v)
            members.append([p[t] for t in thirds])
            right = np.array([np.sum((p[t] >= threshold) == label) for t in thirds])
            count = np.array([len(t) for t in thirds])
            test, kind = difference(right, count)
            tests.append(test)
            kinds.append(kind)
            shares = []
            for k, n, t in zip(right, count, thirds):
                ends = (v[t].min(), v[t].max()) if n else (np.nan, np.nan)
                wilson = (k / n, *binomtest(int(k), int(n)).proportion_ci(method="wilson")) \
                    if n else (np.nan,) * 3
                shares.append((*ends, n, *wilson))
            classes.append((shares, correlation(v, p)))
        measures.append((classes, (auc(members[0][2], members[1][0]),
                                   auc(members[0][0], members[1][2]))))
    tests = holm(tests).reshape(2, 2)
    thirds = nested(nested(nested(c[0]) for c in m[0]) for m in measures)
    correlations = nested(nested(c[1] for c in m[0]) for m in measures)
    areas = nested(m[1] for m in measures)
    return ("/* tests: " + ", ".join(kinds) + " */ " + str(len(truth)), numbers(height),
            numbers(width), numbers(truth), numbers(probability), number(threshold), thirds,
            nested(tests), correlations, areas)


def case(size, sides, levels, reads, threshold=0.5, skill=3):
    """`sides` distinct heights and widths; `reads` weights log(width / height) in the logit."""
    truth = np.r_[0, 1, random.integers(0, 2, size - 2)]
    height = random.integers(1, sides + 1, size) * 10 + 90
    width = np.round(height * random.normal(1.2 + 0.2 * truth, 0.15)).clip(50)
    if sides < 10:
        width = np.round(width, -1)
    logit = skill * (truth - 0.5) + reads * np.log(width / height) + random.normal(0, 1, size)
    return height, width.astype(int), truth, np.round(expit(logit) * levels) / levels, threshold


def perfect(size):
    """Probabilities ordered by width / height, all of the same height: area cannot be tested."""
    truth = np.arange(size) % 2
    width = 100 + 7 * np.arange(size)
    return np.full(size, 200), width, truth, (width - 90) / 7 / size / 3, 0.2


def two_shapes(size):
    """Only two values of each measure: one tercile is empty."""
    truth, wide = random.integers(0, 2, (2, size))
    return (np.full(size, 100), 100 + 50 * wide, truth,
            np.round(expit(truth + wide - 1 + random.normal(0, 1, size)), 2), 0.5)


rows = [row(*case(400, 40, 10**6, 0)), row(*case(400, 40, 10**6, 6)), row(*case(60, 3, 8, 2)),
        row(*case(90, 2, 50, 1)), row(*case(12, 4, 5, -8, skill=0)), row(*perfect(10)),
        row(*perfect(6)), row(*two_shapes(200)), row(np.r_[9, 9, 8], np.r_[5, 5, 5], np.r_[0, 0, 1],
                              np.r_[0.25, 0.5, 0.75], 0.5)]

print("/* Written by make_shape.py; do not edit. Per measure (aspect, area) and class. */")
print("#include <math.h>\n")
print(f"""static const struct golden_shape {{
    int count, height[{SIZE}], width[{SIZE}], truth[{SIZE}];
    double probability[{SIZE}], threshold;
    double thirds[2][2][3][6]; /* low, high, count; right as value, low, high */
    double p[2][2], correlation[2][2][3];
    double crossed[2][2]; /* AUC of high normal, of low normal */
}} golden_shapes[] = {{""")
print(",\n".join("    {" + ", ".join(r) + "}" for r in rows))
print("};")
