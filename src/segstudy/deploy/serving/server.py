"""The server itself: where it listens, and how it stops."""

import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from socket import socket as Socket
from types import FrameType

import uvicorn

from segstudy.core.errors import UserError
from segstudy.deploy.predict.predictor import Predictor
from segstudy.deploy.serving.app import create_app
from segstudy.deploy.serving.busy_threads import BusyThreads
from segstudy.deploy.serving.connections import HEADERS_S, Connection, bounded
from segstudy.deploy.serving.limits import DEFAULT, Limits
from segstudy.deploy.serving.logs import log_as_json
from segstudy.deploy.serving.middleware import LOCAL, log
from segstudy.deploy.serving.site import ALONE, Site

MIN_TOKEN = 16  # characters
AFTER_GRACE_S = 5.0
OTHER_FILES = 200  # open beside the connections


def serve(  # noqa: PLR0913 (an option each)
    predictor: Predictor,
    threads: int,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    token: str | None = None,
    limits: Limits = DEFAULT,
    site: Site = ALONE,
    ready: Callable[[str], None] = lambda _: None,
) -> None:
    """Answer requests until a signal asks to stop; what was accepted is answered first.

    Args:
        predictor: the model.
        threads: images decoded and encoded at a time.
        host: address to listen on; one that other machines reach needs a token.
        port: to listen on.
        token: that callers have to show, 16 characters or more.
        limits: on each request.
        site: how others reach the server.
        ready: called with the page's address once the server listens.

    Raises:
        UserError: an address for others without a token, a short token, or an address that cannot be had.
    """
    _refuse(host, port, token)
    log_as_json()
    _allow_files(2 * limits.connections + OTHER_FILES)
    app = create_app(predictor, threads, limits, token, site)
    grace_s = math.ceil(2 * limits.receive_s + limits.answer_s) + 1
    protocol = bounded(limits)
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http=protocol,
        ws="none",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_keep_alive=int(HEADERS_S),  # longer than clients keep theirs: both ends close none at a time
        timeout_graceful_shutdown=grace_s,
    )
    server = _Server(config, protocol, grace_s + AFTER_GRACE_S)
    try:
        socket = config.bind_socket()
    except SystemExit:  # uvicorn's way of saying that the address is taken
        raise UserError(
            f"{host}:{port}: the server cannot use this address; choose another --host or --port"
        ) from None
    shown = f"[{host}]" if ":" in host else host
    socket.listen(config.backlog)  # callers wait from here on
    with _stopping_in_order(server):
        ready(f"http://{shown}:{socket.getsockname()[1]}{site.path_prefix}/")
        server.run(sockets=[socket])
    if server.asked_to_stop and not _came_back(app.state.busy):
        _leave("threads did not come back from an image")
    server.stopped()


def _refuse(host: str, port: int, token: str | None) -> None:
    """Refuse an address for others without a token, a short token, or a number that is no port.

    Raises:
        UserError: with what to set.
    """
    if host not in LOCAL and token is None:
        raise UserError(
            f"--host {host}: other machines could reach it, so it needs a token: set SEGSTUDY_TOKEN to "
            f"{MIN_TOKEN} characters or more"
        )
    if token is not None and not (len(token) >= MIN_TOKEN and token.isascii() and token.isprintable()):
        raise UserError(f"the token needs {MIN_TOKEN} or more characters, plain letters, digits and signs")
    if not 0 <= port < 2**16:
        raise UserError(f"--port must be 0 to 65535 (0: choose a free port), got {port}")


def _allow_files(count: int) -> None:
    """Have as many files open as there may be connections, as far as the system lets one."""
    if sys.platform != "win32":
        import resource  # which Windows does not have

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _came_back(busy: BusyThreads) -> bool:
    """Whether all threads are done with what had been given up, or are soon."""
    until = time.monotonic() + AFTER_GRACE_S / 2
    while busy.num_longer_than(0) and time.monotonic() < until:
        time.sleep(0.05)
    return not busy.num_longer_than(0)


class _Server(uvicorn.Server):
    """uvicorn, with an end that is certain: what hangs, hangs no longer than a time after the signal."""

    def __init__(self, config: uvicorn.Config, protocol: type[Connection], end_s: float):
        super().__init__(config)
        self._protocol = protocol
        self._timer = threading.Timer(end_s, _leave, ["the server did not stop in time"])
        self._timer.daemon = True
        self.asked_to_stop = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Act on a signal."""
        if not self.asked_to_stop:
            self._timer.start()
        self.asked_to_stop = True
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[Socket] | None = None) -> None:
        """Let nobody in any more, and wait for those who are there."""
        self._protocol.stopping = True
        await super().shutdown(sockets)

    def stopped(self) -> None:
        """It has ended by itself."""
        self._timer.cancel()


def _leave(why: str) -> None:
    """End this process at once: its threads would keep it for as long as they hang."""
    log.error({"event": "ended by force", "why": why})
    os._exit(1)


@contextmanager
def _stopping_in_order(server: uvicorn.Server) -> Iterator[None]:
    """Inside, uvicorn acts on signals; what comes before it does, or is raised again after, ends here."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: object) -> None:
        server.should_exit = True

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
