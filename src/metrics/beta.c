#include "beta.h"

#include <float.h>
#include <math.h>

/* Enough for a + b = 1e11; the fraction needs about sqrt(a + b) terms where it converges slowest.
 */
enum { TERMS_MAX = 1 << 20 };

static const double half_log_2pi = 0.91893853320467274178;

/* The remainder of Stirling's formula for log(gamma(z)): DLMF 5.11.1. */
static double stirling_rest(double z)
{
    if (z < 16)
        return lgamma(z) - (z - 0.5) * log(z) + z - half_log_2pi;
    double w = 1 / (z * z);
    return (1.0 / 12 - w * (1.0 / 360 - w * (1.0 / 1260 - w * (1.0 / 1680 - w / 1188)))) / z;
}

/* log(x^a (1 - x)^b / B(a, b)). Taken relative to the largest value, at x = a / (a + b), so that no
 * large logarithms cancel. */
static double log_power(double a, double b, double x)
{
    double n = a + b;
    return a * log(x / (a / n)) + b * log((1 - x) / (b / n)) + 0.5 * log(a / n * b) - half_log_2pi +
           stirling_rest(n) - stirling_rest(a) - stirling_rest(b);
}

/* Term d_i of DLMF 8.17.22, i >= 1. */
static double fraction_term(int i, double a, double b, double x)
{
    int half = i / 2;
    double m = half;
    if (i % 2 == 0)
        return m * (b - m) / (a + 2 * m - 1) * (x / (a + 2 * m));
    return -(a + m) / (a + 2 * m) * ((a + b + m) / (a + 2 * m + 1) * x);
}

static double not_zero(double value)
{
    return fabs(value) < DBL_MIN ? DBL_MIN : value;
}

/* 1 / (1 + d1 / (1 + d2 / (1 + ...))), which converges fast for x < (a + 1) / (a + b + 2). */
static double fraction(double a, double b, double x)
{
    double value = 1, c = INFINITY, d = 1;
    for (int i = 1; i <= TERMS_MAX; i++) {
        double term = fraction_term(i, a, b, x);
        d = 1 / not_zero(1 + term * d);
        c = not_zero(1 + term / c);
        value *= c * d;
        if (fabs(c * d - 1) < DBL_EPSILON)
            break;
    }
    return value;
}

/* log(1 - exp(log_p)) without loss of digits (Maechler, "Accurately computing log(1 - exp(-|a|))",
 * 2012). */
static double log_complement(double log_p)
{
    return log_p > -M_LN2 ? log(-expm1(log_p)) : log1p(-exp(log_p));
}

/* log I_x(a, b) by the fraction; rounding must not take it above 0. */
static double log_tail(double a, double b, double x)
{
    return fmin(0, log_power(a, b, x) - log(a) + log(fraction(a, b, x)));
}

pd_beta_tails pd_beta_log_tails(double a, double b, double x)
{
    if (!(a > 0 && b > 0 && isfinite(a + b) && x >= 0 && x <= 1))
        return (pd_beta_tails){(double)NAN, (double)NAN};
    if (x == 0)
        return (pd_beta_tails){-INFINITY, 0};
    if (x == 1)
        return (pd_beta_tails){0, -INFINITY};
    /* The fraction is used for the smaller tail, approximately; the other is its complement. */
    if (x < (a + 1) / (a + b + 2)) {
        double below = log_tail(a, b, x);
        return (pd_beta_tails){below, log_complement(below)};
    }
    double above = log_tail(b, a, 1 - x);
    return (pd_beta_tails){log_complement(above), above};
}
