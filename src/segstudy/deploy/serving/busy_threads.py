"""The busy time of threads of the server: a thread cannot be stopped, but a slow one is noticed."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class BusyThreads:
    """The threads that work on an image, and since when."""

    def __init__(self) -> None:
        self._since: dict[object, float] = {}

    @contextmanager
    def thread(self) -> Iterator[None]:
        """Count the caller as busy while inside; may be called from any thread."""
        token = object()
        self._since[token] = time.monotonic()
        try:
            yield
        finally:
            del self._since[token]

    def num_longer_than(self, seconds: float) -> int:
        """Return the number of threads that have been busy for longer than ``seconds``."""
        now = time.monotonic()
        return sum(now - since > seconds for since in list(self._since.values()))
