"""Connections: nobody keeps one without using it, and those who do not use theirs give way to others.

uvicorn leaves a connection open that never sends a request, and counts it as one that is served.
"""

import asyncio
import logging
from collections import Counter
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from segstudy.deploy.serving.limits import Limits

log = logging.getLogger("segstudy.serve")

HEADERS_S = 10.0  # to send a request's headers in, from the connection or the last answer on
YOUNG_S = 1.0  # so long a connection may take to be used before it gives way to others
COUNTED_S = 10.0  # closed connections are counted for so long, for one line of the log
_DETAIL = b'{"detail":"too many connections are in use; try again later"}'
FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\n"
    b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(_DETAIL), _DETAIL)
)


class Closed:
    """Counts connections that were closed, and logs them now and then in one line."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def add(self, reason: str) -> None:
        """Count one more."""
        if not self.counts:
            asyncio.get_running_loop().call_later(COUNTED_S, self._write)
        self.counts[reason] += 1

    def _write(self) -> None:
        log.info({"event": "connections closed", **self.counts})
        self.counts.clear()


def bounded(limits: Limits) -> "type[Connection]":
    """The protocol of a server with these limits, as uvicorn takes it."""
    return type("BoundedConnection", (Connection,), {"limits": limits, "closed": Closed()})


class Connection(H11Protocol):
    """One connection, with an end to all waiting.

    Where there are more than ``limits.connections``, or than ``limits.connections_per_peer`` of one address,
    the oldest that has never asked for anything is closed, else the one that has been idle or has sent for
    longest. One whose request has been received is never closed, nor a young one, up to twice as many: a
    burst of others would else close those that are about to send.
    """

    limits: Limits
    closed: Closed
    stopping = False  # of all of a server: who comes now is not served any more

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.since = self.loop.time()  # idle, or sending
        self._timer: asyncio.TimerHandle | None = None

    @property
    def idle(self) -> bool:
        """No request is being sent, worked on or answered; perhaps its headers have begun."""
        return self.cycle is None or self.cycle.response_complete

    @property
    def sending(self) -> bool:
        """A request's body has not come in full."""
        return not self.idle and self.cycle.more_body

    @property
    def peer(self) -> str:
        """The address at the other end."""
        return self.client[0] if self.client else ""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if self.stopping:
            transport.close()
        elif self._has_room():
            self._wait()
        else:
            self.closed.add("refused")
            transport.write(FULL)
            transport.close()

    def data_received(self, data: bytes) -> None:
        was_idle = self.idle
        super().data_received(data)
        if was_idle and not self.idle:
            self.since = self.loop.time()
            self._stop_waiting()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.idle:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def _wait(self) -> None:
        self.since = self.loop.time()
        self._stop_waiting()
        self._timer = self.loop.call_later(HEADERS_S, self._expire)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _expire(self) -> None:
        """Close an idle connection; who is still reading the last answer has as long as for sending."""
        left = self.limits.receive_s - (self.loop.time() - self.since)
        if self.transport.get_write_buffer_size() and left > 0:
            self._timer = self.loop.call_later(left, self._expire)
            return
        self._close("idle")

    def _close(self, reason: str) -> None:
        self.closed.add(reason)
        self.connections.discard(self)
        self.transport.abort()

    def _has_room(self) -> bool:
        """Whether this connection may stay, for which another one perhaps has given way."""
        others = [each for each in self.connections if isinstance(each, Connection) and each is not self]
        same_peer = [each for each in others if each.peer == self.peer]
        if len(same_peer) >= self.limits.connections_per_peer:
            return self._made_room(same_peer, len(others))
        return len(others) < self.limits.connections or self._made_room(others, len(others))

    def _made_room(self, among: "list[Connection]", count: int) -> bool:
        """Close the connection that is used least, unless it is young and there is still room."""
        unused = [each for each in among if each.idle or each.sending]
        if not unused:
            return False
        least = min(unused, key=lambda each: (each.sending, each.cycle is not None, each.since))
        young = self.loop.time() - least.since < YOUNG_S
        if not young or count >= 2 * self.limits.connections:
            least._close("gave way")
        return True
