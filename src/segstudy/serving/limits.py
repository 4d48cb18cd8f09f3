"""What one caller may ask of a server."""

from dataclasses import dataclass

from segstudy.errors import UserError
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

    bytes: float = 50e6
    pixels: float = MAX_PIXELS / 2
    receive_s: float = 30.0
    answer_s: float = 60.0
    queue: int = 64

    def __post_init__(self) -> None:
        wrong = [name for name, value in vars(self).items() if not 0 < value < float("inf")]
        if wrong:
            raise UserError(f"limit of {wrong[0]}: is to be above 0 and finite")
        if self.pixels > MAX_PIXELS:
            raise UserError(f"--max-megapixels: at most {MAX_PIXELS // 10**6}, as everywhere in segstudy")


DEFAULT = Limits()
