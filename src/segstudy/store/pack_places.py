"""Paths of files in a pack: those that every system can unpack, side by side."""

import re
import unicodedata
from collections.abc import Iterable, Iterator

from segstudy.store.pack_record import MANIFEST

# A path within the study's folder that means the same on every system.
PLACE = re.compile(r"(?!\.)[^/\\:\x00-\x1f]+(/(?!\.)[^/\\:\x00-\x1f]+)*")
MAX_NAME_BYTES, MAX_PATH_BYTES = 255, 1000


def place_faults(places: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield each path that not every system can unpack beside the others, and why.

    A system may take names as equal that differ in upper and lower case, or in how accents are encoded.
    """
    places = list(places)
    folded: dict[str, str] = {_folded(MANIFEST): MANIFEST}
    for place in places:
        if fault := place_fault(place):
            yield place, fault
        elif (other := folded.setdefault(_folded(place), place)) != place or place == MANIFEST:
            yield place, f"has the name of {other} on some systems" if other != place else "lists itself"
    for place in places:
        parts = _folded(place).split("/")
        above = ("/".join(parts[:n]) for n in range(1, len(parts)))
        if file := next((folded[path] for path in above if path in folded), ""):
            yield place, f"lies in {file}, which is a file"


def place_fault(place: str) -> str:
    """Return why a path cannot be in a pack; empty if it can."""
    if not PLACE.fullmatch(place):
        return "is not the path of a file that any system can write"
    encoded = place.encode(errors="surrogatepass")
    if len(encoded) > MAX_PATH_BYTES or max(map(len, encoded.split(b"/"))) > MAX_NAME_BYTES:
        return f"is too long (at most {MAX_NAME_BYTES} bytes for a name, {MAX_PATH_BYTES} for the path)"
    return "" if encoded.decode(errors="replace") == place else "is not Unicode text"


def _folded(place: str) -> str:
    return unicodedata.normalize("NFC", place.casefold())
