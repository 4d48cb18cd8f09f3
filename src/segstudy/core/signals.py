"""How a study is asked to stop: once to stop after the epoch, twice to stop now."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from segstudy.core.errors import Stopped

# Ctrl-C; what schedulers send before they take a machine away; a terminal that was closed.
SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class Stop(threading.Event):
    """Set when a study is to stop after the epoch.

    Attributes:
        signal: the number of the signal that asked for it, or None.
    """

    signal: int | None = None


@contextmanager
def noting(what: str) -> Iterator[None]:
    """While inside, an interruption says this: what it leaves behind, and what to do next.

    Raises:
        Stopped: in place of ``KeyboardInterrupt``; one that says its own is left as it is.
    """
    try:
        yield
    except Stopped:
        raise
    except KeyboardInterrupt:
        raise Stopped(what, signal.SIGINT) from None


@contextmanager
def asked_to_stop(announce: Callable[[], None]) -> Iterator[Stop]:
    """While inside, the first signal sets what is yielded; a second raises ``KeyboardInterrupt``.

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
        with suppress(RuntimeError):  # the signal came during a print, which a second one must not enter
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
