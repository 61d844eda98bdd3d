"""The last so many numbers of a series, always readable as one contiguous array."""

import numpy as np
from numpy.typing import NDArray


class Ring:
    """A bounded history of floats; NaN stands for a row without a value.

    Each number is written twice, half the array apart, so that the newest ``k`` never wrap.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._numbers = np.full(2 * capacity, np.nan)
        self._next = 0
        self.count = 0

    def push(self, number: float) -> None:
        """Append, forgetting the oldest when full."""
        self._numbers[self._next] = self._numbers[self._next + self.capacity] = number
        self._next = (self._next + 1) % self.capacity
        self.count = min(self.count + 1, self.capacity)

    def last(self, k: int) -> NDArray[np.float64]:
        """The newest ``k`` (fewer while there are fewer), oldest first; a view, not a copy."""
        k = min(k, self.count)
        end = self._next + self.capacity
        return self._numbers[end - k : end]
