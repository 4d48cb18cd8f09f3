"""Masks that a text describes: polygons, run lengths and small pictures, brought to pixels.

Conventions, the same for every tool's files:

- The origin is the upper left corner of the upper left pixel: pixel ``(row, column)`` covers x from
  ``column`` to ``column + 1``. A pixel belongs to a polygon if its centre lies inside; a centre exactly on
  an outline belongs to the side of larger x or y, so that polygons that share an outline share no pixel.
  (COCO's own tools have the same coordinates.)
- Several rings of one shape are counted by the even-odd rule: a ring within a ring is a hole.
- Several shapes are merged; where they overlap, the one that stands later in the file counts.
- Run lengths go down the columns, the first column first; some tables count along the rows.
- What lies outside the image is cut off; a shape that lies outside as a whole is an error.
"""

import io
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segstudy.data.decoding_limits import ExcessError, check_file
from segstudy.data.images import MAX_PIXELS, ImageError, image_size
from segstudy.data.sources import Described

MAX_POINTS = 200_000  # of one shape; a brush leaves some thousands
MAX_CROSSINGS = 20_000_000  # of a shape's outline with rows of pixels; 0.5 GB of memory
MAX_COORDINATE = 1e8
MAX_RUNS = 2_000_000
MAX_CLASSES = 65_535

Size = tuple[int, int]
Pixels = NDArray[np.uint8] | NDArray[np.uint16]


class ShapeError(ValueError):
    """A shape that cannot be rasterised; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Polygon:
    """The inside of one or more rings.

    Attributes:
        number: the class.
        rings: of each its points as float64 bytes x, y, x, y, ...
    """

    number: int
    rings: tuple[bytes, ...]

    def paint(self, canvas: Pixels) -> None:
        """Give the pixels ``(H, W)`` inside its number."""
        top, left, inside = _inside(self.rings, canvas.shape[:2])
        canvas[top : top + inside.shape[0], left : left + inside.shape[1]][inside] = self.number


@dataclass(frozen=True, slots=True)
class Runs:
    """Stretches of pixels down the columns, or along the rows.

    Attributes:
        number: the class.
        starts: int64 bytes: the position of each stretch's first pixel, from 0.
        lengths: int64 bytes: of each stretch.
        along_rows: pixels are counted along the rows, not down the columns.
    """

    number: int
    starts: bytes
    lengths: bytes
    along_rows: bool = False

    def paint(self, canvas: Pixels) -> None:
        """Give the pixels of the stretches its number; the canvas ``(H, W)`` lies column by column."""
        if self.along_rows:
            inside = np.zeros(canvas.shape, np.bool_)
            self._fill(inside.reshape(-1), 1, canvas.shape)
            canvas[inside] = self.number
        else:
            self._fill(canvas.T.reshape(-1), self.number, canvas.shape)

    def _fill(self, flat: NDArray[Any], number: int, size: Size) -> None:
        starts, lengths = np.frombuffer(self.starts, np.int64), np.frombuffer(self.lengths, np.int64)
        ends = starts + lengths
        if len(starts) and (starts.min() < 0 or lengths.min() < 0 or ends.max() > flat.size):
            height, width = size
            raise ShapeError(
                f"run lengths reach pixel {int(ends.max()):,}, but the image has {flat.size:,} "
                f"({width} x {height}); "
                "write them for the image as it is"
            )
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            flat[start:end] = number


@dataclass(frozen=True, slots=True)
class Patch:
    """A small mask at a place of the image.

    Attributes:
        number: the class.
        top, left: row and column of its upper left pixel.
        shape: its height and width.
        bits: its pixels, packed as ``np.packbits`` does.
    """

    number: int
    top: int
    left: int
    shape: Size
    bits: bytes

    def paint(self, canvas: Pixels) -> None:
        """Give its pixels its number."""
        height, width = self.shape
        inside = np.unpackbits(np.frombuffer(self.bits, np.uint8), count=height * width).astype(bool)
        if (
            min(self.top, self.left) < 0
            or self.top + height > canvas.shape[0]
            or self.left + width > canvas.shape[1]
        ):
            raise ShapeError(
                f"a mask of {width} x {height} pixels at column {self.left}, row {self.top} leaves the image "
                f"of {canvas.shape[1]} x {canvas.shape[0]}; export it for the image as it is"
            )
        part = canvas[self.top : self.top + height, self.left : self.left + width]
        part[inside.reshape(self.shape)] = self.number


Shape = Polygon | Runs | Patch


@dataclass(frozen=True, slots=True)
class Drawing(Described):
    """A mask of shapes.

    Attributes:
        source: the file that describes it.
        name: what messages call it, such as the image's name.
        size: height and width; None where the image's own size counts.
        image: the image.
        shapes: in the order in which they are painted.
    """

    source: Path
    name: str
    size: Size | None
    image: Path
    shapes: tuple[Shape, ...]

    @property
    def file(self) -> Path:
        """The file that describes it."""
        return self.source

    def draw(self) -> Pixels:
        """Paint the shapes: class numbers ``(H, W)``, 0 for background.

        Raises:
            ImageError: a shape that is none, or leaves the image.
        """
        height, width = self.size or image_size(self.image)
        if not 0 < height * width <= MAX_PIXELS or min(height, width) < 1:
            detail = f"says that {self.name} has {width} x {height} pixels; write the image's own size"
            raise ImageError(self.source, "oversized", detail)
        kind = np.uint16 if any(shape.number > 255 for shape in self.shapes) else np.uint8
        canvas: Pixels = np.zeros((width, height), kind).T
        try:
            for shape in self.shapes:
                shape.paint(canvas)
        except ShapeError as error:
            raise ImageError(self.source, "unusable", f"{self.name}: {error}") from None
        return canvas.copy()


def polygon(number: int, rings: Sequence[object]) -> Polygon:
    """A polygon from rings, each ``[x, y, x, y, ...]`` or ``[[x, y], [x, y], ...]``.

    Raises:
        ShapeError: no numbers, not finite, too few or too many.
    """
    packed = tuple(_ring(ring).tobytes() for ring in rings)
    if sum(map(len, packed)) > MAX_POINTS * 16:
        raise ShapeError(f"a shape of more than {MAX_POINTS:,} points; simplify it, or export it as a mask")
    return Polygon(number, packed)


def _ring(points: object) -> NDArray[np.float64]:
    try:
        ring = np.asarray(points, np.float64)
    except (TypeError, ValueError, OverflowError):
        raise ShapeError("a polygon's points must be numbers; export it again") from None
    if ring.ndim == 1 and ring.size % 2 == 0:
        ring = ring.reshape(-1, 2)
    if ring.ndim != 2 or ring.shape[1] != 2 or len(ring) < 3:
        raise ShapeError("a polygon must have 3 points or more, each x and y; draw it again, or remove it")
    if not np.isfinite(ring).all():
        raise ShapeError("a polygon's points hold NaN or infinity; draw it again, or remove it")
    if np.abs(ring).max() > MAX_COORDINATE:
        raise ShapeError(f"a polygon's point lies beyond {MAX_COORDINATE:g} pixels; draw it again")
    return ring


def patch(number: int, png: bytes, top: int, left: int) -> Patch:
    """A small mask from a PNG file: what is opaque where it has alpha, else what is not 0.

    Raises:
        ShapeError: no PNG file, or one of too many pixels.
    """
    try:
        stream = io.BytesIO(png)
        check_file(stream, whole=True)
        with Image.open(stream, formats=("PNG",)) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ShapeError(f"a mask of {image.width} x {image.height} pixels; draw it again")
            if image.has_transparency_data:
                inside = np.asarray(image.convert("RGBA"))[..., 3] > 0
            else:
                pixels = np.asarray(image)
                inside = np.asarray(pixels > 0 if pixels.ndim == 2 else (pixels > 0).any(axis=2))
    except ShapeError:
        raise
    except (OSError, SyntaxError, ValueError, struct.error, ExcessError, Image.DecompressionBombError):
        raise ShapeError("a mask that is no whole PNG file; draw it again") from None
    return Patch(number, top, left, (inside.shape[0], inside.shape[1]), np.packbits(inside).tobytes())


def rectangle(number: int, left: float, top: float, right: float, bottom: float) -> Polygon:
    """A rectangle from two opposite corners."""
    return polygon(number, [[left, top, right, top, right, bottom, left, bottom]])


def circle(number: int, x: float, y: float, radius: float) -> Polygon:
    """A circle, as a polygon of 720 sides; its area is right to 1 in 70,000."""
    angle = np.linspace(0, 2 * np.pi, 720, endpoint=False)
    return polygon(number, [np.stack([x + radius * np.cos(angle), y + radius * np.sin(angle)], axis=1)])


def runs_of_counts(number: int, counts: Sequence[int], size: Size) -> Runs:
    """Runs from COCO's counts: numbers of pixels outside and inside, in turn.

    Raises:
        ShapeError: they do not cover the image of that height and width.
    """
    if len(counts) > MAX_RUNS:
        raise ShapeError(f"more than {MAX_RUNS:,} run lengths; export the mask as an image")
    lengths = _whole_numbers(counts)
    ends = np.cumsum(lengths)
    if lengths.size == 0 or lengths.min() < 0 or lengths.max() > MAX_PIXELS or ends[-1] != size[0] * size[1]:
        covered = f"{int(ends[-1]):,}" if lengths.size else "no"
        raise ShapeError(
            f"run lengths cover {covered} pixels, but the image has {size[0] * size[1]:,} "
            f"({size[1]} x {size[0]}); export them again"
        )
    return Runs(number, (ends - lengths)[1::2].tobytes(), lengths[1::2].tobytes())


def runs_of_pairs(number: int, numbers: Sequence[int]) -> Runs:
    """Runs from pairs: the number of the first pixel, from 1, and a length.

    Raises:
        ShapeError: an odd number of them, or one below 1.
    """
    pairs = _whole_numbers(numbers)
    if pairs.size % 2 or pairs.size > 2 * MAX_RUNS:
        raise ShapeError(
            "run lengths must be pairs of a start and a length, at most 2 million; write them again"
        )
    starts, lengths = pairs[0::2] - 1, pairs[1::2]
    if pairs.size and (starts.min() < 0 or lengths.min() < 1):
        raise ShapeError("run lengths must be pairs of a start, counted from 1, and a length of 1 or more")
    return Runs(number, starts.tobytes(), lengths.tobytes())


def _whole_numbers(numbers: Sequence[int]) -> NDArray[np.int64]:
    try:
        found = np.asarray(numbers)
    except (TypeError, ValueError, OverflowError):
        found = np.asarray("")
    if found.size and (found.dtype.kind != "i" or found.ndim != 1):
        raise ShapeError("run lengths must be whole numbers; export them again")
    return found.astype(np.int64).reshape(-1)


def unpacked_counts(text: str) -> list[int]:
    """COCO's counts from their packed text: 5 bits a character, each as its difference to the last but one.

    pycocotools does the same in C; it is not called on files from elsewhere, whose counts it does not check.

    Raises:
        ShapeError: no such text.
    """
    counts: list[int] = []
    value, shift = 0, 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64 or shift > 40:
            raise ShapeError("run lengths that are packed as no COCO tool does; export them again")
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        if len(counts) > MAX_RUNS:
            break
        value, shift = 0, 0
    if shift:
        raise ShapeError("run lengths that end in the middle; export them again")
    return counts


def _inside(rings: Sequence[bytes], size: Size) -> tuple[int, int, NDArray[np.bool_]]:
    """The pixels inside rings, cut out to their extent: its first row and column, and ``(h, w)``.

    Every edge changes inside and outside for the pixels to the right of where it crosses their row.
    """
    height, width = size
    points = [np.frombuffer(ring, np.float64).reshape(-1, 2) for ring in rings]
    low = np.min([ring.min(axis=0) for ring in points], axis=0)
    high = np.max([ring.max(axis=0) for ring in points], axis=0)
    if high[0] < 0 or high[1] < 0 or low[0] > width or low[1] > height:
        raise ShapeError(
            f"a shape lies outside the image of {width} x {height} pixels; see whether it is of this image"
        )
    left, top = (max(0, int(np.floor(each))) for each in low)
    right, bottom = min(width, int(np.ceil(high[0]))), min(height, int(np.ceil(high[1])))
    rows, columns = _crossings(points, top, bottom)
    columns = np.clip(columns - left, 0, right - left).astype(np.int64)
    stride = right - left + 1
    toggles = np.bincount((rows - top) * stride + columns, minlength=(bottom - top) * stride)
    toggles = (toggles.reshape(bottom - top, stride)[:, :-1] & 1).astype(np.bool_)
    return top, left, np.logical_xor.accumulate(toggles, axis=1)


def _crossings(
    rings: Sequence[NDArray[np.float64]], top: int, bottom: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Row and first column to the right of every crossing of an edge with the middle of a row."""
    start = np.concatenate(rings)
    end = np.concatenate([np.roll(ring, -1, axis=0) for ring in rings])
    upper, lower = np.where((start[:, 1] <= end[:, 1])[:, None], start, end), np.maximum(start, end)[:, 1]
    first = np.clip(np.ceil(upper[:, 1] - 0.5), top, bottom).astype(np.int64)
    num_rows = np.clip(np.ceil(lower - 0.5), top, bottom).astype(np.int64) - first
    total = int(num_rows.sum())
    if total > MAX_CROSSINGS:
        raise ShapeError("an outline that crosses the image millions of times; export it as a mask")
    edge = np.repeat(np.arange(len(start)), num_rows)
    rows = first[edge] + np.arange(total) - np.repeat(np.cumsum(num_rows) - num_rows, num_rows)
    rise = (end - start)[edge]
    x = start[edge, 0] + (rows + 0.5 - start[edge, 1]) * rise[:, 0] / rise[:, 1]
    return rows, np.ceil(x - 0.5)
