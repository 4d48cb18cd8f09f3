"""The number of images in a file: pages of a TIFF, frames of an animation; a preview is none."""

import re
import struct
from typing import BinaryIO

from PIL import Image

MAX_PAGES = 100_000
SEVERAL = 0  # more than one, not counted
MAX_COUNTED_BYTES = 2_000_000  # of a GIF, whose frames can be counted one after the other only
_SUBFILE_TYPE, _OLD_SUBFILE_TYPE, _DESCRIPTION = 254, 255, 270
_PREVIEW, _TRANSPARENCY = 1, 4  # bits of the one
_REDUCED = 2  # value of the other
_IN_ORDER = {b"II": "<", b"MM": ">"}
_MAX_TAGS = 4_096
_MAX_DESCRIPTION_BYTES = 10_000


def pages_of(image: Image.Image, stream: BinaryIO, num_bytes: int) -> int:
    """Count the pages or frames of an opened image; ``SEVERAL`` where counting would take long.

    A JPEG from a camera may hold previews and depth maps (MPO): it has one page.

    Args:
        image: opened by Pillow.
        stream: its file; where it stands is kept.
        num_bytes: of the file.
    """
    if image.format == "MPO":
        return 1
    if image.format == "TIFF":
        at = stream.tell()
        try:
            return max(1, tiff_pages(stream), _imagej_pages(image))
        finally:
            stream.seek(at)
    if image.format == "GIF" and num_bytes > MAX_COUNTED_BYTES:
        return SEVERAL if getattr(image, "is_animated", False) else 1
    return int(getattr(image, "n_frames", 1))


def tiff_pages(stream: BinaryIO) -> int:
    """Directories that are neither a preview nor a mask of transparency; at most ``MAX_PAGES``."""
    stream.seek(0)
    head = stream.read(16)
    order, is_big = _IN_ORDER.get(head[:2], "<"), 43 in head[2:4]
    offset, number, entry = ("Q", "Q", "HHQ8s") if is_big else ("I", "H", "HHI4s")
    start = 8 if is_big else 4
    (at,) = struct.unpack_from(order + offset, head.ljust(16, b"\0"), start)
    seen: set[int] = set()
    pages = 0
    while at and at not in seen and len(seen) < MAX_PAGES:
        seen.add(at)
        stream.seek(min(at, 2**62))
        size = struct.calcsize(order + number)
        counted = stream.read(size)
        if len(counted) < size:
            break
        (tags,) = struct.unpack(order + number, counted)
        content = stream.read(struct.calcsize(order + entry) * min(tags, _MAX_TAGS))
        pages += _is_page(content, order, is_big)
        stream.seek(at + size + struct.calcsize(order + entry) * min(tags, 2**40))
        following = stream.read(struct.calcsize(order + offset))
        if len(following) < struct.calcsize(order + offset):
            break
        (at,) = struct.unpack(order + offset, following)
    return pages


def _is_page(content: bytes, order: str, is_big: bool) -> bool:
    """Whether a directory is an image of its own, from its tags."""
    entry = order + ("HHQ8s" if is_big else "HHI4s")
    size = struct.calcsize(entry)
    for tag, kind, _, value in struct.iter_unpack(entry, content[: len(content) // size * size]):
        if tag in (_SUBFILE_TYPE, _OLD_SUBFILE_TYPE):
            (number,) = (
                struct.unpack(order + "H", value[:2]) if kind == 3 else struct.unpack(order + "I", value[:4])
            )
            if tag == _SUBFILE_TYPE and number & (_PREVIEW | _TRANSPARENCY):
                return False
            if tag == _OLD_SUBFILE_TYPE and number == _REDUCED:
                return False
    return True


def _imagej_pages(image: Image.Image) -> int:
    """The number that ImageJ writes where one directory stands for a whole stack."""
    description = getattr(image, "tag_v2", {}).get(_DESCRIPTION, "")
    if not isinstance(description, str) or not description.startswith("ImageJ="):
        return 1
    found = re.search(r"^images=(\d{1,6})\s*$", description[:_MAX_DESCRIPTION_BYTES], re.MULTILINE)
    return int(found[1]) if found else 1
