#!/usr/bin/env python3
"""Writes beta.h, the expected values of tests/metrics/test_beta.c: tails of the Beta distribution.

Needs scipy and mpmath (Debian: python3-scipy, python3-mpmath). The logarithms come from 400-digit
sums of binomial probabilities if both parameters are integers, I_x(a, b) = P(Bin(a + b - 1, x) >=
a), else from mpmath's betainc. They are checked against scipy.special.betainc, which uses other
expansions, wherever its result is not too close to 0.

    python3 make_beta.py | clang-format > beta.h
"""

from mpmath import betainc, log, mp, mpf
from scipy.special import betainc as scipy_betainc

mp.dps = 400

CASES = [(a, b, x)
         for a, b in [(1, 1), (1, 2), (2, 1), (7, 3), (1, 50), (50, 1), (48, 4), (96, 6), (500, 500),
                      (951, 51), (20, 1000), (95001, 5001), (999000, 1001), (1000001, 1)]
         for x in (1e-300, 1e-12, 0.001, 0.05, 0.5, 0.9, 0.95, 0.999, 1 - 2.0**-53)]
CASES += [(0.5, 0.5, 0.3), (0.01, 3.5, 0.2), (20.8, 1.4, 0.95), (33.3, 2.5, 0.9), (1.25, 400.5, 0.01),
          (1e-3, 1e-3, 0.5), (950001, 50001, 0.9499), (950001, 50001, 0.9501)]


def term(k, n, x):
    """The binomial probability of k of n."""
    return mp.exp(mp.loggamma(n + 1) - mp.loggamma(k + 1) - mp.loggamma(n - k + 1)
                  + k * log(x) + (n - k) * log(1 - x))


def sum_from(k, step, end, n, x):
    """The probabilities of k, k + step, ..., end; they decrease from some k on."""
    current, total = term(k, n, x), mpf(0)
    odds = x / (1 - x)
    while True:
        total += current
        if k == end:
            return total
        ratio = odds * (n - k) / (k + 1) if step > 0 else k / (odds * (n - k + 1))
        if ratio < 1 and current < total * mpf(10)**-390:
            return total
        current *= ratio
        k += step


def tails(a, b, x):
    x = mpf(x)
    if a == int(a) and b == int(b):
        n, mean = a + b - 1, (a + b - 1) * x
        # The tail away from the mean converges fast; the other is its complement.
        if a > mean:
            below = sum_from(a, 1, n, n, x)
            return below, 1 - below
        above = sum_from(a - 1, -1, 0, n, x)
        return 1 - above, above
    below = betainc(mpf(a), mpf(b), 0, x, regularized=True)
    return below, betainc(mpf(a), mpf(b), x, 1, regularized=True)


print("/* Written by make_beta.py; do not edit. */\n")
print("static const struct golden_beta {")
print("    double a, b, x, log_below, log_above;")
print("} golden_betas[] = {")
for a, b, x in CASES:
    below, above = tails(a, b, x)
    check = scipy_betainc(a, b, x)
    assert check < 1e-290 or abs(check / below - 1) < 1e-9, (a, b, x, check, below)
    print(f"    {{{float(a)!r}, {float(b)!r}, {x!r}, {float(log(below))!r}, {float(log(above))!r}}},")
print("};")
