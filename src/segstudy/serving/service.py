"""From an image's bytes to what is sent back; images that wait together pass the network together."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from segstudy.images import decode_bytes
from segstudy.measures import measured, polygons
from segstudy.prediction import encoded
from segstudy.predictor import NOTHING_MORE, Predictor, Settings, mask_of
from segstudy.preprocess import Size, enough, image_to_network, prob_to_native

View = Literal["mask", "probability", "overlay", "outline"]
KIND = {"mask": "masks", "probability": "probability", "overlay": "overlay", "outline": "outline"}
MEDIA = {"mask": "image/png", "probability": "image/png", "overlay": "image/jpeg", "outline": "image/jpeg"}
MAX_BATCH = 8

Waiting = tuple[NDArray[np.uint8], asyncio.Future[NDArray[np.float32]]]


@dataclass(frozen=True)
class Asked:
    """What is wanted of one image: a picture, or with ``view`` None polygons and measurements."""

    threshold: float
    view: View | None
    settings: Settings = NOTHING_MORE


@dataclass(frozen=True)
class Answer:
    """What is sent back: bytes of a picture, or polygons and measurements."""

    content: bytes | dict[str, Any]
    height: int
    width: int


class Service:
    """One model for many callers.

    Decoding and encoding run in threads, as many as there are cores, and so do batches: whenever a core is
    free for the network, it takes whatever images wait, up to ``MAX_BATCH`` of them.
    """

    def __init__(self, predictor: Predictor, threads: int, max_pixels: float):
        self.predictor = predictor
        self.max_pixels = max_pixels
        self._num_threads = threads
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
        """Take no more; whoever still waits is not answered."""
        if self._batches is not None:
            self._batches.cancel()
        self._threads.shutdown()
        self._network.shutdown()

    async def segment(self, content: bytes, asked: Asked) -> Answer:
        """Segment one image.

        Between its stages an image takes no more memory than its file: pixels that a picture shows are
        decoded again at the end.

        Raises:
            ImageError: it cannot be used.
        """
        loop = asyncio.get_running_loop()
        native, small = await loop.run_in_executor(self._threads, self._decoded, content)
        done: asyncio.Future[NDArray[np.float32]] = loop.create_future()
        await self._waiting.put((small, done))
        prob = await done
        return await loop.run_in_executor(self._threads, self._encoded, prob, native, content, asked)

    async def _run_batches(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            batch = [await self._waiting.get()]
            while len(batch) < MAX_BATCH and not self._waiting.empty():
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
            found = await loop.run_in_executor(self._network, self.predictor.of_network_size, images)
        except Exception as error:
            for _, done in batch:
                if not done.done():
                    done.set_exception(error)
        else:
            for (_, done), prob in zip(batch, found, strict=True):
                if not done.done():
                    done.set_result(prob)
        finally:
            self._room.release()

    def _decoded(self, content: bytes) -> tuple[Size, NDArray[np.uint8]]:
        """Native size, and the image at network size."""
        size, resize = self.predictor.size, self.predictor.resize
        native, pixels = decode_bytes(content, lambda native: enough(native, size, resize), self.max_pixels)
        return native, image_to_network(pixels, size, resize, native)

    def _encoded(self, prob: NDArray[np.float32], native: Size, content: bytes, asked: Asked) -> Answer:
        probability = prob_to_native(prob, native, self.predictor.resize)
        mask = mask_of(probability, asked.threshold, asked.settings)
        if asked.view is not None:
            pixels = np.zeros((1, 1, 3), np.uint8)  # which masks and probabilities do not show
            if asked.view in ("overlay", "outline"):
                _, pixels = decode_bytes(content, lambda _: None, self.max_pixels)
            return Answer(encoded(KIND[asked.view], pixels, mask, probability), *native)
        found = {
            "width_px": native[1],
            "height_px": native[0],
            "threshold": asked.threshold,
            "measurements": asdict(measured(mask, probability)),
            "polygons": polygons(mask),
        }
        return Answer(found, *native)
