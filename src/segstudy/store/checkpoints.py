"""Files of a training's saved states: the newest and the one before.

The content of a state is known to ``training.resume``; here it is bytes with a checksum.
"""

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from segstudy.core.atomic_files import DiskError, make_folder, write_bytes, write_text
from segstudy.core.schema import Frozen

STATE_FORMAT = b"segstudy-state-1"  # raised when older states can no longer be read; these are then set aside
STATE, DAMAGED = ".state", ".damaged"
PROGRESS = "progress.json"  # how far the training is, for people who look; nothing depends on it
KEPT = 2  # the newest state, and the one before in case the newest is damaged


class Progress(Frozen):
    """The progress of a training.

    Attributes:
        epoch: the last one that has ended.
        num_epochs: of the run.
        seconds: of training so far, over all sessions.
    """

    epoch: int
    num_epochs: int
    seconds: float


@dataclass(frozen=True)
class Checkpoints:
    """The states of one training, in ``<epoch>.state``: a line with format and SHA-256, then the content."""

    folder: Path

    def write(self, epoch: int, content: bytes | memoryview) -> None:
        """Save a state, and remove all older ones but the last.

        Raises:
            DiskError: when it cannot be written; the earlier ones are unchanged.
        """
        make_folder(self.folder)
        write_bytes(self.folder / f"{epoch:06}{STATE}", _header(content) + b"\n", content)
        for old in self._files()[KEPT:]:
            with suppress(OSError):  # a further file does no harm
                old.unlink()

    def write_copy(self, epoch: int, file: bytes) -> None:
        """Save a state that ``write`` wrote on another machine, from the content of its file.

        Raises:
            ValueError: it is not as it was written there.
            DiskError: when it cannot be written; the earlier ones are unchanged.
        """
        header, _, content = file.partition(b"\n")
        if header != _header(content):
            raise ValueError("a saved state was altered on its way")
        self.write(epoch, content)

    def newest(self) -> Path:
        """Return the file of the newest state."""
        return self._files()[0]

    def note(self, progress: Progress) -> None:
        """Write the progress of the training; a failure to write does not stop it."""
        with suppress(DiskError):
            write_text(self.folder / PROGRESS, progress.model_dump_json())

    def progress(self) -> Progress | None:
        """Return the progress of the training; None if unknown."""
        try:
            return Progress.model_validate_json((self.folder / PROGRESS).read_bytes())
        except (OSError, ValueError):
            return None

    def contents(self) -> Iterator[tuple[Path, bytes | None]]:
        """Return the saved states, newest first; None for one that is incomplete or altered."""
        for file in self._files():
            yield file, _whole_content(file)

    def set_aside(self, file: Path) -> None:
        """Rename a state that cannot be used, so that it is not read again."""
        file.replace(file.with_suffix(DAMAGED))

    def clear(self) -> None:
        """Remove all states; called when the run is finished."""
        with suppress(OSError):  # what stays is found by `segstudy verify`
            for file in self.folder.iterdir():
                file.unlink()
            self.folder.rmdir()

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob(f"*{STATE}"), key=lambda file: file.stem.zfill(20), reverse=True)


def is_whole(file: Path) -> bool:
    """Whether a saved state is as it was written, by its checksum."""
    return _whole_content(file) is not None


def _whole_content(file: Path) -> bytes | None:
    """Return the content of a state; None if it does not match its checksum, or the file is gone.

    Raises:
        OSError: it cannot be read; its content may still be good.
    """
    try:
        header, _, content = file.read_bytes().partition(b"\n")
    except FileNotFoundError:
        return None
    return content if header == _header(content) else None


def _header(content: bytes | memoryview) -> bytes:
    return STATE_FORMAT + b" " + hashlib.sha256(content).hexdigest().encode()
