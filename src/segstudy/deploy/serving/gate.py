"""What may come in: as many images as there is room for, and none that is too large or sent too slowly."""

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
SLOW_AFTER_S = 1.0  # from then on who sends fewer bytes a second than this gives way, where there is no room
SLOW_BYTES_A_SECOND = 50_000


class Place:
    """The room of one image.

    Attributes:
        num_bytes: of it that have come.
        work: on the image, once it has begun.
        sending: ends the wait for more of it; None before and after.
        since: when it began to be sent.
    """

    def __init__(self) -> None:
        self.num_bytes = 0
        self.work: asyncio.Task[Answer] | None = None
        self.sending: asyncio.Timeout | None = None
        self.since = asyncio.get_running_loop().time()

    def hold(self, work: Coroutine[Any, Any, Answer]) -> "asyncio.Task[Answer]":
        """Begin the work."""
        self.work = asyncio.create_task(work)
        return self.work


class Gate:
    """Lets in as many images as there is room for, and no larger or slower ones than the limits allow."""

    def __init__(self, limits: Limits):
        self.limits = limits
        self._places: set[Place] = set()

    @property
    def in_work(self) -> int:
        """Images that are received, waiting or in work."""
        return len(self._places)

    @contextmanager
    def place(self) -> Iterator["Place"]:
        """Room for one image, until its work is done.

        Raises:
            HTTPException: there is none.
        """
        if self.in_work >= self.limits.queue and not self._slow_one_gave_way():
            raise HTTPException(503, "too many images in work; try again later", {"Retry-After": "1"})
        place = Place()
        self._places.add(place)
        try:
            yield place
        finally:
            if place.work is None or place.work.done():
                self._leave(place)
            else:  # given up, but threads cannot be stopped: the image takes its room until they are done
                place.work.add_done_callback(lambda work: self._leave(place, work))

    def _slow_one_gave_way(self) -> bool:
        """Whether somebody who sends very slowly was sent away; the room is free at once."""
        now = asyncio.get_running_loop().time()
        for place in self._places:
            seconds = now - place.since
            slow = place.num_bytes < SLOW_BYTES_A_SECOND * seconds
            if place.sending is not None and seconds > SLOW_AFTER_S and slow:
                place.sending.reschedule(now)
                self._places.discard(place)
                return True
        return False

    def _leave(self, place: Place, work: "asyncio.Future[Answer] | None" = None) -> None:
        """Give the room of an image back, and after the last one the memory of all."""
        self._places.discard(place)
        if not self._places:  # and none comes for a while
            asyncio.get_running_loop().call_later(IDLE_S, self._tidy)
        if work is not None and not work.cancelled():
            work.exception()  # nobody waits for it any more

    def _tidy(self) -> None:
        if not self.in_work:
            give_back()

    async def body(self, request: Request, place: Place) -> Body:
        """What is sent, received as a whole.

        Raises:
            HTTPException: of a wrong type, too large or too slow, or too much at a time.
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
            async with asyncio.timeout(self.limits.receive_s) as place.sending:
                async for piece in request.stream():
                    place.num_bytes += len(piece)
                    self._check(place, max_bytes)
                    body.write(piece)
        except TimeoutError:
            detail = f"not received within {self.limits.receive_s:g} s, or so slowly that it had to give way"
            raise HTTPException(408, f"{detail}; try again", {"Connection": "close"}) from None
        finally:
            place.sending = None
        return body

    def _check(self, place: Place, max_bytes: float) -> None:
        if place.num_bytes > max_bytes:
            raise too_large(self.limits)
        if sum(each.num_bytes for each in self._places) > self.limits.held_bytes:
            raise HTTPException(503, "too many bytes in work; try again later", {"Retry-After": "1"})


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
