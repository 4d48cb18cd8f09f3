"""What the server's threads are at, and since when: a thread cannot be stopped, but it can be noticed."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Work:
    """Everything that is being worked on."""

    def __init__(self) -> None:
        self._since: dict[object, float] = {}

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """Inside, something is worked on; from any thread."""
        token = object()
        self._since[token] = time.monotonic()
        try:
            yield
        finally:
            del self._since[token]

    def num_older_than(self, seconds: float) -> int:
        """How many pieces of work have taken longer than that, and are not done."""
        now = time.monotonic()
        return sum(now - since > seconds for since in list(self._since.values()))
