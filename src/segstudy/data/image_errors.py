"""The error of a file that cannot be used as an image or mask."""

from pathlib import Path

from segstudy.core.errors import UserError, printable


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
