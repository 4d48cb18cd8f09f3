"""Ids of a table that fit no sample, and what they were probably meant to be; nothing is guessed."""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath, PureWindowsPath

from segstudy.data.image_formats import image_suffix
from segstudy.data.sample_ids import KnownIds
from segstudy.data.samples import Problem

KINDS = ("images", "masks")  # folders that are no part of an id


@dataclass(frozen=True)
class _Known:
    """The ids that a table may have: those of the samples, with and without folders.

    Attributes:
        names: all of them.
        by_number: those that end in a number, by the same without its zeros.
        by_letters: by the same in small letters.
    """

    names: frozenset[str]
    by_number: Mapping[str, list[str]]
    by_letters: Mapping[str, list[str]]


def names_of(sample_id: str) -> list[str]:
    """The ids under which a sample may be listed: folders may be left out, the outermost first.

    >>> names_of("train/p1/a")
    ['train/p1/a', 'p1/a', 'a']
    """
    names = sample_id.split("/")
    return ["/".join(names[i:]) for i in range(len(names))]


def id_meant(text: str, known: KnownIds) -> str | None:
    """The id of a sample that is written as the path or the name of its image or mask; None of no sample.

    >>> id_meant("images/p1/a.JPG", KnownIds({"p1/a", "a"}))
    'p1/a'
    >>> id_meant("b.jpg", KnownIds({"p1/a", "a"})) is None
    True
    """
    path = text.replace("\\", "/").removeprefix("./")
    written = [text, path, _without_kind(path)]
    if PurePosixPath(path).is_absolute() or PureWindowsPath(path).drive:  # of the machine that wrote it
        written += [_without_kind(each) for each in names_of(path)]
    return next((found for each in written if (found := known.meant(each))), None)


def _without_kind(path: str) -> str:
    """``train/images/a`` as ``train/a``, and ``images/a`` as ``a``."""
    names = path.split("/")
    at = next((i for i, name in enumerate(names[:-1]) if name.casefold() in KINDS), None)
    return path if at is None else "/".join(names[:at] + names[at + 1 :])


def unfit_ids(
    file: str, keys: Collection[str], used: Collection[str], sample_ids: Collection[str]
) -> list[Problem]:
    """A warning for each id that is not used; an error too where none is, as the table then says nothing.

    Args:
        file: the table's name.
        keys: its ids.
        used: those that are some sample's.
        sample_ids: of the data set; a table may leave folders out.
    """
    known = _known(sample_ids)
    reasons = {key: _reason(key, known) for key in keys if key not in used}
    problems = [
        Problem("warning", "unknown id", f"{file}: {key}", _ignored(key, reason, known))
        for key, reason in reasons.items()
    ]
    if used or not sample_ids:
        return problems
    named = next((reason for reason in reasons.values() if reason), f"ids must look like {min(sample_ids)}")
    rows = f"none of its {len(keys)} rows fits" if keys else "it has no row, so that nothing fits"
    detail = f"{rows} any of the {len(sample_ids)} pairs: {named}"
    return [Problem("error", "no id fits", file, detail), *problems]


def _known(sample_ids: Iterable[str]) -> _Known:
    names = frozenset(name for each in sample_ids for name in names_of(each))
    by_number, by_letters = defaultdict(list), defaultdict(list)
    for name in names:
        by_letters[name.casefold()].append(name)
        if number := _without_zeros(name):
            by_number[number].append(name)
    return _Known(names, by_number, by_letters)


def _ignored(key: str, reason: str, known: _Known) -> str:
    if key in known.names:
        return "every pair of that name has another row; ignored"
    return f"no pair of that name; ignored{f'; {reason}' if reason else ''}"


def _reason(key: str, known: _Known) -> str:
    """Why an id fits nothing, where that is likely; else nothing."""
    if suffix := image_suffix(key):
        stem, suffix = key[: -len(suffix)], key[-len(suffix) :]
        if stem in known.names:
            return f"leave the ending off: {stem}"
        rest = _reason(stem, known)
        return f"leave the ending {suffix} off, and {rest}" if rest else ""
    if found := _only(known.by_number.get(_without_zeros(key.removesuffix(".0")), [])):
        return f"id {key} is probably {found}: the spreadsheet dropped the zeros"
    if found := _only(known.by_letters.get(key.casefold(), [])):
        return f"id {key} is probably {found}: capitals matter"
    return ""


def _without_zeros(name: str) -> str:
    """``train/0012`` as ``train/12``; nothing where the name is no number."""
    folder, slash, stem = name.rpartition("/")
    return f"{folder}{slash}{stem.lstrip('0') or '0'}" if re.fullmatch("[0-9]+", stem) else ""


def _only(found: list[str]) -> str:
    return found[0] if len(found) == 1 else ""
