"""The limits of a server for one caller."""

from dataclasses import dataclass

from segstudy.core.errors import UserError
from segstudy.data.images import MAX_PIXELS

OPTIONS = {
    "bytes": "max-mb",
    "pixels": "max-megapixels",
    "receive_s": "receive-s",
    "answer_s": "answer-s",
    "queue": "queue",
}
UNITS = {"bytes": 1e6, "pixels": 1e6}  # of the options


@dataclass(frozen=True)
class Limits:
    """The limits of the server for one caller.

    Attributes:
        bytes: of an image's file.
        pixels: of an image.
        receive_s: seconds to send it in.
        answer_s: seconds until it is answered, waiting included.
        queue: largest number of images in progress: received, waiting or being segmented.
    """

    bytes: float = 50e6
    pixels: float = MAX_PIXELS / 2
    receive_s: float = 30.0
    answer_s: float = 60.0
    queue: int = 64

    @property
    def connections(self) -> int:
        """Connections at the same time."""
        return 8 * self.queue

    @property
    def connections_per_peer(self) -> int:
        """Connections of one address."""
        return 4 * self.queue

    @property
    def held_bytes(self) -> float:
        """The bytes of all files that may be in progress at the same time."""
        return 8 * self.bytes

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 < value < float("inf"):
                raise UserError(
                    f"--{OPTIONS[name]} must be above 0 and finite, got {value / UNITS.get(name, 1):g}"
                )
        if self.pixels > MAX_PIXELS:
            raise UserError(f"--max-megapixels: at most {MAX_PIXELS // 10**6}, as everywhere in segstudy")


DEFAULT = Limits()
