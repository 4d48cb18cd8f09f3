"""From an image's bytes to what is sent back; images that wait together pass the network together."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from segstudy.images import decode_bytes
from segstudy.measures import fill_holes, largest_component, measured, polygons
from segstudy.prediction import encoded
from segstudy.predictor import Predictor
from segstudy.preprocess import enough, image_to_network, prob_to_native

View = Literal["mask", "probability", "overlay", "outline"]
KIND = {"mask": "masks", "probability": "probability", "overlay": "overlay", "outline": "outline"}
MEDIA = {"mask": "image/png", "probability": "image/png", "overlay": "image/jpeg", "outline": "image/jpeg"}
MAX_BATCH = 8


@dataclass(frozen=True)
class Asked:
    """What is wanted of one image."""

    threshold: float
    view: View | None  # None: polygons and measurements
    largest_component: bool = False
    fill_holes: bool = False


@dataclass(frozen=True)
class Answer:
    """What is sent back: bytes of a picture, or polygons and measurements."""

    content: bytes | dict[str, Any]
    height: int
    width: int


class Service:
    """One model for many callers.

    Decoding and encoding run in threads, as many as there are cores; the network takes whatever images wait
    when it is free, up to ``MAX_BATCH`` of them at once.
    """

    def __init__(self, predictor: Predictor, threads: int, max_pixels: int):
        self.predictor = predictor
        self.max_pixels = max_pixels
        self._num_threads = threads
        self._threads: ThreadPoolExecutor
        self._network: ThreadPoolExecutor
        self._waiting: asyncio.Queue[tuple[NDArray[np.uint8], asyncio.Future[NDArray[np.float32]]]]
        self._batches: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to take images; within the event loop that will call."""
        self._threads = ThreadPoolExecutor(self._num_threads, "images")
        self._network = ThreadPoolExecutor(1, "network")
        self._waiting = asyncio.Queue()
        self._batches = asyncio.create_task(self._run_batches())

    async def stop(self) -> None:
        """Take no more; whatever was taken has been answered by then."""
        if self._batches is not None:
            self._batches.cancel()
        self._threads.shutdown()
        self._network.shutdown()

    async def segment(self, content: bytes, asked: Asked) -> Answer:
        """Segment one image.

        Raises:
            ImageError: it cannot be used.
        """
        loop = asyncio.get_running_loop()
        native, pixels, small = await loop.run_in_executor(self._threads, self._decoded, content, asked)
        done: asyncio.Future[NDArray[np.float32]] = loop.create_future()
        await self._waiting.put((small, done))
        return await loop.run_in_executor(self._threads, self._encoded, await done, native, pixels, asked)

    async def _run_batches(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            batch = [await self._waiting.get()]
            while len(batch) < MAX_BATCH and not self._waiting.empty():
                batch.append(self._waiting.get_nowait())
            images = np.stack([small for small, _ in batch])
            try:
                found = await loop.run_in_executor(self._network, self.predictor.of_network_size, images)
            except Exception as error:
                for _, done in batch:
                    if not done.cancelled():
                        done.set_exception(error)
                continue
            for (_, done), prob in zip(batch, found, strict=True):
                if not done.cancelled():
                    done.set_result(prob)

    def _decoded(
        self, content: bytes, asked: Asked
    ) -> tuple[tuple[int, int], NDArray[np.uint8] | None, NDArray[np.uint8]]:
        """Native size, pixels if a picture is to show them, and the image at network size."""
        size, resize = self.predictor.size, self.predictor.resize
        shown = asked.view in ("overlay", "outline")
        native, pixels = decode_bytes(
            content, lambda native: None if shown else enough(native, size, resize), self.max_pixels
        )
        return native, pixels if shown else None, image_to_network(pixels, size, resize, native)

    def _encoded(
        self,
        prob: NDArray[np.float32],
        native: tuple[int, int],
        pixels: NDArray[np.uint8] | None,
        asked: Asked,
    ) -> Answer:
        probability = prob_to_native(prob, native, self.predictor.resize)
        mask = probability >= asked.threshold
        if asked.fill_holes:
            mask = fill_holes(mask)
        if asked.largest_component:
            mask = largest_component(mask)
        if asked.view is not None:
            blank = np.zeros((1, 1, 3), np.uint8)
            picture = encoded(KIND[asked.view], blank if pixels is None else pixels, mask, probability)
            return Answer(picture, *native)
        found = {
            "width_px": native[1],
            "height_px": native[0],
            "threshold": asked.threshold,
            "measurements": asdict(measured(mask, probability)),
            "polygons": polygons(mask),
        }
        return Answer(found, *native)
