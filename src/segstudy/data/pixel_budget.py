"""How many pixels may be in memory at the same time, over all threads; more wait for their turn."""

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager


class BusyError(Exception):
    """No turn came within the time that there was for it."""


class PixelBudget:
    """Room for so many pixels. Who comes first is served first, so that no large image waits for ever.

    >>> budget = PixelBudget(100)
    >>> with budget.take(80):
    ...     budget.free
    20

    Attributes:
        pixels: that may be taken together; a single image with more goes alone.
        free: that nobody has.
    """

    def __init__(self, pixels: float):
        self.pixels = self.free = pixels
        self._changed = threading.Condition()
        self._waiting: deque[object] = deque()

    @contextmanager
    def take(self, pixels: float, until: float | None = None) -> Iterator[None]:
        """Wait for room, and have it inside the block.

        Args:
            pixels: of the image.
            until: a time of ``time.monotonic()`` after which there is no use in waiting.

        Raises:
            BusyError: no room until then.
        """
        wanted, ticket = min(pixels, self.pixels), object()
        with self._changed:
            self._waiting.append(ticket)
            try:
                left = None if until is None else max(0.0, until - time.monotonic())
                if not self._changed.wait_for(
                    lambda: self._waiting[0] is ticket and self.free >= wanted, left
                ):
                    raise BusyError
                self.free -= wanted
            finally:
                self._waiting.remove(ticket)
                self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self.free += wanted
                self._changed.notify_all()
