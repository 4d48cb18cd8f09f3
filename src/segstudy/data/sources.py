"""Where the pixels of a sample come from: a file, several files, or shapes that a text file describes.

A plain file is its ``Path``. Everything that decodes, hashes or names an image or a mask takes a source.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


class Described(ABC):
    """A mask that no image file holds: polygons, run lengths and the like, in a text file.

    Subclasses are frozen dataclasses whose fields say all there is to draw.
    """

    @property
    @abstractmethod
    def file(self) -> Path:
        """The file that describes it."""

    @abstractmethod
    def draw(self) -> NDArray[np.uint8] | NDArray[np.uint16]:
        """Draw it: class numbers ``(H, W)``, 0 for background.

        Raises:
            ImageError: it describes no mask; the error names the file.
        """


@dataclass(frozen=True, slots=True)
class Merged:
    """A mask that lies in several files, one per object: foreground is what any of them shows.

    Attributes:
        files: of equal height and width, in the order of their names.
    """

    files: tuple[Path, ...]


ImageSource = Path
MaskSource = Path | Merged | Described


def files_of(source: MaskSource) -> tuple[Path, ...]:
    """The files that a source reads."""
    match source:
        case Merged():
            return source.files
        case Described():
            return (source.file,)
    return (source,)


def first_file(source: MaskSource) -> Path:
    """The file that messages name."""
    return files_of(source)[0]


def name_within(root: Path, file: Path) -> str:
    """A file as messages and tables name it: relative to the data set's folder, where it lies below."""
    return (file.relative_to(root) if file.is_relative_to(root) else file).as_posix()


def is_plain(source: MaskSource) -> bool:
    """Whether a source is an image file as it lies there, so that its bytes are its content."""
    return isinstance(source, Path)
