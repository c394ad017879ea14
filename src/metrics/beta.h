/* The Beta distribution's tails, as logarithms. */
#ifndef PNEUMO_METRICS_BETA_H
#define PNEUMO_METRICS_BETA_H

/* Natural logarithms of P(X <= x) and P(X > x); the two probabilities add up to 1. */
typedef struct pd_beta_tails {
    double log_below, log_above;
} pd_beta_tails;

/* The tails of Beta(a, b) at x, that is the regularised incomplete beta function I_x(a, b) and its
 * complement, for a > 0, b > 0 and 0 <= x <= 1; all NAN otherwise. Each is accurate on its own,
 * even where the probability underflows a double or the other one rounds to 1. The error of a
 * logarithm is about 1e-16 * (a + b), and 1e-14 at least.
 *
 * Continued fraction: NIST Digital Library of Mathematical Functions, 8.17.22 and 8.17.4, by
 * Lentz's method (Applied Optics 15, 668-671, 1976). */
pd_beta_tails pd_beta_log_tails(double a, double b, double x);

#endif
