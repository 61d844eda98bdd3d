"""How unlikely a count, a share or a residual is: -log10 of tail probabilities, 0 to ``MOST``.

Counts are negative binomial (a Poisson whose rate is gamma distributed), with mean ``mean`` and
variance ``mean + dispersion * mean**2``. Their tails come from the saddlepoint approximation with
a continuity correction (Lugannani and Rice 1980; Barndorff-Nielsen's r* of 1986; Butler,
"Saddlepoint Approximations with Applications", 2007): a closed form that stays accurate to a few
per cent far out, where sums underflow. Shares are beta-binomial, summed exactly.
"""

import math

MOST = 300.0
_LN10 = math.log(10.0)
_LEAST_DISPERSION = 1e-6


def count_upper(count: float, mean: float, dispersion: float) -> float:
    """-log10 P(X >= count)."""
    at = count - 0.5
    if at <= mean:
        return 0.0
    return _saddlepoint(at, mean, 1 / max(dispersion, _LEAST_DISPERSION))


def count_lower(count: float, mean: float, dispersion: float) -> float:
    """-log10 P(X <= count)."""
    size = 1 / max(dispersion, _LEAST_DISPERSION)
    if count < 0.5:
        return min(MOST, size * math.log1p(mean / size) / _LN10)
    at = count + 0.5
    if at >= mean:
        return 0.0
    return _saddlepoint(at, mean, size)


def count_bound(surprise: float, mean: float, dispersion: float) -> float:
    """The value whose upper tail has this surprise, at least the mean; by Newton's method.

    The slope of the surprise is the saddlepoint itself, the series is log-concave, so few steps do.
    """
    size = 1 / max(dispersion, _LEAST_DISPERSION)
    deviation = math.sqrt(mean + mean * mean / size)
    at = mean + 0.5 + deviation * math.sqrt(2 * _LN10 * surprise)
    for _ in range(12):
        error = surprise - _saddlepoint(at - 0.5, mean, size)
        step = error * _LN10 / _saddle(at - 0.5, mean, size)
        at = max(at + step, mean + 0.5 + 0.05 * deviation)
        if abs(error) < 0.01:
            break
    return at


def count_floor(surprise: float, mean: float, dispersion: float) -> float:
    """The value whose lower tail has this surprise; 0 if not even no document at all has it."""
    if count_lower(0, mean, dispersion) < surprise:
        return 0.0
    size = 1 / max(dispersion, _LEAST_DISPERSION)
    most = mean - 0.05 * math.sqrt(mean + mean * mean / size)
    at = most / 2
    for _ in range(12):
        error = surprise - _saddlepoint(at, mean, size)
        step = error * _LN10 / _saddle(at, mean, size)
        at = min(max(at + step, at / 4), most)
        if abs(error) < 0.01:
            break
    return max(0.0, at - 0.5)


def share_upper(count: int, total: int, share: float, dispersion: float) -> float:
    """-log10 P(X >= count) of a beta-binomial of ``total`` documents."""
    if count <= total * share:
        return 0.0
    return _beta_binomial(count, total, share, dispersion)


def share_lower(count: int, total: int, share: float, dispersion: float) -> float:
    """-log10 P(X <= count)."""
    return share_upper(total - count, total, 1 - share, dispersion)


def residual(deviations: float) -> float:
    """-log10 of the one-sided tail of a Laplace distribution, so many standard deviations out."""
    if deviations <= 0:
        return 0.0
    return min(MOST, (math.sqrt(2) * deviations + math.log(2)) / _LN10)


def residual_bound(surprise: float) -> float:
    """How many standard deviations out that surprise is."""
    return max(0.0, (surprise * _LN10 - math.log(2)) / math.sqrt(2))


def _saddle(at: float, mean: float, size: float) -> float:
    return math.log(at / mean) - math.log((at + size) / (mean + size))


def _saddlepoint(at: float, mean: float, size: float) -> float:
    """-log10 of the tail beyond ``at``, on its own side of the mean."""
    theta = _saddle(at, mean, size)
    deviance = at * math.log(at / mean) - (at + size) * math.log((at + size) / (mean + size))
    root = math.sqrt(max(2 * deviance, 0.0))
    wald = 2 * math.sinh(abs(theta) / 2) * math.sqrt(at + at * at / size)
    if root < 1e-3 or wald <= 0:
        return math.log10(2)
    return min(MOST, _normal_tail(root + math.log(wald / root) / root))


def _normal_tail(z: float) -> float:
    """-log10 P(Z > z) of the standard normal distribution."""
    if z < 30:
        return -math.log10(0.5 * math.erfc(z / math.sqrt(2)))
    return (z * z / 2 + math.log(z) + 0.5 * math.log(2 * math.pi)) / _LN10


def _beta_binomial(count: int, total: int, share: float, dispersion: float) -> float:
    share = min(max(share, 1e-6), 1 - 1e-6)
    size = 1 / max(dispersion, _LEAST_DISPERSION) - 1
    a, b = share * size, (1 - share) * size
    first = (
        math.lgamma(total + 1) - math.lgamma(count + 1) - math.lgamma(total - count + 1)
        + math.lgamma(count + a) + math.lgamma(total - count + b) - math.lgamma(total + size)
        + math.lgamma(size) - math.lgamma(a) - math.lgamma(b)
    )  # fmt: skip
    term = total_of = 1.0
    for k in range(count, total):
        term *= (total - k) * (k + a) / ((k + 1) * (total - k - 1 + b))
        total_of += term
        if term < 1e-9 * total_of:
            break
    return min(MOST, max(0.0, -(first + math.log(total_of)) / _LN10))
