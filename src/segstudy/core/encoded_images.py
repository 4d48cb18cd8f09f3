"""Images as the bytes of a file, and as a data URI for a page."""

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def image_bytes(image: Image.Image, kind: str, **options: Any) -> bytes:
    """Return an image as the bytes of a file.

    Args:
        image: of any mode that the format has.
        kind: a format of Pillow: ``PNG``, ``JPEG``, ``WEBP``.
        options: of that format.
    """
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def few_colours(places: NDArray[np.uint8], colours: Sequence[tuple[int, int, int, int]]) -> bytes:
    """Return a PNG of few colours, with two bits a pixel for four of them: a few kilobytes.

    Args:
        places: of each pixel's colour in `colours`, ``(H, W)``.
        colours: red, green, blue and opacity.
    """
    image = Image.fromarray(places).convert("L")
    image.putpalette([value for colour in colours for value in colour[:3]])
    opacities = bytes(colour[3] for colour in colours)
    bits = next(bits for bits in (2, 4, 8) if len(colours) <= 2**bits)
    return image_bytes(image, "PNG", bits=bits, transparency=opacities, optimize=True)


def data_uri(kind: str, content: bytes) -> str:
    """Return a file of a format such as ``PNG`` as a data URI."""
    return f"data:image/{kind.lower()};base64,{base64.b64encode(content).decode()}"
