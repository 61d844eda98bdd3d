"""Hand-overs between threads: room for one thing each, so that a slow stage holds back the rest.

The hand-overs of a line share one ``Flow``: one condition, on which a stage may wait for several
things at once, and one end. Knows nothing of what is handed over.
"""

import threading
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class AbortedError(Exception):
    """The flow was ended: whoever waits, lets go of what it holds."""


class Flow:
    """What the stages of a line wait on. ``error`` is the first that ended it, if one did."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.aborted = False
        self.error: BaseException | None = None

    def wait(self, holds: Callable[[], bool], seconds: float | None = None) -> bool:
        """Until ``holds``, or so long; whether it holds now. Raises AbortedError."""
        with self.changed:
            self.changed.wait_for(lambda: self.aborted or holds(), seconds)
            if self.aborted:
                raise AbortedError
            return holds()

    def abort(self, error: BaseException | None = None) -> None:
        """End it: every wait, now and later, raises AbortedError."""
        with self.changed:
            self.error = self.error or error
            self.aborted = True
            self.changed.notify_all()

    def notify(self) -> None:
        """Let everybody look again at what they wait for."""
        with self.changed:
            self.changed.notify_all()


class HandOver(Generic[T]):
    """From one thread to one other. Iterate to take things until ``close``."""

    def __init__(self, flow: Flow) -> None:
        self._flow = flow
        self._slot: T | None = None
        self._closed = False
        self._wanted = False

    def __len__(self) -> int:
        return 0 if self.free else 1

    @property
    def free(self) -> bool:
        """Whether there is room."""
        return self._slot is None

    @property
    def wanted(self) -> bool:
        """Whether somebody has nothing to do until something is put."""
        return self._wanted and self.free

    @property
    def ended(self) -> bool:
        """Whether it is empty and will stay so."""
        return self._closed and self.free

    def put(self, thing: T) -> None:
        """Hand over, once there is room. Raises AbortedError."""
        with self._flow.changed:
            self._flow.wait(lambda: self.free)
            self._slot = thing
            self._flow.notify()

    def take(self) -> T | None:
        """What is there; None if nothing is. Waits for nothing."""
        with self._flow.changed:
            thing, self._slot = self._slot, None
            self._flow.notify()
            return thing

    def close(self) -> None:
        """Nothing more will be put."""
        with self._flow.changed:
            self._closed = True
            self._flow.notify()

    def __iter__(self) -> Iterator[T]:
        while True:
            self._want()
            thing = self.take()
            if thing is None:
                return
            yield thing

    def _want(self) -> None:
        """Wait until there is something, or nothing will come any more."""
        with self._flow.changed:
            self._wanted = True
            self._flow.notify()
            self._flow.wait(lambda: not self.free or self._closed)
            self._wanted = False
