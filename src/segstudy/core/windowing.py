"""Where windows of the network's size lie in an image that is not resized: ``resize = tiles``.

The windows of an image stand on a grid. Their steps are multiples of 16 pixels, so that a network that halves
the image four times halves it in every window along the same pixels. The last window of a row or column ends
with the image, so it may overlap more than the others. Needs no NumPy.
"""

from dataclasses import dataclass
from itertools import product

GRID = 16  # pixels: steps are multiples of it
IN_KEYS = "tiles"  # "tiles 2" and so on when any number of tiles, windows or their blending changes
OVERLAP_SHARE = 4  # by default windows share a quarter of a tile's shorter side

Size = tuple[int, int]
Place = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Windowing:
    """How images are cut into windows.

    Attributes:
        tile: height and width of a window in pixels, the network's input.
        overlap: pixels that neighbours share at least, up to half of the tile's shorter side.
    """

    tile: Size
    overlap: int

    def of(self, native: Size) -> "Windows":
        """Return the windows of an image of this height and width."""
        rows, columns = (
            starts(length, tile, self.overlap) for length, tile in zip(native, self.tile, strict=True)
        )
        return Windows(native, self.tile, rows, columns)

    def num_tiles(self, native: Size) -> int:
        """Return how many tiles without overlap cover the image: so many are trained in an epoch."""
        down, across = (-(-length // tile) for length, tile in zip(native, self.tile, strict=True))
        return down * across


@dataclass(frozen=True, slots=True)
class Windows:
    """The windows of an image. One that is smaller than a tile has a single window, which reaches further.

    Attributes:
        native: height and width of the image.
        tile: height and width of each window.
        rows: the top rows of the windows.
        columns: their left columns.
    """

    native: Size
    tile: Size
    rows: tuple[int, ...]
    columns: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.rows) * len(self.columns)

    def places(self) -> list[Place]:
        """Return top row and left column of each window, row by row."""
        return list(product(self.rows, self.columns))


def default_overlap(tile: Size) -> int:
    """Return the overlap in pixels where none is chosen."""
    return min(tile) // OVERLAP_SHARE


def starts(length: int, tile: int, overlap: int) -> tuple[int, ...]:
    """Return where windows of ``tile`` pixels begin that cover ``length`` and share ``overlap`` at least.

    >>> starts(1000, 256, 64)
    (0, 192, 384, 576, 744)
    """
    if length <= tile:
        return (0,)
    step = (tile - overlap) // GRID * GRID
    last = length - tile
    return (*range(0, last, step), last)
