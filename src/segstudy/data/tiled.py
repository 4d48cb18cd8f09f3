"""Samples at their own size, of which a network is given tiles: ``resize = tiles``."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segstudy.core.outputs import Outputs
from segstudy.core.seeding import seed_for
from segstudy.core.windowing import Place, Size, Windowing, Windows
from segstudy.data.chunks import num_chunks, read_pixels, read_window
from segstudy.data.epoch_order import NetworkForward, Positions, shuffled
from segstudy.data.hashed_arrays import StoredArray
from segstudy.data.preprocess import Resize
from segstudy.data.windows import mirrored, whole

HELD = 0.5  # the share of tiles that are to hold a pixel of a scored class


@dataclass(frozen=True)
class Tiled:
    """All samples at their own size, in chunks; the counterpart of ``Prepared``, and inputs are tiles.

    An input is a row ``[position, top, left]``: the tile at this place of the image of this position.

    Attributes:
        ids: N sample ids, sorted.
        native_sizes: N pairs of height and width of the images.
        outputs: what the masks hold.
        windowing: how images are cut into windows; its tile is the network's size.
        class_pixels: for each sample the pixels of each class, ``(N, classes)``; ignored ones are of none.
    """

    ids: tuple[str, ...]
    native_sizes: tuple[Size, ...]
    outputs: Outputs
    windowing: Windowing
    class_pixels: NDArray[np.int64]
    _images: StoredArray[np.uint8]
    _masks: StoredArray[Any]
    _counts: NDArray[np.uint16]
    _firsts: tuple[int, ...]

    @property
    def resize(self) -> Resize:
        """How the images are brought to the network."""
        return "tiles"

    @property
    def num_channels(self) -> int:
        """The number of channels of the images."""
        return self._images.shape[-1]

    def positions(self, ids: Sequence[str]) -> Positions:
        """Where these ids stand."""
        place = {sample_id: i for i, sample_id in enumerate(self.ids)}
        return np.array([place[sample_id] for sample_id in ids], np.int64)

    def native_image(self, position: int) -> NDArray[np.uint8]:
        """Return a whole image ``(H, W, channels)``."""
        native = self.native_sizes[position]
        return read_window(self._images, self._firsts[position], native, (0, 0), native)

    def native_mask(self, position: int) -> NDArray[Any]:
        """Return a whole true mask ``(H, W)``, of the type ``outputs.mask_dtype``."""
        native = self.native_sizes[position]
        return read_window(self._masks, self._firsts[position], native, (0, 0), native)

    def network_mask(self, position: int) -> NDArray[Any]:
        """Return the true mask that probabilities are compared with: the one at native size."""
        return self.native_mask(position)

    def windows(self, position: int) -> Windows:
        """Return the windows in which an image is scored."""
        return self.windowing.of(self.native_sizes[position])

    def inputs_at(self, position: int, places: Sequence[Place]) -> Positions:
        """Return the inputs at these places of an image: ``(n, 3)``."""
        return np.insert(np.array(places, np.int64), 0, position, axis=1)

    def scoring_order(self, position: int) -> Positions:
        """Return the inputs of these windows, in the order of ``Windows.places``: ``(n, 3)``."""
        return self.inputs_at(position, self.windows(position).places())

    def scoring_inputs(self, positions: Positions) -> Positions:
        """Return the inputs that these samples are scored from, all windows of each: ``(n, 3)``."""
        return np.concatenate([self.scoring_order(int(position)) for position in positions])

    def num_inputs(self, positions: Positions) -> int:
        """Return how many tiles an epoch over these samples has: as many as cover them without overlap."""
        return sum(self.windowing.num_tiles(self.native_sizes[position]) for position in positions)

    def order_of_epoch(self, positions: Positions, seed: int, epoch: int) -> Positions:
        """Return the tiles of one epoch ``(n, 3)``, the same for every architecture, loss and batch size."""
        chosen = [self._random_tiles(int(position), seed, epoch) for position in positions]
        return shuffled(np.concatenate(chosen), seed, epoch)

    def _random_tiles(self, position: int, seed: int, epoch: int) -> Positions:
        """Choose the tiles of one image at random.

        A tile is with probability .5 one that holds a random pixel of a scored class: first the class is
        chosen, evenly among those that the image has, then a pixel of it, then the tile of all that hold it.
        The others lie anywhere in the image, as do all tiles of an image without such pixels.
        """
        rng = np.random.default_rng(seed_for("tiles", seed=seed, epoch=epoch, sample=self.ids[position]))
        native, tile = np.array(self.native_sizes[position]), np.array(self.windowing.tile)
        number = self.windowing.num_tiles(self.native_sizes[position])
        lowest, highest = np.zeros((number, 2), np.int64), np.tile(np.maximum(native - tile, 0), (number, 1))
        there = [each for each in self.outputs.scored if self.class_pixels[position, each]]
        if there:
            held = rng.random(number) < HELD
            classes = np.array(there)[rng.integers(len(there), size=number)]
            which = rng.integers(self.class_pixels[position, classes])
            pixels = self._pixels(position, classes[held], which[held])
            lowest[held] = np.maximum(pixels - tile + 1, 0)
            highest[held] = np.minimum(pixels, highest[held])
        return np.insert(rng.integers(lowest, highest, endpoint=True), 0, position, axis=1)

    def _pixels(self, position: int, classes: Positions, which: Positions) -> Positions:
        first, native = self._firsts[position], self.native_sizes[position]
        counts = self._counts[first : first + num_chunks(native)]
        wanted = list(zip(classes.tolist(), which.tolist(), strict=True))
        return read_pixels(self._masks, first, native, counts, self.outputs, wanted)

    def inputs(self, order: Positions) -> NDArray[np.uint8]:
        """Read tiles ``(n, *tile, channels)``; where an image is smaller than a tile it is mirrored."""
        out = np.empty((len(order), *self.windowing.tile, self.num_channels), np.uint8)
        return self._read(self._images, order, out)

    def targets(self, order: Positions) -> NDArray[Any]:
        """Read their true masks ``(n, *tile)``."""
        out = np.empty((len(order), *self.windowing.tile), self.outputs.mask_dtype)
        return self._read(self._masks, order, out)

    def _read(self, chunks: StoredArray[Any], order: Positions, out: NDArray[Any]) -> NDArray[Any]:
        tile = self.windowing.tile
        for found, (position, top, left) in zip(out, order.tolist(), strict=True):
            native = self.native_sizes[position]
            inner = read_window(chunks, self._firsts[position], native, (top, left), tile)
            found[:] = mirrored(inner, tile)
        return out

    def predicted(self, position: int, forward: NetworkForward) -> NDArray[np.float32]:
        """Return what a network gives for windows of one sample, blended: ``outputs.prob_shape(H, W)``."""

        def of_places(places: Sequence[Place]) -> NDArray[np.float32]:
            return forward(self.inputs(self.inputs_at(position, places)))

        return whole(self.windows(position), of_places)

    def names(self, order: Positions) -> list[str]:
        """Return a name of each input, which its augmentation depends on: the sample's id and the place.

        Of equal tiles in the same order the second has a name of its own, and so on.
        """
        seen: Counter[tuple[int, ...]] = Counter()
        names = []
        for position, top, left in order.tolist():
            row = (position, top, left)
            names.append(f"{self.ids[position]}@{top},{left}#{seen[row]}")
            seen[row] += 1
        return names


def tiled(
    index: dict[str, Any],
    outputs: Outputs,
    windowing: Windowing,
    images: StoredArray[np.uint8],
    masks: StoredArray[Any],
    counts: StoredArray[np.uint16],
) -> Tiled:
    """Return samples of what ``prepare`` wrote for tiles.

    Args:
        index: with ``ids`` and ``native_sizes``.
        outputs: what the masks hold.
        windowing: how images are cut into windows.
        images: the chunks of all images.
        masks: the chunks of all masks.
        counts: of the pixels of each class in each chunk, ``(n, classes)``.
    """
    sizes = tuple((height, width) for height, width in index["native_sizes"])
    firsts = tuple(accumulate(map(num_chunks, sizes), initial=0))
    in_memory = counts[:]
    return Tiled(
        ids=tuple(index["ids"]),
        native_sizes=sizes,
        outputs=outputs,
        windowing=windowing,
        class_pixels=np.add.reduceat(in_memory, firsts[:-1], axis=0, dtype=np.int64),
        _images=images,
        _masks=masks,
        _counts=in_memory,
        _firsts=firsts,
    )
