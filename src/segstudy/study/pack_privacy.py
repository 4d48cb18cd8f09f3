"""Names and paths of machines in the texts of a pack: found, or cut."""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from segstudy.core import machine_names

# Where a path begins: not within an id, a web address or a tag; also behind an option such as -I.
BEGINS = r"(?:(?<![\w.\-/<~])|(?<=[\s\"'=]-[A-Za-z])|(?<=file://))"
NAME = r"(?!\.\.?[/\\])[^\s/\\\"'<>|:,;()]+"
REST = r"[^\s\"'<>|]*"
FOLDERS = "|".join(
    (
        rf"{BEGINS}/(?=[^\s/]*[^\W\d_]){NAME}/(?=[\w.])",  # of any folder of the system
        rf"(?<![\w.])\.\.(?:[/\\]+\.\.)*[/\\]+{NAME}[/\\]",  # of another folder, seen from the study
        rf"(?<!\w)[A-Za-z]:[/\\]+{NAME}[/\\]",
        rf"(?<![\w\\])\\\\{NAME}\\",
    )
)
PATH = re.compile(rf"(?:{FOLDERS}){REST}")
# The same in a program or a picture, where a slash may mean anything: folders of users and of disks.
USUAL = r"(?:home|Users|root|mnt|media|srv|scratch|Volumes|nfs|net|gpfs|lustre)"
ESCAPED = r"(?:(?<![\w.\-])|(?<=\\[nrt])|(?<=\\u[0-9a-fA-F]{4}))"
USUAL_PATH = re.compile(rf"(?:{ESCAPED}/{USUAL}/|\.\./{USUAL}/|[A-Za-z]:\\{{1,2}}Users\\{{1,2}}){REST}")
PICTURE = re.compile(r"base64,[A-Za-z0-9+/=]+")  # its letters may spell anything
PROGRAM = re.compile(r"<(script|style)\b.*?</\1>", re.DOTALL | re.IGNORECASE)
PAGES = (".html", ".svg")
TEXTS = (".json", ".toml", ".csv", ".md", *PAGES)


def without_machines(texts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the texts of a record without names of machines, and with paths cut to their last name."""
    return {
        name: PATH.sub(_last_name, machine_names.without_machines(text)) if isinstance(text, str) else text
        for name, text in texts.items()
    }


def _last_name(path: re.Match[str]) -> str:
    return re.split(r"[/\\]", path[0].rstrip("/\\"))[-1]


def personal_paths(files: Mapping[str, bytes | Path], machine: list[str]) -> Iterator[tuple[str, str]]:
    """Yield each text file that contains a path with the name of a folder, or one of these, and that path.

    A file beside the study's folder (``../net.py``) names no folder.

    Args:
        files: of the pack.
        machine: paths of this machine.
    """
    own = [path for path in machine if len(Path(path).parts) > 1]
    for name, source in files.items():
        if not name.endswith(TEXTS):
            continue
        content = source if isinstance(source, bytes) else source.read_bytes()
        text = content.decode(errors="replace")
        if found := _path_in(name, text):
            yield name, found
        else:
            yield from ((name, path) for path in own if path in text)


def _path_in(name: str, text: str) -> str:
    """Return the first path with the name of a folder; empty if there is none."""
    found = None
    if name.endswith(PAGES):
        text = PICTURE.sub("", text)
        found = USUAL_PATH.search(text) or PATH.search(PROGRAM.sub("", text))
    else:
        found = PATH.search("\n".join(_texts(name, text)))
    return found[0].rstrip(")].,;") if found else ""


def _texts(name: str, text: str) -> Iterator[str]:
    """Yield every text of a file, as it is read: without the escapes of its format."""
    with suppress(ValueError, RecursionError):
        match Path(name).suffix:
            case ".json":
                yield from _strings(json.loads(text))
                return
            case ".toml":
                yield from _strings(tomllib.loads(text))
                return
    yield text


def _strings(content: Any) -> Iterator[str]:
    """Yield all names and texts in a value of JSON."""
    left = [content]
    while left:
        value = left.pop()
        match value:
            case str():
                yield value
            case dict():
                left += [*value.values(), *value.keys()]
            case list():
                left += value
