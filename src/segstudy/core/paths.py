"""Paths as people and other systems write them: a home folder as ``~``, backslashes, drives."""

import os
import re
from pathlib import Path, PurePosixPath, PureWindowsPath

from segstudy.core.errors import UserError

_HOME = re.compile(r"~(?=$|[/\\])")
_DRIVE = re.compile(r"[A-Za-z]:[/\\]")
_CONTROL = re.compile(r"[\x00-\x1f]")


def expanded(path: str) -> str:
    """A path with the home folder in the place of ``~``; any other as it is."""
    if not _HOME.match(path):
        return path
    rest = path[1:] if os.name == "nt" else path[1:].replace("\\", "/")
    return os.path.expanduser(f"~{rest}")  # noqa: PTH111 (Path's raises where there is no home)


def expanded_word(word: str) -> str:
    """The same for a word of a command line, also where ``--option=`` or ``field=`` stands before the path.

    A shell does it for a word that begins with ``~``, but not within quotes, and some not after ``=``.
    """
    before, equals, path = word.partition("=")
    if equals and re.fullmatch(r"-{0,2}[\w-]+", before):
        return f"{before}={expanded(path)}"
    return expanded(word)


def with_slashes(path: str, folder: Path = Path()) -> str:
    """A path from a file that was written on Windows, with ``/``, where only that is there.

    Args:
        path: as written.
        folder: what it is relative to.
    """
    if os.name == "nt" or "\\" not in path or os.path.lexists(folder / path):
        return path
    changed = path.replace("\\", "/")
    return changed if os.path.lexists(folder / changed) else path


def reason_missing(path: str | Path) -> str:
    """Why nothing is at a path, where its spelling says so; begins with a semicolon, or is nothing."""
    text = str(path)
    if _CONTROL.search(text):
        return '; in a file, a backslash within "..." begins an escape: write / or use single quotes'
    if os.name == "nt" or ("\\" not in text and not _DRIVE.search(text)):
        return ""
    if _DRIVE.search(text):
        return "; it is a path of Windows: give the path on this system, with /"
    changed = text.replace("\\", "/")
    hint = f"did you mean {changed}?" if os.path.lexists(changed) else "folders are separated by / here"
    return f"; a backslash is a letter like any other on this system: {hint}"


def inside(folder: Path, name: str) -> Path:
    """The path of a file below a folder, by a name that another machine sent.

    Raises:
        UserError: the name is absolute or leads elsewhere, also by a link.
    """
    parts = PurePosixPath(name).parts
    is_plain = parts and ".." not in parts and not _CONTROL.search(name) and "\\" not in name
    file = folder / name
    if (
        not is_plain
        or PurePosixPath(name).is_absolute()
        or PureWindowsPath(name).drive
        or file.resolve() == folder.resolve()
        or not file.resolve().is_relative_to(folder.resolve())
    ):
        raise UserError(f"{name!r} must be the name of a file in {folder}; another machine sent it")
    return file
