"""Where the pixels of a sample come from: a file, one image of a file, several files, or a description.

A plain file is its ``Path``. Everything that decodes, hashes or names an image or a mask takes a source.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # `segstudy status` does without
    import numpy as np
    from numpy.typing import NDArray


class Described(ABC):
    """A mask that is no image of its own: polygons, run lengths and the like, or parts of a file.

    Subclasses are frozen dataclasses whose fields say all there is to draw.
    """

    @property
    @abstractmethod
    def file(self) -> Path:
        """The file that describes it."""

    @abstractmethod
    def draw(self) -> "NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.float32]":
        """Draw it: class numbers ``(H, W)``, 0 for background; or fractions of one class.

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


@dataclass(frozen=True, slots=True)
class Frame:
    """One of the images in a file: a slice of a volume, a frame of a DICOM file.

    Attributes:
        file: that holds it.
        index: from 0, in the order of the file.
    """

    file: Path
    index: int


ImageSource = Path | Frame
OneMask = Path | Frame | Merged | Described


@dataclass(frozen=True, slots=True)
class PerClass:
    """Masks of classes that may overlap, each of its own files.

    Attributes:
        masks: names of classes and their masks, of equal height and width, in the order of the names. A class
            without one has no pixel here.
    """

    masks: tuple[tuple[str, OneMask], ...]


MaskSource = OneMask | PerClass


def files_of(source: MaskSource) -> tuple[Path, ...]:
    """The files that a source reads."""
    match source:
        case PerClass():
            return tuple(file for _, mask in source.masks for file in files_of(mask))
        case Merged():
            return source.files
        case Described() | Frame():
            return (source.file,)
    return (source,)


def masks_of(source: MaskSource) -> tuple[tuple[str, OneMask], ...]:
    """The masks of each class by its name; one without a name for all where there is only one."""
    return source.masks if isinstance(source, PerClass) else (("", source),)


def first_file(source: MaskSource) -> Path:
    """The file that messages name."""
    return files_of(source)[0]


def name_within(root: Path, source: MaskSource) -> str:
    """The file of a source as messages name it: relative to the data set's folder, where it lies below."""
    file = first_file(source)
    return (file.relative_to(root) if file.is_relative_to(root) else file).as_posix()


def is_plain(source: MaskSource) -> bool:
    """Whether a source is an image file as it lies there, so that its bytes are its content."""
    return isinstance(source, Path)
