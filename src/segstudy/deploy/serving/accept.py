"""The choice of the media type by the Accept header (RFC 9110, 12.5.1)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_RANGE = re.compile(r"([\w!#$&^.+*-]+)/([\w!#$&^.+*-]+)", re.ASCII)
_QUALITY = re.compile(r"0(\.[0-9]*)?|1(\.0*)?", re.ASCII)


@dataclass(frozen=True)
class MediaRange:
    """One of the types that a caller names, such as ``image/*;q=0.5``.

    Attributes:
        main: before the slash.
        sub: after it.
        quality: from 0, not acceptable, to 1.
        place: in the header, from 0 on.
    """

    main: str
    sub: str
    quality: float
    place: int

    def matches(self, media: str) -> bool:
        """Whether a media type is one of these."""
        main, _, sub = media.partition("/")
        return self.main in ("*", main) and self.sub in ("*", sub)

    @property
    def rank(self) -> tuple[bool, bool, int]:
        """Return how exact it is: an exact type counts before ``image/*``, and that before ``*/*``."""
        return self.main != "*", self.sub != "*", -self.place


def best_of(accept: str, offered: Sequence[str]) -> str | None:
    """The media type with the highest quality; None if the caller takes none.

    Of types with equal quality the one that the header names first is chosen, then the one offered first.

    >>> best_of("application/json;q=0.5, image/png", ["application/json", "image/png"])
    'image/png'
    >>> best_of("*/*", ["application/json", "image/png"])
    'application/json'
    """
    ranges = media_ranges(accept)
    found: list[tuple[float, int, int, str]] = []
    for order, media in enumerate(offered):
        matching = [each for each in ranges if each.matches(media)]
        if matching:
            most_exact = max(matching, key=lambda each: each.rank)
            found.append((-most_exact.quality, most_exact.place, order, media))
    best = min(found, default=None)
    return best[3] if best and best[0] < 0 else None


def media_ranges(accept: str) -> list[MediaRange]:
    """The types of the header; without any, all are welcome. A malformed one is left out."""
    found = []
    for place, text in enumerate(accept.lower().split(",")):
        media, *parameters = (each.strip() for each in text.split(";"))
        named = _RANGE.fullmatch("*/*" if media == "*" else media)
        quality = _quality(parameters)
        if named and quality is not None:
            found.append(MediaRange(named[1], named[2], quality, place))
    return found if accept.strip() else [MediaRange("*", "*", 1.0, 0)]


def _quality(parameters: Sequence[str]) -> float | None:
    """The parameter q; 1 without one, None if it is not a number from 0 to 1."""
    for each in parameters:
        name, _, value = each.partition("=")
        if name.strip() == "q":
            return float(value.strip()) if _QUALITY.fullmatch(value.strip()) else None
    return 1.0
