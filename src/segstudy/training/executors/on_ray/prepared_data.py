"""The prepared data on their way to a machine that does not have them: piece by piece, once per machine.

They are written to that machine's cache, in a folder whose name is the hash of data and settings. So no
machine gets them twice, and the memory for it does not grow with them. ``open_prepared`` compares them with
the hashes in their index before a run uses them, as everywhere.
"""

import secrets
import shutil
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from segstudy.core.cache import built, cache_folder, is_cached, no_space
from segstudy.core.errors import UserError
from segstudy.core.file_stamps import stamp_of
from segstudy.core.locks import hold
from segstudy.core.paths import inside
from segstudy.data.hashed_arrays import PreparedDataGoneError

INDEX = "index.json"  # without it, a folder holds no prepared data
PIECE_BYTES = 32 * 2**20
AHEAD = 2  # pieces that are fetched before they are needed
WAIT_S = 3600.0  # for another worker of this machine that fetches the same data

Listing = list[tuple[str, int]]


class NotSentError(UserError):
    """The machine that has the data did not send them, or not all of them."""


def listing(folder: Path) -> Listing:
    """Return the files of prepared data, by their paths from their folder, with their sizes in bytes.

    Raises:
        PreparedDataGoneError: they are gone, or not complete.
    """
    if not (folder / INDEX).is_file():
        raise PreparedDataGoneError(
            f"{folder}: is gone" if not folder.is_dir() else f"{folder / INDEX}: is gone"
        )
    try:
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        return [(file.relative_to(folder).as_posix(), file.stat().st_size) for file in files]
    except FileNotFoundError as error:  # it is being emptied
        raise PreparedDataGoneError(f"{error.filename}: is gone") from None


def same_folder(folder: Path) -> tuple[int, int]:
    """Return two numbers that a folder has wherever its disk is mounted, and no copy of it has.

    Raises:
        OSError: it is gone.
    """
    stamp = stamp_of(folder.stat())
    return stamp.inode, stamp.content_ns


def discard(name: str, source: tuple[int, int]) -> bool:
    """Remove prepared data of this machine that are not as they were written; True if that was done.

    Args:
        name: of the folder.
        source: of ``same_folder``, of the folder from which they are sent. If that is the folder here, on a
            disk that the machines share or on one machine, it stays: there is no other copy.

    Raises:
        UserError: the cache cannot be written.
    """
    folder = place_of(name)
    with hold(folder.with_name(f"{name}.lock"), "these data", WAIT_S):
        try:
            if same_folder(folder) == source:
                return False
            aside = folder.with_name(f"{name}.{secrets.token_hex(4)}")
            folder.rename(aside)  # at once: another worker may read it now
        except FileNotFoundError:
            return True
        except OSError as error:
            raise no_space(folder, error) from None
        shutil.rmtree(aside, ignore_errors=True)
    return True


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
    """Return the folder of prepared data on this machine.

    Raises:
        UserError: this cannot be the name of a folder there.
    """
    if "/" in name:
        raise UserError(f"prepared data must be named without /, got {name!r}")
    return inside(cache_folder() / "prepared", name)


def fetch(name: str, files: Listing, ask: Callable[[str, int], Any], get: Callable[[Any], bytes]) -> bool:
    """Bring prepared data to this machine's cache; False if another worker of it was first.

    Args:
        name: of the folder.
        files: what is in it.
        ask: begins to fetch a piece, from the name of its file and where it starts.
        get: waits for a piece.

    Raises:
        NotSentError: nothing was sent, or a file is shorter or longer than it should be.
        UserError: the cache cannot be written, or a file has no name that a file there can have.
    """
    folder = place_of(name)
    with hold(folder.with_name(f"{name}.lock"), "these data", WAIT_S):
        if is_cached(folder):
            return False
        if INDEX not in (file for file, _ in files):
            raise NotSentError(f"{name}: {INDEX} is not among the {len(files)} files that are sent")
        with built(folder) as building:
            for file, _ in files:
                inside(building, file).parent.mkdir(parents=True, exist_ok=True)
                inside(building, file).write_bytes(b"")
            for file, data in _pieces(files, ask, get):
                with inside(building, file).open("ab") as stream:
                    stream.write(data)
            for file, size in files:
                if (found := (building / file).stat().st_size) != size:
                    raise NotSentError(f"{name}: {found} of {size} bytes of {file} were sent")
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
