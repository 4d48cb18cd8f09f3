"""A plain TIFF of any numbers and tags, as programs write them that are no picture editors."""

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

SHORT, LONG = 3, 4
FORMATS = {"u": 1, "i": 2, "f": 3}


def tiff(
    pixels: NDArray[np.generic],
    photometric: int = 1,
    planes: bool = False,
    extra: int | None = None,
    packed: bool = False,
) -> bytes:
    """A TIFF of one strip, not compressed; of one strip a band where the bands lie in planes.

    Args:
        pixels: ``(H, W)`` or ``(H, W, bands)``, of any kind of numbers.
        photometric: 0 white is zero, 1 black is zero, 2 red, green and blue.
        planes: one band after the other.
        packed: by zlib; of bands in planes only.
        extra: what the last band is: 0 nobody knows, 1 associated alpha, 2 alpha.
    """
    height, width = pixels.shape[:2]
    bands = 1 if pixels.ndim == 2 else pixels.shape[2]
    ordered = np.moveaxis(pixels, -1, 0) if planes else pixels
    strips = bands if planes else 1
    own = pixels.dtype.newbyteorder("<")
    parts = [np.ascontiguousarray(part).astype(own).tobytes() for part in (ordered if planes else [ordered])]
    parts = [zlib.compress(part) for part in parts] if packed else parts
    sizes = [len(part) for part in parts]
    data = b"".join(parts)
    lists = {
        258: (SHORT, [8 * pixels.dtype.itemsize] * bands),
        273: (LONG, [8 + sum(sizes[:i]) for i in range(strips)]),
        279: (LONG, sizes),
        339: (SHORT, [FORMATS[pixels.dtype.kind]] * bands),
        **{tag: (LONG, [value]) for tag, value in ((256, width), (257, height), (278, height))},
        **{
            tag: (SHORT, [value])
            for tag, value in ((259, 8 if packed else 1), (262, photometric), (277, bands))
        },
        284: (SHORT, [2 if planes else 1]),
        **({338: (SHORT, [extra])} if extra is not None else {}),
    }
    entries, behind = b"", b""
    for tag, (kind, values) in sorted(lists.items()):
        content = struct.pack(f"<{len(values)}{'H' if kind == SHORT else 'I'}", *values)
        if len(content) > 4:
            place = struct.pack("<I", 8 + len(data) + len(behind))
            content, behind = place, behind + content
        entries += struct.pack("<HHI", tag, kind, len(values)) + content.ljust(4, b"\0")
    head = b"II*\0" + struct.pack("<I", 8 + len(data) + len(behind))
    return head + data + behind + struct.pack("<H", len(lists)) + entries + bytes(4)
