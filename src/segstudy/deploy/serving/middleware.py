"""The middleware around every request: access, safe headers, limits for slow callers, and the log."""

import asyncio
import logging
import re
import time
from dataclasses import dataclass

from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from segstudy.deploy.serving.limits import Limits
from segstudy.deploy.serving.site import Site, is_foreign

log = logging.getLogger("segstudy.serve")

LOCAL = ("127.0.0.1", "localhost", "::1")
LOCAL_HOST = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:[0-9]{1,5})?")
SAFE = [(b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer")]
CLOSED = 499  # the caller has gone: nginx's status for it


class CutOffError(Exception):
    """A caller does not read its answer; raised to the server, which closes the connection."""


@dataclass
class Body:
    """The body of a request, and how much of it was received.

    Attributes:
        receive: receives the next message.
        announced: length in bytes by the headers; None if unknown, 0 without a body.
        num_bytes: received so far.
        done: whether all was received.
    """

    receive: Receive
    announced: int | None
    num_bytes: int = 0
    done: bool = False

    async def more(self) -> Message:
        message = await self.receive()
        if message["type"] == "http.request":
            self.num_bytes += len(message.get("body", b""))
            self.done = not message.get("more_body", False)
        else:
            self.done = True
        return message

    async def drain(self, limits: Limits) -> None:
        """Read the rest and discard it: without that, the caller may lose the answer with the connection."""
        if self.announced is not None and self.announced > limits.bytes:
            return
        try:
            async with asyncio.timeout(limits.receive_s):
                while not self.done and self.num_bytes <= limits.bytes:
                    await self.more()
        except TimeoutError:
            return


@dataclass
class Answer:
    """The answer to a request, with safe headers.

    Attributes:
        to_caller: sends a message.
        body: of the request; before a refusal, the rest of it is read.
        limits: of the time that the caller may take.
        status: 500 until one is sent.
        num_bytes: sent so far.
    """

    to_caller: Send
    body: Body
    limits: Limits
    status: int = 500
    num_bytes: int = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message.get("headers", []), *SAFE]
            if self.status >= 400 and self.body.announced != 0 and not self.body.done:
                await self.body.drain(self.limits)
                if not self.body.done:
                    message["headers"] += [(b"connection", b"close")]
        elif message["type"] == "http.response.body":
            self.num_bytes += len(message.get("body", b""))
        async with asyncio.timeout(self.limits.receive_s):
            await self.to_caller(message)


class RequestMiddleware:
    """The middleware around all others.

    A host name of somebody else may resolve to this machine. So without a token, only requests whose Host
    is a local name are answered.
    """

    def __init__(self, app: ASGIApp, local_only: bool, limits: Limits, site: Site):
        self.app, self.local_only, self.limits, self.site = app, local_only, limits, site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start = time.perf_counter()
        headers = dict(scope["headers"])
        body = Body(receive, _announced(headers))
        answer = Answer(send, body, self.limits)
        scope.setdefault("state", {})
        try:
            await (self._refused(scope["method"], headers) or self.app)(scope, body.more, answer.send)
        except ClientDisconnect:
            answer.status = CLOSED
        except TimeoutError:  # the caller does not read its answer
            answer.status = CLOSED
            raise CutOffError from None
        finally:
            record = {
                "method": scope["method"],
                "path": scope["path"][:100],
                "status": answer.status,
                "ms": round((time.perf_counter() - start) * 1000, 1),
                "sent_bytes": answer.num_bytes,
                "pixels": scope["state"].get("pixels"),
            }
            log.info(record)

    def _refused(self, method: str, headers: dict[bytes, bytes]) -> JSONResponse | None:
        if self.local_only and not is_local(headers.get(b"host", b"")):
            detail = "this name is not local; to answer to other names, or behind a proxy, set SEGSTUDY_TOKEN"
            return JSONResponse({"detail": detail}, 400)
        if method == "POST" and is_foreign(headers, self.site):
            detail = (
                "pages of another origin may not call this server; "
                "start the server with --cors-origin and that origin"
            )
            return JSONResponse({"detail": detail}, 403)
        return None


def is_local(host: bytes) -> bool:
    """Whether a Host header names this machine."""
    return LOCAL_HOST.fullmatch(host.decode("latin-1").lower()) is not None


def _announced(headers: dict[bytes, bytes]) -> int | None:
    if b"transfer-encoding" in headers:
        return None
    length = headers.get(b"content-length", b"0")
    return int(length) if length.isdigit() else None
