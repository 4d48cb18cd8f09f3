"""The admission of images: as many as there is room for, none too large and none sent too slowly."""

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

from fastapi import HTTPException, Request

from segstudy.core.allocator import give_back
from segstudy.deploy.serving.bodies import Body, kind_of, too_large
from segstudy.deploy.serving.limits import Limits
from segstudy.deploy.serving.service import Answer

IDLE_S = 2.0
SLOW_AFTER_S = 1.0  # after this time a sender below SLOW_BYTES_A_SECOND is cut off where there is no room
SLOW_BYTES_A_SECOND = 50_000


class Slot:
    """The room for one image.

    Attributes:
        num_bytes: received so far.
        work: the task that segments the image; None before it begins.
        sending: the timeout of receiving; None before and after.
        since: when receiving began, in seconds of the event loop's clock.
    """

    def __init__(self) -> None:
        self.num_bytes = 0
        self.work: asyncio.Task[Answer] | None = None
        self.sending: asyncio.Timeout | None = None
        self.since = asyncio.get_running_loop().time()

    def hold(self, work: Coroutine[Any, Any, Answer]) -> "asyncio.Task[Answer]":
        """Begin the work on the image and return its task."""
        self.work = asyncio.create_task(work)
        return self.work


class Admission:
    """Admits as many images as there is room for, and refuses those larger or slower than the limits."""

    def __init__(self, limits: Limits):
        self.limits = limits
        self._slots: set[Slot] = set()

    @property
    def in_work(self) -> int:
        """The number of images in progress: being received, waiting, or being segmented."""
        return len(self._slots)

    @contextmanager
    def slot(self) -> Iterator["Slot"]:
        """Hold room for one image until its work is done.

        Raises:
            HTTPException: there is no room.
        """
        if self.in_work >= self.limits.queue and not self._slow_one_gave_way():
            raise HTTPException(503, "too many images in progress; try again later", {"Retry-After": "1"})
        slot = Slot()
        self._slots.add(slot)
        try:
            yield slot
        finally:
            if slot.work is None or slot.work.done():
                self._leave(slot)
            else:  # cancelled, but threads cannot be stopped: the image keeps its room until they end
                slot.work.add_done_callback(lambda work: self._leave(slot, work))

    def _slow_one_gave_way(self) -> bool:
        """Whether a very slow sender was cut off; its room is free at once."""
        now = asyncio.get_running_loop().time()
        for slot in self._slots:
            seconds = now - slot.since
            slow = slot.num_bytes < SLOW_BYTES_A_SECOND * seconds
            if slot.sending is not None and seconds > SLOW_AFTER_S and slow:
                slot.sending.reschedule(now)
                self._slots.discard(slot)
                return True
        return False

    def _leave(self, slot: Slot, work: "asyncio.Future[Answer] | None" = None) -> None:
        """Free the room of an image; after the last one, return freed memory to the system."""
        self._slots.discard(slot)
        if not self._slots:  # and if none comes for a while
            asyncio.get_running_loop().call_later(IDLE_S, self._tidy)
        if work is not None and not work.cancelled():
            work.exception()  # nobody waits for it any more

    def _tidy(self) -> None:
        if not self.in_work:
            give_back()

    async def body(self, request: Request, slot: Slot) -> Body:
        """Receive the whole body of a request.

        Raises:
            HTTPException: a wrong type, too large, too slow, or too many bytes in progress.
        """
        _refuse_encoded(request)
        content_type = request.headers.get("content-type", "")
        kind = kind_of(content_type)
        max_bytes = kind.max_bytes(self.limits)
        length = request.headers.get("content-length", "0")
        if length.isdecimal() and int(length) > max_bytes:
            raise too_large(self.limits)
        body = kind.open(content_type, self.limits)
        try:
            async with asyncio.timeout(self.limits.receive_s) as slot.sending:
                async for piece in request.stream():
                    slot.num_bytes += len(piece)
                    self._check(slot, max_bytes)
                    body.write(piece)
        except TimeoutError:
            detail = (
                f"not received within {self.limits.receive_s:g} s, or too slowly while the server was full"
            )
            raise HTTPException(408, f"{detail}; try again", {"Connection": "close"}) from None
        finally:
            slot.sending = None
        return body

    def _check(self, slot: Slot, max_bytes: float) -> None:
        if slot.num_bytes > max_bytes:
            raise too_large(self.limits)
        if sum(each.num_bytes for each in self._slots) > self.limits.held_bytes:
            raise HTTPException(503, "too many bytes in progress; try again later", {"Retry-After": "1"})


def _refuse_encoded(request: Request) -> None:
    """Refuse a compressed body: it could unpack to any size.

    Raises:
        HTTPException: with the name of the encoding.
    """
    encoding = request.headers.get("content-encoding", "").strip().lower()
    if encoding not in ("", "identity"):
        raise HTTPException(
            415,
            f"Content-Encoding {encoding[:60]!r}: compressed bodies are not read; send the image as it is, "
            "without that header",
            {"Accept-Encoding": "identity"},
        )
