"""The error of a file that cannot be used as an image or mask."""

from pathlib import Path

from segstudy.core.errors import UserError, printable
from segstudy.core.intensity import Scale


class ImageError(UserError):
    """A file that cannot be used as an image or mask.

    Attributes:
        path: the file.
        kind: one word for the sort of error: ``unreadable``, ``oversized``, ``tiny``, ``grey``, ...
        detail: what is wrong and what to do.
    """

    def __init__(self, path: Path, kind: str, detail: str) -> None:
        super().__init__(path, kind, detail)  # as arguments, so that it can be pickled
        self.path, self.kind, self.detail = path, kind, detail

    def __str__(self) -> str:
        return printable(f"{self.path}: {self.detail}")


class FormatError(Exception):
    """What a decoder finds wrong with a file whose name it does not know; ``ImageError`` adds the name.

    Attributes:
        kind, detail: as of ``ImageError``.
    """

    def __init__(self, detail: str, kind: str = "unreadable") -> None:
        super().__init__(detail)
        self.detail, self.kind = detail, kind


def no_range(path: Path, what: str, scale: Scale) -> ImageError:
    """The error of an image with numbers whose range nothing says."""
    if scale.is_of_model:
        remedy = f"and the model was trained on others ({scale}); save it with 8 bits"
        return ImageError(path, "unreadable", f"holds {what}, {remedy}")
    detail = f"holds {what}, whose range is not known; name it, as --intensity 0..1"
    return ImageError(path, "unreadable", detail)
