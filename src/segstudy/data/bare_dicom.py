"""DICOM files without a preamble, which begin with their first element, as old archives hold them.

Recognised by their first elements, which have to be two or more of the groups 2 and 8, in ascending order.
Needs no pydicom.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass

IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
SYNTAX_TAG, CLASS_TAG, INSTANCE_TAG = (2, 0x10), (8, 0x16), (8, 0x18)
PREAMBLE = b"\0" * 128 + b"DICM"
MAX_LENGTH = 512  # of the value of an early element
# Lengths of groups, length to the end, character set, image type, dates, times and UIDs.
_FIRST = {2: {0x00, 0x01, 0x02}, 8: {0x00, 0x01, 0x05, 0x06, 0x08, 0x12, 0x16, 0x18}}
_SHORT = (b"AE", b"CS", b"DA", b"IS", b"LO", b"PN", b"SH", b"ST", b"TM", b"UI", b"UL", b"US")
_LONG = (b"OB", b"SQ", b"UN")
Tag = tuple[int, int]


@dataclass(frozen=True)
class FirstElements:
    """The elements that a file begins with.

    Attributes:
        values: by group and number.
        is_explicit: whether the last of them names its type.
    """

    values: Mapping[Tag, bytes]
    is_explicit: bool

    def text(self, tag: Tag) -> str:
        """Return the value of an element as text; nothing where it is missing."""
        return self.values.get(tag, b"").decode("ascii", errors="replace").rstrip("\0 ")


def first_elements(head: bytes) -> FirstElements | None:
    """Return the elements that a file begins with; None where its first bytes are no such elements."""
    values: dict[Tag, bytes] = {}
    at, before, is_explicit = 0, (0, 0), False
    while at + 12 <= len(head):
        tag: Tag = struct.unpack_from("<HH", head, at)
        if tag[0] not in _FIRST or tag <= before or (not values and tag[1] not in _FIRST[tag[0]]):
            break
        is_explicit, start, length = _extent(head, at)
        if length > MAX_LENGTH or start + length > len(head):
            break
        values[tag], before, at = head[start : start + length], tag, start + length
    return FirstElements(values, is_explicit) if len(values) > 1 else None


def _extent(head: bytes, at: int) -> tuple[bool, int, int]:
    """Whether an element names its type, where its value begins, and how long that is."""
    kind = head[at + 4 : at + 6]
    if kind in _SHORT:
        return True, at + 8, int.from_bytes(head[at + 6 : at + 8], "little")
    if kind in _LONG:
        return True, at + 12, int.from_bytes(head[at + 8 : at + 12], "little")
    return False, at + 8, int.from_bytes(head[at + 4 : at + 8], "little")


def preamble_for(found: FirstElements) -> bytes:
    """Return what stands before these elements in a file as the standard wants it."""
    if any(group == 2 for group, _ in found.values):
        return PREAMBLE
    uid = syntax_of(found).encode()
    uid += b"\0" * (len(uid) % 2)
    return PREAMBLE + struct.pack("<HH2sH", *SYNTAX_TAG, b"UI", len(uid)) + uid


def syntax_of(found: FirstElements) -> str:
    """Return how the file is encoded: what it says, or what its elements look like."""
    return found.text(SYNTAX_TAG) or (EXPLICIT if found.is_explicit else IMPLICIT)
