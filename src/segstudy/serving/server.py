"""The server itself: where it listens, and how it stops."""

import logging
import math
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn

from segstudy.errors import UserError
from segstudy.predictor import Predictor
from segstudy.serving.app import create_app
from segstudy.serving.guard import LOCAL, log
from segstudy.serving.limits import DEFAULT, Limits

MIN_TOKEN = 16  # characters
CONNECTIONS = 8  # for each place in the queue: whoever opens more is refused with 503


def serve(  # noqa: PLR0913 (an option each)
    predictor: Predictor,
    threads: int,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    token: str | None = None,
    limits: Limits = DEFAULT,
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
        ready: told the page's address once the server listens.

    Raises:
        UserError: an address for others without a token, a short token, or an address that cannot be had.
    """
    if host not in LOCAL and token is None:
        raise UserError(
            f"--host {host}: other machines could reach it, so it needs a token: set SEGSTUDY_TOKEN to "
            f"{MIN_TOKEN} characters or more"
        )
    if token is not None and not (len(token) >= MIN_TOKEN and token.isascii() and token.isprintable()):
        raise UserError(f"the token needs {MIN_TOKEN} or more characters, plain letters, digits and signs")
    if not 0 <= port < 2**16:
        raise UserError(f"--port {port}: is a number from 0 to 65535; 0 takes a free one")
    log.handlers = [logging.StreamHandler(sys.stderr)]
    log.handlers[0].setFormatter(logging.Formatter("%(message)s"))
    log.setLevel(logging.INFO)
    log.propagate = False
    config = uvicorn.Config(
        create_app(predictor, threads, limits, token),
        host=host,
        port=port,
        access_log=False,
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=math.ceil(2 * limits.receive_s + limits.answer_s) + 1,
        limit_concurrency=CONNECTIONS * limits.queue,
    )
    server = uvicorn.Server(config)
    try:
        socket = config.bind_socket()
    except SystemExit:  # uvicorn's way of saying that the address is taken
        raise UserError(f"{host}:{port}: cannot be listened on; choose another --host or --port") from None
    shown = f"[{host}]" if ":" in host else host
    socket.listen(config.backlog)  # callers wait from here on
    with _stopping_in_order(server):
        ready(f"http://{shown}:{socket.getsockname()[1]}/")
        server.run(sockets=[socket])


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
