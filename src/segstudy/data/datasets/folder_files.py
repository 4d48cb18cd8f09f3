"""The files of a folder, all of them: images, and those that are passed over, each with the reason."""

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from types import MappingProxyType

from segstudy.core.clutter import is_clutter_file, is_clutter_folder
from segstudy.core.quantities import and_more, counted
from segstudy.data.image_formats import holds_image, image_suffix, why_unread
from segstudy.data.samples import FileAccount, Problem, Sample
from segstudy.data.sources import files_of

NOT_READ = "files not read"  # kind of the problem
NAMED = 5  # files that a message names
MAX_DEPTH = 16
SYSTEM, HIDDEN, LINK, LINKED_FOLDER = "system file", "hidden", "link without content", "link to a folder"
OTHER_NAME = "with other names"
NO_FILE, NO_PARTNER, NO_SUFFIX, TOO_DEEP = "no regular file", "without partner", "without suffix", "too deep"


@dataclass(frozen=True)
class FolderFiles:
    """What lies in a folder and its subfolders.

    Attributes:
        folder: that was searched.
        images: visible files with the suffix of an image, or the first bytes of one, sorted.
        passed_over: the reason for each other file.
    """

    folder: Path
    images: list[Path] = field(default_factory=list)
    passed_over: dict[Path, str] = field(default_factory=dict)


def files_in(folder: Path) -> FolderFiles:
    """All files in a folder and its subfolders, in the order of their names.

    Raises:
        OSError: a folder that cannot be read.
    """
    found = FolderFiles(folder)
    _search(folder, found, 0)
    found.images.sort()
    return found


def _search(folder: Path, found: FolderFiles, depth: int) -> None:
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda each: each.name):
            path = folder / entry.name
            if not entry.is_symlink() and entry.is_dir():
                reason = _reason_of_folder(entry.name, depth)
                if reason is None:
                    _search(path, found, depth + 1)
            else:
                reason = _reason(entry)
                if reason is None:
                    found.images.append(path)
            if reason is not None:
                found.passed_over[path] = reason


def _reason_of_folder(name: str, depth: int) -> str | None:
    """Why a folder is not searched; None if it is."""
    if is_clutter_folder(name):
        return SYSTEM
    if name.startswith("."):
        return HIDDEN
    return TOO_DEEP if depth >= MAX_DEPTH else None


def _reason(entry: os.DirEntry[str]) -> str | None:
    """Why a file is not used as an image or a mask; None if it is."""
    suffix = PurePath(entry.name).suffix.lower()
    if is_clutter_file(entry.name):
        return SYSTEM
    if entry.name.startswith("."):
        return HIDDEN
    if entry.is_symlink() and not (target := Path(entry.path)).is_file():
        return LINKED_FOLDER if target.is_dir() else NO_FILE if target.exists() else LINK
    if not entry.is_file():
        return NO_FILE
    if image_suffix(entry.name) or holds_image(Path(entry.path)):
        return None
    return suffix or NO_SUFFIX


_EXPLAINED = {
    LINK: "no content there; fetch it first (git annex get, dvc pull), or remove the links",
    LINKED_FOLDER: "links to folders are not followed; move the files here, or link to each file",
    NO_FILE: "no regular files; remove them",
    TOO_DEEP: f"more than {MAX_DEPTH} folders deep, where nothing is read; move them up",
    HIDDEN: "hidden, because the name begins with a dot; left out, so rename it if it is meant",
}


def passed_over_problems(root: Path, found: Iterable[FolderFiles]) -> list[Problem]:
    """A warning for each folder and reason, with the number of files passed over; none for system files."""
    problems = []
    for each in found:
        by_reason: dict[str, list[Path]] = defaultdict(list)
        for file, reason in each.passed_over.items():
            if reason != HIDDEN or image_suffix(file.name):
                by_reason[reason].append(file)
        for reason, files in sorted(by_reason.items()):
            if reason != SYSTEM:
                where = f"{each.folder.relative_to(root).as_posix()}/"
                problems.append(Problem("warning", NOT_READ, where, _detail(each.folder, reason, files)))
    return problems


def _detail(folder: Path, reason: str, files: list[Path]) -> str:
    names = ", ".join(file.relative_to(folder).as_posix() for file in files[:NAMED])
    named = f"({names}{and_more(len(files) - NAMED)})"
    if reason in (LINK, LINKED_FOLDER):
        return f"{counted(len(files), 'link')} {named}: {_EXPLAINED[reason]}"
    if reason in _EXPLAINED:
        return f"{counted(len(files), 'file')} {named}: {_EXPLAINED[reason]}"
    kind = "file" if reason == NO_SUFFIX else f"{reason} file"
    first = "" if len(files) == 1 else "the first is "
    return f"{counted(len(files), kind)} {named}: {first}{why_unread(files[0])}; left out"


def account_by_name(name: str, folders: Iterable[Path], samples: Iterable[Sample]) -> FileAccount:
    """Count the files of a published data set, in which only some have names that are read.

    Args:
        name: of the folders, together.
        folders: that the data set consists of.
        samples: found in them.
    """
    found = [files_in(folder) for folder in folders]
    used = {file for sample in samples for file in (*files_of(sample.image), *files_of(sample.mask))}
    others = (file for each in found for file in each.images if file not in used)
    return account(name, found, used, dict.fromkeys(others, OTHER_NAME))


def account(
    folders: str,
    found: Iterable[FolderFiles],
    used: Iterable[Path],
    reasons: Mapping[Path, str] = MappingProxyType({}),
) -> FileAccount:
    """Count the files of these folders: used, or left out and why.

    Args:
        folders: what they are called.
        found: the files.
        used: files of samples.
        reasons: why an image or a mask is in no sample, where it is not for want of a partner.
    """
    known, num_files, num_used = set(used), 0, 0
    left_out: dict[str, int] = defaultdict(int)
    for each in found:
        num_files += len(each.images) + len(each.passed_over)
        for file, reason in each.passed_over.items():
            if file in known:  # such as a text file that describes masks
                num_used += 1
            else:
                left_out[reason] += 1
        for file in each.images:
            if file in known:
                num_used += 1
            else:
                left_out[reasons.get(file, NO_PARTNER)] += 1
    counts = sorted(left_out.items(), key=lambda item: (-item[1], item[0]))
    return FileAccount(folders, num_files, num_used, tuple(counts))
