"""The distributions that a count, or a share of documents, may follow around its mean."""

import math
from typing import Protocol

from alerts.spikes import tails
from alerts.spikes.parameters import Parameters

MOST_SHARE = 0.999


class Family(Protocol):
    """Tails, band and dispersion of counts with a given mean; ``total`` is ignored by some."""

    def upper(self, count: float, total: float, mean: float, dispersion: float) -> float:
        """-log10 P(X >= count)."""

    def lower(self, count: float, total: float, mean: float, dispersion: float) -> float:
        """-log10 P(X <= count)."""

    def bound(self, surprise: float, total: float, mean: float, dispersion: float) -> float:
        """The value whose upper tail has this surprise; infinite if none has."""

    def floor(self, surprise: float, total: float, mean: float, dispersion: float) -> float:
        """The value whose lower tail has this surprise; 0 if none has."""

    def variance(self, mean: float, total: float) -> float:
        """The variance without over-dispersion."""

    def dispersion(self, spread: float, mean: float, total: float) -> float:
        """The over-dispersion for residuals of so many times the plain variance."""

    def least_total(self, parameters: Parameters) -> int:
        """The documents that a window must hold to be judged."""


class NegativeBinomial:
    """Counts: Poisson with a gamma distributed rate."""

    def upper(self, count: float, total: float, mean: float, dispersion: float) -> float:  # noqa: ARG002
        """See `Family`."""
        return tails.count_upper(count, mean, dispersion)

    def lower(self, count: float, total: float, mean: float, dispersion: float) -> float:  # noqa: ARG002
        """See `Family`."""
        return tails.count_lower(count, mean, dispersion)

    def bound(self, surprise: float, total: float, mean: float, dispersion: float) -> float:  # noqa: ARG002
        """See `Family`."""
        return tails.count_bound(surprise, mean, dispersion)

    def floor(self, surprise: float, total: float, mean: float, dispersion: float) -> float:  # noqa: ARG002
        """See `Family`."""
        return tails.count_floor(surprise, mean, dispersion)

    def variance(self, mean: float, total: float) -> float:  # noqa: ARG002
        """See `Family`."""
        return mean

    def dispersion(self, spread: float, mean: float, total: float) -> float:  # noqa: ARG002
        """See `Family`."""
        return max(0.0, (spread - 1) / mean)

    def least_total(self, parameters: Parameters) -> int:  # noqa: ARG002
        """None: a count of few is told by its excess."""
        return 0


class BetaBinomial:
    """Shares: so many of ``total`` documents, with a beta distributed probability."""

    def upper(self, count: float, total: float, mean: float, dispersion: float) -> float:
        """See `Family`."""
        share = self._share(mean, total)
        return tails.share_upper(round(count), round(total), share, dispersion)

    def lower(self, count: float, total: float, mean: float, dispersion: float) -> float:
        """See `Family`."""
        share = self._share(mean, total)
        return tails.share_lower(round(count), round(total), share, dispersion)

    def bound(self, surprise: float, total: float, mean: float, dispersion: float) -> float:
        """See `Family`."""
        low, high = math.ceil(mean), int(total) + 1
        while low < high:
            middle = (low + high) // 2
            if middle > total or self.upper(middle, total, mean, dispersion) >= surprise:
                high = middle
            else:
                low = middle + 1
        return float(low) if low <= total else math.inf

    def floor(self, surprise: float, total: float, mean: float, dispersion: float) -> float:
        """See `Family`."""
        # A series that was all negative may expect more than there are documents.
        others = total - min(mean, MOST_SHARE * total)
        return max(0.0, total - self.bound(surprise, total, others, dispersion))

    def variance(self, mean: float, total: float) -> float:
        """See `Family`."""
        return max(mean * (1 - self._share(mean, total)), 1e-9)

    def dispersion(self, spread: float, mean: float, total: float) -> float:  # noqa: ARG002
        """See `Family`."""
        return min(0.9, max(0.0, (spread - 1) / (total - 1))) if total > 1 else 0.0

    def least_total(self, parameters: Parameters) -> int:
        """See `Family`."""
        return parameters.minimum_total

    @staticmethod
    def _share(mean: float, total: float) -> float:
        return min(mean / total, MOST_SHARE) if total > 0 else 0.0
