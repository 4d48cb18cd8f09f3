"""Ids of samples as people and other systems write them in lists."""

import unicodedata
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from segstudy.core.quantities import and_more
from segstudy.data.image_formats import image_suffix


@dataclass(frozen=True)
class Matched:
    """What the ids of a list stand for.

    Attributes:
        ids: of samples, in the order of the list.
        unknown: what stands for none, as written.
    """

    ids: tuple[str, ...]
    unknown: tuple[str, ...]


class KnownIds:
    r"""The ids of a data set, and what a list or a table may write for them.

    An id that is written exactly counts first. Else accents may be stored in another form (Unicode's NFC or
    NFD), ``\`` may stand for ``/``, and the ending of the image's file may follow.

    >>> known = KnownIds({"train/a", "b"})
    >>> known.meant("train\\a"), known.meant("b.png"), known.meant("c")
    ('train/a', 'b', None)
    """

    def __init__(self, ids: Iterable[str]) -> None:
        self.ids = frozenset(ids)
        self._by_form = {unicodedata.normalize("NFC", each): each for each in self.ids}

    def meant(self, text: str) -> str | None:
        """The id that is written so; None where there is none."""
        found = next((each for each in _spellings(text) if each in self.ids or each in self._by_form), None)
        return found if found is None or found in self.ids else self._by_form[found]


def match_ids(written: Iterable[str], known: Iterable[str]) -> Matched:
    r"""Find the samples that a list names, as ``KnownIds`` says.

    >>> match_ids(["b.png", "train\\a", "c"], {"train/a", "b"})
    Matched(ids=('b', 'train/a'), unknown=('c',))
    """
    names = KnownIds(known)
    ids, unknown = [], []
    for text in written:
        found = names.meant(text)
        if found is None:
            unknown.append(text)
        else:
            ids.append(found)
    return Matched(tuple(ids), tuple(unknown))


def _spellings(text: str) -> Iterator[str]:
    yield text
    plain = unicodedata.normalize("NFC", text)
    for each in dict.fromkeys((plain, plain.replace("\\", "/"))):
        yield each
        if suffix := image_suffix(each):  # an id may have a dot: no other ending is taken off
            yield each[: -len(suffix)]


def no_such_ids(unknown: Collection[str], known: Iterable[str], where: str) -> str:
    """Which ids there are not, and what the first of them was probably meant to be."""
    first = min(unknown)
    hint = _hint(first, known)
    return f"no sample {first!r} in {where}{and_more(len(unknown) - 1)}{hint and f'; {hint}'}"


def _hint(text: str, known: Iterable[str]) -> str:
    if any(character < " " for character in text):
        return r'within "..." a backslash begins an escape: write / instead'
    *_, wanted = _spellings(text)
    name = wanted.rpartition("/")[2]
    near = [each for each in known if each.rpartition("/")[2].casefold() == name.casefold()]
    if near:
        return f"did you mean {min(near)!r}?"
    return "list one id a line" if any(sign in text for sign in ",;\t") else ""
