#pragma once

namespace tidewheel::stats {

/// Special functions in double precision. Relative error away from underflow: 1e-13, growing to
/// 2e-11 where a parameter of the gamma or beta function reaches 1e4. Pure; arguments outside the
/// stated range give NaN.

/// Regularised lower incomplete gamma P(a, x), a > 0, x >= 0. Series and continued fraction (Lentz
/// 1976).
double RegularizedGammaP(double a, double x);
/// 1 - P(a, x), without cancellation.
double RegularizedGammaQ(double a, double x);
/// Regularised incomplete beta I_x(a, b), a, b > 0, 0 <= x <= 1. Continued fraction (DiDonato,
/// Morris 1992).
double RegularizedBeta(double a, double b, double x);

/// Standard normal distribution function and its inverse (Acklam 2003, one Halley step), 0 < p < 1.
double NormalCdf(double x);
double NormalQuantile(double p);

/// Upper tail of the chi-square distribution with `degrees` > 0 degrees of freedom, x >= 0.
double ChiSquareTail(double x, double degrees);
/// P(X <= k) of a binomial distribution with n trials of probability p; k may be outside 0..n.
double BinomialCdf(long long k, long long n, double p);

}  // namespace tidewheel::stats
