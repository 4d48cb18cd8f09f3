"""Text files in which tools keep annotations: read within bounds, and the images that they name."""

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from segstudy.core.errors import UserError
from segstudy.core.input_files import MB, open_regular, read_text
from segstudy.data.image_formats import stem_of

MAX_JSON_BYTES = 128 * MB  # of a whole data set; read, it takes up to 20 times as much memory
MAX_IMAGE_JSON_BYTES = 64 * MB  # of one image; some tools put the photograph itself into it
MAX_TEXT_BYTES = 16 * MB
HEAD_BYTES = 65_536
LOOKED_AT = 2_000  # entries of a folder, when all that is asked is what kind of files it holds


def read_json(file: Path, max_bytes: int = MAX_JSON_BYTES) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        UserError: unreadable, broken, larger than that, or no object.
    """
    content = read_json_value(file, max_bytes)
    if not isinstance(content, dict):
        raise UserError(f"{file}: must hold a JSON object, got {type(content).__name__}; export it again")
    return content


def read_json_value(file: Path, max_bytes: int = MAX_JSON_BYTES) -> object:
    """Whatever a JSON file holds; errors as ``read_json``."""
    try:
        return json.loads(read_text(file, max_bytes))
    except OSError as error:
        raise UserError(
            f"{file}: cannot be read ({error.strerror}); export it again, in parts if it is large"
        ) from None
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else " ".join(str(error).split())
        raise UserError(f"{file}: is no JSON ({reason[:100]}); export it again") from None


def lines_in(file: Path) -> list[str]:
    """Read the lines of a text file that are not blank, with their indentation.

    Raises:
        UserError: unreadable, no text, or larger than ``MAX_TEXT_BYTES``.
    """
    try:
        text = read_text(file, MAX_TEXT_BYTES)
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror}); export it again") from None
    return [line for line in text.splitlines() if line.strip()]


def head_of(file: Path) -> str:
    """The first of a text file; nothing of one that cannot be read."""
    try:
        with open_regular(file) as stream:
            return stream.read(HEAD_BYTES).decode("utf-8", errors="replace")
    except OSError:
        return ""


def some_files(folder: Path, suffix: str) -> Iterator[Path]:
    """Visible files with a suffix among the first entries of a folder; none where there is no folder."""
    try:
        with os.scandir(folder) as entries:
            found = [entry.name for entry in islice(entries, LOOKED_AT)]
    except OSError:
        return
    for name in sorted(found):
        if name.lower().endswith(suffix) and not name.startswith("."):
            yield folder / name


def files_below(folder: Path, suffix: str, depth: int = 3) -> list[Path]:
    """All visible files with a suffix, in a folder and its folders, sorted."""
    found = []
    for above, names, files in os.walk(folder):
        level = len(Path(above).relative_to(folder).parts)
        names[:] = sorted(name for name in names if not name.startswith(".")) if level + 1 < depth else []
        found += [Path(above, name) for name in files if name.lower().endswith(suffix) and name[0] != "."]
    return sorted(found)


def folders_in(folder: Path) -> list[Path]:
    """The visible folders in a folder, sorted."""
    return sorted(each for each in folder.iterdir() if each.is_dir() and not each.name.startswith("."))


def located(root: Path, folders: Iterable[Path], name: object) -> Path | None:
    """The image that a file names, in the first folder where it is; None where it is in none.

    An absolute path is of the machine on which the file was written: its last part is looked for.

    Args:
        root: of the data set, which no name may leave.
        folders: that the name may be relative to.
        name: as written, with slashes or backslashes.

    Raises:
        ValueError: no name, or one that leaves the data set's folder.
    """
    if not isinstance(name, str) or not name.strip() or "\0" in name:
        raise ValueError("names no image; export it again")
    text = name.replace("\\", "/")
    if PurePosixPath(text).is_absolute() or PureWindowsPath(text).drive:
        text = PurePosixPath(text).name
    top = Path(os.path.normpath(root))
    inside = False
    for folder in folders:
        path = Path(os.path.normpath(folder / text))
        if path.is_relative_to(top) and ".." not in path.relative_to(top).parts:
            inside = True
            if path.is_file():
                return path
    if not inside:
        raise ValueError(f"names the image {name[:80]!r}, outside the data set's folder; move it inside")
    return None


def stem_in(root: Path, image: Path) -> str:
    """The path of an image below a folder, without its suffix."""
    return image.relative_to(root).with_name(stem_of(image.name)).as_posix()


def named(names: Sequence[str], most: int = 5) -> str:
    """The first of some names, and how many more there are."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
