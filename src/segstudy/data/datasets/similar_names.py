"""Pairing where no mask has its image's name: names that differ in capitals, in zeros, or in what all share.

``A1.JPG`` and ``a1.png``; ``img_001`` and ``mask_1``; ``um_01`` and ``um_road_01``; ``a_rgb`` and ``a_L``.
The names have to become the same one by one, for nearly all masks; else nothing is paired.
"""

import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

LEAST_PAIRS = 3
LEAST_FRAC = 0.9  # of the masks
_SEPARATORS = re.compile(r"([ _./-]+)")
_NUMBER = re.compile(r"[a-z]{0,2}\d+", re.IGNORECASE)  # s3, 0007: which slice or patient it is

Files = Mapping[str, Sequence[Path]]


def paired_by_similar_names(images: Files, masks: Files) -> tuple[dict[str, list[Path]], str] | None:
    """The masks by the ids of their images, and how the names differ; None where they do not fit.

    Args:
        images: files by id.
        masks: the same of masks, none of which has the id of an image.
    """
    ends = _common(images), _common(masks)
    ways: list[tuple[str, Callable[[str, _Ends], str]]] = [("in capitals", lambda name, _: name.casefold())]
    if _numbers(ends[0]) == _numbers(ends[1]):  # else it may be another slice of each patient
        ways += [
            ("in what all images, or all masks, have in common", _inner),
            ("in zeros before numbers", lambda name, own: _without_zeros(_inner(name, own))),
        ]
    for how, plain in ways:
        image_ids = {plain(each, ends[0]): each for each in images}
        by_name = {plain(each, ends[1]): each for each in masks}
        shared = image_ids.keys() & by_name.keys()
        are_unique = len(image_ids) == len(images) and len(by_name) == len(masks)
        if are_unique and len(shared) >= max(LEAST_PAIRS, LEAST_FRAC * len(masks)):
            found = {image_ids[name]: list(masks[by_name[name]]) for name in shared}
            found |= {each: list(masks[each]) for name, each in by_name.items() if name not in shared}
            return found, how
    return None


@dataclass(frozen=True)
class _Ends:
    """What all names begin and end with, as words with what stands between them."""

    first: Sequence[str]
    last: Sequence[str]


def _common(names: Collection[str]) -> _Ends:
    words = [_SEPARATORS.split(name) for name in names]
    first = _same([each[:-1] for each in words])
    rest = [each[len(first) :] for each in words]
    return _Ends(first, _same([each[:0:-1] for each in rest])[::-1])


def _same(lists: Sequence[Sequence[str]]) -> Sequence[str]:
    """The first words that all lists have in common."""
    columns = takewhile(lambda column: len(set(column)) == 1, zip(*lists, strict=False))
    return [column[0] for column in columns]


def _numbers(ends: _Ends) -> Counter[str]:
    return Counter(word for word in (*ends.first, *ends.last) if _NUMBER.fullmatch(word))


def _inner(name: str, ends: _Ends) -> str:
    """A name without what all names begin and end with."""
    words = _SEPARATORS.split(name)
    return "".join(words[len(ends.first) : len(words) - len(ends.last)]).casefold()


def _without_zeros(name: str) -> str:
    return re.sub(r"(?<!\d)0+(?=\d)", "", name)
