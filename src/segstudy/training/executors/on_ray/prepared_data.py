"""The prepared data on their way to a machine that does not have them: piece by piece, once per machine.

They are written to that machine's cache, in a folder whose name is the hash of data and settings. So no
machine gets them twice, and the memory for it does not grow with them. ``open_prepared`` compares them with
the hashes in their index before a run uses them, as everywhere.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from segstudy.core.cache import built, cache_folder, is_cached
from segstudy.core.locks import hold

PIECE_BYTES = 32 * 2**20
AHEAD = 2  # pieces that are fetched before they are needed
WAIT_S = 3600.0  # for another worker of this machine that fetches the same data

Listing = list[tuple[str, int]]


def listing(folder: Path) -> Listing:
    """Return the files of a folder, by their paths from it, with their sizes in bytes."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return [(file.relative_to(folder).as_posix(), file.stat().st_size) for file in files]


def piece(folder: Path, name: str, start: int) -> bytes:
    """Return a piece of a file.

    Raises:
        ValueError: the name leads out of the folder.
    """
    file = (folder / name).resolve()
    if not file.is_relative_to(folder.resolve()):
        raise ValueError(f"{name}: not in {folder}")
    with file.open("rb") as stream:
        stream.seek(start)
        return stream.read(PIECE_BYTES)


def place_of(name: str) -> Path:
    """Return the folder of prepared data on this machine."""
    return cache_folder() / "prepared" / name


def fetch(name: str, files: Listing, ask: Callable[[str, int], Any], get: Callable[[Any], bytes]) -> bool:
    """Bring prepared data to this machine's cache; False if another worker of it was first.

    Args:
        name: of the folder.
        files: what is in it.
        ask: begins to fetch a piece, from the name of its file and where it starts.
        get: waits for a piece.

    Raises:
        UserError: the cache cannot be written.
    """
    folder = place_of(name)
    with hold(folder.with_name(f"{name}.lock"), "these data", WAIT_S):
        if is_cached(folder):
            return False
        with built(folder) as building:
            for file, _ in files:
                (building / file).parent.mkdir(parents=True, exist_ok=True)
                (building / file).write_bytes(b"")
            for file, data in _pieces(files, ask, get):
                with (building / file).open("ab") as stream:
                    stream.write(data)
    return True


def _pieces(
    files: Sequence[tuple[str, int]], ask: Callable[[str, int], Any], get: Callable[[Any], bytes]
) -> Iterator[tuple[str, bytes]]:
    """Yield all pieces in order, some of them asked for in advance."""
    starts = ((file, start) for file, size in files for start in range(0, size, PIECE_BYTES))
    asked: deque[tuple[str, Any]] = deque()
    for file, start in starts:
        asked.append((file, ask(file, start)))
        if len(asked) > AHEAD:
            name, waiting = asked.popleft()
            yield name, get(waiting)
    for name, waiting in asked:
        yield name, get(waiting)
