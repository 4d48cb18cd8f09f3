"""The writing of prepared samples, from which an interrupted process goes on."""

import json
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from segstudy.data.fingerprint import text_checksum
from segstudy.data.hashed_arrays import HashedWriter, written

IMAGES, MASKS, NATIVE = "images.npy", "masks.npy", "native.bits"
PROGRESS = "progress.jsonl"
FEWEST = 2048  # samples, below which it is over in seconds
EVERY = 1024  # samples between two marks

Loaded = tuple[NDArray[np.uint8], NDArray[Any], tuple[int, int], NDArray[np.uint8]]


class PreparedWriter:
    """Writes images and masks at network size, and masks at native size, one sample after another.

    Every 1,024 samples it notes how far it is. A new writer in the same folder checks what is there against
    the last note and goes on behind it; where that is not as it was written it begins again.
    """

    def __init__(self, folder: Path, shape: tuple[int, int, int, int], dtype: np.dtype[Any]):
        """Name the folder, the shape of all images ``(N, height, width, channels)``, and the masks' type."""
        self._folder, self._shape, self._dtype = folder, shape, dtype
        self._stack = ExitStack()
        self._sizes: list[tuple[int, int]] = []
        self._starts = [0]

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

    def add(self, loaded: Loaded) -> None:
        """Write one sample."""
        image, mask, native_size, bits = loaded
        images, masks, native = self._writers
        images.write(np.ascontiguousarray(image).data.cast("B"))
        masks.write(np.ascontiguousarray(mask).view(np.uint8).data.cast("B"))
        self._starts.append(self._starts[-1] + native.write(bits.data))
        self._sizes.append(native_size)
        if self.num_done % EVERY == 0:
            self._note()

    def finished(self) -> dict[str, Any]:
        """Sizes, starts and hashes of what was written; to be called once, at the end."""
        (self._folder / PROGRESS).unlink(missing_ok=True)
        hashes = {name: writer.hashes() for name, writer in zip(self._names(), self._writers, strict=True)}
        return {"native_sizes": self._sizes, "starts": self._starts, "hashes": hashes}

    def _names(self) -> tuple[str, ...]:
        return IMAGES, MASKS, NATIVE

    def _open(self, *, go_on: bool) -> None:
        # Written, not mapped: a full disk then is an error and not the end of the process (SIGBUS).
        self._writers = [
            HashedWriter(self._stack.enter_context(written(self._folder / name, go_on=go_on)))
            for name in self._names()
        ]

    def _begin(self) -> None:
        with suppress(OSError):
            (self._folder / PROGRESS).unlink()
        self._sizes, self._starts = [], [0]
        self._open(go_on=False)
        images, masks, _ = self._writers
        images.write_header(np.dtype(np.uint8), self._shape)
        masks.write_header(self._dtype, self._shape[:3])

    def _go_on(self) -> None:
        notes = _notes(self._folder / PROGRESS)
        self._open(go_on=True)
        for writer, mark in zip(self._writers, notes[-1]["marks"], strict=True):
            writer.go_on((int(mark[0]), str(mark[1])))
        self._sizes = [(int(height), int(width)) for note in notes for height, width in note["sizes"]]
        self._starts = [0, *(int(start) for note in notes for start in note["starts"])]
        if len(self._sizes) != notes[-1]["done"] or len(self._starts) != 1 + len(self._sizes):
            raise ValueError("a note is missing")
        (self._folder / PROGRESS).write_text("".join(map(_line, notes)), encoding="ascii")

    def _note(self) -> None:
        note = {
            "done": self.num_done,
            "marks": [writer.mark() for writer in self._writers],
            "sizes": self._sizes[-EVERY:],
            "starts": self._starts[-EVERY:],
        }
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
