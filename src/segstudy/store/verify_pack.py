"""The check of a pack, a study in one zip file: every byte of it, then the study that is in it."""

import errno
import hashlib
import re
import stat
import tempfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import BinaryIO

from segstudy.core.errors import UserError
from segstudy.core.input_files import open_regular
from segstudy.core.stored_zip import (
    LOCAL_SIZE,
    Entry,
    directory,
    parsed_header,
    sizes_of_rest,
)
from segstudy.store.faults import Fault
from segstudy.store.folder import StudyFolder
from segstudy.store.pack_places import PLACE, place_fault, place_faults
from segstudy.store.pack_record import MANIFEST, pack_record
from segstudy.store.sealed_records import NewerError
from segstudy.store.verify import Verification, verify_folder

PIECE_BYTES = 1 << 20
MAX_MANIFEST_BYTES = 1 << 28  # 100,000 runs have 75 MB
FULL = (errno.ENOSPC, errno.EDQUOT)
LINE = re.compile(r"([0-9a-f]{64})  (.+)")
ELSEWHERE = Path("(zip)")  # the place of a fault in no file of the study
UNREADABLE = (zipfile.BadZipFile, zipfile.LargeZipFile, OSError, ValueError, NotImplementedError, EOFError)


class _WrongError(ValueError):
    """Something that makes the rest of the archive unreadable in order."""

    def __init__(self, place: Path, detail: str):
        super().__init__(detail)
        self.fault = Fault("altered", place, detail)


@dataclass
class _Reading:
    """The state of the check of an archive from its first byte to its last.

    Attributes:
        stream: the archive.
        write: called with the path of each file, which was checked, and the pieces of its content.
        manifest: SHA-256 of each file, by its path in the study's folder, in order.
        entries: headers so far.
        top: name of the folder in the archive.
        faults: found so far.
        digest: SHA-256 of all bytes read so far.
    """

    stream: BinaryIO
    write: Callable[[str, Iterable[bytes]], None]
    manifest: dict[str, str] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)
    top: str = ""
    faults: list[Fault] = field(default_factory=list)
    digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)

    def read(self, size: int) -> bytes:
        found = self.stream.read(size)
        self.digest.update(found)
        return found


def is_pack(file: Path) -> bool:
    """Whether a file begins as one that ``pack`` wrote."""
    try:
        with open_regular(file) as stream:
            start = stream.read(LOCAL_SIZE)
            rest = stream.read(sum(sizes_of_rest(start)))
        return parsed_header(start, rest).name.endswith(f"/{MANIFEST}")
    except (OSError, ValueError):
        return False


def verify_pack(file: Path) -> Verification:
    """Check a pack: its bytes against its manifest, and the study in it as ``verify_folder`` does.

    The study is unpacked for this into a temporary folder. Names that lead elsewhere are never followed, and
    nothing is decompressed.

    Raises:
        UserError: the file cannot be read, or something in it was written by a newer version.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="segstudy-") as place:
            with open_regular(file) as stream:
                reading = _Reading(stream, partial(_write, Path(place)))
                _check(reading)
            if reading.faults:
                return _faulty([*reading.faults, *_diagnosis(file, reading)])
            folder = StudyFolder(Path(place) / reading.top)
            if not folder.exists():
                return _faulty([Fault("incomplete", Path("study.toml"), "is missing")])
            found = replace(_verified(file, folder), sha256=reading.digest.hexdigest(), is_pack=True)
            with suppress(UserError):  # a fault that was found
                packed = pack_record(folder)
                found = replace(found, left_out=packed.left_out if packed else {})
            return found
    except OSError as error:
        remedy = "check permissions and disk"
        if error.errno in FULL:
            remedy = "the temporary folder (TMPDIR) needs as much space as the file"
        raise UserError(f"{file}: cannot be checked ({error.strerror or error}); {remedy}") from None


def _verified(file: Path, folder: StudyFolder) -> Verification:
    """Check the study that was unpacked from a file.

    Raises:
        NewerError: something in it was written by a newer version; the message names the file.
    """
    try:
        return verify_folder(folder)
    except NewerError as error:
        raise NewerError(f"{file}: {str(error).removeprefix(f'{folder.path}/')}") from None


def _faulty(faults: list[Fault]) -> Verification:
    """Return the result with these faults, by path and one for each; the study in it is not opened then."""
    found: dict[Path, Fault] = {}
    for fault in faults:
        found.setdefault(fault.path, fault)
    by_path = sorted(found.values(), key=lambda fault: str(fault.path))
    return Verification(0, 0, tuple(by_path), is_pack=True)


def _check(reading: _Reading) -> None:
    """Read an archive from its first byte to its last and collect the faults."""
    try:
        _check_manifest(reading)
        for place, sha256 in reading.manifest.items():
            found = _check_entry(reading, place)
            if found != sha256:
                reading.faults.append(
                    Fault("altered", Path(place), "its SHA-256 is not the one in the manifest")
                )
        for piece in directory(reading.entries):
            if reading.read(len(piece)) != piece:
                raise _WrongError(ELSEWHERE, "the directory of the zip file is not as it was written")
        if reading.read(1):
            raise _WrongError(ELSEWHERE, "there are bytes after the end of the zip file")
    except _WrongError as error:
        reading.faults.append(error.fault)


def _check_manifest(reading: _Reading) -> None:
    entry = _header(reading, MANIFEST)
    top, slash, name = entry.name.partition("/")
    if not slash or name != MANIFEST or place_fault(top):
        raise _WrongError(ELSEWHERE, f"its first file is not {MANIFEST}, so it was not written by pack")
    if entry.size > MAX_MANIFEST_BYTES:
        raise _WrongError(Path(MANIFEST), f"is too large ({entry.size} bytes, at most {MAX_MANIFEST_BYTES})")
    content = reading.read(entry.size)
    reading.top = top
    if len(content) < entry.size or zlib.crc32(content) != entry.crc:
        raise _WrongError(Path(MANIFEST), "changed (checksum)")
    reading.manifest = _listed(content)
    reading.write(f"{top}/{MANIFEST}", [content])


def _listed(manifest: bytes) -> dict[str, str]:
    """Return the SHA-256 of each file that a manifest lists.

    Raises:
        _WrongError: it is not as pack writes it.
    """
    try:
        lines = [LINE.fullmatch(line) for line in manifest.decode().removesuffix("\n").split("\n")]
    except UnicodeDecodeError:
        lines = [None]
    places = {line[2]: line[1] for line in lines if line}
    if len(places) < len(lines) or not all(map(PLACE.fullmatch, places)):
        raise _WrongError(
            Path(MANIFEST), "has a line that is no checksum with the path of a file in the study"
        )
    if list(places) != sorted(places):
        raise _WrongError(Path(MANIFEST), "its lines are not in order")
    for place, fault in place_faults(places):
        raise _WrongError(Path(MANIFEST), f"{place[:80]} {fault}")
    return places


def _header(reading: _Reading, place: str) -> Entry:
    """Read the header of the next file.

    Raises:
        _WrongError: it is not exactly as pack writes it.
    """
    start = reading.read(LOCAL_SIZE)
    try:
        entry = parsed_header(start, reading.read(sum(sizes_of_rest(start))))
    except (ValueError, OverflowError):
        detail = (
            "the zip file ends before it" if not start else "its header in the zip file is not as written"
        )
        raise _WrongError(Path(place), detail) from None
    reading.entries.append(entry)
    return entry


def _check_entry(reading: _Reading, place: str) -> str:
    """Read the next file, which must be this one; return the SHA-256 of its content."""
    entry = _header(reading, place)
    if entry.name != f"{reading.top}/{place}":
        raise _WrongError(Path(place), "another file is in its place")
    digest, state = hashlib.sha256(), {"crc": 0, "left": entry.size}

    def pieces() -> Iterator[bytes]:
        while state["left"] and (piece := reading.read(min(PIECE_BYTES, state["left"]))):
            digest.update(piece)
            state["crc"] = zlib.crc32(piece, state["crc"])
            state["left"] -= len(piece)
            yield piece

    reading.write(entry.name, pieces())
    if state["left"]:
        raise _WrongError(Path(place), f"cut off: {state['left']} bytes of it are missing")
    if state["crc"] != entry.crc:
        reading.faults.append(Fault("altered", Path(place), "changed (checksum)"))
    return digest.hexdigest()


def _write(folder: Path, place: str, pieces: Iterable[bytes]) -> None:
    """Write a file below the temporary folder."""
    file = folder / place
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("xb") as stream:
        for piece in pieces:
            stream.write(piece)


def _diagnosis(file: Path, reading: _Reading) -> list[Fault]:
    """Return what the directory of a zip file says: files that were added, removed or stored in another way.

    Only names and sizes are read.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            infos = archive.infolist()
    except UNREADABLE as error:
        return [Fault("altered", ELSEWHERE, _unreadable(error, reading))]
    top = reading.top or infos[0].filename.partition("/")[0] if infos else reading.top
    times = Counter(info.filename for info in infos)
    faults = [Fault("orphaned", Path(name), f"is {n} times in it") for name, n in times.items() if n > 1]
    faults += [fault for info in infos if (fault := _strange(info, top, reading.manifest))]
    if reading.manifest:
        names = {info.filename.removeprefix(f"{top}/") for info in infos}
        gone = sorted(reading.manifest.keys() - names)
        faults += [Fault("incomplete", Path(place), "is missing") for place in gone]
    return faults


def _unreadable(error: Exception, reading: _Reading) -> str:
    """Say why a zip file has no directory that can be read."""
    if "not a zip file" not in str(error):  # as zipfile says it where there is no end
        return f"cannot be opened as a zip file ({error})"
    return "its end is missing: the file was cut off" if reading.manifest else "is not a zip file, or cut off"


def _strange(info: zipfile.ZipInfo, top: str, manifest: dict[str, str]) -> Fault | None:
    """Return what is wrong with the description of a file in an archive's directory."""
    place = info.filename.removeprefix(f"{top}/")
    where = Path(place)
    if place == info.filename or not PLACE.fullmatch(place):
        return Fault("orphaned", where, "leads out of the study's folder")
    if stat.S_ISLNK(info.external_attr >> 16):
        return Fault("altered", where, "is a link")
    if manifest and place not in manifest and place != MANIFEST and not info.is_dir():
        return Fault("orphaned", where, "is not in the manifest")
    if info.compress_type != zipfile.ZIP_STORED:
        return Fault("altered", where, "is compressed: another program wrote the zip file")
    return None
