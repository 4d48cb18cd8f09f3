"""A study as one file, to share, publish or move: equal studies give equal bytes."""

import hashlib
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segstudy.core.atomic_files import write_pieces
from segstudy.core.errors import UserError
from segstudy.core.input_files import open_regular
from segstudy.core.progress import Stage, silent
from segstudy.core.quantities import counted
from segstudy.core.stored_zip import Entry, directory, local_header
from segstudy.store import merged, preregistration
from segstudy.store.folder import StudyFolder
from segstudy.store.pack_places import place_faults
from segstudy.store.pack_record import FILE, MANIFEST, README, pack_json
from segstudy.store.study_lock import held_while_read
from segstudy.store.verify_pack import is_pack
from segstudy.study.pack_contents import Contents, contents_of
from segstudy.study.pack_privacy import personal_paths

PIECE_BYTES = 1 << 20
NEVER_REPLACED = (preregistration.FILE, merged.FILE)


@dataclass(frozen=True)
class Packed:
    """A pack.

    Attributes:
        file: the zip file.
        num_files: in it.
        num_runs: finished runs in it.
        num_bytes: of the zip file.
        sha256: of the zip file; publish it elsewhere: who changes the file cannot change it there.
        weights: whether weights are in it.
        images: whether pictures of the data and predicted masks are in it.
        left_out: numbers of files that were left out, by name or kind.
    """

    file: Path
    num_files: int
    num_runs: int
    num_bytes: int
    sha256: str
    weights: bool
    images: bool
    left_out: Mapping[str, int]


@dataclass(frozen=True)
class _Part:
    """A file for the archive, with its size and checksums."""

    name: str
    source: Path | bytes
    size: int
    crc: int
    sha256: str

    @property
    def entry(self) -> Entry:
        return Entry(self.name, self.size, self.crc)


def pack_study(
    path: Path, out: Path | None, weights: bool = True, images: bool = False, stage: Stage = silent
) -> Packed:
    """Write a study as one zip file; see ``segstudy.pack``.

    Raises:
        UserError: no study, one that is being trained, a damaged run, a file that names a folder of this
            machine, or a file of another kind at ``out``.
    """
    folder = StudyFolder(path)
    with held_while_read(folder):
        stage("checking the runs", 0, 0)
        contents = contents_of(folder, weights, images)
        target = out or Path(f"{contents.name}.zip")
        _refuse_place(target)
        _refuse_names(folder, contents)
        _refuse_personal(folder, contents)
        contents.files[FILE] = pack_json(_about(contents)).encode()
        contents.files[README] = readme(contents).encode()
        return _written(target, contents, stage)


def _about(contents: Contents) -> dict[str, Any]:
    """Return the fields of pack.json."""
    about: dict[str, Any] = {
        "name": contents.name,
        "weights": contents.weights,
        "images": contents.images,
        "runs": contents.runs,
        "left_out": dict(sorted(contents.left_out.items())),
    }
    if contents.states_left_out:
        about["states_left_out"] = dict(sorted(contents.states_left_out.items()))
    return about


def _written(target: Path, contents: Contents, stage: Stage) -> Packed:
    """Write the zip file."""
    parts = _parts(contents, stage)
    digest = hashlib.sha256()
    num_bytes = 0

    def pieces() -> Iterator[bytes]:
        nonlocal num_bytes
        for piece in _archive(parts, stage):
            digest.update(piece)
            num_bytes += len(piece)
            yield piece

    write_pieces(target, pieces())
    return Packed(
        file=target,
        num_files=len(parts),
        num_runs=len(contents.runs),
        num_bytes=num_bytes,
        sha256=digest.hexdigest(),
        weights=contents.weights,
        images=contents.images,
        left_out=dict(sorted(contents.left_out.items())),
    )


def _refuse_place(file: Path) -> None:
    if file.suffix.lower() != ".zip":
        raise UserError(
            f"{file}: a pack is a zip file; give a name that ends with .zip, such as {file.stem}.zip"
        )
    if not file.parent.is_dir():
        raise UserError(f"{file}: there is no folder {file.parent}; make it, or give another name with --out")
    if file.exists() and not is_pack(file):
        raise UserError(f"{file}: is there already, and not written by pack; give another name with --out")


def _refuse_names(folder: StudyFolder, contents: Contents) -> None:
    """Refuse names that ``verify`` would refuse."""
    for place, fault in place_faults([contents.name, *contents.files]):
        raise UserError(f"{folder.path / place}: {fault}; rename it, then pack again")


def _refuse_personal(folder: StudyFolder, contents: Contents) -> None:
    """Refuse a pack that would tell where on this machine the study lies, or whose it is."""
    machine = [str(folder.path.resolve()), f"{Path.home()}/", folder.study().data]
    for name, path in personal_paths(contents.files, machine):
        where = "then run it again (`verify` rejects edited records)"
        if name in NEVER_REPLACED:
            where = "then train in a new folder (this file is never replaced)"
        raise UserError(
            f"{folder.path / name}: contains {path}, a path of this machine that a pack must not show; move "
            f"what it names beside the study's folder, {where}"
        )


def _parts(contents: Contents, stage: Stage) -> list[_Part]:
    """Return all files in order, with sizes and checksums: first the manifest, then the others by name."""
    top = contents.name
    parts = []
    for n, (name, source) in enumerate(sorted(contents.files.items())):
        stage("computing the checksums", n, len(contents.files))
        parts.append(_measured(f"{top}/{name}", source))
    lines = [f"{part.sha256}  {part.name.removeprefix(f'{top}/')}\n" for part in parts]
    return [_measured(f"{top}/{MANIFEST}", "".join(lines).encode()), *parts]


def _measured(name: str, source: Path | bytes) -> _Part:
    size, crc, digest = 0, 0, hashlib.sha256()
    for piece in _read(source):
        size += len(piece)
        crc = zlib.crc32(piece, crc)
        digest.update(piece)
    return _Part(name, source, size, crc, digest.hexdigest())


def _read(source: Path | bytes) -> Iterator[bytes]:
    if isinstance(source, bytes):
        yield source
        return
    try:
        with open_regular(source) as stream:
            while piece := stream.read(PIECE_BYTES):
                yield piece
    except OSError as error:
        raise UserError(
            f"{source}: cannot be read ({error.strerror or error}); check permissions and disk"
        ) from None


def _archive(parts: Sequence[_Part], stage: Stage) -> Iterator[bytes]:
    """Yield the bytes of the archive.

    Raises:
        UserError: a file has changed since its checksum was computed.
    """
    for n, part in enumerate(parts):
        stage("writing the pack", n, len(parts))
        yield local_header(part.entry)
        crc = 0
        for piece in _read(part.source):
            crc = zlib.crc32(piece, crc)
            yield piece
        if crc != part.crc:
            raise UserError(f"{part.name}: changed while it was packed; pack the study again")
    yield from directory(part.entry for part in parts)


def readme(contents: Contents) -> str:
    """Return the text for people who open the pack."""
    name = contents.name
    left = [f"- {kind}: {number}" for kind, number in sorted(contents.left_out.items())]
    what = (
        f"{counted(len(contents.runs), 'run')}; weights: {_yes(contents.weights)}; pictures of the data and "
        f"predicted masks: {_yes(contents.images)}"
    )
    return f"""# {name}

A study of segstudy (segmentation architectures and losses, compared on one data set), packed into one file.

In it: {what}.
{chr(10).join(["Left out:", "", *left, ""]) if left else "Nothing was left out."}
The images of the data set are not in it. Ids, groups and categories of its samples are (data.json).

- Check it without segstudy: `sha256sum -c {MANIFEST}` in this folder.
- Check it with segstudy, without the data: `segstudy verify FILE.zip`; unzipped: `segstudy verify {name}`.
- Read it: `segstudy table {name}`, `segstudy report {name}`, `segstudy compare {name} A B`.
- Continue it, with the data: `segstudy run {name} --data PATH`.

This file and {MANIFEST} describe the study as it was packed. They do not change if the unzipped study is
trained further; `segstudy verify {name}` then checks it as it is.
"""


def _yes(value: bool) -> str:
    return "yes" if value else "no"
