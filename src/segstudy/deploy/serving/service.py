"""From an image's bytes to what is sent back; images that wait together pass the network together.

An image that is not resized passes it in windows, which wait among those of other images.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segstudy.core.network_outputs import OutputError
from segstudy.core.windowing import Place, Windowing
from segstudy.data.channels import picture_of
from segstudy.data.images import decode_bytes, size_in
from segstudy.data.native_probabilities import NativeProbabilities
from segstudy.data.pixel_budget import BusyError, PixelBudget
from segstudy.data.preprocess import Size, enough, image_to_network
from segstudy.data.windows import Forward, in_windows
from segstudy.deploy.predict.predictor import NOTHING_MORE, Cut, Predictor, Settings, mask_of
from segstudy.deploy.serving.answers import PICTURES, View, as_json, as_picture
from segstudy.deploy.serving.busy_threads import BusyThreads
from segstudy.deploy.serving.limits import Limits

MAX_BATCH = 8
PIXELS_A_THREAD = (
    10_000_000  # in memory at a time where there are many threads; else one of the largest images
)

Waiting = tuple[NDArray[np.uint8], asyncio.Future[NDArray[np.float32]]]


@dataclass(frozen=True)
class Asked:
    """The request for one image: a picture, or with ``view`` None polygons and measurements.

    Attributes:
        threshold: of the probability; None for classes that exclude each other.
        view: the kind of picture.
        settings: of the mask.
        number: of the class that the answer is of; None for all.
    """

    threshold: float | None
    view: View | None
    settings: Settings = NOTHING_MORE
    number: int | None = None


@dataclass(frozen=True)
class Answer:
    """The response: bytes of a picture, or polygons and measurements."""

    content: bytes | dict[str, Any]
    height: int
    width: int


class Service:
    """One model for many callers.

    Decoding and encoding run in threads, as many as there are cores, and so do batches: whenever a core is
    free for the network, it takes whatever images wait, up to ``MAX_BATCH`` of them.
    """

    def __init__(self, predictor: Predictor, threads: int, limits: Limits):
        self.predictor = predictor
        self.limits = limits
        self.busy = BusyThreads()
        self.budget = PixelBudget(max(limits.pixels, threads * PIXELS_A_THREAD))
        self._num_threads = threads
        self._most = MAX_BATCH if predictor.windowing is None else predictor.num_together
        self._threads: ThreadPoolExecutor
        self._network: ThreadPoolExecutor
        self._room: asyncio.Semaphore
        self._waiting: asyncio.Queue[Waiting]
        self._running: set[asyncio.Task[None]] = set()
        self._batches: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to take images; within the event loop that will call."""
        self._threads = ThreadPoolExecutor(self._num_threads, "images")
        self._network = ThreadPoolExecutor(self._num_threads, "network")
        self._room = asyncio.Semaphore(self._num_threads)
        self._waiting = asyncio.Queue()
        self._batches = asyncio.create_task(self._run_batches())

    async def stop(self) -> None:
        """Take no more; callers that still wait get no answer, and threads that do not come back are left."""
        if self._batches is not None:
            self._batches.cancel()
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._network.shutdown(wait=False, cancel_futures=True)

    @property
    def num_blocked(self) -> int:
        """Threads that have been at one image, or one pass of the network, for longer than any may take."""
        return self.busy.num_longer_than(self.limits.answer_s)

    async def in_thread(self, work: Callable[[], bytes]) -> bytes:
        """Do what takes long for large images, such as decoding base64, in a thread for images."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._worked, work)

    def _worked(self, work: Callable[[], bytes]) -> bytes:
        with self.busy.thread():
            return work()

    async def segment(self, content: bytes, asked: Asked) -> Answer:
        """Segment one image.

        Between its stages an image takes no more memory than its file: pixels that a picture shows are
        decoded again at the end.

        Raises:
            ImageError: it cannot be used.
            BusyError: there was no room for its pixels before its time was over.
        """
        loop = asyncio.get_running_loop()
        until = time.monotonic() + self.limits.answer_s
        if (windowing := self.predictor.windowing) is not None:
            return await loop.run_in_executor(
                self._threads, self._by_windows, windowing, content, asked, until, loop
            )
        native, small = await loop.run_in_executor(self._threads, self._decoded, content, until)
        done: asyncio.Future[NDArray[np.float32]] = loop.create_future()
        await self._waiting.put((small, done))
        prob = await done
        return await loop.run_in_executor(self._threads, self._encoded, prob, native, content, asked, until)

    async def _run_batches(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            batch = [await self._waiting.get()]
            while len(batch) < self._most and not self._waiting.empty():
                batch.append(self._waiting.get_nowait())
            batch = [(small, done) for small, done in batch if not done.done()]  # given up meanwhile
            if batch:
                await self._room.acquire()
                task = loop.create_task(self._run_batch(batch))
                self._running.add(task)
                task.add_done_callback(self._running.discard)

    async def _run_batch(self, batch: list[Waiting]) -> None:
        loop = asyncio.get_running_loop()
        try:
            images = np.stack([small for small, _ in batch])
            found = await loop.run_in_executor(self._network, self._passed, images)
        except Exception as error:
            for _, done in batch:
                if not done.done():
                    done.set_exception(error)
        else:
            for (_, done), prob in zip(batch, found, strict=True):
                if done.done():
                    continue
                if isinstance(prob, OutputError):
                    done.set_exception(prob)
                else:
                    done.set_result(prob)
        finally:
            self._room.release()

    def _passed(self, images: NDArray[np.uint8]) -> Sequence[NDArray[np.float32] | OutputError]:
        """Probabilities of each image; an error where the network gives none, which is no other image's."""
        with self.busy.thread():
            try:
                return list(self.predictor.of_network_size(images))
            except OutputError as error:
                if len(images) == 1:
                    return [error]
        return [each for image in images for each in self._passed(image[None])]

    @contextmanager
    def _room_for(self, native: Size, until: float) -> Iterator[None]:
        with self.budget.take(native[0] * native[1], until), self.busy.thread():
            yield

    def _decoded(self, content: bytes, until: float) -> tuple[Size, NDArray[np.uint8]]:
        """Native size, and the image at network size."""
        size, resize = self.predictor.size, self.predictor.resize
        with self._room_for(size_in(content, self.limits.pixels), until):
            native, pixels = decode_bytes(
                content, lambda native: enough(native, size, resize), self.predictor.scale
            )
            return native, image_to_network(pixels, size, resize, native)

    def _by_windows(
        self,
        windowing: Windowing,
        content: bytes,
        asked: Asked,
        until: float,
        loop: asyncio.AbstractEventLoop,
    ) -> Answer:
        """Segment an image that is not resized; it keeps a thread and room for its pixels until the end."""
        with self._room_for(size_in(content, self.limits.pixels), until):
            native, pixels = decode_bytes(content, lambda _: None, self.predictor.scale)
            forward = self._in_the_queue(in_windows(pixels, windowing.tile), until, loop)
            probabilities = self.predictor.blended(windowing, native, forward)
            del pixels, forward
            return self._answer(probabilities, content, asked)

    def _in_the_queue(self, cut: Cut, until: float, loop: asyncio.AbstractEventLoop) -> Forward:
        """Return a function for a thread that gives the probabilities of windows, which wait in the queue."""

        def forward(places: Sequence[Place]) -> NDArray[np.float32]:
            passing = asyncio.run_coroutine_threadsafe(self._through_network(cut(places)), loop)
            try:
                return passing.result(max(0.0, until - time.monotonic()))
            except TimeoutError:
                passing.cancel()  # windows that have not begun are dropped
                raise BusyError from None

        return forward

    async def _through_network(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the probabilities of images that wait one by one, among those of other callers."""
        waiting: list[Waiting] = [(each, asyncio.get_running_loop().create_future()) for each in images]
        for each in waiting:
            self._waiting.put_nowait(each)
        return np.stack(await asyncio.gather(*(done for _, done in waiting)))

    def _encoded(
        self, prob: NDArray[np.float32], native: Size, content: bytes, asked: Asked, until: float
    ) -> Answer:
        with self._room_for(native, until):
            return self._answer(self.predictor.at_native(prob, native), content, asked)

    def _answer(self, probabilities: NativeProbabilities, content: bytes, asked: Asked) -> Answer:
        native = probabilities.native
        mask = mask_of(probabilities, asked.threshold, asked.settings)
        if asked.view is None:
            return Answer(as_json(mask, probabilities, asked.threshold, asked.number), *native)
        pixels = np.zeros((1, 1, 3), np.uint8)  # which masks and probabilities do not show
        if asked.view in PICTURES:
            probabilities.give_up()  # which pictures do not show
            _, pixels = decode_bytes(content, lambda _: None, self.predictor.scale)
        return Answer(as_picture(asked.view, picture_of(pixels), mask, probabilities, asked.number), *native)
