"""TIFFs that are too large for memory, read some rows at a time.

tifffile and imagecodecs, the extra ``large``, decode strips and tiles; what their values mean is decided
where it is for all images. Of a pyramid the full resolution is read.
"""

import io
import logging
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segstudy.core.errors import one_line, printable
from segstudy.core.intensity import Scale
from segstudy.core.libraries import not_installed
from segstudy.core.quantities import counted
from segstudy.data.decoding_limits import MAX_FILE_BYTES, check_file, jpeg_header
from segstudy.data.image_errors import ImageError
from segstudy.data.image_formats import SNIFFED_BYTES, format_in
from segstudy.data.images import MAX_PIXELS, MIN_SIDE_PX, STRIP_PIXELS, decode_bytes
from segstudy.data.pages import tiff_pages
from segstudy.data.scale_fit import doubt_of
from segstudy.data.tiff_bands import (
    COMPRESSION,
    HEIGHT,
    MAX_BYTES,
    ORIENTATION,
    ROWS,
    STRIPS,
    WIDTH,
    directory,
)
from segstudy.data.tiff_tags import BANDS, BITS, PHOTOMETRIC, PLANES, SAMPLE_FORMAT, first_values

PACKAGES = ("tifffile", "imagecodecs")
MAX_PAGES = 1_000  # of a pyramid with its label and overview
MAX_PARTS = 2_000_000  # strips or tiles
MAX_PART_BYTES = 2**28  # of one, decoded
MAX_ROWS_BYTES = 2**30  # of a row of tiles, decoded
TALL_ROWS = 64  # read at a time of a strip that is not compressed, and larger than that
NONE, JPEG = 1, 7
COMPRESSIONS = (NONE, 5, JPEG, 8, 32946, 32773, 50000)  # LZW, two names of deflate, PackBits, Zstandard
PALETTE, YCBCR, COLOUR_MAP, EXTRA = 3, 6, 320, 338
# Where pixels lie on a slide or on the earth, which a mask keeps: resolution and GeoTIFF.
PLACE_TAGS = (282, 283, 296, 33550, 33922, 34264, 34735, 34736, 34737)
AGAIN = "save it as a TIFF of tiles with JPEG, LZW or deflate"

log = logging.getLogger(__name__)


def is_large_tiff(file: Path) -> bool:
    """Whether a file is a TIFF that is not decoded as a whole, by its first tags."""
    try:
        with file.open("rb") as stream:
            if format_in(stream.read(SNIFFED_BYTES)) != "TIFF":
                return False
            tags = first_values(stream)
            num_bytes = stream.seek(0, io.SEEK_END)
    except (OSError, struct.error, ValueError, OverflowError):
        return False  # what is wrong is said when it is decoded
    pixels = tags.get(WIDTH, 0) * tags.get(HEIGHT, 0)
    stored = pixels * tags.get(BANDS, 1) * -(-tags.get(BITS, 1) // 8)
    return pixels > MAX_PIXELS or stored > MAX_BYTES or num_bytes > MAX_FILE_BYTES


@contextmanager
def open_large_tiff(file: Path, scale: Scale) -> Iterator["LargeTiff"]:
    """Open a TIFF to read its rows, with that scale; a failure inside the block becomes a line for the user.

    Raises:
        ImageError: packages are missing; it is damaged, or stored in a way that cannot be read by rows.
    """
    if not_installed(*PACKAGES):
        detail = "is too large to be read as a whole, and packages to read its parts are missing; "
        raise ImageError(file, "unreadable", f"{detail}pip install 'segstudy[large]'")
    import tifffile  # an extra

    tifffile.logger().setLevel(logging.CRITICAL)  # its warnings of odd tags are none of a user's
    with ExitStack() as stack:
        with _reading(file):
            stream = stack.enter_context(file.open("rb"))
            if (number := tiff_pages(stream)) > MAX_PAGES:
                raise ImageError(file, "stacked", f"holds {number:,} pages; {AGAIN}")
            # No file beside it that it may name.
            opened = stack.enter_context(tifffile.TiffFile(file, _multifile=False))
            image = LargeTiff(file, _page(opened, file), scale)
        yield image


@contextmanager
def _reading(file: Path) -> Iterator[None]:
    """Turn what goes wrong in a decoder into a line for the user.

    Raises:
        ImageError: with the reason.
    """
    try:
        yield
    except (ImageError, MemoryError):
        raise
    except Exception as error:  # libraries raise whatever they meet, as a division by zero
        reason = one_line(getattr(error, "strerror", None) or error, 200)
        detail = f"cannot be read ({reason}); copy or export the file again"
        raise ImageError(file, "unreadable", detail) from None


def _page(opened: Any, file: Path) -> Any:
    """Return the one image of a file at its full resolution.

    Raises:
        ImageError: there are several.
    """
    series = opened.series[0]
    pages = series.levels[0].pages
    if len(pages) != 1 or (len(opened.series) > 1 and not series.is_pyramidal):
        number = max(len(pages), len(opened.series))
        detail = f"holds {number:,} pages, which one is meant? Save each as a file of its own"
        raise ImageError(file, "stacked", detail)
    return series.levels[0].keyframe


class LargeTiff:
    """An opened TIFF, whose rows are read from the top to the bottom. Not for several threads at once.

    Attributes:
        native: height and width in pixels.
        place_tags: code, type, count and value of the tags that say where the pixels lie.
    """

    def __init__(self, file: Path, page: Any, scale: Scale):
        self._file, self._page, self._scale = file, page, scale
        self.native = int(page.imagelength), int(page.imagewidth)
        self.place_tags = [
            (tag.code, int(tag.dtype), tag.count, tag.value)
            for tag in page.tags
            if tag.code in PLACE_TAGS and int(tag.dtype) in (2, 3, 5, 12)
        ]
        self._refuse_unfit()
        self._parts = self._rows_of_parts()
        self._pixels = np.empty((0, self.native[1], scale.channels), np.uint8)
        self._top = self._end = 0  # the rows that are in memory
        self._num_empty = 0
        self._largest, self._num_beyond, self._num_values = -np.inf, 0, 0

    def rows(self, top: int, bottom: int) -> NDArray[np.uint8]:
        """Return the pixels ``(bottom - top, W, channels)`` by the scale, until the next call.

        No call may begin above another.
        """
        kept = self._pixels[top - self._top : self._end - self._top]
        needed = bottom - top + self._step
        if needed > len(self._pixels):
            self._pixels = np.empty((needed, *kept.shape[1:]), np.uint8)
        self._pixels[: len(kept)] = kept
        self._top, self._end = top, top + len(kept)
        with _reading(self._file):
            while self._end < bottom:
                values = next(self._parts)
                begin = self._end - top
                self._convert(values, self._pixels[begin : begin + len(values)])
                self._end += len(values)
        return self._pixels[: bottom - top]

    def say_what_is_odd(self) -> None:
        """Log what was seen in all rows: empty parts, and values that hardly fit the scale of a model."""
        if self._num_empty:
            number = (
                counted(self._num_empty, "strip")
                if not self._page.is_tiled
                else counted(self._num_empty, "tile")
            )
            log.warning(
                "%s", printable(f"{self._file}: {number} not stored in the file; their values count as 0")
            )
        if self._num_values and self._scale.is_of_model:
            doubt_of(self._largest, self._num_beyond / self._num_values, self._file, self._scale)

    def _refuse_unfit(self) -> None:
        """Refuse what cannot be read by rows, or not in bounded memory.

        Raises:
            ImageError: naming what.
        """
        page, (height, width) = self._page, self.native
        problem = ""
        if min(height, width) < MIN_SIDE_PX:
            problem = f"only {width} x {height} pixels; each side needs at least {MIN_SIDE_PX}"
        elif int(page.tags.valueof(ORIENTATION, 1)) != 1:
            problem = "is stored turned or mirrored, as its tag Orientation says; save it upright"
        elif page.parent.is_ndpi or page.compression not in COMPRESSIONS:
            name = "NDPI" if page.parent.is_ndpi else getattr(page.compression, "name", page.compression)
            problem = f"is compressed as {name}, which is not read by window; {AGAIN}"
        elif page.photometric == YCBCR and page.compression != JPEG:
            problem = f"has colours as YCbCr without JPEG; {AGAIN}"
        elif page.bitspersample not in (8, 16, 32) or page.imagedepth != 1:
            problem = f"has values of {page.bitspersample} bits; save it with 8 or 16"
        elif len(page.dataoffsets) > MAX_PARTS:
            problem = f"has {len(page.dataoffsets):,} strips or tiles; {AGAIN} of at least 256 x 256 pixels"
        elif not self._is_tall and self._part_bytes > MAX_PART_BYTES:
            size = f"{self._part_bytes / 1e6:,.0f} MB"
            problem = f"a strip or tile of it has {size}, so it cannot be read by window; {AGAIN}"
        elif self._step * width * self._pixel_bytes > MAX_ROWS_BYTES:
            problem = (
                f"is so wide that a row of its tiles has more than a gigabyte; {AGAIN} of 256 x 256 pixels"
            )
        if problem:
            raise ImageError(self._file, "unreadable", problem)

    @property
    def _pixel_bytes(self) -> int:
        return int(self._page.samplesperpixel) * int(self._page.bitspersample) // 8

    @property
    def _planes(self) -> int:
        return int(self._page.samplesperpixel) if self._page.planarconfig == 2 else 1

    @property
    def _part(self) -> tuple[int, int]:
        """Height and width of a strip or tile."""
        page, (height, width) = self._page, self.native
        return (page.tilelength, page.tilewidth) if page.is_tiled else (min(page.rowsperstrip, height), width)

    @property
    def _part_bytes(self) -> int:
        height, width = self._part
        return height * width * self._pixel_bytes // self._planes

    @property
    def _is_tall(self) -> bool:
        """Whether the rows of a strip can be read one by one, and must be."""
        page = self._page
        plain = page.compression == NONE and page.predictor == 1 and not page.is_tiled and page.fillorder == 1
        return plain and self._part_bytes > MAX_PART_BYTES

    @property
    def _step(self) -> int:
        """The number of rows that are read at a time."""
        return TALL_ROWS if self._is_tall else self._part[0]

    def _rows_of_parts(self) -> Iterator[NDArray[Any]]:
        """Yield all values as they are stored, some rows ``(rows, W, bands)`` at a time."""
        page, (height, width), (part_height, part_width) = self._page, self.native, self._part
        down, across, own = -(-height // part_height), -(-width // part_width), self._planes
        if len(page.dataoffsets) < down * across * own:
            raise ValueError("strips or tiles are missing")
        for row in range(down):
            top = row * part_height
            end = min(height, top + part_height)
            for begin in range(top, end, self._step):
                rows = min(end, begin + self._step) - begin
                values = np.zeros((rows, width, page.samplesperpixel), page.dtype.newbyteorder("="))
                for i in range(across * own):
                    plane, column = divmod(i, across)
                    index = (plane * down + row) * across + column
                    found = (
                        self._tall_rows(index, begin - top, rows) if self._is_tall else self._decoded(index)
                    )
                    if found is not None:
                        left = column * part_width
                        inner = found[:rows, : width - left]
                        bands = slice(plane, plane + 1) if own > 1 else slice(None)
                        values[: len(inner), left : left + inner.shape[1], bands] = inner
                yield values

    def _stored(self, index: int, start: int = 0, most: int | None = None) -> bytes:
        """Return the bytes of a strip or tile in the file, or some of them; none of an empty one."""
        offset, count = int(self._page.dataoffsets[index]), int(self._page.databytecounts[index])
        if offset == 0 or count == 0:
            self._num_empty += 1
            return b""
        wanted = count if most is None else most
        if wanted > MAX_PART_BYTES:
            raise ValueError("a strip or tile is too large")
        stream = self._page.parent.filehandle
        stream.seek(offset + start)
        content: bytes = stream.read(wanted)
        if len(content) < wanted:
            raise ValueError("the file is cut off")
        return content

    def _tall_rows(self, index: int, begin: int, rows: int) -> NDArray[Any] | None:
        row_bytes = self.native[1] * self._pixel_bytes // self._planes
        content = self._stored(index, begin * row_bytes, rows * row_bytes)
        dtype = self._page.dtype.newbyteorder(self._page.parent.byteorder)
        return np.frombuffer(content, dtype).reshape(rows, self.native[1], -1) if content else None

    def _decoded(self, index: int) -> NDArray[Any] | None:
        """Return the values ``(rows, columns, bands)`` of a strip or tile; None of an empty one."""
        page, content = self._page, self._stored(index)
        if not content:
            return None
        tables = {}
        if page.compression == JPEG:
            header, (height, width) = jpeg_header(content), self._part
            if header is None or header[1] > height * width:
                raise ValueError("a JPEG is larger than its strip or tile")
            check_file(io.BytesIO(content))
            tables = {"jpegtables": page.jpegtables}
        values, _, _ = page.decode(content, index, **tables)
        found: NDArray[Any] = values[0]
        return found

    def _convert(self, values: NDArray[Any], out: NDArray[np.uint8]) -> None:
        """Write values as pixels, as those of every other image: by way of a plain TIFF of some rows."""
        self._look_at(values)
        scale = replace(self._scale, is_for_part=True)
        step = max(MIN_SIDE_PX, STRIP_PIXELS // self.native[1])
        for at in range(0, len(values), step):
            rows = values[at : at + step]
            beyond = max(0, MIN_SIDE_PX - len(rows))
            padded = np.pad(rows, [(0, beyond), (0, 0), (0, 0)], mode="edge") if beyond else rows
            try:
                _, pixels = decode_bytes(self._as_tiff(padded), lambda _: None, scale)
            except ImageError as error:
                raise ImageError(self._file, error.kind, error.detail) from None
            out[at : at + step] = pixels[: len(rows)]

    def _look_at(self, values: NDArray[Any]) -> None:
        if values.dtype != np.uint8:
            with suppress(ValueError):
                self._largest = max(self._largest, float(values.max()))
            self._num_beyond += int(np.count_nonzero(values > self._scale.extent[1]))
            self._num_values += values.size

    def _as_tiff(self, values: NDArray[Any]) -> bytes:
        """Return values ``(H, W, bands)`` as a TIFF of one strip, with the tags that say what they mean."""
        page, (height, width, bands) = self._page, values.shape
        content = np.ascontiguousarray(values.astype(values.dtype.newbyteorder("<"), copy=False)).tobytes()
        start = 8 + len(content) + len(content) % 2
        tags = {
            WIDTH: [width],
            HEIGHT: [height],
            BITS: [8 * values.dtype.itemsize] * bands,
            COMPRESSION: [NONE],
            PHOTOMETRIC: [2 if page.photometric == YCBCR else int(page.photometric)],
            STRIPS[0]: [8],
            BANDS: [bands],
            ROWS: [height],
            STRIPS[1]: [len(content)],
            PLANES: [1],
            SAMPLE_FORMAT: [int(page.sampleformat)] * bands,
        }
        if page.extrasamples:
            tags[EXTRA] = [int(each) for each in page.extrasamples]
        if page.photometric == PALETTE:
            tags[COLOUR_MAP] = [int(each) for each in np.asarray(page.colormap).reshape(-1)]
        header = struct.pack("<2sHI", b"II", 42, start)
        return (header + content).ljust(start, b"\0") + directory(tags, start, "<")
