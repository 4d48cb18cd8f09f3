"""A worker process, seen from the process that gives it jobs."""

import json
import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

LOG_LINES = 50


class Child:
    """A fresh ``worker_process``. It ends when its standard input closes, however this process ends.

    One thread reads its events; any thread may send a line or kill it.
    """

    def __init__(self, settings: Mapping[str, str], *options: str):
        """Start it.

        Args:
            settings: variables of its environment, besides those of this process.
            options: of its command line.
        """
        self._sending = threading.Lock()
        self._process = subprocess.Popen(  # noqa: S603 (it starts a module of ours)
            # -P: a queue.py or random.py that lies in the current folder, among data, is not imported.
            [sys.executable, "-P", "-m", "segstudy.training.executors.worker_process", *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            env={**os.environ, **settings},
        )
        self._log: deque[str] = deque(maxlen=LOG_LINES)
        self._listener = threading.Thread(target=self._log.extend, args=(self._process.stderr,), daemon=True)
        self._listener.start()

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def send(self, line: str) -> None:
        """Send a line; nothing happens if the process has ended."""
        assert self._process.stdin is not None
        with self._sending, suppress(OSError, ValueError):  # it may end before it has read this
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()

    def events(self) -> Iterator[dict[str, Any]]:
        """Yield what it reports until an outcome, or until it dies."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if not line.endswith("\n"):  # it died while it wrote this line
                return
            event: dict[str, Any] = json.loads(line)
            yield event
            if "outcome" in event:
                return

    def last_words(self) -> tuple[str, str]:
        """Return how it ended, and the last lines of its standard error; waits for its end."""
        code = self._process.wait()
        self._listener.join()
        ended_with = f"signal {-code}" if code < 0 else f"exit code {code}"
        return f"the worker process ended with {ended_with}", "".join(self._log)

    def kill(self) -> None:
        """End it, whatever it is doing; what it had not saved is lost."""
        self._process.kill()

    def close(self) -> None:
        """Close its standard input, at which it ends."""
        with suppress(BrokenPipeError), self._process:
            self._process.stdin.close()  # type: ignore[union-attr]
            self._listener.join()
