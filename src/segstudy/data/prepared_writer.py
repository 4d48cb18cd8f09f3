"""The writing of prepared samples, from which an interrupted process goes on."""

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from segstudy.data.fingerprint import text_checksum
from segstudy.data.hashed_arrays import HashedWriter, written

PROGRESS = "progress.jsonl"
EVERY = 1024  # samples between two marks
EVERY_BYTES = 2**28  # or so many bytes, of large images

Header = tuple[type[np.generic], tuple[int, ...]]


class PreparedWriter:
    """Writes several files side by side, one sample after another.

    Every 1,024 samples, or 256 MiB, it notes how far it is. A new writer in the same folder checks what is
    there against the last note and goes on behind it; where that is not as it was written it begins again.
    """

    def __init__(self, folder: Path, files: Mapping[str, Header | None]):
        """Name the folder and the files, with type and shape of all values for an ``.npy`` file."""
        self._folder, self._files = folder, files
        self._stack = ExitStack()
        self._sizes: list[tuple[int, int]] = []
        self._starts = [0]
        self._num_noted = self._bytes_since = 0

    @property
    def num_done(self) -> int:
        """How many samples are written."""
        return len(self._sizes)

    def __enter__(self) -> Self:
        try:
            self._go_on()
        except (OSError, ValueError, LookupError, TypeError):
            self._stack.close()
            self._begin()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def add(self, native_size: tuple[int, int], pieces: Sequence[NDArray[Any]]) -> None:
        """Write one sample: its part of each file."""
        for writer, piece in zip(self._writers, pieces, strict=True):
            count = writer.write(np.ascontiguousarray(piece).view(np.uint8).data.cast("B"))
            self._bytes_since += count
        self._starts.append(self._starts[-1] + count)
        self._sizes.append(native_size)
        if self.num_done % EVERY == 0 or self._bytes_since >= EVERY_BYTES:
            self._note()

    def finished(self) -> dict[str, Any]:
        """Sizes of images, starts in the last file, hashes of all; to be called once, at the end."""
        (self._folder / PROGRESS).unlink(missing_ok=True)
        hashes = {name: writer.hashes() for name, writer in zip(self._files, self._writers, strict=True)}
        return {"native_sizes": self._sizes, "starts": self._starts, "hashes": hashes}

    def _open(self, *, go_on: bool) -> None:
        # Written, not mapped: a full disk then is an error and not the end of the process (SIGBUS).
        self._writers = [
            HashedWriter(self._stack.enter_context(written(self._folder / name, go_on=go_on)))
            for name in self._files
        ]

    def _begin(self) -> None:
        with suppress(OSError):
            (self._folder / PROGRESS).unlink()
        self._sizes, self._starts = [], [0]
        self._num_noted = self._bytes_since = 0
        self._open(go_on=False)
        for writer, header in zip(self._writers, self._files.values(), strict=True):
            if header is not None:
                writer.write_header(np.dtype(header[0]), header[1])

    def _go_on(self) -> None:
        notes = _notes(self._folder / PROGRESS)
        self._open(go_on=True)
        for writer, mark in zip(self._writers, notes[-1]["marks"], strict=True):
            writer.go_on((int(mark[0]), str(mark[1])))
        self._sizes = [(int(height), int(width)) for note in notes for height, width in note["sizes"]]
        self._starts = [0, *(int(start) for note in notes for start in note["starts"])]
        if len(self._sizes) != notes[-1]["done"] or len(self._starts) != 1 + len(self._sizes):
            raise ValueError("a note is missing")
        self._num_noted = self.num_done
        (self._folder / PROGRESS).write_text("".join(map(_line, notes)), encoding="ascii")

    def _note(self) -> None:
        note = {
            "done": self.num_done,
            "marks": [writer.mark() for writer in self._writers],
            "sizes": self._sizes[self._num_noted :],
            "starts": self._starts[1 + self._num_noted :],
        }
        self._num_noted, self._bytes_since = self.num_done, 0
        with (self._folder / PROGRESS).open("a", encoding="ascii") as stream:
            stream.write(_line(note))


def _line(note: dict[str, Any]) -> str:
    text = json.dumps(note)
    return f"{text_checksum(text)} {text}\n"


def _notes(file: Path) -> list[dict[str, Any]]:
    """Those that are as they were written; the last line may be half written."""
    found = []
    for line in file.read_text(encoding="ascii").splitlines():
        seal, _, text = line.partition(" ")
        if seal != text_checksum(text):
            break
        found.append(json.loads(text))
    return found
