"""Signals that stop a study: the first stops it after the epoch, the second at once."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from segstudy.core.errors import Stopped

# Ctrl-C; the signal of schedulers before they end a job; a closed terminal.
SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class Stop(threading.Event):
    """An event that is set when a study must stop after the epoch.

    Attributes:
        signal: the number of the signal that asked for it, or None.
    """

    signal: int | None = None


@contextmanager
def noting(what: str) -> Iterator[None]:
    """Give an interruption inside this message: what it leaves behind, and what to do next.

    Raises:
        Stopped: in place of ``KeyboardInterrupt``; one with its own message is left as it is.
    """
    try:
        yield
    except Stopped:
        raise
    except KeyboardInterrupt:
        raise Stopped(what, signal.SIGINT) from None


@contextmanager
def asked_to_stop(announce: Callable[[], None]) -> Iterator[Stop]:
    """Yield a ``Stop`` that the first signal sets; a second signal raises ``KeyboardInterrupt``.

    A signal that was ignored before (``nohup``) stays ignored. Outside the main thread, where Python lets
    nobody handle signals, nothing changes.

    Args:
        announce: called at the first signal, from within its handler.
    """
    stop = Stop()

    def handle(number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.signal = number
        stop.set()
        with suppress(RuntimeError):  # the signal came during a print, and printing is not reentrant
            announce()

    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before: dict[int, Any] = {
        number: signal.signal(number, handle)
        for number in SIGNALS
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def stopped_at(stop: Stop, deadline: float) -> Iterator[None]:
    """Set a ``Stop`` at this time of ``time.monotonic``, if it comes within the context; notes no signal."""
    if deadline == float("inf"):
        yield
        return
    seconds = min(max(0.0, deadline - time.monotonic()), threading.TIMEOUT_MAX)
    timer = threading.Timer(seconds, stop.set)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
