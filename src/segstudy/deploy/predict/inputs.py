"""The images to be segmented: in files, folders and data sets."""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path

from segstudy.core.clutter import is_clutter_file, is_clutter_folder
from segstudy.core.errors import UserError
from segstudy.core.paths import reason_missing
from segstudy.core.quantities import counted
from segstudy.data.image_formats import TITLES, holds_image, image_suffix, stem_of, why_unread
from segstudy.deploy.predict.objects import OBJECTS
from segstudy.deploy.predict.result_files import KINDS
from segstudy.deploy.predict.table import SETTINGS, TABLE
from segstudy.deploy.predict.volumes import Item, divided


def find_images(
    inputs: Sequence[Path],
    match: str | None = None,
    of_data_set: Callable[[Path], Sequence[Path] | None] = lambda _: None,
    notice: Callable[[str], None] = lambda _: None,
) -> list[Item]:
    """Return the images in files and folders, in order; hidden files are left out.

    Each slice of a volume and each frame of a DICOM file is one.

    Args:
        inputs: files and folders. Of a single folder the results keep the structure within it; of several
            inputs each folder's own name stands before.
        match: a pattern that paths within a folder have to match, such as ``*_Dermoscopic_Image/*.bmp``.
        of_data_set: the images of a folder that is a data set, None for any other; not asked with a pattern.
        notice: called with a line on the files of a folder that are not images.

    Raises:
        UserError: nothing there, no image, or two images whose results would have one name.
    """
    found: list[Item] = []
    given = list({each.resolve(): each for each in inputs}.values())
    for each in given:
        if each.is_dir():
            before = "" if len(given) == 1 else f"{each.resolve().name}/"
            files = of_data_set(each) if match is None else None
            if files is None:
                matching = [file for file in _walk(each) if _matches(file.relative_to(each), match)]
                files = [file for file in matching if _is_image(file)]
                _tell_of_others(each, matching, set(files), notice)
            found += [Item(file, before + _inside(file, each)) for file in files]
        elif each.exists():
            found.append(Item(each, each.name))
        else:
            raise UserError(f"{each}: no such file or folder{reason_missing(each)}; check the path")
    if not found:
        raise UserError(f"{', '.join(map(str, inputs))}: {_why_none(match)}")
    return divided(named_apart(found))


def _why_none(match: str | None) -> str:
    if match is None:
        return f"no image; {TITLES} files are read"
    return f"no image has a path that matches --match {match!r}; change the pattern, or leave it out"


def _walk(folder: Path) -> Iterator[Path]:
    """Yield the visible files of a folder and its subfolders, without results of this command."""
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name[0] != "." and not is_clutter_folder(name))
        if SETTINGS in files:  # results of this command are not images
            folders[:] = [name for name in folders if name not in KINDS]
        for name in sorted(set(files) - ({SETTINGS, TABLE, OBJECTS} if SETTINGS in files else set())):
            if name[0] != "." and not is_clutter_file(name):
                yield Path(place) / name


def _is_image(file: Path) -> bool:
    return bool(image_suffix(file.name)) or holds_image(file)


def _tell_of_others(
    folder: Path, files: Sequence[Path], images: set[Path], notice: Callable[[str], None]
) -> None:
    """Count the files that are not images, by suffix, and name the first with the reason."""
    others = [file for file in files if file not in images]
    if not others:
        return
    number = Counter(file.suffix.lower() or "without suffix" for file in others)
    kinds = ", ".join(f"{kind}: {count}" for kind, count in sorted(number.items()))
    first = f"{others[0].relative_to(folder).as_posix()}: {why_unread(others[0])}"
    notice(f"{folder}: {counted(len(others), 'file')} not read as images ({kinds}); {first}")


def _inside(file: Path, folder: Path) -> str:
    return file.relative_to(folder).as_posix() if file.is_relative_to(folder) else file.name


def _matches(inside: Path, pattern: str | None) -> bool:
    return (
        pattern is None or fnmatch(inside.as_posix(), pattern) or fnmatch(inside.as_posix(), f"*/{pattern}")
    )


def named_apart(items: Sequence[Item]) -> list[Item]:
    """Return names without suffixes, except where two images would get the same name.

    Raises:
        UserError: two results would still have one name.
    """
    stems = Counter(stem_of(item.name) for item in items)
    named: dict[str, Item] = {}
    for item in items:
        stem = stem_of(item.name)
        name = stem if stems[stem] == 1 else item.name
        if other := named.get(name):
            raise UserError(
                f"{item.file} and {other.file}: both results would have the name {name}; "
                "use another --out for each"
            )
        named[name] = Item(item.file, name)
    return list(named.values())
