"""What one caller may ask of a server."""

from dataclasses import dataclass

from segstudy.images import MAX_PIXELS


@dataclass(frozen=True)
class Limits:
    """What one caller may ask of the server.

    Attributes:
        bytes: of an image's file.
        pixels: of an image.
        receive_s: seconds to send it in.
        answer_s: seconds until it is answered, waiting included.
        queue: images that may be received, waiting or in work at the same time.
    """

    bytes: int = 50_000_000
    pixels: int = MAX_PIXELS // 2
    receive_s: float = 30.0
    answer_s: float = 60.0
    queue: int = 64


DEFAULT = Limits()
