"""The tags of a TIFF that nothing opens, to say what it is."""

import struct
from typing import BinaryIO

from segstudy.core.intensity import MAX_CHANNELS
from segstudy.core.quantities import counted

BITS, PHOTOMETRIC, BANDS, SAMPLE_FORMAT = 258, 262, 277, 339
PLANES = 284  # how bands are kept: 1 pixel by pixel, 2 one after the other
COLOURS = 3
MAX_BANDS = 4  # bands that an image may have: red, green, blue and one more
_FORMATS = {
    1: "whole numbers",
    2: "signed numbers",
    3: "fractions",
    5: "complex numbers",
    6: "complex numbers",
}


def too_many(num_bands: int, model_channels: int | None = None) -> str:
    """What is said of an image with so many bands.

    Args:
        num_bands: of the image.
        model_channels: that a trained model takes, if one is to read it; else they can be chosen.
    """
    if model_channels is not None:
        return f"{num_bands} bands, {_of_model(model_channels)}"
    every = f", or take all of an image with --channels {num_bands}" if num_bands <= MAX_CHANNELS else ""
    return (
        f"{num_bands} bands, where an image has at most {MAX_BANDS} (red, green, blue and one that is left "
        f"out), or {MAX_CHANNELS} that are named; save three of them as an RGB image{every}"
    )


def _of_model(channels: int) -> str:
    """What to do with an image for a model that takes so many channels."""
    what = {1: "a grey image", COLOURS: "an RGB image"}.get(channels, f"a TIFF of {channels} bands")
    takes = f"and the model takes images with {counted(channels, 'channel')}"
    return f"{takes}; save those that it was trained on as {what}"


def describe(stream: BinaryIO, model_channels: int | None = None) -> str:
    """What a TIFF holds that cannot be opened, and what to do; ``model_channels`` as in ``too_many``."""
    try:
        tags = first_values(stream)
    except (struct.error, ValueError, OverflowError):
        return "a damaged TIFF; export it again"
    bands, bits = tags.get(BANDS, 1), tags.get(BITS, 1)
    if bands > MAX_BANDS:
        return f"a TIFF of {too_many(bands, model_channels)}"
    numbers = _FORMATS.get(tags.get(SAMPLE_FORMAT, 1), "numbers")
    what = f"a TIFF of {counted(bands, 'band')} of {bits}-bit {numbers}"
    if bands > 1 and tags.get(PHOTOMETRIC, 1) in (0, 1):
        what = f"{what}, of which none is called red, green or blue"
        if model_channels is not None:
            return f"{what}, {_of_model(model_channels)}"
        what = f"{what}; save"
        if bands == COLOURS:  # --channels 3 means colours
            return f"{what} them as an RGB image"
        return f"{what} three of them as an RGB image, or take all of an image with --channels {bands}"
    return f"{what}, which is not understood; save it as a PNG or TIFF of 8 or 16 bits"


def first_values(stream: BinaryIO) -> dict[int, int]:
    """The first value of each tag that has whole numbers, of the first page."""
    stream.seek(0)
    head = stream.read(16)
    order = "<" if head[:2] == b"II" else ">"
    big = 43 in head[2:4]
    where, number, entry = ("Q", "Q", "HHQ8s") if big else ("I", "H", "HHI4s")
    (offset,) = struct.unpack_from(order + where, head, 8 if big else 4)
    stream.seek(offset)
    (count,) = struct.unpack(order + number, stream.read(struct.calcsize(order + number)))
    found = {}
    for _ in range(min(count, 1000)):
        tag, kind, values, inline = struct.unpack(order + entry, stream.read(struct.calcsize(order + entry)))
        letter = {1: "B", 3: "H", 4: "I", 16: "Q"}.get(kind)
        if letter is None:
            continue
        if struct.calcsize(letter) * values > len(inline):
            place = stream.tell()
            stream.seek(*struct.unpack(order + where, inline))
            inline = stream.read(8).ljust(8, b"\0")
            stream.seek(place)
        (found[tag],) = struct.unpack_from(order + letter, inline)
    return found
